"""Work of one transfer beside its other work, in a few threads of the process."""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

from anys3.store.buffers import BUFFER, BUFFERS

Result = TypeVar("Result")
_STEPS_BACK = 5
THREADS_MAX = 8
"""What more there is to do waits: each transfer asks for one thing at a time."""


_here = threading.local()


def step_back() -> None:
    """Let the calling thread have the processor after the event loop, from now on (Linux).

    A large transfer is busy all the time, a small request for microseconds: among equals the loop that
    answers it would wait for each of them in turn.
    """
    if getattr(_here, "has_stepped_back", False):
        return
    _here.has_stepped_back = True
    if sys.platform.startswith("linux"):  # elsewhere a priority is the process's
        with contextlib.suppress(OSError):  # some sandboxes
            usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(usual + _STEPS_BACK, 19))


class Started(Generic[Result]):
    """Work that was begun; every one must be asked for its result, once."""

    __slots__ = ("_done", "_error", "_result", "_work")

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._done = threading.Lock()  # the cheapest thing to wait for
        self._done.acquire()
        self._error: BaseException | None = None
        self._result: Result

    def run(self) -> None:
        """Do the work."""
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001  (raised by `result`)
            self._error = error
        finally:
            del self._work  # it may hold what holds this
            self._done.release()

    def result(self) -> Result:
        """Wait for the end; return what the work returned. Raises what it raised."""
        self._done.acquire()
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._result


class Threads:
    """Threads that are started when they are needed, and stay."""

    def __init__(self, most: int = THREADS_MAX) -> None:
        self._most = most
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Begin anew: a fork takes no threads along."""
        self._lock = threading.Lock()
        self._waiting: SimpleQueue[Started[object]] = SimpleQueue()
        self._count = 0
        self._idle = 0

    def start(self, work: Callable[[], Result]) -> Started[Result]:
        """Begin `work`."""
        started = Started(work)
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._count < self._most:
                self._count += 1
                threading.Thread(target=self._serve, name="anys3-beside", daemon=True).start()
        self._waiting.put(started)  # type: ignore[arg-type]
        return started

    def _serve(self) -> None:
        step_back()
        waiting, lock = self._waiting, self._lock
        while True:
            waiting.get().run()
            with lock:
                self._idle += 1


THREADS = Threads()


class Blocks:
    """Blocks of BUFFER bytes that are filled one after the other, and consumed in their order.

    They are consumed in turn with being filled, after `overlap` beside it.
    """

    __slots__ = ("_buffer", "_other", "_spare", "_threads", "_under_way", "filled", "view")

    def __init__(self, threads: Threads = THREADS) -> None:
        self._threads = threads
        self._buffer = BUFFERS.take()
        self._spare: mmap.mmap | None = None
        self.view = memoryview(self._buffer)
        """The block to fill."""
        self.filled = 0
        """How many bytes it has."""
        self._other: memoryview | None = None
        self._under_way: Started[None] | None = None

    def overlap(self) -> None:
        """Fill the next block while a thread consumes one, if there is memory to spare. To be called once."""
        self._spare = BUFFERS.take_spare()
        self._other = None if self._spare is None else memoryview(self._spare)

    def fill(self, data: memoryview | bytes, make_room: Callable[[], None]) -> None:
        """Append. Where more comes than there is room for, `make_room` is called, which has to `consume`."""
        view = memoryview(data).cast("B")
        while len(view):
            if self.filled == BUFFER:
                make_room()
            piece = view[: BUFFER - self.filled]
            end = self.filled + len(piece)
            self.view[self.filled : end] = piece
            self.filled = end
            view = view[len(piece) :]

    def consume(self, consume: Callable[[memoryview], None]) -> None:
        """Let what is filled be consumed; `view` is to be filled anew. Raises what consuming raised."""
        filled = self.view[: self.filled]
        if self._other is None:
            consume(filled)
        else:
            self.settle()
            self._under_way = self._threads.start(partial(consume, filled))
            self.view, self._other = self._other, self.view
        self.filled = 0

    def settle(self) -> None:
        """Wait for the end of what is consumed. Raises what that raised."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def close(self) -> None:
        """Give the memory back, once nobody uses it. To be called once."""
        with contextlib.suppress(Exception):
            self.settle()
        BUFFERS.give(self._buffer)
        if self._spare is not None:
            BUFFERS.give_spare(self._spare)
