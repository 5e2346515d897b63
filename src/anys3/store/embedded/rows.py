"""The rows of the index's tables, each with a checksum over its table, its key and its bytes (decision 0008).

A row of format 2 is `F2 | bytes | trailer`. The trailer makes the CRC32 of the row's key and the row, begun
with a number of the table's own, end at that number again. So a row is verified by one comparison, a page of
rows by one as well, and a row under another key, or in another table, is as damaged as one with a flipped bit.

LMDB's pages have no checksum, and damage there may hide a row from a look-up. So nobody believes that a row is
absent before its neighbours confirm it: both must be whole, and lie on the right sides.
"""

from __future__ import annotations

from itertools import chain
from operator import lt
from typing import Any

from isal import isal_zlib

from anys3.store.errors import Corrupt

MARK = b"\xf2"
"""The first byte of a row of format 2; no row of format 1 begins with it, nor with one like it."""
TRAILER_SIZE = 4

_crc32 = isal_zlib.crc32


class Rows:
    """The rows of one table: its handle for LMDB, and how they are sealed and verified."""

    __slots__ = ("_change", "_start", "allows_old", "db", "table")

    def __init__(self, table: str, db: Any) -> None:
        self.table = table
        self.db = db
        self.allows_old = False
        """Whether rows of format 1, which have no checksum, may be there."""
        # Four zero bytes take the CRC32 from the change to the start, so the row's last four bytes, which are
        # what came before them changed by that number, take it from anywhere to the start.
        self._change = _crc32(b"anys3 rows of " + table.encode())
        self._start = _crc32(bytes(TRAILER_SIZE), self._change)

    def seal(self, place: bytes, row: bytes) -> bytes:
        """Return a row, which begins with `MARK`, with its trailer."""
        crc = _crc32(row, _crc32(place, self._start))
        return row + (crc ^ self._change).to_bytes(TRAILER_SIZE, "little")

    def seal_content(self, place: bytes, content: bytes) -> bytes:
        """Return a row made of bytes without a mark."""
        return self.seal(place, MARK + content)

    def check(self, place: bytes, row: bytes) -> None:
        """Raise Corrupt unless the row is what was put under that key."""
        if _crc32(row, _crc32(place, self._start)) != self._start and not self._is_old(row):
            raise Corrupt(f"the row {place!r} of the table {self.table} is damaged")

    def _is_old(self, row: bytes) -> bool:
        return self.allows_old and not row.startswith(MARK)

    def content(self, place: bytes, row: bytes) -> bytes:
        """Return what `seal_content` was given. Raises Corrupt."""
        self.check(place, row)
        return row[1:-TRAILER_SIZE] if row.startswith(MARK) else row

    def check_all(self, rows: list[tuple[bytes, bytes]]) -> None:
        """Raise Corrupt unless all of these are whole, and ascend: one page of a listing in one go."""
        if _crc32(b"".join(chain.from_iterable(rows)), self._start) != self._start:
            for place, row in rows:
                self.check(place, row)
        places = [place for place, _ in rows]
        if not all(map(lt, places, places[1:])):
            raise Corrupt(f"rows of the table {self.table} are out of order")

    def get(self, txn: Any, place: bytes) -> bytes | None:
        """Return a row as it lies there, verified; None if it is absent for sure. Raises Corrupt."""
        row: bytes | None = txn.get(place, db=self.db)
        if row is None:
            self.confirm_absent(txn, place)
        else:
            self.check(place, row)
        return row

    def get_content(self, txn: Any, place: bytes) -> bytes | None:
        """Return what `seal_content` was given, None if the row is absent for sure. Raises Corrupt."""
        row = self.get(txn, place)
        return row if row is None or not row.startswith(MARK) else row[1:-TRAILER_SIZE]

    def confirm_absent(self, txn: Any, place: bytes) -> None:
        """Raise Corrupt unless the rows beside the place say that nothing lies there, nor was looked past."""
        with txn.cursor(db=self.db) as cursor:
            if cursor.set_range(place):
                behind, row = cursor.item()
                self.check(behind, row)
                if behind <= place:
                    raise Corrupt(f"the row {place!r} of the table {self.table} is there, but not found")
                is_there = cursor.prev()
            else:
                is_there = cursor.last()
            if is_there:
                self._check_before(place, *cursor.item())

    def seek(self, cursor: Any, place: bytes) -> bool:
        """Go to the first row from `place` on, if the one before it says that it is the first. Raises Corrupt."""
        is_there: bool = cursor.set_range(place)
        if cursor.prev() if is_there else cursor.last():
            self._check_before(place, *cursor.item())
            return bool(cursor.next()) if is_there else False
        return is_there and bool(cursor.first())

    def _check_before(self, place: bytes, before: bytes, row: bytes) -> None:
        self.check(before, row)
        if before >= place:
            raise Corrupt(f"rows of the table {self.table} are out of order at {place!r}")
