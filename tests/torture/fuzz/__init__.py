"""Fuzzing of every parser: the corpus of the repository, changed inputs, and work that must stay in proportion."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.torture import records
from tests.torture.fuzz import corpus, engines, planted
from tests.torture.fuzz.targets import TARGETS

LONG_S = 480
MAX_MERGED = 25
"""libFuzzer keeps what reaches something new, and shortens it; so many of the shortest go to the corpus."""
SHORT_EXAMPLES, LONG_EXAMPLES = 60, 20_000
EPILOG = """
Each target takes any bytes; it may return or refuse as S3 does, and whatever else happens is a finding. All compare:
with themselves when the bytes are cut elsewhere, with an independent reading, or with what was encoded before.
A finding is printed with its input as JSON. Put that line into tests/torture/fuzz/corpus/TARGET.jsonl when it is mended.

  python -m tests.torture fuzz                            the corpus and a few examples, half a minute
  python -m tests.torture fuzz --long --merge             atheris on every target, what is new goes to the corpus
  python -m tests.torture fuzz --long --target xml --seconds 600 --seed 7
"""


def run(arguments: list[str]) -> int:
    """Run the proof; return 0 if nothing was found."""
    parser = argparse.ArgumentParser(
        "python -m tests.torture fuzz", description=__doc__, epilog=EPILOG, formatter_class=_Formatter
    )
    parser.add_argument("--long", action="store_true", help="atheris, guided by coverage, or many examples")
    parser.add_argument("--record", action="store_true", help="keep the numbers in docs/torture")
    parser.add_argument("--merge", action="store_true", help="add the shortest new inputs to the corpus")
    parser.add_argument("--seed", type=int, default=1, help="repeats a run, as far as its length allows")
    parser.add_argument(
        "--seconds", type=int, default=LONG_S, help="of a long run, over all targets and jobs"
    )
    parser.add_argument("--jobs", type=int, default=2, help="targets at one time")
    parser.add_argument(
        "--target", action="append", choices=sorted(TARGETS), help="only this one; repeatable"
    )
    options = parser.parse_args(arguments)
    names = options.target or list(TARGETS)
    began = time.monotonic()
    is_guided = options.long and engines.has_atheris()
    if options.long and not is_guided:
        print(
            "atheris is not installed for this Python: Hypothesis takes its place, without coverage to guide it"
        )
    how = "atheris" if is_guided else "Hypothesis"
    print(
        f"fuzz: {len(names)} targets, the corpus, growth of work, then {how}; seed {options.seed}", flush=True
    )
    runs = [_replay(name) for name in names]
    if is_guided:
        runs += _guided(names, options)
    else:
        runs += [_examples(name, options) for name in names]
    found = [one for one in runs if one.finding]
    planted_found = _planted()
    missed = sorted(set(_names()) - set(planted_found))
    numbers: dict[str, int | float | str] = {
        "targets": len(names),
        "engine": how,
        "corpus inputs": sum(len(corpus.read(name)) for name in names),
        "executions": sum(one.executions for one in runs),
        "new inputs": sum(len(one.added) for one in runs),
        "findings": len(found),
    }
    for one in found:
        print(f"FINDING {one.target}: {one.finding}")
    for name in missed:
        print(f"NOT FOUND: the planted bug {name}")
    seconds = time.monotonic() - began
    print(f"fuzz: {', '.join(f'{name} {value}' for name, value in numbers.items())}, {seconds:.0f} s")
    if options.record and not found and not missed:
        records.record("fuzz", seconds, numbers, planted_found)
    return 1 if found or missed else 0


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the examples as they are written."""


def _replay(name: str) -> engines.Run:
    """Run the corpus of a target, and look at how its work grows."""
    run = engines.Run(name)
    try:
        run.executions = engines.replay(name) + 3 * engines.grow(name, 2)
    except Exception as error:  # noqa: BLE001 (whatever leaves a target is a finding)
        run.finding = _told(error)
    return run


def _examples(name: str, options: argparse.Namespace) -> engines.Run:
    """Run a target by Hypothesis."""
    examples, limit_s = SHORT_EXAMPLES, 1e9
    if options.long:
        examples, limit_s = LONG_EXAMPLES, options.seconds / len(options.target or TARGETS)
    try:
        run = engines.by_hypothesis(name, examples, options.seed, limit_s)
    except Exception as error:  # noqa: BLE001
        run = engines.Run(name, finding=_told(error))
    _say(run)
    return run


def _guided(names: Iterable[str], options: argparse.Namespace) -> list[engines.Run]:
    """Run the targets by atheris, some at one time."""
    names = list(names)
    each_s = max(1, options.seconds * options.jobs // len(names))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:

        def one(name: str) -> engines.Run:
            run = engines.by_atheris(name, each_s, options.seed, Path(folder))
            _say(run)
            if options.merge and run.added and not run.finding:
                kept = corpus.add(name, sorted(run.added, key=len)[:MAX_MERGED])
                print(f"  {name}: {kept} inputs added to the corpus", flush=True)
            return run

        return list(pool.map(one, names))


def _planted() -> dict[str, str]:
    """Return how each planted bug is found, by its sentence; those that are not found are left out."""
    found = {}
    for plant, name in planted.FOUND_BY.items():
        undo: list[tuple[object, str, object]] = []

        def patch(
            owner: object, attribute: str, value: object, undo: list[tuple[object, str, object]] = undo
        ) -> None:
            undo.append((owner, attribute, getattr(owner, attribute)))
            setattr(owner, attribute, value)

        plant(patch)
        told = _replay(name).finding
        for owner, attribute, value in undo:
            setattr(owner, attribute, value)
        if told:
            found[plant.__doc__ or ""] = f"{name}: {told.splitlines()[0][:120]}"
    return found


def _names() -> list[str]:
    return [plant.__doc__ or "" for plant in planted.FOUND_BY]


def _say(run: engines.Run) -> None:
    end = f"FINDING {run.finding}" if run.finding else "nothing found"
    print(f"  {run.target}: {run.executions} executions, {len(run.added)} new inputs, {end}", flush=True)


def _told(error: BaseException) -> str:
    notes = " ".join(getattr(error, "__notes__", []))
    return f"{type(error).__name__}: {error} {notes}" if notes else f"{type(error).__name__}: {error}"
