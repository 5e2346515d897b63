"""The bytes of one store's contents as contents of another, verified on the way, in threads of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from anys3.store.interface import Source, Store
from anys3.store.moving.verifying import Sums

THREADS = 8
"""Contents that are read and written at a time, but for those that lie in the index."""


class Held(Protocol):
    """What is common to an opened object and an opened part."""

    @property
    def inline(self) -> bytes | None:
        """The bytes, or None if they have a source."""

    @property
    def source(self) -> Source | None:
        """The way to the bytes."""


class _Stopped(Exception):  # noqa: N818 (what happened)
    """The copy has ended, so nobody wants these bytes any more."""


class Contents:
    """Copies contents into one store."""

    def __init__(self, target: Store, count: Callable[[int], None]) -> None:
        """`count` is called, by any thread, with how many bytes have been written."""
        self._target = target
        self._count = count
        self._pool = ThreadPoolExecutor(THREADS, "anys3-copy")
        self._is_stopped = threading.Event()

    async def copy(self, held: Held, start: int, length: int, sums: Sums) -> object:
        """Return a content with these bytes. Raises Mismatch, Corrupt, StoreFull, Unavailable."""
        inline = held.inline
        if inline is not None and length <= self._target.inline_max:
            data = inline[start : start + length]
            sums.update(data)
            sums.check()
            self._count(length)
            return data
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._stream, held, start, length, sums)

    def _stream(self, held: Held, start: int, length: int, sums: Sums) -> object:
        writer = self._target.writer(length)
        try:
            if held.inline is not None:
                self._pass_on(held.inline[start : start + length], sums, writer.write)
            elif length:
                assert held.source is not None
                # Not closed: that would close the source, and other parts lie in it.
                for block in held.source.slice(start, length).blocks():
                    self._pass_on(block, sums, writer.write)
            sums.check()
            return writer.finish()
        except BaseException:
            writer.discard()
            raise

    def _pass_on(
        self, block: memoryview | bytes, sums: Sums, write: Callable[[memoryview | bytes], None]
    ) -> None:
        if self._is_stopped.is_set():
            raise _Stopped
        sums.update(block)
        write(block)
        self._count(len(block))

    async def close(self) -> None:
        """End the threads, whatever they are at."""
        self._is_stopped.set()
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
