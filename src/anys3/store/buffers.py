"""Page-aligned memory for the bytes of large objects, used again and again, and bounded for the process."""

from __future__ import annotations

import mmap
import threading

BUFFER = 1 << 20
"""Bytes of a buffer."""


class Buffers:
    """Buffers of BUFFER bytes for any thread, each for one user at a time.

    What a transfer can't do without is always there: how many transfers there are is bounded elsewhere.
    Spare ones, for work that overlaps, are `spares_max` at most; without one a transfer takes turns with
    itself. `kept` unused buffers stay for the next transfer.
    """

    def __init__(self, kept: int = 32, spares_max: int = 24) -> None:
        self._kept = kept
        self._spares = spares_max
        self._lock = threading.Lock()
        self._free: list[mmap.mmap] = []

    def take(self) -> mmap.mmap:
        """Return a buffer."""
        try:
            return self._free.pop()
        except IndexError:
            return mmap.mmap(-1, BUFFER)

    def give(self, buffer: mmap.mmap) -> None:
        """Take a buffer back."""
        if len(self._free) < self._kept:
            self._free.append(buffer)

    def take_spare(self) -> mmap.mmap | None:
        """Return one more buffer, None if there are as many as there may be."""
        with self._lock:
            if not self._spares:
                return None
            self._spares -= 1
        return self.take()

    def give_spare(self, buffer: mmap.mmap) -> None:
        """Take back what `take_spare` returned."""
        self.give(buffer)
        with self._lock:
            self._spares += 1


BUFFERS = Buffers()
