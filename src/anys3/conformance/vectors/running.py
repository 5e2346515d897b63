"""Runs vectors against an endpoint and says what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from anys3.conformance.vectors import corpus, generic_sigv4, results, teardown
from anys3.conformance.vectors.corpus import Entry, NoVectors, Selection
from anys3.conformance.vectors.definition import Vector
from anys3.conformance.vectors.footprint import Footprint
from anys3.conformance.vectors.placeholders import DefinitionError
from anys3.conformance.vectors.prerequisites import Blocked
from anys3.conformance.vectors.results import VectorResult
from anys3.conformance.vectors.sdk import NotSent, Sdk
from anys3.conformance.vectors.sending import Sender
from anys3.conformance.vectors.steps import Run, StepFailed
from anys3.conformance.vectors.target import Journal, Target


@dataclass(frozen=True, slots=True)
class _Verdict:
    outcome: results.Outcome
    sentence: str = ""
    is_runner_error: bool = False


_PASS = _Verdict("pass")


def run(
    paths: Sequence[Path],
    target: Target,
    selection: Selection | None = None,
    *,
    journal: Journal,
    run_id: str,
    now: Callable[[], datetime],
    jobs: int = 1,
    on_result: Callable[[VectorResult], None] | None = None,
) -> list[VectorResult]:
    """Run the vectors of files and folders; the results are in the order of the vectors.

    `run_id` (lower-case letters and digits, at most 30) is in the name of every bucket that the runner makes;
    each name is told to `journal` before it is created. `jobs` vectors run at once. Interrupted, the vectors
    that are running are torn down before KeyboardInterrupt goes on.

    Raises NoVectors (nothing to run) and SdkMissing (`$operation` without botocore).
    """
    entries = (selection or Selection()).apply(corpus.read(paths))
    if not entries:
        raise NoVectors("the selection leaves no vector to run")
    sender = Sender(target, now)
    sdk = Sdk(sender) if any(map(_needs_sdk, entries)) else None
    runner = _Runner(sender, sdk, journal, run_id, on_result or (lambda _: None))
    try:
        if jobs <= 1:
            return [runner.result(index, entry) for index, entry in enumerate(entries)]
        executor = ThreadPoolExecutor(jobs)
        try:
            return list(executor.map(runner.result, range(len(entries)), entries))
        finally:
            executor.shutdown(cancel_futures=True)
    finally:
        sender.close()
        if sdk is not None:
            sdk.close()


def _needs_sdk(entry: Entry) -> bool:
    steps = entry.vector.steps if entry.vector is not None and not entry.is_skipped else ()
    return any(step.kind == "$operation" for step in steps)


class _Runner:
    """Runs single vectors. For any number of threads."""

    def __init__(
        self,
        sender: Sender,
        sdk: Sdk | None,
        journal: Journal,
        run_id: str,
        on_result: Callable[[VectorResult], None],
    ) -> None:
        self._sender = sender
        self._sdk = sdk
        self._journal = journal
        self._run_id = run_id
        self._on_result = on_result

    def result(self, index: int, entry: Entry) -> VectorResult:
        """Run the vector at that place in the corpus."""
        started = time.monotonic()
        made = Footprint(self._sender, self._journal, self._run_id)
        warnings: tuple[str, ...] = ()
        try:
            verdict = self._verdict(index, entry, made)
        finally:
            warnings = teardown.tear_down(made)
        result = VectorResult(
            entry.id,
            entry.group,
            entry.tags,
            entry.title,
            verdict.outcome,
            verdict.is_runner_error,
            verdict.sentence,
            time.monotonic() - started,
            warnings,
        )
        self._on_result(result)
        return result

    def _verdict(self, index: int, entry: Entry, made: Footprint) -> _Verdict:
        if entry.is_skipped:
            return _Verdict("skipped", "skipped by the selection")
        if entry.vector is None:
            return _Verdict("fail", entry.error, is_runner_error=True)
        try:
            if entry.vector.signing is not None:
                found = generic_sigv4.judge(entry.vector.signing)
                return _Verdict("fail", "; ".join(found)) if found else _PASS
            self._run(index, entry.vector, made)
            return _PASS
        except Blocked as error:
            return _Verdict("blocked", str(error))
        except StepFailed as error:
            return _Verdict("fail", str(error))
        except (DefinitionError, NotSent) as error:
            return _Verdict("fail", str(error), is_runner_error=True)
        except Exception as error:  # noqa: BLE001 -- a fault of the runner is one vector's, and is shown as such
            return _Verdict("fail", f"{type(error).__name__}: {error}", is_runner_error=True)

    def _run(self, index: int, vector: Vector, made: Footprint) -> None:
        for number, step in enumerate(vector.steps):
            if step.kind == "$operation" and self._sdk is not None:
                where = f"steps[{number}].$operation"
                self._sdk.check(step.members["name"], step.members.get("params", {}), where)
        run = Run(vector, self._sender, self._sdk, made, f"anys3-{self._run_id}-v{index}")
        run.prepare()
        for number, step in enumerate(vector.steps):
            run.step(number, step)
