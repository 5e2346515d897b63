"""For each planted bug, the part of the proof that finds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.processes import ServerProcess, serving
from tests.torture.faults import clock, fleet, planted
from tests.torture.faults.clients import Clients
from tests.torture.faults.ground import OPERATIONS
from tests.torture.faults.injector import Plan
from tests.torture.faults.matrix import FAULTS, Matrix, Tally
from tests.torture.server import entry

SHORT_S = 3.0
"""How long a hunt waits for what a bug keeps from happening."""
Hunt = Callable[[ServerProcess, Plan], list[str]]


def cells(server: ServerProcess, plan: Plan, pairs: dict[str, tuple[str, ...]], patience_s: float) -> Tally:
    """Try the named operations under the named faults, then see what is left."""
    tally = Tally()
    matrix = Matrix(server, plan, tally, "hunt-", patience_s)
    for fault, operations in pairs.items():
        for operation in operations:
            matrix.cell(
                next(each for each in FAULTS if each.name == fault),
                next(each for each in OPERATIONS if each.name == operation),
            )
    matrix.see_what_is_left()
    return tally


def _cells(fault: str, *operations: str) -> Hunt:
    return lambda server, plan: cells(server, plan, {fault: operations}, SHORT_S).violations


def _clients(server: ServerProcess, plan: Plan) -> list[str]:
    clients = Clients(server, SHORT_S)
    clients.run()
    return clients.violations


_LARGE = ("PutObject large", "PutObject over large", "UploadPart large", "UploadPartCopy")
HUNTS: dict[str, tuple[Hunt, str]] = {
    "swallowed_write": (_cells("EIO, write of a blob", "PutObject large"), "1"),
    "ignored_sync": (_cells("EIO, sync of a blob", "PutObject large"), "1"),
    "ignored_directory_sync": (_cells("EIO, sync of a directory", "CopyObject large"), "1"),
    "failed_commit_answered": (_cells("EIO, sync of the index", "PutObject small"), "1"),
    "index_is_not_synced": (_cells("EIO, sync of the index", "PutObject small"), "1"),
    "unhealthy_server_stays": (
        lambda server, plan: fleet.failed_meta_page_alone(server, plan, SHORT_S),
        "1",
    ),
    "meta_pages_stay": (fleet.mended_meta_pages, "1"),
    "incoming_file_stays": (_cells("EIO, write of a blob", "PutObject large"), "1"),
    "descriptor_stays": (_cells("EIO, write of a blob", *_LARGE), "1"),
    "full_disk_is_the_clients_fault": (_cells("disk full (ENOSPC)", "PutObject small"), "1"),
    "unreadable_is_missing": (_cells("no right to read (EACCES)", "GetObject large"), "1"),
    "short_read_is_the_end": (_cells("read cut short", "GetObject large"), "1"),
    "dead_worker_stays_dead": (lambda server, plan: fleet.killed_workers(server, 2, 1, SHORT_S), "2"),
    "partial_body_is_stored": (_clients, "1"),
    "pin_stays": (_clients, "1"),
    "walls_clock_for_timeouts": (clock.run, "1"),
}


def hunt(bug: str, folder: Path, plan: Plan) -> list[str]:
    """Plant a bug in a server, and return what the proof says of it: nothing would be the proof's failure."""
    chase, workers = HUNTS[bug]
    changes = [f"tests.torture.faults.planted:{bug}"]
    if chase is _clients:
        changes.append("tests.torture.faults.shortened:timeouts")
    with serving(
        folder / bug, "--workers", workers, entry=entry(*changes), environment=plan.environment
    ) as server:
        return chase(server, plan)


def sentence(bug: str) -> str:
    """Return what is wrong with a server that has it."""
    text: str = getattr(planted, bug).__doc__
    return text.strip()
