"""Nobody in: every route with every way of authenticating, right and broken, and narrow keys on every operation."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.torture import records
from tests.torture.access import planted, product, rights, sockets
from tests.torture.access.table import Tally

EPILOG = """
A route is an operation of the catalogue, or a sub-resource, a method or a pair of them that no operation is.
A violation is a verdict other than the expected refusal, a way that reaches past the verifier, or a store that
has changed. The world is one process without sockets (about 3,000 trials a second); a part is repeated over
sockets of a server with several workers.

  python -m tests.torture access            a part of the routes, some seconds
  python -m tests.torture access --long     every route with every way
"""
SHORT_EVERY, LONG_EVERY = 12, 1
SHORT_SOCKETS, LONG_SOCKETS = 9, 1


def run(arguments: list[str]) -> int:
    """Run the proof; return 0 if nothing was found."""
    parser = argparse.ArgumentParser(
        "python -m tests.torture access",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--long", action="store_true", help="every route, and all pairs over sockets")
    parser.add_argument("--record", action="store_true", help="keep the numbers in docs/torture")
    parser.add_argument("--seed", type=int, default=0, help="has no effect: the product has no randomness")
    parser.add_argument("--workers", type=int, default=3, help="of the server behind the sockets (default 3)")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    every, of_sockets = (LONG_EVERY, LONG_SOCKETS) if options.long else (SHORT_EVERY, SHORT_SOCKETS)
    print(
        f"access: {'every route' if options.long else 'a part of the routes'}, every way, narrow keys",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        tallies = {
            "broken ways": product.broken(every).tally,
            "right ways": product.right().tally,
            "narrow keys": rights.narrow().tally,
            "over sockets": sockets.broken(Path(folder), options.workers, of_sockets),
        }
    for name, tally in tallies.items():
        print(f"  {name}: {tally.combinations} combinations, {len(tally.violations)} violations", flush=True)
        for violation in tally.violations:
            print(f"VIOLATION {violation}")
    found = find_planted()
    missed = [bug.__doc__ or "" for bug in planted.BUGS if (bug.__doc__ or "") not in found]
    for sentence in missed:
        print(f"NOT FOUND: the planted bug {sentence}")
    return _end(tallies, found, missed, time.monotonic() - began, record=options.record)


def _end(
    tallies: dict[str, Tally], found: dict[str, str], missed: list[str], seconds: float, *, record: bool
) -> int:
    """Print the numbers; return the exit code."""
    numbers: dict[str, int | float | str] = {
        "combinations": sum(one.combinations for one in tallies.values()),
        "refusals": sum(one.refusals for one in tallies.values()),
        "over sockets": tallies["over sockets"].combinations,
        "violations": sum(len(one.violations) for one in tallies.values()),
    }
    print(f"access: {', '.join(f'{name} {value}' for name, value in numbers.items())}, {seconds:.0f} s")
    is_clean = not numbers["violations"] and not missed
    if record and is_clean:
        records.record("access", seconds, numbers, found)
    return 0 if is_clean else 1


def find_planted() -> dict[str, str]:
    """Return the first violation that each planted bug causes, by its sentence."""
    found = {}
    for bug in planted.BUGS:
        undo: list[tuple[object, str, object]] = []

        def patch(
            owner: object, name: str, value: object, undo: list[tuple[object, str, object]] = undo
        ) -> None:
            undo.append((owner, name, vars(owner)[name]))
            setattr(owner, name, value)

        bug(patch)
        try:
            violations = product.broken(1, product.A_FEW).tally.violations or rights.narrow().tally.violations
        finally:
            for owner, name, value in undo:
                setattr(owner, name, value)
        if violations:
            found[bug.__doc__ or ""] = violations[0][:160]
    return found
