"""Proof 3: any damaged byte of a blob, a row or a page is refused, or harmless; scrub finds what matters.

`python -m tests.torture corruption` samples, `--long` changes every byte that is used, and finds planted bugs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.torture import records
from tests.torture.corruption import hunting, rounds, stores
from tests.torture.corruption.damaging import Tally


def run(arguments: list[str]) -> int:
    """Run the proof; return 0 if nothing was found."""
    options = _parse(arguments)
    step = options.step or (1 if options.long else 200)
    seconds = options.seconds or (300.0 if options.long else 15.0)
    print(
        f"corruption: a bit in one byte of {step} of an index and of blobs, {seconds:g} s each at most, pieces of both,"
        f" lengths, files{', and every planted bug' if options.long else ''}; seed {options.seed}",
        flush=True,
    )
    began = time.monotonic()
    index, blobs = Tally(), Tally()
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="anys3-corruption-", dir=options.dir) as folder:
        play_index(Path(folder) / "index", index, step, seconds, options.seed)
        print(f"index: {numbers(index, 'index')}", flush=True)
        play_blobs(Path(folder) / "blobs", blobs, step, seconds, options.seed)
        print(f"blobs: {numbers(blobs, 'blob')}", flush=True)
        if options.long:
            found = hunting.find_all(Path(folder), options.seed)
    spent = time.monotonic() - began
    counted = {**numbers(index, "index"), **numbers(blobs, "blob")}
    print(f"corruption: {'; '.join(f'{value:,} {name}' for name, value in counted.items())}; {spent:.0f} s")
    for line in (*index.hidden, *blobs.hidden):
        print(f"HIDDEN, and found by scrub alone (seed {options.seed}): {line}")
    for violation in (*index.violations, *blobs.violations):
        print(f"VIOLATION (seed {options.seed}): {violation}")
    missing = sorted(set(hunting.PLANTED) - set(found)) if options.long else []
    for name in missing:
        print(f"the planted bug {name} was not found")
    if index.violations or blobs.violations or missing:
        return 1
    if options.record:
        print(f"recorded in {records.record('corruption', spent, counted, found)}")
    return 0


def play_index(folder: Path, tally: Tally, step: int, seconds: float, seed: int) -> None:
    """Damage an index under a server, and cut it before a start."""
    folder.mkdir()
    file = folder / "store" / "index" / "data.mdb"
    with rounds.answering(folder, lambda server: stores.fill_index(server, 40)) as asker:
        end = time.monotonic() + seconds
        rounds.damage_index(asker, file, tally, step=step, smeared=max(40, 2000 // step), seed=seed, end=end)
    rounds.truncate_index(folder, folder / "store", tally)


def play_blobs(folder: Path, tally: Tally, step: int, seconds: float, seed: int) -> None:
    """Damage blobs under a server."""
    folder.mkdir()
    with rounds.answering(folder, stores.fill_blobs) as asker:
        end = time.monotonic() + seconds
        smeared = max(5, 500 // step)
        rounds.damage_blobs(
            asker, folder / "store", tally, step=step * 20, smeared=smeared, seed=seed, end=end
        )


def numbers(tally: Tally, what: str) -> dict[str, int]:
    """Return what a tally counted."""
    names = ("bytes changed", "changes", "refused", "harmless", "crashed", "found by scrub alone", "silent")
    return {f"{what} {name}": tally.counted[name] for name in names}


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture corruption",
        description="Changes bytes of a store's files under a server that runs, asks for everything over its sockets,"
        " and puts the bytes back. Each answer must be what it was, or an error, or break off; scrub must find what"
        " was refused. Damage of the index that hides a row from LMDB is counted as silent, must be found by scrub,"
        " and is listed: LMDB's pages have no checksum of their own.",
        epilog="A line VIOLATION names the file, the place and the bytes; the seed repeats the run.",
    )
    parser.add_argument("--long", action="store_true", help="every byte that is used, and all planted bugs")
    parser.add_argument("--step", type=int, help="change about one byte of so many (default: 200, long: 1)")
    parser.add_argument("--seconds", type=float, help="bound for the index, and for the blobs")
    parser.add_argument("--seed", type=int, default=1, help="what decides where and how (default: 1)")
    parser.add_argument("--record", action="store_true", help="keep the numbers of a clean run")
    parser.add_argument("--dir", help="where stores are made (default: the system's temporary directory)")
    return parser.parse_args(arguments)
