"""Blobs, read: each block is verified before anybody sees a byte of it (CON-08)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence

from anys3.model import Part
from anys3.store.embedded import device
from anys3.store.embedded.blobs import BLOCK, BUFFER, BUFFERS, FOOTER, MAGIC, VERSION, Files
from anys3.store.embedded.format import Reference, crc32
from anys3.store.interface import Corrupt, Unavailable


class OpenBlob:
    """A blob held open: it can be read whatever becomes of its name."""

    def __init__(self, files: Files, reference: Reference) -> None:
        """Open a blob. Raises FileNotFoundError, Corrupt if the file has another size, Unavailable."""
        self.reference = reference
        try:
            self.descriptor = device.open_to_read(files.path(reference.id))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unavailable(f"{files.path(reference.id)}: {error.strerror}") from error
        blocks = -(-reference.size // BLOCK)
        self._trailer = 4 * blocks + FOOTER.size
        if os.fstat(self.descriptor).st_size != reference.size + self._trailer:
            self.close()
            raise Corrupt(f"blob {reference.id} has another size than its row says")

    def blocks(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield `length` bytes from `start` on, each block verified. Raises Corrupt (CON-08)."""
        if length == 0:
            return
        table = self._read_table()
        first = start // BLOCK
        end = start + length
        buffer = BUFFERS.take()
        try:
            whole = memoryview(buffer)
            while first * BLOCK < end:
                # Whole blocks, as many as the buffer holds; the file's last block may be shorter.
                upto = min((first + BUFFER // BLOCK) * BLOCK, -(-end // BLOCK) * BLOCK, self.reference.size)
                base = first * BLOCK
                view = whole[: upto - base]
                self._read_verified(view, base, table)
                yield view[max(start, base) - base : min(end, upto) - base]
                first += BUFFER // BLOCK
        finally:
            BUFFERS.give(buffer)

    def _read_verified(self, view: memoryview, base: int, table: Sequence[int]) -> None:
        self._read(view, base)
        for at in range(0, len(view), BLOCK):
            if crc32(view[at : at + BLOCK]) != table[(base + at) // BLOCK]:
                raise Corrupt(
                    f"blob {self.reference.id} is damaged between {base + at} and {base + at + BLOCK}"
                )

    def _read(self, view: memoryview, offset: int) -> None:
        try:
            got = device.read_at(self.descriptor, view, offset)
        except OSError as error:
            raise Corrupt(f"blob {self.reference.id} cannot be read: {error.strerror}") from error
        if got != len(view):
            raise Corrupt(f"blob {self.reference.id} is too short")

    def _read_table(self) -> Sequence[int]:
        trailer = bytearray(self._trailer)
        self._read(memoryview(trailer), self.reference.size)
        magic, version, _, block, size, crc = FOOTER.unpack(trailer[-FOOTER.size :])
        table = bytes(trailer[: -FOOTER.size])
        expected = (MAGIC, VERSION, BLOCK, self.reference.size, self.reference.crc)
        if (magic, version, block, size, crc) != expected or crc32(table) != crc:
            raise Corrupt(f"blob {self.reference.id} has a damaged trailer")
        return struct.unpack(f">{len(table) // 4}I", table)

    def close(self) -> None:
        """Close. Idempotent."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        if getattr(self, "descriptor", -1) >= 0:
            self.close()


class BlobContent:
    """A slice of a blob; see Content."""

    def __init__(self, blob: OpenBlob, start: int, length: int) -> None:
        self.length = length
        self._blob = blob
        self._start = start

    def blocks(self) -> Iterator[memoryview]:
        """Yield the bytes, verified."""
        return self._blob.blocks(self._start, self.length)

    def close(self) -> None:
        """Close the blob."""
        self._blob.close()


class BlobSource:
    """The bytes of an object that is one blob."""

    def __init__(self, blob: OpenBlob) -> None:
        self.blob = blob

    def slice(self, start: int, length: int) -> BlobContent:
        """Return `length` bytes from `start` on."""
        return BlobContent(self.blob, start, length)

    def parts(self) -> Sequence[Part]:
        """Return no parts."""
        return ()

    def close(self) -> None:
        """Let go."""
        self.blob.close()
