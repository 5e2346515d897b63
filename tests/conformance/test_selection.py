"""What selectors name: tiers, profiles, operations, ids and globs; and what a tier is judged over."""

from __future__ import annotations

import pytest

from anys3.conformance.outcomes import Outcome
from anys3.conformance.registry import checks
from anys3.conformance.selection import (
    UnknownSelector,
    judged_of,
    requirements_of,
    select,
    tier_of,
    unobservable,
)
from anys3.spec import catalogue, cuts

TIERS = catalogue.tiers()
ALL = TIERS["tier-3"]


def ids(*selectors: str, quick: bool = False) -> set[str]:
    return {id for check in select(selectors, ALL, TIERS, quick=quick) for id in check.ids}


def test_without_a_selector_the_checks_of_the_tier_are_run() -> None:
    profiles = {check.profile for check in select((), TIERS["tier-1"], TIERS)}
    assert profiles == set(TIERS["tier-1"].profiles)
    assert len(select((), ALL, TIERS)) == len(checks())


def test_an_id_names_its_checks_in_any_case() -> None:
    assert ids("PUT-03") == ids("put-03") == {"PUT-03"}


def test_a_glob_names_ids_and_checks() -> None:
    assert ids("TAG-*") == {row.id for row in catalogue.requirements() if row.id.startswith("TAG-")}
    assert ids("PUT-03/zero*") == {"PUT-03"}


def test_an_operation_and_a_profile_name_theirs() -> None:
    assert {check.operation for check in select(["CopyObject"], ALL, TIERS)} == {"CopyObject"}
    assert {check.profile for check in select(["tag"], ALL, TIERS)} == {"tag"}


def test_several_selectors_name_all_of_theirs_once() -> None:
    names = [check.name for check in select(["tag", "TAG-01", "TAG-*"], ALL, TIERS)]
    assert len(names) == len(set(names))


def test_what_can_not_be_observed_is_told_with_its_reason() -> None:
    id, reason = next(iter(unobservable().items()))
    with pytest.raises(UnknownSelector, match="from outside") as error:
        select([id], ALL, TIERS)
    assert reason in str(error.value)


def test_a_tier_has_a_name_and_a_number() -> None:
    assert tier_of("2", TIERS) is tier_of("tier-2", TIERS) is TIERS["tier-2"]


def test_an_optional_profile_that_is_not_offered_is_no_part_of_the_verdict() -> None:
    optional = {row.id for row in requirements_of(ALL) if catalogue.profiles()[row.profile].is_optional}
    assert optional
    skipped = dict.fromkeys(optional, Outcome.SKIP)
    assert optional & {row.id for row in judged_of(ALL, skipped)} == set()
    failing = dict.fromkeys(optional, Outcome.FAIL)
    assert {row.id for row in judged_of(ALL, failing)} >= optional


def test_what_is_not_optional_stays_in_the_verdict_when_it_is_skipped() -> None:
    assert "PUT-03" in {row.id for row in judged_of(ALL, {"PUT-03": Outcome.SKIP})}


@pytest.mark.parametrize("cut", ["", *cuts.names()])
def test_each_tier_of_each_cut_has_a_check_for_each_of_its_requirements(cut: str) -> None:
    tiers = cuts.tiers_of(cut) if cut else TIERS
    for tier in tiers.values():
        checked = {id for check in select((), tier, tiers) for id in check.ids}
        assert [row.id for row in requirements_of(tier) if row.id not in checked] == []
