"""Blobs, read: each block is verified before anybody sees a byte of it (CON-08)."""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from functools import partial

import lmdb

from anys3.model import Part
from anys3.protocol.http import Content
from anys3.store.beside import THREADS, Started
from anys3.store.buffers import BUFFER, BUFFERS
from anys3.store.contents import Slice
from anys3.store.embedded import device
from anys3.store.embedded.blobs import BLOCK, FOOTER, MAGIC, VERSION, Files
from anys3.store.embedded.format import Reference, crc32
from anys3.store.embedded.index import translate
from anys3.store.embedded.passing import Passage
from anys3.store.errors import Corrupt, StoreError, Unavailable
from anys3.store.interface import Source


@contextlib.contextmanager
def _pair(*, wants_spare: bool) -> Iterator[tuple[memoryview, memoryview]]:
    """Hold two buffers, or one buffer twice if a second one is not wanted or not there."""
    buffer = BUFFERS.take()
    spare = BUFFERS.take_spare() if wants_spare else None
    try:
        this = memoryview(buffer)
        yield this, this if spare is None else memoryview(spare)
    finally:
        BUFFERS.give(buffer)
        if spare is not None:
            BUFFERS.give_spare(spare)


class OpenBlob:
    """A blob held open: it can be read whatever becomes of its name."""

    def __init__(self, files: Files, reference: Reference) -> None:
        """Open a blob. Raises FileNotFoundError, Corrupt if the file has another size, Unavailable."""
        self.reference = reference
        self._lock = threading.Lock()  # a thread that reads ahead has the descriptor to itself
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
        self._passage = Passage(self.descriptor, reference.id, files.recent)

    def blocks(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield `length` bytes from `start` on, each block verified. Raises Corrupt (CON-08).

        While one stretch is in use a thread reads the next one, if there is memory to spare.
        """
        if length == 0:
            return
        end = start + length
        first, stop = start // BLOCK, min(-(-end // BLOCK) * BLOCK, self.reference.size)
        sums = self._read_sums(first, -(-stop // BLOCK))
        self._passage.begin(start, length)

        def fill(buffer: memoryview, base: int) -> None:
            length = min(BUFFER, stop - base)
            self._read(buffer, length, base)
            self._verify(buffer[:length], base, sums, base // BLOCK - first)

        with _pair(wants_spare=length > BUFFER) as (this, other):
            ahead: Started[None] | None = None
            try:
                for base in range(first * BLOCK, end, BUFFER):
                    if ahead is None:
                        fill(this, base)
                    else:
                        waited, ahead = ahead, None
                        waited.result()
                        this, other = other, this
                    behind = base + BUFFER
                    if other is not this and behind < end and not self._passage.is_at_hand(behind):
                        ahead = THREADS.start(partial(fill, other, behind))
                    yield this[max(start - base, 0) : min(end - base, BUFFER)]
            finally:
                if ahead is not None:  # nobody wants it any more, but its thread writes to the buffer
                    with contextlib.suppress(Exception):
                        ahead.result()

    def _read(self, buffer: memoryview, length: int, offset: int) -> None:
        try:
            with self._lock:
                if self.descriptor < 0:
                    raise Corrupt(f"blob {self.reference.id} was closed")
                got = self._passage.read(buffer, length, offset)
        except OSError as error:
            raise Corrupt(f"blob {self.reference.id} cannot be read: {error.strerror}") from error
        if got < length:
            raise Corrupt(f"blob {self.reference.id} is too short")

    def _verify(self, view: memoryview, base: int, sums: Sequence[int], index: int) -> None:
        """Compare the checksums of whole blocks. The file's last block may be shorter than the others."""
        for number, at in enumerate(range(0, len(view), BLOCK), index):
            if crc32(view[at : at + BLOCK]) != sums[number]:
                raise Corrupt(
                    f"blob {self.reference.id} is damaged between {base + at} and {base + at + BLOCK}"
                )

    def _read_sums(self, first: int, behind: int) -> Sequence[int]:
        """Return the checksums of the blocks from `first` to before `behind`, after checking the table."""
        trailer = bytearray(self._trailer)
        try:
            with self._lock:
                got = self._passage.read_through(memoryview(trailer), self.reference.size)
        except OSError as error:
            raise Corrupt(f"blob {self.reference.id} cannot be read: {error.strerror}") from error
        if got != len(trailer):
            raise Corrupt(f"blob {self.reference.id} is too short")
        magic, version, _, block, size, crc = FOOTER.unpack_from(trailer, self._trailer - FOOTER.size)
        expected = (MAGIC, VERSION, BLOCK, self.reference.size, self.reference.crc)
        table = memoryview(trailer)[: -FOOTER.size]
        if (magic, version, block, size, crc) != expected or crc32(table) != crc:
            raise Corrupt(f"blob {self.reference.id} has a damaged trailer")
        return struct.unpack_from(f">{behind - first}I", table, 4 * first)

    def close(self) -> None:
        """Close, after what is being read. Idempotent."""
        with self._lock:
            if self.descriptor >= 0:
                os.close(self.descriptor)
                self.descriptor = -1

    def __del__(self) -> None:
        if getattr(self, "descriptor", -1) >= 0:
            self.close()


class BlobSource:
    """The bytes of an object that is one blob."""

    def __init__(self, blob: OpenBlob) -> None:
        self.blob = blob

    def slice(self, start: int, length: int) -> Slice:
        """Return `length` bytes from `start` on."""
        return Slice(self.blob, start, length)

    async def parts(self) -> Sequence[Part]:
        """Return no parts."""
        return ()

    def close(self) -> None:
        """Let go."""
        self.blob.close()


class OwnedSource:
    """A source that says to which object the damage belongs that reading it meets. Copies of it keep its name."""

    def __init__(self, source: Source, bucket: str, key: bytes) -> None:
        self.source = source
        self._bucket = bucket
        self._key = key

    def slice(self, start: int, length: int) -> OwnedContent:
        """Return `length` bytes from `start` on."""
        return OwnedContent(self.source.slice(start, length), self._bucket, self._key)

    async def parts(self) -> Sequence[Part]:
        """Return the parts, in order. Raises Corrupt."""
        try:
            return await self.source.parts()
        except lmdb.Error as error:
            raise _translate(error, self._bucket, self._key) from error
        except Corrupt as error:
            raise error.about(self._bucket, self._key) from None

    def close(self) -> None:
        """Let go."""
        self.source.close()


class OwnedContent:
    """A slice of a named source; see Content."""

    def __init__(self, content: Content, bucket: str, key: bytes) -> None:
        self.length = content.length
        self._content = content
        self._bucket = bucket
        self._key = key

    def blocks(self) -> Iterator[memoryview]:
        """Yield the bytes, verified. Raises Corrupt."""
        try:
            yield from self._content.blocks()
        except lmdb.Error as error:
            raise _translate(error, self._bucket, self._key) from error
        except Corrupt as error:
            raise error.about(self._bucket, self._key) from None

    def close(self) -> None:
        """Close the content."""
        self._content.close()


def _translate(error: lmdb.Error, bucket: str, key: bytes) -> StoreError:
    failure = translate(error)
    return failure.about(bucket, key) if isinstance(failure, Corrupt) else failure
