"""What a server's processes use, and a bystander who is to be served all the time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.keepalive import KeepAlive
from tests.rawclient import RawClient

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def processes(pid: int) -> list[int]:
    """Return `pid` and all that descend from it."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{each}/task/{each}/children").read_text().split()
            found.extend(int(child) for child in children)
    return found


def memory_kib(pid: int) -> int:
    """Return RssAnon; 0 of a process that has ended."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
    return 0


def descriptors(pid: int) -> int:
    """Return how many descriptors are open."""
    with contextlib.suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0


def threads(pid: int) -> int:
    """Return how many threads there are."""
    with contextlib.suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    return 0


def cpu_s(pid: int) -> float:
    """Return the CPU seconds used so far."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S
    return 0.0


class Watch:
    """Samples the processes of a server in a thread; the peaks are since the last `mark`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.peak_kib = 0
        self.peak_descriptors = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def mark(self) -> None:
        """Begin anew."""
        self.peak_kib = self.memory_kib()
        self.peak_descriptors = self.descriptors()

    def memory_kib(self) -> int:
        """Return RssAnon of the process that has most."""
        return max(map(memory_kib, processes(self.pid)))

    def descriptors(self) -> int:
        """Return the descriptors of all processes."""
        return sum(map(descriptors, processes(self.pid)))

    def cpu_s(self) -> float:
        """Return the CPU seconds of all processes."""
        return sum(map(cpu_s, processes(self.pid)))

    def _sample(self) -> None:
        while not self._is_over.wait(0.05):
            self.peak_kib = max(self.peak_kib, self.memory_kib())
            self.peak_descriptors = max(self.peak_descriptors, self.descriptors())


@dataclass(slots=True)
class Served:
    """What a bystander got."""

    requests: int = 0
    told_to_slow_down: int = 0
    worst_s: float = 0.0
    errors: tuple[str, ...] = ()


class Bystander:
    """A decent client in a process of its own, on one connection that stays and on new ones.

    As SDKs do, it repeats what was answered by 503, and opens a new connection when an idle one was closed.
    """

    def __init__(self, endpoint: str, access_key_id: str, secret: str, ca_file: str | None = None) -> None:
        context = multiprocessing.get_context("fork")
        self._is_over = context.Event()
        self._pipe, theirs = context.Pipe()
        s3 = RawClient(endpoint, access_key_id, secret, ca_file=ca_file, timeout_s=60.0)
        self._process = context.Process(target=_go_by, args=(s3, self._is_over, theirs))
        self._process.start()
        theirs.close()

    def end(self) -> Served:
        """Return what it got so far, and let it go home."""
        self._is_over.set()
        served: Served = self._pipe.recv() if self._pipe.poll(120) else Served(errors=("it never ended",))
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
        return served


def _go_by(s3: RawClient, is_over: threading.Event, pipe: object) -> None:
    served = Served()
    errors = []
    rng = random.Random(1)
    kept = KeepAlive(s3)
    number = 0
    while not is_over.is_set() and len(errors) < 5:
        number += 1
        body = rng.randbytes(rng.choice((0, 4096, 4096, 100_000, 300_000, 1 << 20)))
        path = f"/bystander/{number % 7}"
        new = number % 3 == 0
        for method, sent, want in (
            ("PUT", body, b""),
            ("GET", b"", body),
            ("HEAD", b"", b""),
            ("DELETE", b"", b""),
        ):
            began = time.monotonic()
            try:
                status, received = _ask(s3, kept, method, path, sent, served, is_new=new)
                if status not in (200, 204) or received != want:
                    errors.append(f"{method} {path} of {len(body)} bytes: {status}, {len(received)} bytes")
            except (OSError, ValueError) as error:
                errors.append(f"{method} {path} of {len(body)} bytes: {error!r}")
            served.requests += 1
            served.worst_s = max(served.worst_s, time.monotonic() - began)
        time.sleep(0.01)
    served.errors = tuple(errors)
    pipe.send(served)  # type: ignore[attr-defined]


def _ask(
    s3: RawClient, kept: KeepAlive, method: str, path: str, body: bytes, served: Served, *, is_new: bool
) -> tuple[int, bytes]:
    for attempt in range(8):
        try:
            response = (
                s3.request(method, path, body=body) if is_new else kept.request(method, path, body=body)
            )
        except OSError:
            if attempt == 7:
                raise
            kept.close()
        else:
            if response.status != 503:
                return response.status, response.body
            served.told_to_slow_down += 1
            if response.is_closed:
                kept.close()
        time.sleep(0.1 * 2**attempt)
    return 503, b""
