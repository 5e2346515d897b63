"""The store's contents on an engine for blobs: what is too large for the index, with checksums of our own.

    block of 256 KiB | its CRC32, 4 bytes | block | CRC32 | ... | last block, perhaps shorter | CRC32

A CRC32 goes on from that of the blob's name and the block's number, so that a block in a wrong place does not pass
for a right one. A range of an object is one range of the blob, and each block is verified before anybody sees a byte
of it (CON-08).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from isal import isal_zlib

from anys3.model import Part
from anys3.store.beside import THREADS, Blocks
from anys3.store.blobs import Blobs, BlobSink
from anys3.store.errors import Corrupt

BLOCK = 256 * 1024
"""Bytes that share a checksum."""
_CRC = 4
INLINE_MAX = 64 * 1024
"""Bytes of the largest content that lies in a remote index."""


def blob_size(size: int) -> int:
    """Return how many bytes the blob of a content of `size` bytes has."""
    return size + _CRC * -(-size // BLOCK)


class Stored:
    """A content that is a finished blob.

    `is_claimed`: a commit has named it, or may have; only the index can tell from then on.
    """

    __slots__ = ("is_claimed", "name", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.is_claimed = False


class Names(Protocol):
    """Where a writer gets names of blobs: an index, which knows of each before its first byte is written."""

    def new_name(self) -> str:
        """Return a name that no blob has had. Blocks; for threads. Raises Unavailable."""

    def give_up(self, name: str) -> None:
        """Take a name back that nothing will ever refer to: the blob goes, now or later. For any thread."""


class Writer:
    """Writes one content; see ContentWriter. What stays small enough is returned as bytes.

    `discard` comes at any time from any thread, the event loop's too, which must not wait for an engine: whoever
    is writing then clears up, else a thread beside does.
    """

    def __init__(self, blobs: Blobs, names: Names, length: int | None, inline_max: int = INLINE_MAX) -> None:
        self._blobs = blobs
        self._names = names
        self._length = length
        self._inline_max = inline_max
        self._lock = threading.Lock()
        self._is_busy = False
        self._is_over = False
        self._blocks: Blocks | None = Blocks()
        self._count = 0  # blocks given to the sink
        self._size = 0
        self._name = ""
        self._sink: BlobSink | None = None
        self._stored: Stored | None = None

    def write(self, data: memoryview | bytes) -> None:
        """Append. Raises StoreFull, Unavailable."""
        with self._working() as blocks:
            blocks.fill(data, partial(self._flush, blocks))

    def finish(self) -> object:
        """Make the bytes durable and return the content. Raises StoreFull, Unavailable."""
        with self._working() as blocks:
            content: bytes | Stored
            if blocks.filled <= self._inline_max and self._sink is None:
                content = bytes(blocks.view[: blocks.filled])
            else:
                blocks.settle()
                sink = self._begin()
                self._take(blocks.view[: blocks.filled])
                sink.finish()
                self._sink = None
                content = self._stored = Stored(self._name, self._size)
            self._let_go()
            return content

    def discard(self) -> None:
        """Forget the bytes. Idempotent; does nothing after a commit that has named the content, or may have."""
        with self._lock:
            if self._is_over or (self._stored is not None and self._stored.is_claimed):
                return
            self._is_over = True
            if self._is_busy:
                return
        if self._sink is None:
            self._clear_up()
        else:
            THREADS.start(self._clear_up)

    @contextlib.contextmanager
    def _working(self) -> Iterator[Blocks]:
        """Hold the buffer; after an error, or if it is not wanted any more, nothing is left."""
        with self._lock:
            if self._is_over or self._blocks is None:
                raise ValueError("the content is finished or discarded")
            self._is_busy = True
        has_failed = True
        try:
            yield self._blocks
            has_failed = False
        finally:
            with self._lock:
                self._is_busy = False
                self._is_over = is_over = self._is_over or has_failed
            if is_over:
                self._clear_up()

    def _clear_up(self) -> None:
        """Remove what is there of the blob, and take its name back once nothing more is written under it."""
        self._let_go()
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.discard()
        if self._name:
            self._names.give_up(self._name)

    def _flush(self, blocks: Blocks) -> None:
        """Write a full buffer, in a thread if there is memory to spare."""
        if self._sink is None:
            self._begin()
            blocks.overlap()
        blocks.consume(self._take)

    def _begin(self) -> BlobSink:
        if self._sink is None:
            self._name = self._names.new_name()
            length = None if self._length is None else blob_size(self._length)
            self._sink = self._blobs.sink(self._name, length)
        return self._sink

    def _take(self, view: memoryview) -> None:
        """Give whole blocks, or the last one, to the sink."""
        sink = self._sink
        assert sink is not None
        for at in range(0, len(view), BLOCK):
            block = view[at : at + BLOCK]
            sink.write(block)
            sink.write(_crc(self._name, self._count, block).to_bytes(_CRC, "big"))
            self._count += 1
        self._size += len(view)

    def _let_go(self) -> None:
        """Give the memory back, after what is being written."""
        blocks, self._blocks = self._blocks, None
        if blocks is not None:
            blocks.close()

    def __del__(self) -> None:
        if self._sink is not None or self._blocks is not None:
            with contextlib.suppress(Exception):
                self.discard()


class Piece(NamedTuple):
    """A stretch of an object: a blob by its name, or inline bytes."""

    offset: int
    size: int
    content: str | bytes


Pieces = Callable[[int, int], Iterator[Piece]]
"""`pieces(start, end)` yields the pieces that hold these bytes of an object, in order. Blocks; for threads."""


class Source:
    """An opened object's bytes, which stay until `close`; see interface.Source."""

    def __init__(
        self,
        blobs: Blobs,
        pieces: Pieces,
        parts: Callable[[], Awaitable[Sequence[Part]]],
        owner: tuple[str, bytes],
        let_go: Callable[[], None],
    ) -> None:
        """`owner` is the bucket and the key that damage belongs to; `let_go` is called once, by any thread."""
        self._blobs = blobs
        self._pieces = pieces
        self._parts = parts
        self._owner = owner
        self._let_go: Callable[[], None] | None = let_go

    def slice(self, start: int, length: int) -> Slice:
        """Return `length` bytes from `start` on."""
        return Slice(self, start, length)

    async def parts(self) -> Sequence[Part]:
        """Return the parts, in order. Raises Corrupt, Unavailable."""
        return await self._parts()

    def blocks(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes, verified. Raises Corrupt, Unavailable."""
        at, end = start, start + length
        try:
            for piece in self._pieces(start, end):
                skip = at - piece.offset
                taken = min(end - piece.offset, piece.size) - skip
                if skip < 0 or taken <= 0:
                    break
                if isinstance(piece.content, bytes):
                    yield memoryview(piece.content)[skip : skip + taken]
                else:
                    yield from read_blob(self._blobs, piece.content, piece.size, skip, taken)
                at += taken
            if at != end:
                raise Corrupt(f"the index has no bytes from {at} on")
        except Corrupt as error:
            raise error.about(*self._owner) from None

    def close(self) -> None:
        """Let go. Idempotent."""
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go()

    def __del__(self) -> None:
        self.close()


class Sliced(Protocol):
    """What slices are cut from."""

    def blocks(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield `length` bytes from `start` on, verified. Raises Corrupt, Unavailable."""

    def close(self) -> None:
        """Let go. Idempotent."""


class Slice:
    """A slice of an object; see Content."""

    def __init__(self, source: Sliced, start: int, length: int) -> None:
        self.length = length
        self._source = source
        self._start = start

    def blocks(self) -> Iterator[memoryview]:
        """Yield the bytes, verified."""
        return self._source.blocks(self._start, self.length)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def read_blob(blobs: Blobs, name: str, size: int, start: int, length: int) -> Iterator[memoryview]:
    """Yield `length` bytes from `start` on of a content of `size` bytes. Raises Corrupt, Unavailable."""
    if length == 0:
        return
    end = start + length
    first, behind = start // BLOCK, -(-end // BLOCK)
    stop = min(behind * BLOCK, size)
    base = first * BLOCK
    reader = blobs.reader(name, first * (BLOCK + _CRC), stop - base + _CRC * (behind - first))
    buffer = memoryview(bytearray(min(BLOCK, stop - base) + _CRC))
    try:
        for number in range(first, behind):
            base = number * BLOCK
            count = min(BLOCK, stop - base)
            reader.read_into(buffer[: count + _CRC])
            block = buffer[:count]
            if _crc(name, number, block) != int.from_bytes(buffer[count : count + _CRC], "big"):
                raise Corrupt(f"blob {name} is damaged between {base} and {base + count}")
            yield block[max(start - base, 0) : min(end - base, count)]
    finally:
        reader.close()


def _crc(name: str, number: int, block: memoryview) -> int:
    found: int = isal_zlib.crc32(block, isal_zlib.crc32(b"%b %d" % (name.encode(), number)))
    return found
