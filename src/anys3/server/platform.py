"""What this platform can do; the one place that asks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

HAS_REUSE_PORT = hasattr(socket, "SO_REUSEPORT") and sys.platform.startswith("linux")
"""Several sockets may listen on one port and share its connections (elsewhere the last one gets all)."""

CAN_HAND_OVER = os.name == "posix" and hasattr(select, "poll")
"""A thread may read and write a duplicate of a transport's socket."""

HAS_RECEIVE_LOW_WATER = hasattr(socket, "SO_RCVLOWAT") and sys.platform.startswith("linux")
"""poll() honours SO_RCVLOWAT (Linux since 4.18)."""

READS_ARE_SYNCHRONOUS = os.name == "posix"
"""A transport fills its buffer and reports it in one step, so that connections may share one buffer.

Windows' proactor fills buffers in the background: there every connection needs its own.
"""


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_large_buffers_apart() -> None:
    """Let each piece of memory of 256 KiB and more be the system's own, where the C library is glibc.

    Left to itself glibc soon takes pieces of that size from its heap. uvloop asks for one of 256 KiB for each
    TLS connection and touches two pages of it, but other ones each time: an idle connection cost twice as much.
    For the whole process, so for one that is ours.
    """
    if sys.platform.startswith("linux"):
        import ctypes  # noqa: PLC0415  (only servers that speak TLS ask)

        with contextlib.suppress(AttributeError):  # another C library
            library = ctypes.CDLL(None)
            library.mallopt(_M_MMAP_THRESHOLD, 256 << 10)
            # Setting one ends the adaptation of both: the heap would shrink and grow with every large write.
            library.mallopt(_M_TRIM_THRESHOLD, 4 << 20)


def give_memory_back() -> None:
    """Return to the system what the C library keeps of memory that was freed, where that is glibc."""
    if sys.platform.startswith("linux"):
        import ctypes  # noqa: PLC0415  (only after a flood)

        with contextlib.suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


class Heap:
    """How much of the C library's memory nobody uses: what many connections leave when they end, TLS above all."""

    WORTH_GIVING_BACK = 64 << 20

    def __init__(self) -> None:
        """Ask nothing where the C library can't tell."""
        self._free_bytes: Callable[[], int] = _free_bytes_of_heap()
        self._kept = 0
        """What was free after it was given back last: it stays, as it lies between what is in use."""

    def has_ebbed(self) -> bool:
        """Say, once for each time, whether so much more is free that the system should have it."""
        free = self._free_bytes()
        self._kept = min(self._kept, free)
        if free - self._kept < self.WORTH_GIVING_BACK:
            return False
        self._kept = free
        return True


def _free_bytes_of_heap() -> Callable[[], int]:
    """Return what asks glibc (2.33 or newer) how much of its memory is free; elsewhere none is."""
    import ctypes  # noqa: PLC0415  (once a worker)

    names = [
        "arena",
        "ordblks",
        "smblks",
        "hblks",
        "hblkhd",
        "usmblks",
        "fsmblks",
        "uordblks",
        "fordblks",
        "keepcost",
    ]
    kind = type("mallinfo2", (ctypes.Structure,), {"_fields_": [(name, ctypes.c_size_t) for name in names]})
    try:
        ask: Any = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):  # another C library, an old one, or Windows
        return lambda: 0
    ask.restype = kind
    return lambda: int(ask().fordblks)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's if it is installed, else asyncio's."""
    return loop_factory()()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes event loops here."""
    try:
        import uvloop  # noqa: PLC0415  (absent on Windows)
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` in a new event loop of the best kind, then close the loop."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)


def raise_open_files_limit() -> int:
    """Raise the soft limit of open files to the hard one; return the limit that holds (0: unknown)."""
    try:
        import resource  # noqa: PLC0415  (absent on Windows)
    except ImportError:
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        # macOS refuses an unlimited hard limit as the soft one.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
