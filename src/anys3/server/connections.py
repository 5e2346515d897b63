"""What the connections of one worker share: application, limits, clock, buffer, threads."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from anys3.protocol.http import Answer, Request
from anys3.server import platform
from anys3.server.budget import Budget
from anys3.server.dates import DateLine
from anys3.server.limits import Limits
from anys3.server.tallies import Tally

Result = TypeVar("Result")
_POOL_THREADS = 8
"""Beside the transfers': they read and write for connections that no thread owns."""


class Application(Protocol):
    """What answers requests."""

    log: logging.Logger

    def handle(self, request: Request) -> Coroutine[Any, Any, Answer]:
        """Return the coroutine that answers `request`."""

    def new_request_id(self) -> str:
        """Return an id that no other answer has."""


class Connection(Protocol):
    """What its worker asks of a connection."""

    def waiting_since(self) -> float | None:
        """Return since when this connection waits for a request that nobody handles yet; None if it does not."""

    def make_room(self) -> None:
        """Close, in favour of another connection."""

    def go_on(self) -> None:
        """Handle some of the messages that wait: its turn has come."""

    def check(self, now: float) -> None:
        """End what has waited too long."""

    def drain(self) -> None:
        """Close if no request is under way; else the next answer closes."""

    def abort(self) -> None:
        """Break the connection."""

    def throw(self, error: BaseException) -> None:
        """Throw `error` into the handler, if one waits: the process is about to end."""


class Connections:
    """The open connections of one worker and what they share. Belongs to one event loop."""

    def __init__(
        self, app: Application, limits: Limits, loop: asyncio.AbstractEventLoop, tally: Tally | None = None
    ) -> None:
        """Begin with no connections; what they answer is counted in `tally`."""
        self.app = app
        self.tally = tally
        self.limits = limits
        self.loop = loop
        self.log = app.log
        self.now = loop.time()
        """The loop's time at the last tick: coarse, and free to read."""
        self.open: set[Connection] = set()
        self.budget = Budget(limits.buffered_max, app.log)
        self.active = 0
        """Requests that are being handled or answered."""
        self.unchecked_max = min(limits.target_max, limits.header_section_max)
        """A read of so few bytes can't hold a head beyond the limits."""
        self.is_draining = False
        self.date = DateLine()
        self._view = memoryview(bytearray(limits.receive_buffer))
        self._waiting: deque[Connection] = deque()
        self.flowing = asyncio.Semaphore(limits.flowing_max)
        """For contents that no thread sends: taken to begin, given back when their client takes no more."""
        self._slots = limits.transfers_max
        self._pool = ThreadPoolExecutor(limits.transfers_max + _POOL_THREADS, "anys3-transfer")

    def receive_buffer(self) -> memoryview:
        """Return the buffer that a connection receives into: the one of the process where that is safe."""
        if platform.READS_ARE_SYNCHRONOUS:
            return self._view
        return memoryview(bytearray(self.limits.receive_buffer // 4))

    def make_room(self) -> None:
        """Close some of the connections that have waited longest for a request, if any has waited long."""
        before = self.loop.time() - self.limits.room_after_s
        waiting = [
            (since, number, each)
            for number, each in enumerate(self.open)
            if (since := each.waiting_since()) is not None and since < before
        ]
        for _, _, each in heapq.nsmallest(max(1, self.limits.connections_max // 64), waiting):
            self.open.discard(each)
            each.make_room()

    def later(self, connection: Connection) -> None:
        """Let `connection` go on in its turn: of those that have more to do, one a turn of the loop."""
        if not self._waiting:
            self.loop.call_soon(self._go_on)
        self._waiting.append(connection)

    def _go_on(self) -> None:
        # It stays in the queue meanwhile, so that `later` schedules no second round.
        try:
            self._waiting[0].go_on()
        finally:
            self._waiting.popleft()
            if self._waiting:
                self.loop.call_soon(self._go_on)

    def has_slot(self) -> bool:
        """Say whether `take_slot` would give one."""
        return self._slots > 0

    def take_slot(self) -> bool:
        """Take one of the threads that may own a socket; return False if all are taken."""
        if self._slots <= 0:
            return False
        self._slots -= 1
        return True

    def give_slot_back(self) -> None:
        """Undo `take_slot`."""
        self._slots += 1

    async def in_pool(self, work: Callable[[], Result]) -> Result:
        """Run `work` in a thread."""
        return await self.loop.run_in_executor(self._pool, work)

    def give_memory_back(self) -> None:
        """Let the system have what a flood has left in our heap."""
        self.loop.run_in_executor(self._pool, platform.give_memory_back)

    def close(self) -> None:
        """Let the threads end; those that are at work end with their work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
