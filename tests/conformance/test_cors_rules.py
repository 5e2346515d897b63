"""Checks of CORS where the endpoint has no API for rules: the operator's are judged, or nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anys3.conformance.ground import Ground
from anys3.conformance.outcomes import Outcome, Result
from anys3.conformance.registry import checks
from anys3.conformance.running import run_check
from anys3.model import Bucket, CorsRule
from anys3.protocol.http import Answer, Request
from tests.broken_servers import BreakableServer, Breakage, all_of, answering, error_answer, patched, when

ORIGIN = "https://operator.example"
NAMES = [name for name, check in checks().items() if name.startswith("CORS-") and not check.is_anonymous]
RULED = [name for name in NAMES if name not in ("CORS-01/no-rule-by-default", "CORS-06/first-rule-wins")]
ALLOWED = [
    "CORS-01/match-is-answered",
    "CORS-02/any-url-may-be-asked-about",
    "CORS-03/no-method",
    "CORS-07/actual-requests",
    "CORS-08/credentials-need-an-origin",
    "CORS-09/etag-can-be-exposed",
]
RULES_OF = ("anys3.operations.bucket_cors.rules_of", "anys3.server.application.rules_of")


def without_api(request: Request, _: Answer) -> Answer | None:
    """Refuse what is about rules."""
    return error_answer("NotImplemented") if when(request, query="cors") else None


def operated(*rules: CorsRule) -> Breakage:
    """A server without the API, where the operator's rules hold for every bucket."""

    def rules_of(bucket: Bucket | None) -> tuple[CorsRule, ...]:
        return rules if bucket else ()

    return all_of("no ?cors", answering("", without_api), *(patched("", name, rules_of) for name in RULES_OF))


Judge = Callable[[Breakage, str], Result]


@pytest.fixture
def judge(breakable: BreakableServer, tmp_path: Path) -> Judge:
    """Run a check on the server, with the operator's origin known."""

    def judged(server: Breakage, name: str, origin: str | None = ORIGIN) -> Result:
        with breakable.ground(tmp_path) as ground, server.enter(breakable):
            return run_check(_with_origin(ground, origin), checks()[name])

    return judged


def _with_origin(ground: Ground, origin: str | None) -> Ground:
    ground.cors_origin = origin
    return ground


APP = CorsRule((ORIGIN,), ("GET",), (), ("ETag", "x-amz-request-id"), 60)
ALL = CorsRule(("*",), ("GET", "PUT"), ("*",), ("ETag", "x-amz-request-id"))


@pytest.mark.parametrize("name", NAMES)
def test_the_operators_rules_are_judged_where_none_can_be_set(judge: Judge, name: str) -> None:
    result = judge(operated(APP), name)
    assert (result.outcome, result.sentence) == (Outcome.PASS, "")


@pytest.mark.parametrize("name", ["CORS-04/no-matching-rule", "CORS-07/unmatched-requests"])
def test_rules_for_every_origin_refuse_none_and_it_is_said(judge: Judge, name: str) -> None:
    result = judge(operated(ALL), name)
    assert (result.outcome, result.sentence) == (
        Outcome.SKIP,
        "needs rules that do not allow every origin",
    )


@pytest.mark.parametrize("name", ALLOWED)
def test_rules_that_are_not_there_are_noticed(judge: Judge, name: str) -> None:
    assert judge(operated(), name).outcome in (Outcome.FAIL, Outcome.WARN)


def test_without_rules_and_origin_a_check_says_what_to_do(breakable: BreakableServer, tmp_path: Path) -> None:
    with breakable.ground(tmp_path) as ground, operated(APP).enter(breakable):
        result = run_check(ground, checks()["CORS-07/actual-requests"])
    assert (result.outcome, "--cors-origin" in result.sentence) == (Outcome.SKIP, True)


def test_rules_are_never_set_in_a_bucket_of_the_users(breakable: BreakableServer, tmp_path: Path) -> None:
    with breakable.ground(tmp_path) as ground:
        ground.is_scoped = True
        try:
            results = [run_check(ground, checks()[name]) for name in RULED]
        finally:
            ground.is_scoped = False
    kinds = {result.check: result.outcome for result in results}
    assert kinds == {name: Outcome.PASS if name == "CORS-03/no-origin" else Outcome.SKIP for name in RULED}


@pytest.mark.parametrize(
    "name", [name for name, check in checks().items() if name.startswith("CORS-") and check.is_anonymous]
)
def test_what_needs_no_bucket_is_judged_without_a_key(
    breakable: BreakableServer, tmp_path: Path, name: str
) -> None:
    with breakable.ground(tmp_path) as ground:
        main, ground.main = ground.main, None
        try:
            result = run_check(ground, checks()[name])
        finally:
            ground.main = main
    assert (result.outcome, result.sentence) == (Outcome.PASS, "")
