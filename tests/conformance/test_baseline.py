"""Baselines: known failures stay green, anything else is told."""

from __future__ import annotations

import pytest

from anys3.conformance import baseline
from anys3.conformance.outcomes import Outcome, Result

KNOWN = ("A-01/a", "A-01/b", "A-02/c")


def results(**outcomes: str) -> list[Result]:
    names = {name.rpartition("/")[2]: name for name in KNOWN}
    return [
        Result(names[short], (names[short][:4],), "MUST", "PutObject", "t", Outcome(outcome), "it broke")
        for short, outcome in outcomes.items()
    ]


def test_a_known_failure_that_fails_is_no_problem() -> None:
    assert baseline.problems(["A-01/a"], results(a="FAIL", b="PASS"), KNOWN) == []


@pytest.mark.parametrize(
    ("listed", "found", "words"),
    [
        ([], {"a": "FAIL"}, "not in the baseline: it broke"),
        ([], {"a": "ABSENT"}, "not in the baseline"),
        (["A-01/a"], {"a": "PASS"}, "passes now"),
        (["A-01/gone"], {"a": "PASS"}, "no such check any more"),
        (["A-02/c"], {"a": "PASS"}, "was not run"),
        (["A-01/a"], {"a": "SKIP"}, "was not judged: SKIP"),
    ],
)
def test_each_difference_is_told(listed: list[str], found: dict[str, str], words: str) -> None:
    (sentence,) = baseline.problems(listed, results(**found), KNOWN)
    assert words in sentence


def test_a_written_baseline_is_met_by_the_run_that_wrote_it() -> None:
    found = results(a="FAIL", b="PASS", c="ABSENT")
    listed = baseline.parse(baseline.render(found))
    assert listed == ["A-01/a", "A-02/c"]
    assert baseline.problems(listed, found, KNOWN) == []


def test_warnings_and_skips_are_not_in_a_baseline() -> None:
    assert baseline.parse(baseline.render(results(a="WARN", b="SKIP"))) == []
