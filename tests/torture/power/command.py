"""The command: `python -m tests.torture power`."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.torture import records
from tests.torture.power import planted, proving


def run(arguments: list[str]) -> int:
    """Record servers, replay what they did, and return 0 if nothing was found."""
    options = _parser().parse_args(arguments)
    seed = random.randrange(1 << 30) if options.seed is None else options.seed
    effort = proving.LONG if options.long else proving.SHORT
    if options.share is not None:
        effort = replace(effort, share=options.share)
    print(f"power: lets the power go at each moment of recorded servers, seed {seed}, {effort}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="anys3-power-") as folder, proving.bench() as bench:
        proof = proving.Proof(Path(folder), bench, seed, effort)
        for name in options.only or proving.PARTS:
            getattr(proof, name)()
            print(f"  {name}: {proof.summary}", flush=True)
        found = {} if options.no_planted else _planted(proof)
    seconds = time.monotonic() - began
    for violation in proof.violations[:20]:
        print(f"violation: {violation}")
    missed = [bug for bug, how in found.items() if not how]
    for bug in missed:
        print(f"not found: {bug}")
    numbers = {**proof.numbers, "planted bugs found": len(found) - len(missed)}
    print(", ".join(f"{name}: {value:,}" for name, value in numbers.items()) + f", {seconds:.0f} s")
    if proof.violations or missed:
        print(f"to repeat: {' '.join(sys.argv)} --seed {seed} (the order of two processes may differ)")
        return 1
    if options.record:
        print(f"recorded: {records.record('power', seconds, proof.numbers, found)}")
    return 0


def _planted(proof: proving.Proof) -> dict[str, str]:
    """Return how each planted bug was found, "" if it was not."""
    found: dict[str, str] = {}
    for bug in (*planted.DURABLE, *planted.RELAXED):
        sentence = (bug.__doc__ or bug.__name__).strip().splitlines()[0]
        found[sentence] = proof.find(bug)
        print(f"  planted: {sentence} -> {found[sentence][:200] or 'NOT FOUND'}", flush=True)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture power",
        description="Records every file operation of a server on a new store, with the data, by ptrace; then lets "
        "the power go before each operation, makes what a device may hold, starts the store on it, and compares "
        "it with what had been answered. Needs Linux on x86_64 or aarch64, and the right to trace.",
    )
    parser.add_argument(
        "--long", action="store_true", help="all moments of long recordings (about 10 minutes)"
    )
    parser.add_argument("--record", action="store_true", help="keep the numbers in docs/torture/power.json")
    parser.add_argument("--share", type=float, help="of the moments of each recording, 0 to 1")
    parser.add_argument("--seed", type=int, help="of the workload and of what is lost")
    parser.add_argument(
        "--only", choices=proving.PARTS, action="append", help="this part only; may be repeated"
    )
    parser.add_argument("--no-planted", action="store_true", help="leave the planted bugs out")
    return parser
