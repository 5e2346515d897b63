"""Blobs in a pool of Ceph RADOS, replicated or erasure-coded: written in whole stripes, several under way."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import threading
from collections import deque
from collections.abc import Iterator, Sequence

from anys3.store.blobs import NAME, probe
from anys3.store.buffers import Buffers
from anys3.store.errors import StoreError, StoreFull, Unavailable
from anys3.store.figures import Figure
from anys3.store.rados import stripes
from anys3.store.rados.connection import Client, Connection, Operation, parse
from anys3.store.rados.reading import RadosReader
from anys3.store.rados.stripes import STRIPE

UNDER_WAY = 4
"""Stripes that one blob has under way, where there is memory to spare."""
_SPARES = threading.BoundedSemaphore(16)
"""What librados holds of stripes that are under way besides one for each blob: 64 MiB in all."""
_BUFFERS = Buffers(spares_max=0, kept=8, size=STRIPE)
_COUNT_STEP = 256
"""Of a blob of unknown length, the first stripe says so many (1 GiB) more than there are."""


def open_blobs(url: str) -> RadosBlobs:
    """Return the blobs of `rados://POOL?conf=...&id=...&namespace=...&timeout=...`. Raises ValueError.

    Connects when it is used first, which must be in the process that goes on using it.
    """
    return RadosBlobs(Client(parse(url)))


class RadosBlobs:
    """Blobs in a pool; see Blobs."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def sink(self, name: str, length: int | None) -> RadosSink:
        """Return what takes the bytes of a new blob. Raises Unavailable."""
        return RadosSink(self._client.connection(), name, length)

    def reader(self, name: str, start: int, length: int) -> RadosReader:
        """Return a reader of a range, which connects when it is asked."""
        return RadosReader(self._client, name, start, length)

    def remove(self, names: Sequence[str]) -> None:
        """Remove blobs: those of one stripe by one operation each, many at a time. Raises Unavailable."""
        connection = self._client.connection()
        for at in range(0, len(names), stripes.REMOVALS):
            batch = names[at : at + stripes.REMOVALS]
            under_way = [stripes.remove_single(connection, name) for name in batch]
            ended = [operation.wait(errno.ENOENT, errno.ECANCELED) for operation in under_way]
            for name, code in zip(batch, ended, strict=True):
                if code == -errno.ECANCELED:
                    stripes.remove_all(connection, name, stripes.count(connection, name))

    def names(self) -> Iterator[str]:
        """Yield the names of all blobs. Raises Unavailable."""
        for found in self._client.connection().objects():
            name = found.removesuffix(stripes.FIRST)
            if name != found and NAME.fullmatch(name):
                yield name

    def check(self) -> None:
        """Write, read and remove a blob. Raises StoreFull, Unavailable."""
        probe(self)

    def figures(self) -> Sequence[Figure]:
        """Return how many operations there were, are, and failed."""
        return self._client.counts.figures()

    def close(self) -> None:
        """Wait for what is under way, and disconnect. Idempotent."""
        self._client.close()


class RadosSink:
    """Writes one blob; see BlobSink."""

    def __init__(self, connection: Connection, name: str, length: int | None) -> None:
        self._connection = connection
        self._name = name
        self._buffer: mmap.mmap | None = _BUFFERS.take()
        # What the first stripe says, or will say, of the number of stripes.
        self._count = 0 if length is None else max(-(-length // STRIPE), 1)
        self._begun = 0  # stripes
        self._under_way: deque[tuple[Operation, bool]] = deque()  # and whether it takes one of the spares
        self._filled = 0
        self._has_failed = False
        self._may_remove = True

    def write(self, data: memoryview | bytes) -> None:
        """Append. Raises StoreFull, Unavailable."""
        view = memoryview(data).cast("B")
        while len(view):
            buffer = self._open()
            if self._filled == STRIPE:
                self._begin(buffer, is_last=False)
            piece = view[: STRIPE - self._filled]
            end = self._filled + len(piece)
            buffer[self._filled : end] = piece
            self._filled = end
            view = view[len(piece) :]

    def finish(self) -> None:
        """Return when all stripes are acknowledged, and the first one says how many. Raises StoreFull, Unavailable."""
        self._begin(self._open(), is_last=True)
        while self._under_way:
            self._wait()
        if self._count != self._begun:
            self._set_count(self._begun)
        self._let_go()

    def discard(self) -> None:
        """Wait for what is under way, and remove it, unless the cluster does not answer."""
        if self._buffer is None:
            return
        self._let_go()
        while self._under_way:
            with contextlib.suppress(StoreError):
                self._wait()
        if self._begun and self._may_remove:
            with contextlib.suppress(StoreError):
                stripes.remove_all(self._connection, self._name, self._begun)

    def _open(self) -> mmap.mmap:
        if self._buffer is None or self._has_failed:
            raise ValueError(f"blob {self._name} is finished or discarded, or has failed")
        return self._buffer

    def _begin(self, buffer: mmap.mmap, *, is_last: bool) -> None:
        """Begin to write a stripe. The first one is there before any other is begun."""
        number = self._begun
        if number == 0:
            self._count = self._count or (1 if is_last else _COUNT_STEP)
        elif number == 1:
            self._wait()
        if number == self._count:
            self._set_count(number + _COUNT_STEP)
        is_spare = self._take_turn()
        try:
            address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
            operation = stripes.write(
                self._connection, self._name, number, (address, self._filled), self._count
            )
        except BaseException:
            self._has_failed = True
            if is_spare:
                _SPARES.release()
            raise
        self._under_way.append((operation, is_spare))
        self._begun += 1
        self._filled = 0

    def _take_turn(self) -> bool:
        """Wait until one more may be under way; return whether it takes one of the spares."""
        while self._under_way:
            if len(self._under_way) < UNDER_WAY and _SPARES.acquire(blocking=False):
                return True
            self._wait()
        return False

    def _wait(self) -> None:
        """Wait for the oldest stripe that is under way. Raises StoreFull, Unavailable."""
        operation, is_spare = self._under_way.popleft()
        try:
            code = operation.wait(errno.EEXIST)
        except StoreFull:
            self._has_failed = True
            raise
        except Unavailable:
            self._has_failed, self._may_remove = True, False  # what waits for its timeout needs no second one
            raise
        finally:
            if is_spare:
                _SPARES.release()
        if code == -errno.EEXIST:
            self._has_failed, self._may_remove = True, False  # it is somebody else's
            raise Unavailable(f"{operation.what} exists already: do two stores share the pool and namespace?")

    def _set_count(self, count: int) -> None:
        self._count = count
        try:
            stripes.set_count(self._connection, self._name, count)
        except StoreError:
            self._has_failed = True
            raise

    def _let_go(self) -> None:
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            _BUFFERS.give(buffer)

    def __del__(self) -> None:
        for _, is_spare in self._under_way:
            if is_spare:
                _SPARES.release()
