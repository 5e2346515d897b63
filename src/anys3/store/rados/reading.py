"""Read ranges of blobs, a few pieces ahead of being asked."""

from __future__ import annotations

import ctypes
import errno
import mmap
from collections import deque
from typing import NamedTuple

from anys3.store.blobs import BlobMissing
from anys3.store.buffers import BUFFER, Buffers
from anys3.store.rados.connection import Client, Operation
from anys3.store.rados.stripes import STRIPE, object_name

AHEAD = 4
"""Pieces of at most 1 MiB that one reader has under way, where there is memory to spare."""
BUFFERS = Buffers(spares_max=24)


class _Piece(NamedTuple):
    """A read of `length` bytes that is under way."""

    operation: Operation
    length: int
    buffer: mmap.mmap
    is_spare: bool


class RadosReader:
    """Reads a range of one blob; see BlobReader."""

    def __init__(self, client: Client, name: str, start: int, length: int) -> None:
        self._client = client
        self._name = name
        self._at = start  # the first byte that RADOS was not asked for yet
        self._end = start + length
        self._pieces: deque[_Piece] = deque()
        self._given = 0  # bytes of the first piece that were handed out

    def read_into(self, view: memoryview) -> None:
        """Fill all of `view`. Raises BlobMissing, Unavailable."""
        try:
            if not self._pieces and 0 < len(view) == self._end - self._at:
                self._read_rest(view)
                return
            while len(view):
                self._read_ahead()
                view = view[self._take(view) :]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancel what is under way."""
        while self._pieces:
            piece = self._pieces.popleft()
            piece.operation.cancel()
            _give_back(piece)

    def __del__(self) -> None:
        self.close()

    def _read_rest(self, view: memoryview) -> None:
        """Read all that is left to where it is wanted."""
        memory = ctypes.c_char.from_buffer(view)
        base = ctypes.addressof(memory) - self._at
        under_way: deque[tuple[Operation, int]] = deque()
        try:
            while self._at < self._end or under_way:
                while self._at < self._end and len(under_way) < AHEAD:
                    under_way.append(self._begin(base + self._at, STRIPE))
                self._finish(*under_way[0])
                under_way.popleft()
        finally:
            for operation, _ in under_way:
                operation.cancel()

    def _read_ahead(self) -> None:
        """Begin to read more, at least one piece if there is none."""
        while self._at < self._end and len(self._pieces) < AHEAD:
            is_spare = bool(self._pieces)
            buffer = BUFFERS.take_spare() if is_spare else BUFFERS.take()
            if buffer is None:
                return
            operation, count = self._begin(ctypes.addressof(ctypes.c_char.from_buffer(buffer)), BUFFER)
            self._pieces.append(_Piece(operation, count, buffer, is_spare))

    def _begin(self, address: int, most: int) -> tuple[Operation, int]:
        """Begin to read what comes next, within one stripe, to an address of memory."""
        number, offset = divmod(self._at, STRIPE)
        count = min(most, STRIPE - offset, self._end - self._at)
        connection = self._client.connection()
        operation = connection.read(object_name(self._name, number), address, count, offset)
        self._at += count
        return operation, count

    def _take(self, view: memoryview) -> int:
        """Copy from the first piece to `view`; return how much."""
        if not self._pieces:
            raise ValueError(f"more of blob {self._name} is asked for than was announced")
        piece = self._pieces[0]
        if self._given == 0:
            self._finish(piece.operation, piece.length)
        taken = min(len(view), piece.length - self._given)
        view[:taken] = memoryview(piece.buffer)[self._given : self._given + taken]
        self._given += taken
        if self._given == piece.length:
            self._given = 0
            _give_back(self._pieces.popleft())
        return taken

    def _finish(self, operation: Operation, count: int) -> None:
        """Wait for a read. Raises BlobMissing if not all the bytes are there."""
        found = operation.wait(errno.ENOENT)
        if found != count:
            raise BlobMissing(f"{operation.what} has not the {count} bytes that were asked for ({found})")


def _give_back(piece: _Piece) -> None:
    (BUFFERS.give_spare if piece.is_spare else BUFFERS.give)(piece.buffer)
