"""Faults of disks, descriptors, rights, clocks, workers and clients: the right answer, nothing half-visible, recovery."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.processes import ServerProcess, serving
from tests.torture import records
from tests.torture.faults import clock, fleet, handshakes, hunts
from tests.torture.faults.clients import Clients, memory_kib
from tests.torture.faults.ground import OPERATIONS
from tests.torture.faults.injector import Plan, planning, reason_to_skip
from tests.torture.faults.matrix import FAULTS, Matrix, Tally
from tests.torture.server import entry

SHORT_OPERATIONS = 3
GROWTH_KIB = 20_000
"""How much more memory a server may have after many rounds of bad clients than after one: its buffers, its threads."""
EPILOG = """
System calls of real servers fail by a shim (shim.c, loaded by LD_PRELOAD, built with gcc), as a plan in shared memory
says; each cell counts that its fault was really met. Under each fault each operation must be answered as it should:
503 or 500 with an error document and one line in the log, or success where the fault must not matter. Then LIST, HEAD
and GET must show all of it or nothing, the same server must do it once the fault is gone, and after a restart all must
be there. Afterwards no descriptor is open, no file left, and a scrub clean.

  python -m tests.torture faults                     some operations under each fault, the rest once: a minute or two
  python -m tests.torture faults --long              each operation under each fault, one worker and three: 8 minutes
  python -m tests.torture faults --long --fault sync only the faults whose names hold that
"""


def run(arguments: list[str]) -> int:
    """Run the proof; return 0 if nothing was found."""
    options = _parse(arguments)
    reason = reason_to_skip()
    if reason:
        print(f"faults: not here: {reason}")
        return 2
    began = time.monotonic()
    print(
        f"faults: {len(FAULTS)} faults x {len(OPERATIONS)} operations, then clocks, workers, clients and"
        f" {len(hunts.HUNTS)} planted bugs; seed {options.seed}",
        flush=True,
    )
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="anys3-faults-") as name, planning(Path(name)) as plan:
        folder = Path(name)
        for workers in ("1", "3") if options.long else ("1",):
            _matrix(folder, plan, tally, workers, options)
        if not options.fault:
            _rest(folder, plan, tally, is_long=options.long)
        missed, found = ([], {}) if options.fault else _planted(folder, plan)
        tally.injected = plan.injected
    return _end(options, tally, missed, found, time.monotonic() - began)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.torture faults",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--long", action="store_true", help="the whole matrix, with one worker and with three"
    )
    parser.add_argument("--record", action="store_true", help="keep the numbers in docs/torture")
    parser.add_argument(
        "--seed", type=int, default=1, help="the order of the cells, and which are the short ones"
    )
    parser.add_argument("--fault", default="", help="only faults whose names hold this text")
    return parser.parse_args(arguments)


def _matrix(folder: Path, plan: Plan, tally: Tally, workers: str, options: argparse.Namespace) -> None:
    chance = random.Random(options.seed)
    with serving(folder / f"matrix-{workers}", "--workers", workers, environment=plan.environment) as server:
        matrix = Matrix(server, plan, tally, f"cells-{workers}-")
        for fault in (each for each in FAULTS if options.fault in each.name):
            mine = [each for each in OPERATIONS if fault.breaks & each.needs] or list(OPERATIONS)
            chosen = (
                list(OPERATIONS) if options.long else chance.sample(mine, min(SHORT_OPERATIONS, len(mine)))
            )
            chance.shuffle(chosen)
            for operation in chosen:
                matrix.cell(fault, operation)
            print(
                f"  {workers} workers, {fault.name}: {tally.cells} cells, {len(tally.violations)} found",
                flush=True,
            )
        matrix.see_what_is_left()


def _rest(folder: Path, plan: Plan, tally: Tally, *, is_long: bool) -> None:
    """Clocks, workers, descriptors, checkpoints and clients."""
    alone: list[tuple[str, Callable[[ServerProcess], list[str]]]] = [
        ("clock", lambda server: clock.run(server, plan)),
        ("descriptors", fleet.no_descriptors),
        ("accept", lambda server: fleet.refused_accepts(server, plan)),
        ("memory", fleet.no_memory),
        ("what a failed sync left", lambda server: fleet.mended_meta_pages(server, plan)),
        ("a failed meta page, one process", lambda server: fleet.failed_meta_page_alone(server, plan)),
    ]
    workers: list[tuple[str, Callable[[ServerProcess], list[str]]]] = [
        ("killed workers", lambda server: fleet.killed_workers(server, 3, 20 if is_long else 3)),
        ("workers that can't start", lambda server: fleet.crash_loop(server, plan, 3)),
        ("failed meta pages", lambda server: fleet.failed_meta_page(server, plan, 3, 8 if is_long else 1)),
        ("supervisor without descriptors", lambda server: fleet.supervisor_without_descriptors(server, 3)),
        ("killed supervisor", fleet.killed_supervisor),
    ]
    relaxed = [("checkpoints", lambda server: fleet.relaxed_checkpoints(server, plan))]
    _stories(folder / "alone", plan, tally, alone, "--workers", "1")
    _stories(folder / "workers", plan, tally, workers, "--workers", "3")
    _stories(folder / "relaxed", plan, tally, relaxed, "--durability", "relaxed", "--workers", "1")
    _bad_clients(folder, plan, tally, 12 if is_long else 1)


def _bad_clients(folder: Path, plan: Plan, tally: Tally, rounds: int) -> None:
    """Clients that stall or vanish, over TLS and not."""
    with handshakes.serving_tls(folder / "tls") as server:
        found = handshakes.run(server)
        tally.cells += 2 * len(handshakes.BEGINNINGS)
        tally.violations += found
        print(f"  TLS handshakes: {len(found)} found", flush=True)
    patient = entry("tests.torture.faults.shortened:timeouts")
    with serving(folder / "clients", "--workers", "1", entry=patient, environment=plan.environment) as server:
        clients = Clients(server)
        clients.run()
        first_kib = memory_kib(server)
        for _ in range(rounds - 1):
            clients.run()
        if memory_kib(server) - first_kib > GROWTH_KIB:
            tally.find("clients", f"{memory_kib(server)} KiB, after the first round {first_kib}")
        tally.cells += clients.tried
        tally.violations += clients.violations
        print(f"  clients: {clients.tried} tried, {len(clients.violations)} found", flush=True)


def _stories(
    folder: Path,
    plan: Plan,
    tally: Tally,
    stories: Iterable[tuple[str, Callable[[ServerProcess], list[str]]]],
    *options: str,
) -> None:
    with serving(folder, *options, environment=plan.environment) as server:
        for name, story in stories:
            found = story(server)
            tally.cells += 1
            tally.violations += [f"{name}: {what}" for what in found]
            print(f"  {name}: {len(found)} found", flush=True)


def _planted(folder: Path, plan: Plan) -> tuple[list[str], dict[str, str]]:
    """Return which planted bugs were missed, and how the others were found."""
    found: dict[str, str] = {}
    for bug in hunts.HUNTS:
        said = hunts.hunt(bug, folder, plan)
        plan.clear()
        plan.set_clock(0)
        if said:
            found[hunts.sentence(bug)] = said[0][:160]
        print(f"  planted {bug}: {'found' if said else 'MISSED'}", flush=True)
    missed = [bug for bug in hunts.HUNTS if hunts.sentence(bug) not in found]
    return missed, found


def _end(
    options: argparse.Namespace, tally: Tally, missed: list[str], found: dict[str, str], seconds: float
) -> int:
    for violation in tally.violations:
        print(f"VIOLATION {violation}")
    for bug in missed:
        print(f"NOT FOUND: the planted bug {bug}")
    numbers: dict[str, int | float | str] = {
        "faults": len(FAULTS),
        "operations": len(OPERATIONS),
        "cells": tally.cells,
        "failures injected": tally.injected,
        "violations": len(tally.violations),
    }
    print(f"faults: {', '.join(f'{name} {value}' for name, value in numbers.items())}, {seconds:.0f} s")
    if tally.violations or missed:
        print(
            f"repeat: python -m tests.torture faults {'--long ' if options.long else ''}--seed {options.seed}"
        )
        return 1
    if options.record:
        records.record("faults", seconds, numbers, found)
    return 0
