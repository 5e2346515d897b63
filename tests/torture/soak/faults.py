"""What goes wrong beside a workload, at random: dead workers, clients that vanish, stall or flood."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter

from tests.processes import ServerProcess
from tests.rawclient import render
from tests.torture.abuse.crowd import Crowd
from tests.torture.abuse.watching import processes
from tests.torture.soak.flatness import _age

MIB = 1 << 20


class Faults:
    """A thread that makes trouble until it is told to stop. The worker that is eldest lives on, to be measured."""

    def __init__(self, server: ServerProcess, seed: int, pause_s: float) -> None:
        self.server = server
        self.counts: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._pause_s = pause_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Faults:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        kinds = (self.kill_a_worker, self.vanish, self.stall, self.flood, self.vanish, self.read_no_answer)
        while not self._is_over.wait(self._pause_s * (0.5 + self._random.random())):
            kind = self._random.choice(kinds)
            self.counts[kind.__name__] += 1
            with contextlib.suppress(OSError):
                kind()

    def kill_a_worker(self) -> None:
        """End the youngest worker at once."""
        workers = sorted(processes(self.server.pid)[1:], key=_age)
        if len(workers) > 1:
            os.kill(workers[-1], signal.SIGKILL)

    def vanish(self) -> None:
        """Leave in the middle of a body."""
        sent = self._put(self._random.choice((1000, 200_000, 4 * MIB)))
        with self.server.s3.connect() as sock:
            sock.sendall(sent[: self._random.randrange(1, len(sent))])

    def stall(self) -> None:
        """Send a body in drops."""
        sent = self._put(50_000)
        with self.server.s3.connect() as sock:
            for start in range(0, len(sent), 10_000):
                sock.sendall(sent[start : start + 10_000])
                time.sleep(0.02)

    def flood(self) -> None:
        """Come with a hundred connections at once, most of which have nothing to say."""
        with Crowd(self.server.port, 100) as crowd:
            crowd.send(b"PUT /shared/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n" + bytes(50_000))

    def read_no_answer(self) -> None:
        """Ask a lot, and leave without listening."""
        with self.server.s3.connect() as sock:
            sock.settimeout(1)
            sock.sendall(b"GET /shared HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)

    def _put(self, size: int) -> bytes:
        """Return a signed PUT to a bucket that nobody looks at."""
        s3 = self.server.s3
        lines = s3.sign("PUT", "/vanished/k", "", {"host": s3.host}, b"", "UNSIGNED-PAYLOAD")
        lines["content-length"] = str(size)
        return render("PUT", "/vanished/k", lines) + self._random.randbytes(size)
