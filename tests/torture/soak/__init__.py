"""Soak: mixed work and faults for a long time; memory, descriptors, threads and disk stay flat."""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

from tests.torture import records
from tests.torture.soak import planted
from tests.torture.soak.cycles import Soaked, soak

_EPILOG = """\
Two workers are asked everything that there is, by four clients at once, while workers are killed and other clients
vanish, stall and flood. After each cycle all that was acknowledged is compared, then everything is deleted, and the
worker that has lived longest is measured at rest: its memory, descriptors and threads, the files and the index pages
that are left, and LMDB's readers. Each must stay flat: see tests/torture/soak/flatness.py for the rule.
"""


def run(arguments: list[str]) -> int:
    """Soak a server, and shortly servers with planted leaks; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        "python -m tests.torture soak", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=None, help="how long (default: 1, with --long 30)")
    parser.add_argument("--long", action="store_true", help="half an hour")
    parser.add_argument(
        "--cycle", type=float, default=5.0, metavar="S", help="seconds of work a cycle (default: 5)"
    )
    parser.add_argument("--record", action="store_true", help="keep the numbers in docs/torture/soak.json")
    parser.add_argument("--no-planted", action="store_true", help="leave the servers with planted leaks out")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    options = parser.parse_args(arguments)
    minutes = options.minutes or (30.0 if options.long else 1.0)
    began = time.monotonic()
    print(f"soak: {minutes:g} minutes of cycles of {options.cycle:g} s, seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="anys3-soak-") as folder:
        soaked = soak(
            Path(folder) / "data", options.seed, seconds=minutes * 60, cycle_s=options.cycle, tell=True
        )
        found = {} if options.no_planted else find_planted(Path(folder), options.seed)
    missed = [] if options.no_planted else [name for name in planted.NAMES if name not in found]
    for violation in soaked.violations:
        print(f"VIOLATION {violation} (repeat with --seed {options.seed})")
    for name in missed:
        print(f"NOT FOUND the planted leak {name}")
    seconds = time.monotonic() - began
    numbers = _numbers(soaked, minutes)
    print("soak: " + ", ".join(f"{name}: {value}" for name, value in numbers.items()))
    is_clean = not soaked.violations and not missed
    if options.record and is_clean:
        records.record(
            "soak",
            seconds,
            numbers,
            {str(getattr(planted, name).__doc__): how for name, how in found.items()},
        )
    return 0 if is_clean else 1


def find_planted(folder: Path, seed: int) -> dict[str, str]:
    """Return for each planted leak that was found, how."""
    found = {}
    for name in planted.NAMES:
        soaked = soak(
            folder / name, seed, seconds=60, cycle_s=0.5, cycles=10, workers=1, planted=name, has_faults=False
        )
        told = [each for each in soaked.violations if re.search(planted.NAMES[name], each)]
        if told:
            found[name] = told[0]
            print(f"planted {name}: found ({found[name][:110]})", flush=True)
    return found


def _numbers(soaked: Soaked, minutes: float) -> dict[str, int | float | str]:
    first, last = soaked.samples[len(soaked.samples) // 5], soaked.samples[-1]
    return {
        "minutes": minutes,
        "cycles": soaked.cycles,
        "changes": soaked.operations,
        "faults": sum(soaked.faults.values()),
        "workers killed": soaked.faults["kill_a_worker"],
        "MiB": f"{first.memory_kib >> 10} to {last.memory_kib >> 10}",
        "descriptors": f"{first.descriptors} to {last.descriptors}",
        "files left": last.files,
        "violations": len(soaked.violations),
    }
