"""Prefork: real processes, on one port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server.wire_server import read_all, read_reply

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, logging, os, sys
from anys3.protocol.http import Answer
from anys3.server import listeners, platform
from anys3.server.limits import Limits
from anys3.server.serving import run_worker
from anys3.server.workers import WorkerFailed, supervise

class Pids:
    log = logging.getLogger("pids")
    def __init__(self): self.hangups = 0
    def new_request_id(self): return "ID"
    def hang_up(self): self.hangups += 1
    async def handle(self, request):
        if request.path == b"/sleep":
            await asyncio.sleep(0.5)
        if request.path == b"/die":
            os._exit(9)
        return Answer(200, b"", b"%d %d" % (os.getpid(), self.hangups))

sockets = listeners.bind("127.0.0.1", 0, is_shared=True)

def run(slot, is_ready, lifeline):
    if "fail" in sys.argv and slot == 1:
        raise OSError("no such disk")
    app = Pids()
    async def make_app():
        async def close(): pass
        return app, close
    own = listeners.bind_again(sockets) if platform.HAS_REUSE_PORT else sockets
    run_worker(make_app, own, None, Limits(drain_s=5), reload=app.hang_up, on_ready=is_ready, lifeline=lifeline)

try:
    supervise(
        2, run, log=logging.getLogger("workers"),
        before_restart=lambda slot: print("restart", slot, flush=True),
        on_ready=lambda: print("ready", sockets[0].getsockname()[1], flush=True),
    )
    print("stopped", flush=True)
except WorkerFailed as error:
    print("failed", error, flush=True)
"""


class Fleet:
    """A supervisor's process, and who answers on its port."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, target: bytes = b"/") -> tuple[int, int]:
        """Return the process that answered, and how often it was hung up."""
        with self.connect() as sock:
            sock.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            pid, hangups = read_reply(sock).body.split()
            return int(pid), int(hangups)

    def pids(self) -> set[int]:
        """Return the workers' processes, as soon as two answer."""
        found: set[int] = set()
        until = time.monotonic() + 10
        while len(found) < 2 and time.monotonic() < until:
            try:
                found.add(self.ask()[0])
            except OSError:
                time.sleep(0.02)
        return found

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running() as process:
        assert process.stdout is not None
        word, port = process.stdout.readline().split()
        assert word == "ready"
        yield Fleet(process, int(port))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_the_end_of(pids: set[int]) -> set[int]:
    until = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return {pid for pid in pids if is_alive(pid)}


def test_two_workers_share_a_port_and_stop_together(fleet: Fleet) -> None:
    pids = fleet.pids()
    assert len(pids) == 2
    assert fleet.process.pid not in pids
    fleet.process.send_signal(signal.SIGTERM)
    assert fleet.line() == "stopped"
    assert fleet.process.wait(10) == 0
    assert wait_for_the_end_of(pids) == set()


def test_a_worker_that_dies_is_replaced(fleet: Fleet) -> None:
    before = fleet.pids()
    with fleet.connect() as sock:
        sock.sendall(b"GET /die HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_all(sock) == b""
    assert fleet.line() in ("restart 0", "restart 1")
    gone = {pid for pid in before if not is_alive(pid)}
    after = fleet.pids()
    assert len(gone) == 1
    assert len(after) == 2
    assert not after & gone


def test_requests_in_flight_are_answered_before_workers_end(fleet: Fleet) -> None:
    with fleet.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_reply(sock).status == 200  # accepted: what is in a backlog may be lost
        sock.sendall(b"GET /sleep HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.1)
        fleet.process.send_signal(signal.SIGINT)
        assert read_reply(sock).status == 200
    assert fleet.line() == "stopped"


def test_a_hangup_reaches_every_worker(fleet: Fleet) -> None:
    pids = fleet.pids()
    fleet.process.send_signal(signal.SIGHUP)
    heard: set[int] = set()
    until = time.monotonic() + 10
    while heard != pids and time.monotonic() < until:
        pid, hangups = fleet.ask()
        heard |= {pid} if hangups == 1 else set()
    assert heard == pids


def test_workers_stop_when_their_supervisor_is_killed(fleet: Fleet) -> None:
    pids = fleet.pids()
    fleet.process.kill()
    assert wait_for_the_end_of(pids) == set()


def test_a_worker_that_cannot_start_ends_all() -> None:
    with running("fail") as process:
        output, _ = process.communicate(timeout=20)
    assert output.splitlines()[-1] == "failed worker 1 ended before it was ready"
