"""The page of memory by which a harness tells a server where to end, and learns which steps it reached.

    0    the step at which to end, by its number in the table; 0: none
    8    how often it is still to be reached
    16   whom to end: 0 the whole process group, 1 the process alone
    24   the step at which somebody ended
    64+  for each step, how often it was reached

A file, mapped by the harness and, from before any fork, by all processes of the server: it outlives them.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import time
from pathlib import Path

_NUMBER = struct.Struct("=Q")
_STEP, _LEFT, _WHOM, _ENDED, _COUNTS = 0, 8, 16, 24, 64
_SIZE = 4096
GROUP, ALONE = 0, 1


class Plan:
    """One side's view of the page."""

    def __init__(self, file: Path | None) -> None:
        """Map the file, made if it is missing; None: a page for this process and its forks only."""
        if file is None:
            self._map = mmap.mmap(-1, _SIZE)
            return
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(descriptor, _SIZE)
        self._map = mmap.mmap(descriptor, _SIZE)
        os.close(descriptor)

    def _get(self, at: int) -> int:
        number: int = _NUMBER.unpack_from(self._map, at)[0]
        return number

    def _put(self, at: int, number: int) -> None:
        _NUMBER.pack_into(self._map, at, number)

    def arm(self, step: int, times: int = 1, whom: int = GROUP) -> None:
        """Let the process that reaches a step for the `times`-th time from now on end."""
        self._put(_STEP, 0)
        self._put(_ENDED, 0)
        self._put(_WHOM, whom)
        self._put(_LEFT, times)
        self._put(_STEP, step)

    def disarm(self) -> None:
        """Let nobody end."""
        self._put(_STEP, 0)

    @property
    def ended(self) -> int:
        """The step at which somebody ended since the last `arm`, 0 if nobody did."""
        return self._get(_ENDED)

    def count(self, step: int) -> int:
        """Return how often a step was reached."""
        return self._get(_COUNTS + 8 * step)

    def reached(self, step: int) -> None:
        """Count a step, and end here if that is the plan. Called in the server, in any thread."""
        at = _COUNTS + 8 * step
        self._put(at, self._get(at) + 1)
        if self._get(_STEP) != step:
            return
        left = self._get(_LEFT) - 1
        self._put(_LEFT, max(left, 0))
        if left <= 0:
            self._put(_STEP, 0)
            self._put(_ENDED, step)
            if self._get(_WHOM) == ALONE:
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                os.killpg(0, signal.SIGKILL)
            time.sleep(60)  # the signal may need a moment to find this thread
