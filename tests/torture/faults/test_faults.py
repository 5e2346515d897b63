"""Faults, the short form: `python -m tests.torture faults --long` tries each operation under each of them."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ServerProcess, serving
from tests.torture.faults import clock, fleet, handshakes, hunts
from tests.torture.faults.clients import Clients
from tests.torture.faults.injector import Plan, Rule, planning, reason_to_skip
from tests.torture.server import entry

pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "faults can be injected")

# For each fault the operations that differ in how they meet it.
CELLS = {
    "disk full (ENOSPC)": ("PutObject large", "DeleteObjects", "CompleteMultipartUpload"),
    "quota met (EDQUOT)": ("UploadPart small",),
    "no room to reserve": ("PutObject handed over",),
    "EIO, write of the index": ("CreateBucket", "PutObjectTagging"),
    "write of the index cut short": ("PutObject over small",),
    "EIO, sync of the index": ("PutObject over large", "AbortMultipartUpload", "DeleteBucket"),
    "EIO, write of a blob": ("PutObject handed over",),
    "write of a blob cut short": ("PutObject large",),
    "EIO, sync of a blob": ("UploadPart large",),
    "EIO, end of a blob cut": ("PutObject large",),
    "EIO, sync of a directory": ("CopyObject large",),
    "EIO, link": ("PutObject over large",),
    "EIO, read": ("GetObject large", "UploadPartCopy"),
    "read cut short": ("GetObject of parts",),
    "no right to read (EACCES)": ("GetObject range", "GetObject of parts"),
    "no right to write (EACCES)": ("PutObject large",),
    "file system gone read-only": ("PutObject large", "DeleteObject"),
    "out of descriptors (EMFILE)": ("GetObject large",),
    "no descriptor to lend (EMFILE)": ("PutObject handed over", "GetObject large"),
    "system out of descriptors (ENFILE)": ("PutObject large",),
    "EIO, removal": ("PutObject over large",),
}


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    """A plan for what fails."""
    with planning(tmp_path) as made:
        yield made


@pytest.fixture
def alone(tmp_path: Path, plan: Plan) -> Iterator[ServerProcess]:
    """A server of one process, under the plan."""
    with serving(tmp_path / "store", "--workers", "1", environment=plan.environment) as server:
        yield server


@pytest.fixture
def workers(tmp_path: Path, plan: Plan) -> Iterator[ServerProcess]:
    """A server of three workers, under the plan."""
    with serving(tmp_path / "store", "--workers", "3", environment=plan.environment) as server:
        yield server


def test_the_shim_catches_what_python_and_lmdb_call_and_the_clock(alone: ServerProcess, plan: Plan) -> None:
    before = plan.calls
    alone.s3.request("PUT", "/shim")
    alone.s3.request("PUT", "/shim/large", body=bytes(300_000))
    alone.s3.request("GET", "/shim/large")
    called = {name: plan.calls[name] - before[name] for name in before}
    assert [
        name
        for name in ("open", "write", "read", "sync", "link", "allocate", "accept", "dup", "clock")
        if not called[name]
    ] == []
    plan.set(Rule("write", "index/data.mdb", errno.ENOSPC, offset_below=-8192))
    assert alone.s3.request("PUT", "/shim/small", body=b"x").status == 503
    assert plan.clear() > 0


@pytest.mark.requirement("ERR-06", "ERR-08", "CON-04")
def test_each_fault_is_answered_seen_and_survived_as_it_should(alone: ServerProcess, plan: Plan) -> None:
    tally = hunts.cells(alone, plan, CELLS, 30.0)
    assert tally.violations == []
    assert tally.cells == sum(len(operations) for operations in CELLS.values())


def test_a_server_of_one_process_whose_meta_page_fails_ends_and_says_why(
    alone: ServerProcess, plan: Plan
) -> None:
    assert fleet.failed_meta_page_alone(alone, plan) == []


def test_what_a_failed_sync_may_have_left_is_written_again_before_the_next_commit(
    alone: ServerProcess, plan: Plan
) -> None:
    assert fleet.mended_meta_pages(alone, plan) == []


def test_without_descriptors_whoever_is_connected_is_served(alone: ServerProcess, plan: Plan) -> None:
    assert fleet.no_descriptors(alone) == []
    assert fleet.refused_accepts(alone, plan) == []


def test_a_clock_that_jumps_by_a_day_breaks_nothing(alone: ServerProcess, plan: Plan) -> None:
    assert clock.run(alone, plan) == []


@pytest.mark.requirement("CON-04")
def test_a_worker_that_is_killed_or_fails_is_replaced_and_nothing_acknowledged_lost(
    workers: ServerProcess, plan: Plan
) -> None:
    assert fleet.killed_workers(workers, 3, 3) == []
    assert fleet.crash_loop(workers, plan, 3) == []
    assert fleet.failed_meta_page(workers, plan, 3) == []
    assert fleet.supervisor_without_descriptors(workers, 3) == []
    assert fleet.killed_supervisor(workers) == []


def test_checkpoints_go_on_after_they_failed_whatever_the_clock_says(tmp_path: Path, plan: Plan) -> None:
    options = ("--workers", "1", "--durability", "relaxed")
    with serving(tmp_path / "store", *options, environment=plan.environment) as server:
        assert fleet.relaxed_checkpoints(server, plan) == []


@pytest.mark.requirement("HTTP-10", "HTTP-23")
def test_clients_that_stall_or_vanish_leave_nothing_and_disturb_nobody(tmp_path: Path) -> None:
    changed = entry("tests.torture.faults.shortened:timeouts")
    with serving(tmp_path / "store", "--workers", "1", entry=changed) as server:
        clients = Clients(server)
        clients.run()
    assert clients.violations == []


def test_clients_that_stall_in_a_tls_handshake_are_not_waited_for(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="a self-signed certificate needs it")
    with handshakes.serving_tls(tmp_path / "store") as server:
        assert handshakes.run(server) == []


@pytest.mark.parametrize("bug", hunts.HUNTS)
def test_a_planted_bug_is_found(bug: str, tmp_path: Path, plan: Plan) -> None:
    assert hunts.hunt(bug, tmp_path, plan) != []


def test_the_command_teaches_its_use() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "tests.torture", "faults", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--long" in shown.stdout
