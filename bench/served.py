"""Our own server on a directory that is kept, from any source tree, and loads of signed requests against it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import accounting, client
from bench.client import Replay, Request
from bench.peers.product import random_key_pair
from bench.peers.running import Running, answers, free_ports
from bench.signing import Signer
from bench.targets import cores_for, environment_of, pinned

START_LIMIT_S = 60.0
LOAD_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one load cost: CPU µs of the server per request, requests a second, milliseconds."""

    cpu_us: float
    rate: float
    p50_ms: float
    p99_ms: float


class Served:
    """`anys3 serve DIRECTORY` with one worker on a core of its own, where there are two; ends with the block.

    `source` is the folder that holds the package, for another commit's; `start_s` the seconds from starting
    the command to the first answer.
    """

    def __init__(self, directory: Path, *options: str, source: Path | None = None) -> None:
        self.pair = pair = random_key_pair()
        (self.port,) = free_ports(1)
        self.signer = Signer(f"127.0.0.1:{self.port}", pair.access_key_id, pair.secret_access_key)
        self._cores = cores_for(1)
        self._running = Running(directory.with_name(directory.name + ".log"))
        command = [sys.executable, "-m", "anys3", "serve", str(directory), "--workers", "1", *options]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        environment = environment_of(pair)
        if source is not None:
            environment["PYTHONPATH"] = str(source)
        begin = time.perf_counter()
        with pinned(self._cores[0]):
            self._running.spawn(command, environment=environment, cwd=directory.parent)
        while not answers(self.port):
            if time.perf_counter() - begin > START_LIMIT_S or not self._running.pids():
                message = self._running.last_lines()
                self._running.stop()
                raise RuntimeError(f"the server does not answer:\n{message}")
            time.sleep(0.002)
        self.start_s = time.perf_counter() - begin

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.stop()

    def load(self, requests: Sequence[Request], connections: int, block: bytes = b"\0") -> Load:
        """Send requests and return what they cost. Raises RuntimeError if an answer is not as expected."""
        pids = self._running.pids()
        with Replay(
            client.program(),
            requests,
            block,
            port=self.port,
            connections=connections,
            soft_s=LOAD_LIMIT_S,
            hard_s=LOAD_LIMIT_S,
            cores=self._cores[1],
            polls=self._cores[1] is not None,
        ) as replay:
            before = accounting.cpu_s(pids)
            result = replay.run()
            cpu_s = accounting.cpu_s(pids) - before
        if result.oddities() or result.answers != len(requests):
            raise RuntimeError(f"unexpected answers: {result.oddities()} {result.sample[:200]}")
        return Load(
            cpu_s / result.answers * 1e6,
            result.answers / result.seconds,
            result.p50_ns / 1e6,
            result.p99_ns / 1e6,
        )

    @property
    def pids(self) -> list[int]:
        """Return its living processes."""
        return self._running.pids()
