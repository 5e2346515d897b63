"""A closed-loop HTTP client: many connections, each sends its next request when its answer is whole.

Requests are signed before the clock starts, one by one, with different keys; the server verifies each.
Run as a process of its own, on a core of its own, so that its cost is not the server's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop


@dataclass(slots=True)
class Result:
    """What one load gave: answers, seconds, and the statuses that were not expected."""

    answers: int
    seconds: float
    unexpected: int
    latencies_ms: list[float]


class Connection(asyncio.Protocol):
    """Sends requests from a shared iterator until it is empty."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.buffer = b""
        self.sent_at = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        assert self.transport is not None
        request = next(self.load.requests, None)
        if request is None:
            self.transport.close()
            return
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer = buffer = self.buffer + data if self.buffer else data
        head_end = buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        if not self.load.is_head:
            start = buffer.find(b"Content-Length: ", 0, head_end + 2)
            length = 0 if start < 0 else int(buffer[start + 16 : buffer.index(b"\r", start)])
            if len(buffer) < head_end + 4 + length:
                return
        self.load.note(buffer[9:12], time.perf_counter() - self.sent_at)
        self.buffer = b""
        self.send()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 (contract)
        self.load.connection_done()


class Load:
    """One measurement."""

    def __init__(self, requests: list[bytes], connections: int, *, is_head: bool, expected: bytes) -> None:
        self.requests = iter(requests)
        self.open = connections
        self.is_head = is_head
        self.expected = expected
        self.answers = self.unexpected = 0
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] | None = None

    def note(self, status: bytes, seconds: float) -> None:
        self.answers += 1
        self.latencies.append(seconds * 1000)
        if status != self.expected:
            self.unexpected += 1

    def connection_done(self) -> None:
        self.open -= 1
        if not self.open and self.done is not None and not self.done.done():
            self.done.set_result(None)

    async def run(self, host: str, port: int) -> Result:
        loop = asyncio.get_running_loop()
        self.done = loop.create_future()
        begin = time.perf_counter()
        for _ in range(self.open):
            await loop.create_connection(lambda: Connection(self), host, port)
        await asyncio.wait_for(self.done, 300)
        return Result(self.answers, time.perf_counter() - begin, self.unexpected, self.latencies)


def main() -> None:
    """Read a plan from a file named on the command line, run it, print the result as JSON."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    requests = Path(plan["requests"]).read_bytes().split(b"\0\0--next--\0\0")
    load = Load(requests, plan["connections"], is_head=plan["is_head"], expected=plan["expected"].encode())
    result = uvloop.run(load.run(plan["host"], plan["port"]))
    latencies = sorted(result.latencies_ms)
    print(
        json.dumps(
            {
                "answers": result.answers,
                "seconds": result.seconds,
                "unexpected": result.unexpected,
                "p50_ms": latencies[len(latencies) // 2],
                "p99_ms": latencies[len(latencies) * 99 // 100],
            }
        )
    )


if __name__ == "__main__":
    main()
