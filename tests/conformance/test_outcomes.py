"""Outcomes and verdicts: what was not passed never counts as passed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.conformance.outcomes import Outcome, Result, Verdict, by_requirement, judge, judge_tier, worst
from anys3.spec import catalogue

OUTCOMES = st.sampled_from(list(Outcome))


def result(check: str, outcome: Outcome, *ids: str) -> Result:
    return Result(check, ids or (check,), "MUST", "PutObject", "a title", outcome)


@given(st.dictionaries(st.sampled_from("abcdef"), OUTCOMES))
def test_only_passes_are_conformant(outcomes: dict[str, Outcome]) -> None:
    verdict = judge("abc", outcomes)
    assert (verdict is Verdict.CONFORMANT) == all(outcomes.get(id) is Outcome.PASS for id in "abc")


@given(st.dictionaries(st.sampled_from("abcdef"), OUTCOMES))
def test_one_failing_or_absent_must_is_not_conformant(outcomes: dict[str, Outcome]) -> None:
    verdict = judge("abc", outcomes)
    is_bad = any(outcomes.get(id) in (Outcome.FAIL, Outcome.ABSENT) for id in "abc")
    assert (verdict is Verdict.NOT_CONFORMANT) == is_bad


@pytest.mark.parametrize(
    "outcome", [Outcome.SKIP, Outcome.BLOCKED, Outcome.FLAKY, Outcome.ERROR, Outcome.WARN]
)
def test_what_is_neither_passed_nor_failed_leaves_a_tier_incomplete(outcome: Outcome) -> None:
    assert judge("ab", {"a": Outcome.PASS, "b": outcome}) is Verdict.INCOMPLETE


def test_what_was_not_run_leaves_a_tier_incomplete() -> None:
    assert judge("ab", {"a": Outcome.PASS}) is Verdict.INCOMPLETE


def test_no_musts_are_not_conformant() -> None:
    assert judge("", {}) is Verdict.INCOMPLETE


@given(st.lists(OUTCOMES, min_size=1))
def test_a_requirement_is_as_good_as_the_worst_of_its_checks(outcomes: list[Outcome]) -> None:
    found = by_requirement([result(f"c{n}", outcome, "X-01") for n, outcome in enumerate(outcomes)])
    assert found == {"X-01": worst(outcomes)}
    assert (found["X-01"] is Outcome.PASS) == (set(outcomes) == {Outcome.PASS})


def test_a_tier_tells_what_fails_what_warns_and_what_was_not_run() -> None:
    rows = [catalogue.requirement(id) for id in ("PUT-01", "PUT-02", "PUT-03", "HTTP-12", "PUT-04")]
    outcomes = {
        "PUT-01": Outcome.PASS,
        "PUT-02": Outcome.ABSENT,
        "PUT-03": Outcome.FAIL,
        "HTTP-12": Outcome.WARN,
    }
    tier = judge_tier("tier-1", "Core", rows, outcomes)
    assert tier.verdict is Verdict.NOT_CONFORMANT
    assert tier.failing == ("PUT-02", "PUT-03")
    assert tier.warnings == ("HTTP-12",)
    assert (tier.unrun, tier.must_count) == (1, 4)
