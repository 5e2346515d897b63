"""Page-aligned memory for the bytes of large objects, used again and again, and bounded for the process."""

from __future__ import annotations

import mmap
import os
import sys
import threading

BUFFER = 1 << 20
"""Bytes of a buffer."""
_OURS_ALONE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
"""Without it, what a process has left unused when it forks would be one memory for all workers."""


class Buffers:
    """Buffers of `size` bytes for any thread, each for one user at a time.

    What a transfer can't do without is always there: how many transfers there are is bounded elsewhere.
    Spare ones, for work that overlaps, are `spares_max` at most; without one a transfer takes turns with
    itself, which costs less where other transfers keep the cores busy anyway. `kept` unused buffers stay for
    the next transfer.
    """

    def __init__(self, spares_max: int, kept: int = 32, size: int = BUFFER) -> None:
        self._spares = spares_max
        self._kept = kept
        self._size = size
        self._lock = threading.Lock()
        self._free: list[mmap.mmap] = []

    def take(self) -> mmap.mmap:
        """Return a buffer."""
        try:
            return self._free.pop()
        except IndexError:
            return mmap.mmap(-1, self._size, **_OURS_ALONE)

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


def _cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform.startswith("linux"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# An upload overlaps with two of them, a download with one.
BUFFERS = Buffers(spares_max=min(max(2 * _cores(), 4), 16))
