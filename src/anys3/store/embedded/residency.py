"""What of a file lies in the page cache, where the system tells (Linux 6.5 and later)."""

from __future__ import annotations

import ctypes
import mmap
import sys

_CACHESTAT = 451
_PAGE = mmap.PAGESIZE
_syscall = ctypes.CDLL(None).syscall if sys.platform.startswith("linux") else None


class Residency:
    """Answers for one open file."""

    __slots__ = ("_counts", "_descriptor", "_span")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._span = (ctypes.c_uint64 * 2)()
        self._counts = (ctypes.c_uint64 * 5)()

    def is_cached(self, offset: int, length: int) -> bool:
        """Return whether all those bytes can be read without the disk; False where nobody knows.

        Asking brings nothing into the cache. A read with RWF_NOWAIT would: the kernel begins to read ahead
        before it answers that it would have to wait.
        """
        if _syscall is None:
            return False
        self._span[0], self._span[1] = offset, length
        if _syscall(_CACHESTAT, self._descriptor, self._span, self._counts, 0) != 0:
            return False
        pages: int = self._counts[0]
        return pages == (offset + length - 1) // _PAGE - offset // _PAGE + 1
