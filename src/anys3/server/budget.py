"""What the connections of one worker may hold in memory, all of them together.

Counted is what strangers can make us hold: heads and bodies that are still arriving, messages that wait for
their turn, bodies that a handler has, answers that nobody takes. Less than `UNCOUNTED` of it is not counted,
so that the way of a small request stays as short as it is.
"""

from __future__ import annotations

import logging
from typing import Protocol

UNCOUNTED = 16 << 10
"""What a connection may hold beside the budget, in bytes."""
_LOG_EVERY_S = 10.0


class Holder(Protocol):
    """Who holds memory: a connection."""

    held: int
    """Bytes of the budget; only the budget sets it."""

    def let_go(self) -> None:
        """Hold no more than what is being handled; tell the client to slow down, or break off."""


class Budget:
    """The bytes that are held, and who has held some for longest. Belongs to one event loop.

    Above half of `limit` it `is_tight`: bodies are not received before their request was authenticated.
    Above `limit` those let go that have held some for longest: a client that stalls, long before one whose
    bytes flow.
    """

    __slots__ = (
        "_holders",
        "_is_making_room",
        "_log",
        "_logged",
        "held",
        "is_tight",
        "limit",
        "peak",
        "refused",
    )

    def __init__(self, limit: int, log: logging.Logger) -> None:
        self.limit = limit
        self.held = 0
        self.peak = 0
        """The most that was held since `ebb` last said so."""
        self.is_tight = False
        self.refused = 0
        """How many had to let go."""
        self._holders: dict[Holder, None] = {}  # the one that began first comes first
        self._is_making_room = False
        self._log = log
        self._logged = -_LOG_EVERY_S

    def change(self, holder: Holder, held: int, now: float) -> None:
        """Note that `holder` holds `held` bytes now; make room if all is too much."""
        before = holder.held
        if held == before:
            return
        if not held:
            del self._holders[holder]
        elif not before:
            self._holders[holder] = None
        holder.held = held
        self.held += held - before
        self.peak = max(self.peak, self.held)
        if self.held > self.limit:
            self.is_tight = True
            self._make_room(now)
        else:
            self.is_tight = self.held > self.limit // (4 if self.is_tight else 2)

    def ebb(self) -> bool:
        """Say, once after each flood, whether a quarter of it or less is left."""
        if self.peak < self.limit // 4 or self.held > self.peak // 4:
            return False
        self.peak = self.held
        return True

    def _make_room(self, now: float) -> None:
        """Let holders go until an eighth is free: it is not to be looked for again at the next byte."""
        if self._is_making_room:
            return
        self._is_making_room = True
        try:
            refused = self.refused
            for holder in tuple(self._holders):
                if self.held <= self.limit - self.limit // 8:
                    break
                before = holder.held
                holder.let_go()
                self.refused += holder.held < before
        finally:
            self._is_making_room = False
        if self.refused > refused and now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            self._log.warning(
                "the %d MiB for what connections hold were full: %d requests were refused so far",
                self.limit >> 20,
                self.refused,
            )
