"""Client processes over one server, rounds played by all of them at once, and what the checker says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.processes import ACCESS_KEY_ID, SECRET_ACCESS_KEY, ServerProcess, serving
from tests.rawclient import RawClient, Response
from tests.torture.races.checker import check
from tests.torture.races.history import Operation, by_subject, load
from tests.torture.races.rounds import Round, Scripts
from tests.torture.server import entry

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0
ATTEMPTS = 40


class Crew:
    """Client processes, each with some lanes."""

    def __init__(self, servers: Sequence[RawClient], processes: int, lanes: int, workers: int) -> None:
        """`workers` is how many processes all the servers have, together."""
        self.lanes = processes * lanes
        self._each = lanes
        words = (",".join(server.host for server in servers), ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        self._clients = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.torture.races.clients", *words),
                    *(f"c{number}", str(lanes), str(workers)),
                ],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(processes)
        ]
        for client in self._clients:
            assert _pipe(client.stdout).readline() == "ready\n"

    def play(self, scripts: Scripts) -> list[Operation]:
        """Let all processes play a round at once, and return what they did."""
        for number, client in enumerate(self._clients):
            theirs = scripts[number * self._each : (number + 1) * self._each]
            _pipe(client.stdin).write(json.dumps(theirs) + "\n")
        for client in self._clients:
            _pipe(client.stdin).flush()
        operations = []
        for client in self._clients:
            while (line := _pipe(client.stdout).readline()) != "end\n":
                assert line, "a client process ended by itself"
                operations.append(load(line))
        return operations

    def close(self) -> None:
        """End the processes."""
        for client in self._clients:
            _pipe(client.stdin).close()
            _pipe(client.stdout).close()
            try:
                client.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                client.kill()
                client.wait()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@dataclass(slots=True)
class Tally:
    """What was played, and what was wrong."""

    histories: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    tried: int = 0
    kills: int = 0
    overlaps: int = 0
    violations: list[str] = field(default_factory=list)

    def judge(self, played: Round, operations: list[Operation]) -> None:
        """Check the history of each subject of a round."""
        for subject, history in by_subject(operations).items():
            self.histories += 1
            for one in history:
                self.operations[one.name] += 1
                self.outcomes[one.outcome] += 1
                self.unanswered += one.outcome == "unknown"
            self.overlaps += _overlaps(history)
            verdict = check(played.models[subject], history)
            self.tried += verdict.tried
            if not verdict.is_linearisable:
                self.violations.append(f"{played.kind} {subject}: {verdict.explain()}")


def _overlaps(history: list[Operation]) -> int:
    """Return how many operations began before another of the same subject had ended."""
    latest = 0
    count = 0
    for one in sorted(history, key=lambda each: each.begin):
        count += one.begin < latest
        latest = max(latest, one.end or one.begin)
    return count


class Patient(RawClient):
    """Asks again when a connection breaks: for what surrounds a round, while a killed worker is replaced."""

    def send(self, data: bytes, method: str = "GET") -> Response:
        """Send bytes on a connection of their own and read one answer."""
        for _ in range(ATTEMPTS):
            try:
                return RawClient.send(self, data, method)
            except OSError:
                time.sleep(0.05)
        return RawClient.send(self, data, method)


def patient(s3: RawClient) -> RawClient:
    """Return a client that asks again."""
    return Patient(s3.endpoint, s3.access_key_id, s3.secret_access_key)


@dataclass(slots=True)
class Arena:
    """A server of several workers, and client processes."""

    server: ServerProcess
    crew: Crew
    workers: int


@contextmanager
def arena(
    folder: Path, *planted: str, workers: int = 3, processes: int = 3, lanes: int = 4
) -> Iterator[Arena]:
    """Start a server, changed by the planted bugs if there are any, and the client processes."""
    changes = [f"tests.torture.races.planted:{name}" for name in planted]
    with serving(
        folder / "data",
        *("--workers", str(workers)),
        entry=entry(*changes) if changes else ("-m", "anys3"),
    ) as server:
        wait_for_workers(server, workers)
        crew = Crew([server.s3], processes, lanes, workers)
        try:
            yield Arena(server, crew, workers)
        finally:
            crew.close()


def worker_of(server: ServerProcess) -> str:
    """Return which worker answers a new connection."""
    return server.s3.request("GET", "/").headers["x-amz-request-id"][:8]


def wait_for_workers(server: ServerProcess, count: int) -> None:
    """Wait until all workers answer: the first does so while the others start."""
    limit = time.monotonic() + PATIENCE_S
    seen: set[str] = set()
    while len(seen) < count:
        assert time.monotonic() < limit, f"only {seen} answer"
        seen.add(worker_of(server))
        time.sleep(0.005)


def worker_pids(server: ServerProcess) -> list[int]:
    """Return the process ids of the workers: the children of the process that was started (Linux)."""
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread while the block runs, and wait for it."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()
