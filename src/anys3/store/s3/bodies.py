"""Bodies of requests, which are sent again where a try fails."""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap
from tempfile import TemporaryFile
from typing import IO, Protocol

from anys3.store.buffers import BUFFER, BUFFERS
from anys3.store.errors import StoreFull, Unavailable

_OBJECT_BYTES_MAX = 5 << 30
"""What one PutObject may have."""


class Body(Protocol):
    """Bytes that can be sent any number of times. `len` is how many."""

    def __len__(self) -> int: ...

    def pieces(self) -> Iterator[memoryview]:
        """Yield the bytes, a mebibyte at a time."""

    def append(self, data: memoryview) -> None:
        """Add bytes. The memory may be used again after the call. Raises StoreFull, Unavailable."""

    def close(self) -> None:
        """Forget the bytes. Idempotent."""


class InMemory:
    """A body in the buffers that all large transfers use again."""

    def __init__(self) -> None:
        self._buffers: list[mmap] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def pieces(self) -> Iterator[memoryview]:
        """Yield the bytes, a buffer at a time."""
        for number, buffer in enumerate(self._buffers):
            yield memoryview(buffer)[: min(self._size - number * BUFFER, BUFFER)]

    def append(self, data: memoryview) -> None:
        """Add bytes."""
        while len(data):
            at = self._size % BUFFER
            if not at:
                self._buffers.append(BUFFERS.take())
            piece = data[: BUFFER - at]
            self._buffers[-1][at : at + len(piece)] = piece
            self._size += len(piece)
            data = data[len(piece) :]

    def close(self) -> None:
        """Give the memory back. Idempotent."""
        while self._buffers:
            BUFFERS.give(self._buffers.pop())


class Spooled:
    """The body of a large PutObject, in a file without a name in the folder for temporary files.

    At a provider that has no multipart uploads that is how a large blob is sent.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def pieces(self) -> Iterator[memoryview]:
        """Yield the bytes. Raises Unavailable."""
        assert self._file is not None
        try:
            self._file.seek(0)
            while piece := self._file.read(BUFFER):
                yield memoryview(piece)
        except OSError as error:
            raise _unavailable(error) from None

    def append(self, data: memoryview) -> None:
        """Add bytes. Raises StoreFull, Unavailable."""
        self._size += len(data)
        if self._size > _OBJECT_BYTES_MAX:
            raise StoreFull("the provider has no multipart uploads, and one PutObject has at most 5 GiB")
        try:
            self._file = self._file or TemporaryFile()  # noqa: SIM115 -- closed by `close`
            self._file.write(data)
        except OSError as error:
            raise _unavailable(error) from None

    def close(self) -> None:
        """Remove the file. Idempotent."""
        if self._file is not None:
            self._file.close()


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(f"a blob can't be kept in a temporary file until it is sent: {error.strerror}")
