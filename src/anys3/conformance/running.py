"""Runs checks over a ground: in parallel, repeated where they fail, and always cleaned up after."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import replace

from anys3.client.connections import ExchangeError
from anys3.conformance.ground import Ground
from anys3.conformance.outcomes import Absent, Blocked, Failed, Outcome, Result, Skipped, Stopped, Unoffered
from anys3.conformance.probe import Probe
from anys3.conformance.registry import NEEDS, Check

ATTEMPTS = 3
_REPEATED = (Outcome.FAIL, Outcome.WARN, Outcome.ERROR, Outcome.BLOCKED)
_WRONG = (Outcome.FAIL, Outcome.WARN, Outcome.ABSENT)
_UNREACHABLE_LIMIT = 12
_RESTART_S = 1.0
_OUR_MISTAKE = "our own mistake: "
_PATIENCE_S = 20.0


def run(
    ground: Ground,
    checks: Sequence[Check],
    *,
    jobs: int = 8,
    tell: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Run checks, `jobs` at a time, and return their results in the order given.

    `tell` hears of each result when it is there, in any thread. Ends early, without an error, when
    `ground.stop` is set: what was not finished has no result. When an endpoint goes away for good, the checks
    that are left are ERROR without being tried.
    """
    results: dict[str, Result] = {}
    reach = _Reach()

    def one(check: Check) -> None:
        lost = "not tried: the endpoint could not be reached any more" if reach.is_lost else ""
        result = _result(check, Outcome.ERROR, lost) if lost else run_check(ground, check)
        reach.note(is_there=result.outcome is not Outcome.ERROR or result.sentence.startswith(_OUR_MISTAKE))
        results[check.name] = result
        tell(result)

    with ThreadPoolExecutor(jobs, thread_name_prefix="check") as threads:
        # Those that wait for locks come last, so that they do not hold the threads of the others.
        ordered = sorted(checks, key=lambda check: bool(check.lock))
        futures = [threads.submit(one, check) for check in ordered]
        _gather(ground, futures)
    return [results[check.name] for check in checks if check.name in results]


def run_check(ground: Ground, check: Check) -> Result:
    """Return what one check comes to; a failing one is tried up to three times."""
    if reason := unmet_need(ground, check):
        return _result(check, Outcome.SKIP, reason)
    with ExitStack() as stack:
        if check.lock:
            stack.enter_context(ground.lock(check.lock))
        first = _attempt(ground, check, 1)
        if first.outcome not in _REPEATED:
            return first
        results = [first]
        # What stalls is not waited for again and again.
        while len(results) < ATTEMPTS and results[-1].outcome in _REPEATED and _spent(results) < _PATIENCE_S:
            if results[-1].outcome is Outcome.ERROR:
                ground.stop.wait(_RESTART_S)  # a server that has just died may be started again
            results.append(_attempt(ground, check, len(results) + 1))
    return _of_several(results)


def _spent(results: Iterable[Result]) -> float:
    return sum(result.seconds for result in results)


def unmet_need(ground: Ground, check: Check) -> str:
    """Return why a check can't be tried on this ground; "" if it can."""
    met = {
        "buckets": not ground.is_scoped,
        "whole-bucket": not ground.is_scoped,
        "second": ground.second is not None,
        "https": ground.endpoint.is_tls,
        "vhost": not ground.endpoint.is_ip_address,
    }
    missing = [NEEDS[need] for need in sorted(check.needs) if not met[need]]
    if ground.main is None and not check.is_anonymous:
        missing.append("credentials")
    return f"needs {' and '.join(missing)}" if missing else ""


def prepare(ground: Ground) -> None:
    """Make the run's bucket, unless it was given one. Raises Blocked, Failed or Unreachable."""
    if ground.main is not None and not ground.is_scoped:
        Probe(ground, "prepare").given_bucket(ground.bucket)


def _attempt(ground: Ground, check: Check, number: int) -> Result:
    probe = Probe(ground, check.name, number)
    began = time.monotonic()
    outcome, sentence = _tried(check, probe)
    is_kept = outcome is not Outcome.PASS
    return replace(
        _result(check, outcome, sentence),
        notes=tuple(probe.notes),
        exchanges=tuple(probe.exchanges) if is_kept else (),
        attempts=number,
        seconds=time.monotonic() - began,
        requests=dict(probe.meter.requests),
        sent_bytes=probe.meter.sent_bytes,
    )


def _tried(check: Check, probe: Probe) -> tuple[Outcome, str]:
    try:
        check.run(probe)
    except Absent as found:
        return (Outcome.ABSENT if check.level == "MUST" else Outcome.WARN), str(found)
    except Failed as found:
        return (Outcome.FAIL if check.level == "MUST" else Outcome.WARN), str(found)
    except Unoffered as found:
        if not check.where:
            return Outcome.BLOCKED, str(found)
        probe.report(f"nothing to judge without {check.where}, which is not offered")
    except Blocked as found:
        return Outcome.BLOCKED, str(found)
    except Skipped as found:
        return Outcome.SKIP, str(found)
    except Stopped:
        raise
    except ExchangeError as found:
        return Outcome.ERROR, str(found)
    except Exception as found:  # noqa: BLE001 -- a mistake in a check is ours, and must not end the run
        return Outcome.ERROR, f"{_OUR_MISTAKE}{type(found).__name__}: {found}"
    return Outcome.PASS, ""


def _of_several(results: Sequence[Result]) -> Result:
    """Return the result of a check that was repeated: passed and failed is FLAKY.

    A wrong answer stands, though other attempts could not be made: those never hide it.
    """
    wrong = [result for result in results if result.outcome in _WRONG]
    if wrong and any(result.outcome is Outcome.PASS for result in results):
        return replace(wrong[0], outcome=Outcome.FLAKY, attempts=len(results))
    return replace(wrong[-1] if wrong else results[-1], attempts=len(results))


def _result(check: Check, outcome: Outcome, sentence: str) -> Result:
    return Result(check.name, check.ids, check.level, check.operation, check.title, outcome, sentence)


def _gather(ground: Ground, futures: Iterable[Future[None]]) -> None:
    """Wait for all; on an interrupt in the main thread, tell the others to stop."""
    waiting = list(futures)
    try:
        for future in as_completed(waiting):
            if ground.stop.is_set():
                break
            future.result()
    except Stopped:
        ground.stop.set()
    except BaseException:
        ground.stop.set()
        raise
    finally:
        if ground.stop.is_set():
            for future in waiting:
                future.cancel()


class _Reach:
    """Whether the endpoint can be reached: lost after so many checks in a row that could not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0

    @property
    def is_lost(self) -> bool:
        return self._failures >= _UNREACHABLE_LIMIT

    def note(self, *, is_there: bool) -> None:
        with self._lock:
            self._failures = 0 if is_there else self._failures + 1
