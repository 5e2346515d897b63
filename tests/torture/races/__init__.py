"""Proof 4: recorded concurrent histories over several processes are checked for linearisability.

`python -m tests.torture races` plays rounds for some seconds, `--long` for about eight minutes, with workers
killed in between and every planted bug found.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.torture import records
from tests.torture.races import hunting, stories
from tests.torture.races.playing import Tally, arena

WORKERS = 3


def run(arguments: list[str]) -> int:
    """Run the proof; return 0 if nothing was found."""
    options = _parse(arguments)
    seconds = options.seconds or (400.0 if options.long else 20.0)
    print(
        f"races: {seconds:g} s of rounds and stories over {WORKERS} workers"
        f"{', half of them with workers killed, and all planted bugs' if options.long else ''}; seed {options.seed}",
        flush=True,
    )
    began = time.monotonic()
    tally = Tally()
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="anys3-races-", dir=options.dir) as folder:
        counted = _play(Path(folder), tally, seconds, options)
        if options.long:
            found = hunting.find_all(Path(folder), options.seed)
    spent = time.monotonic() - began
    numbers = _numbers(tally, counted)
    print(f"races: {'; '.join(f'{value:,} {name}' for name, value in numbers.items())}; {spent:.0f} s")
    missing = len(hunting.PLANTED) - len(found) if options.long else 0
    for violation in tally.violations:
        print(f"VIOLATION (seed {options.seed}): {violation}")
    if missing:
        print(f"{missing} planted bugs were not found")
    if tally.violations or missing:
        return 1
    if options.record:
        print(f"recorded in {records.record('races', spent, numbers, found)}")
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture races",
        description="Client processes send operations to few keys, buckets and uploads of a server of several"
        " workers, all at once, and record them. Each history is checked for linearisability by a checker that is itself"
        " tested. Beside that: readers under overwrites, listings under change, keys that are rotated and deleted.",
        epilog="A violation prints the history's end: what had happened, and what can't be next. A seed repeats who"
        " sends what, but not the timing: give it some turns.",
    )
    parser.add_argument("--long", action="store_true", help="about 8 minutes, workers killed, planted bugs")
    parser.add_argument("--seconds", type=float, help="how long to play")
    parser.add_argument("--seed", type=int, default=1, help="what decides who sends what (default: 1)")
    parser.add_argument("--record", action="store_true", help="keep the numbers of a clean run")
    parser.add_argument("--dir", help="where stores are made (default: the system's temporary directory)")
    return parser.parse_args(arguments)


def _play(folder: Path, tally: Tally, seconds: float, options: argparse.Namespace) -> dict[str, int]:
    """Play rounds and stories; return what the stories counted."""
    counted = {"reads under overwrites": 0, "listings under change": 0, "key changes": 0}
    with arena(folder, workers=WORKERS) as here:
        end = time.monotonic() + 0.2 * seconds
        turn = 0
        while time.monotonic() < end:
            seed = options.seed + turn
            bucket = hunting.make_bucket(here, f"story{turn}")
            wrong, reads = stories.readers(here.server, bucket, 8, seed)
            more, listings = stories.listings(here.server, hunting.make_bucket(here, f"list{turn}"), 12, seed)
            tally.violations += [*wrong, *more, *stories.keys_that_go(here.server, bucket, 1, WORKERS)]
            counted["reads under overwrites"] += reads
            counted["listings under change"] += listings
            counted["key changes"] += 3
            turn += 1
        print(f"  stories: {counted}", flush=True)
        share = 0.4 if options.long else 0.8
        hunting.play_for(here, tally, share * seconds, options.seed, kills=False)
        print(f"  rounds: {tally.histories:,} histories, {len(tally.violations)} violations", flush=True)
        if options.long:
            hunting.play_for(here, tally, share * seconds, options.seed + 1, kills=True)
            print(f"  and with {tally.kills} workers killed: {tally.histories:,} histories", flush=True)
    return counted


def _numbers(tally: Tally, counted: dict[str, int]) -> dict[str, int]:
    return {
        "histories": tally.histories,
        "operations": sum(tally.operations.values()),
        "of them overlapping": tally.overlaps,
        "unanswered": tally.unanswered,
        "workers killed": tally.kills,
        **counted,
        "violations": len(tally.violations),
    }
