"""Timeouts without a timer a request: one look at every connection, once a tick.

A connection notes the coarse time when it begins to wait (an attribute read, instead of a timer's heap
operations on every request); so a timeout is up to two ticks late, and never early.
"""

from __future__ import annotations

import asyncio

from anys3.server import platform
from anys3.server.connections import Connections


class Sweeper:
    """Tells connections the time until it is stopped."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None
        self._heap = platform.Heap()

    def start(self) -> None:
        """Begin ticking."""
        self._tick()

    def stop(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        connections = self._connections
        now = connections.now = connections.loop.time()
        self._timer = connections.loop.call_later(connections.limits.tick_s, self._tick)
        if connections.budget.ebb() or self._heap.has_ebbed():
            connections.give_memory_back()
        for connection in tuple(connections.open):
            try:
                connection.check(now)
            except Exception:
                connections.log.exception("the timeout of a connection could not be handled")
                connection.abort()
