"""The bytes of opened objects that don't come with the row: blobs, and the parts of multipart objects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial

from anys3.model import Entry, Part
from anys3.store import contents
from anys3.store.blobs import Blobs
from anys3.store.contents import Piece
from anys3.store.errors import Corrupt
from anys3.store.postgresql import rows
from anys3.store.postgresql.connections import RETRY_S, STATEMENT_S, Pool
from anys3.store.postgresql.lease import Reading
from anys3.store.postgresql.side import Side

_PIECES_AT_ONCE = 64


class Source(contents.Source):
    """An opened object's bytes; see interface.Source."""

    def __init__(
        self,
        reading: Reading,
        blobs: Blobs,
        pieces: contents.Pieces,
        parts: Callable[[], Awaitable[Sequence[Part]]],
        owner: tuple[str, bytes],
    ) -> None:
        super().__init__(blobs, pieces, parts, owner, reading.end)
        self._reading = reading

    def blocks(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes, verified. Raises Corrupt, Unavailable."""
        try:
            yield from super().blocks(start, length)
        except Corrupt:
            self._reading.check()  # a process that was taken for dead finds nothing, and nothing is damaged
            raise


class Sources:
    """Makes sources."""

    def __init__(self, schema: str, pool: Pool, side: Side, side_pool: Pool, blobs: Blobs) -> None:
        self._pool = pool
        self._side = side
        self._side_pool = side_pool
        self._blobs = blobs
        self._all_parts = f"SELECT {rows.PART} FROM {schema}.part WHERE owner = $1 ORDER BY number"
        self._some_parts = (
            f"SELECT number, start, size, kind, crc, blob, content FROM {schema}.part"
            f" WHERE owner = $1 AND number > $2 AND start < $3 AND start + size > $4 AND size > 0 ORDER BY number"
            f" LIMIT {_PIECES_AT_ONCE}"
        )

    def source(self, reading: Reading, entry: Entry, owner: tuple[str, bytes]) -> Source:
        """Return the source of an entry's bytes, which ends the reading."""
        reference = entry.content
        assert isinstance(reference, rows.Reference)
        if reference.kind == rows.PARTS:
            pieces = partial(self._pieces, reference.owner)
            return Source(reading, self._blobs, pieces, partial(self.parts, reference.owner), owner)
        assert reference.blob is not None
        return self.blob(reading, reference.blob, entry.size, owner)

    def blob(self, reading: Reading, name: str, size: int, owner: tuple[str, bytes]) -> Source:
        """Return the source of the bytes of one blob, which ends the reading."""
        whole = Piece(0, size, name)
        return Source(reading, self._blobs, lambda *_: iter((whole,)), _no_parts, owner)

    async def parts(self, owner: int | None) -> Sequence[Part]:
        """Return the parts of an object."""
        return [rows.part(row) for row in await self._pool.read(self._all_parts, owner)]

    def _pieces(self, owner: int | None, start: int, end: int) -> Iterator[Piece]:
        """Yield the parts that hold these bytes, some at a time. Blocks; for threads."""
        number = 0
        while start < end:
            read = self._side_pool.read(self._some_parts, owner, number, end, start)
            found = self._side.wait(read, STATEMENT_S + RETRY_S)
            for number, at, size, kind, crc, blob, content in found:
                if kind == rows.INLINE:
                    yield Piece(at, size, rows.verified(content, size, crc, f"part {number}"))
                else:
                    yield Piece(at, size, blob)
            if len(found) < _PIECES_AT_ONCE:
                return


async def _no_parts() -> Sequence[Part]:
    return ()
