"""Every requirement that can be observed has a check, and every check cites what exists."""

from __future__ import annotations

from collections import Counter

import pytest

from anys3.conformance.plan import costs
from anys3.conformance.registry import checks, proofs
from anys3.conformance.selection import unobservable
from anys3.spec import catalogue

JUDGED = [row for row in catalogue.requirements() if row.level in ("MUST", "SHOULD")]
# Nobody asks an endpoint for these: they are read-only annex calls, or served by other operations' checks.
NOT_IN_TIERS = {name for name, operation in catalogue.operations().items() if operation.annex}


def test_every_must_and_should_has_a_check_or_a_reason_why_it_has_none() -> None:
    missing = [row.id for row in JUDGED if row.id not in proofs() and row.id not in unobservable()]
    assert missing == []


def test_what_can_be_observed_is_not_called_unobservable() -> None:
    assert sorted(set(proofs()) & set(unobservable())) == []


def test_few_requirements_can_not_be_observed() -> None:
    musts = [id for id in unobservable() if catalogue.requirement(id).level == "MUST"]
    assert len(musts) <= 12, musts


def test_every_check_cites_requirements_that_can_be_judged() -> None:
    levels = {id: catalogue.requirement(id).level for check in checks().values() for id in check.ids}
    assert set(levels.values()) == {"MUST", "SHOULD"}


def test_every_requirement_has_a_reason() -> None:
    assert [row.id for row in catalogue.requirements() if catalogue.reason(row.id) is None] == []


def test_quick_has_one_must_of_each_operation() -> None:
    quick = [check for check in checks().values() if check.is_quick]
    assert [check.name for check in quick if check.level != "MUST"] == []
    counts = Counter(check.operation for check in quick)
    assert {name: number for name, number in counts.items() if number > 1} == {}
    assert sorted(set(catalogue.operations()) - NOT_IN_TIERS - set(counts)) == []


def test_the_plan_knows_every_check() -> None:
    assert sorted(set(checks()) ^ set(costs())) == [], "run `make costs`"


@pytest.mark.parametrize("name", list(checks()))
def test_a_title_is_a_sentence(name: str) -> None:
    title = checks()[name].title
    assert title.endswith("."), title
    assert len(title) <= 160, title
