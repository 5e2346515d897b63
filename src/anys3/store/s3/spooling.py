"""Where a large blob waits for its one PutObject, at a provider that has no multipart uploads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from mmap import PROT_READ, mmap
from tempfile import TemporaryFile
from typing import IO

from anys3.store.interface import StoreFull, Unavailable

_OBJECT_BYTES_MAX = 5 << 30
"""What one PutObject may have."""


class Spool:
    """Bytes in a file without a name, in the folder for temporary files."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._size = 0

    def append(self, piece: memoryview | bytearray) -> None:
        """Keep more bytes. Raises StoreFull, Unavailable."""
        self._size += len(piece)
        if self._size > _OBJECT_BYTES_MAX:
            raise StoreFull("the provider has no multipart uploads, and one PutObject has at most 5 GiB")
        try:
            self._file = self._file or TemporaryFile()  # noqa: SIM115 -- closed by `close`
            self._file.write(piece)
        except OSError as error:
            raise _unavailable(error) from None

    @contextmanager
    def body(self) -> Iterator[mmap]:
        """Give all bytes, of which there is one at least. Raises Unavailable."""
        assert self._file is not None
        try:
            self._file.flush()
            mapped = mmap(self._file.fileno(), 0, prot=PROT_READ)
        except OSError as error:
            raise _unavailable(error) from None
        with mapped:
            yield mapped

    def close(self) -> None:
        """Forget the bytes. Idempotent."""
        if self._file is not None:
            self._file.close()


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(f"a blob can't be kept in a temporary file until it is sent: {error.strerror}")
