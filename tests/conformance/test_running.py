"""How checks are run: repeated, serialised, skipped with a reason, and never ending a run by a mistake."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from anys3.client.connections import Unreachable
from anys3.conformance import running
from anys3.conformance.ground import Ground
from anys3.conformance.outcomes import Absent, Blocked, Failed, Outcome, Result
from anys3.conformance.probe import Probe
from anys3.conformance.registry import Check
from anys3.conformance.running import run, run_check
from anys3.protocol.http import Answer, Request
from tests.broken_servers import BreakableServer, Hook, Proceed, error_answer, hooked

MUST, SHOULD = "PUT-01", "HTTP-12"


@pytest.fixture
def ground(breakable: BreakableServer, tmp_path: Path) -> Iterator[Ground]:
    """A ground over our own server, taken away at the end."""
    with breakable.ground(tmp_path) as made:
        yield made


def check(
    tried: Callable[[Probe], None],
    *,
    id: str = MUST,
    name: str = "",
    needs: Sequence[str] = (),
    lock: str = "",
) -> Check:
    """A check that is in no registry."""
    title, needed = "what should hold", frozenset(needs)
    return Check(name or f"{id}/tried", (id,), "PutObject", title, tried, needed, lock, False, False)


def coming_to(*errors: Exception | None, id: str = MUST) -> Check:
    """A check whose attempts come to these, one after the other; None is a pass."""
    left = iter(errors)

    def tried(_: Probe) -> None:
        error = next(left)
        if error is not None:
            raise error

    return check(tried, id=id)


def passing(_: Probe) -> None:
    """Observe nothing."""


@pytest.mark.parametrize(
    ("errors", "id", "outcome"),
    [
        ([None], MUST, Outcome.PASS),
        ([Failed("1"), Failed("2"), Failed("3")], MUST, Outcome.FAIL),
        ([Failed("1"), Failed("2"), Failed("3")], SHOULD, Outcome.WARN),
        ([Absent("1")], MUST, Outcome.ABSENT),
        ([Failed("1"), None], MUST, Outcome.FLAKY),
        ([Failed("1"), None], SHOULD, Outcome.FLAKY),
        ([Blocked("1"), Failed("2"), None], MUST, Outcome.FLAKY),
        ([Failed("1"), Blocked("2"), Blocked("3")], MUST, Outcome.FAIL),
        ([Failed("1"), Blocked("2"), Blocked("3")], SHOULD, Outcome.WARN),
        ([Blocked("1"), Failed("2"), RuntimeError("3")], MUST, Outcome.FAIL),
        ([Failed("1"), Absent("2")], MUST, Outcome.ABSENT),
        ([Blocked("1"), None], MUST, Outcome.PASS),
        ([RuntimeError("1"), None], MUST, Outcome.PASS),
        ([RuntimeError("1"), Blocked("2"), Blocked("3")], MUST, Outcome.BLOCKED),
        ([Blocked("1"), Blocked("2"), RuntimeError("3")], MUST, Outcome.ERROR),
    ],
)
def test_what_several_attempts_come_to(
    ground: Ground, errors: Sequence[Exception | None], id: str, outcome: Outcome
) -> None:
    result = run_check(ground, coming_to(*errors, id=id))
    assert (result.outcome, result.attempts) == (outcome, len(errors))


def test_a_wrong_answer_is_told_though_later_attempts_were_blocked(ground: Ground) -> None:
    failing = coming_to(Failed("expected a, got b"), Blocked("no bucket"), Blocked("no bucket"))
    assert run_check(ground, failing).sentence == "expected a, got b"


def test_a_mistake_of_ours_is_an_error_and_does_not_end_the_run(ground: Ground) -> None:
    def mistaken(_: Probe) -> None:
        raise ZeroDivisionError("ours")

    results = run(ground, [check(mistaken, name="PUT-01/a"), check(passing, name="PUT-01/b")], jobs=1)
    assert [(each.check, each.outcome) for each in results] == [
        ("PUT-01/a", Outcome.ERROR),
        ("PUT-01/b", Outcome.PASS),
    ]
    assert results[0].sentence == "our own mistake: ZeroDivisionError: ours"


def test_checks_of_one_lock_run_one_after_another(ground: Ground) -> None:
    inside: list[int] = []
    most: list[int] = []

    def alone(probe: Probe) -> None:
        inside.append(1)
        most.append(len(inside))
        probe.put(probe.key())
        most.append(len(inside))
        inside.pop()

    results = run(ground, [check(alone, name=f"PUT-01/{n}", lock="spare") for n in range(6)], jobs=6)
    assert [each.outcome for each in results] == [Outcome.PASS] * 6
    assert set(most) == {1}


def test_checks_without_a_lock_run_at_the_same_time(ground: Ground) -> None:
    together = threading.Barrier(2)

    def meet(_: Probe) -> None:
        together.wait(30)

    results = run(ground, [check(meet, name=f"PUT-01/{n}") for n in range(2)], jobs=2)
    assert [each.outcome for each in results] == [Outcome.PASS] * 2


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        ("second", "needs a second identity (--second-profile)"),
        ("buckets", "needs the right to create buckets"),
        ("whole-bucket", "needs a bucket of the run's own"),
    ],
)
def test_an_unmet_need_is_a_skip_with_its_reason(ground: Ground, need: str, reason: str) -> None:
    ground.second, ground.is_scoped = None, True
    result = run_check(ground, check(passing, needs=(need,)))
    assert (result.outcome, result.sentence, result.attempts) == (Outcome.SKIP, reason, 1)


def test_without_credentials_a_signed_check_is_skipped(ground: Ground) -> None:
    main, ground.main = ground.main, None
    result = run_check(ground, check(passing))
    ground.main = main
    assert (result.outcome, result.sentence) == (Outcome.SKIP, "needs credentials")


def test_a_stopped_run_ends_early_with_what_there_is(ground: Ground) -> None:
    def stop(probe: Probe) -> None:
        probe.ground.stop.set()

    def ask(probe: Probe) -> None:
        probe.put(probe.key())

    told: list[Result] = []
    made = [check(stop, name="PUT-01/a"), *(check(ask, name=f"PUT-01/{n}") for n in range(5))]
    results = run(ground, made, jobs=1, tell=told.append)
    assert [each.check for each in results] == ["PUT-01/a"]
    assert results == told


def overloaded(times: int) -> tuple[Hook, list[bytes]]:
    """Return a hook that answers 503 that many times to PUT, and the list of what was asked."""
    asked: list[bytes] = []

    async def hook(request: Request, proceed: Proceed) -> Answer:
        if request.method != b"PUT":
            return await proceed(request)
        asked.append(request.target)
        return error_answer("SlowDown") if len(asked) <= times else await proceed(request)

    return hook, asked


def test_an_overloaded_server_is_asked_again_and_each_request_is_counted(
    breakable: BreakableServer, ground: Ground
) -> None:
    hook, asked = overloaded(2)

    def put(probe: Probe) -> None:
        probe.put(probe.key()).expect("200")

    with hooked("slow down twice", hook).enter(breakable):
        result = run_check(ground, check(put))
    assert (result.outcome, result.attempts) == (Outcome.PASS, 1)
    assert (len(asked), sum(result.requests.values())) == (3, 3)


def test_at_the_limit_of_requests_checks_are_skipped(ground: Ground) -> None:
    def ask_twice(probe: Probe) -> None:
        probe.put(probe.key())
        probe.get(probe.key())

    ground.limits.requests = ground.meter.total + 3
    results = run(ground, [check(ask_twice, name=f"PUT-01/{n}") for n in range(3)], jobs=1)
    assert [each.outcome for each in results] == [Outcome.PASS, Outcome.SKIP, Outcome.SKIP]
    assert (
        results[1].sentence == f"the limit of {ground.limits.requests} requests was reached (--max-requests)"
    )
    assert ground.meter.total == ground.limits.requests


def test_what_the_run_shares_is_made_once_and_after_a_failure_again(ground: Ground) -> None:
    made: list[str] = []

    def make() -> str:
        made.append("x")
        if len(made) == 1:
            raise Blocked("not yet")
        return f"made at call {len(made)}"

    with pytest.raises(Blocked):
        ground.once("it", make)
    assert [ground.once("it", make), ground.once("it", make)] == ["made at call 2"] * 2


def test_when_the_endpoint_has_gone_what_is_left_is_an_error_and_not_tried(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_RESTART_S", 0.0)

    def gone(_: Probe) -> None:
        raise Unreachable("nobody listens there")

    results = run(ground, [check(gone, name=f"{MUST}/{number}") for number in range(20)], jobs=1)
    assert {result.outcome for result in results} == {Outcome.ERROR}
    assert [result.sentence for result in results[:12]] == ["nobody listens there"] * 12
    assert {result.sentence for result in results[12:]} == {
        "not tried: the endpoint could not be reached any more"
    }
    assert not ground.stop.is_set()


def test_mistakes_of_ours_do_not_look_like_an_endpoint_that_has_gone(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_RESTART_S", 0.0)

    def wrong(_: Probe) -> None:
        raise KeyError("x")

    results = run(ground, [check(wrong, name=f"{MUST}/{number}") for number in range(20)], jobs=1)
    assert {result.sentence for result in results} == {"our own mistake: KeyError: 'x'"}
