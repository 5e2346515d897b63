"""Bugs planted in the server or in scrub: each must be found."""

from __future__ import annotations

from typing import Any

from anys3.server import workers
from anys3.store.embedded import engine, multipart, reading, rows, strides
from anys3.store.embedded.format import Reference, pack_id
from anys3.store.embedded.scrub import Scrub
from anys3.store.errors import Corrupt


def restarts_at_once() -> None:
    """No bug: a worker that ended is started again without the growing delay, so that a run takes less time."""
    workers._FIRST_DELAY_S = workers._LAST_DELAY_S = 0.02


def blocks_are_not_verified() -> None:
    """The checksums of a blob's blocks are not compared."""
    restarts_at_once()
    reading.OpenBlob._verify = lambda *_: None  # type: ignore[method-assign,assignment]


def the_last_block_is_not_verified() -> None:
    """The last block of a read is not compared."""
    restarts_at_once()
    real = reading.OpenBlob._verify

    def verify(self: Any, view: memoryview, base: int, sums: Any, index: int) -> None:
        keep = (len(view) - 1) // reading.BLOCK * reading.BLOCK
        real(self, view[:keep], base, sums, index)

    reading.OpenBlob._verify = verify  # type: ignore[method-assign]


def rows_are_not_verified() -> None:
    """The checksums of the index's rows are not compared."""
    restarts_at_once()
    rows.Rows.check = lambda *_: None  # type: ignore[method-assign,assignment]
    rows.Rows.check_all = lambda *_: None  # type: ignore[method-assign,assignment]


def inline_contents_are_not_verified() -> None:
    """The CRC32 of bytes that lie in the index is not compared."""
    restarts_at_once()

    def content(index: Any, reference: Reference, txn: Any = None) -> bytes:
        if txn is None:
            with index.env.begin() as txn_:
                return content(index, reference, txn_)
        return txn.get(pack_id(reference.id), db=index.inline) or b""

    multipart.inline_content = content  # type: ignore[assignment]
    engine.inline_content = content  # type: ignore[assignment]


def a_listing_skips_damaged_rows() -> None:
    """LIST leaves out the rows that it can't read."""
    restarts_at_once()
    real = strides.flat_page

    class Skipping(rows.Rows):
        def check_all(self, page: list[tuple[bytes, bytes]]) -> None:
            for pair in list(page):
                try:
                    self.check(*pair)
                except Corrupt:
                    page.remove(pair)

    def flat_page(txn: Any, table: rows.Rows, *rest: Any) -> Any:
        lenient = Skipping(table.table, table.db)
        return real(txn, lenient, *rest)

    strides.flat_page = flat_page  # type: ignore[assignment]


def scrub_forgets_the_parts_of_uploads() -> None:
    """Scrub reads objects, and not the parts of unfinished uploads."""
    Scrub._upload = lambda *_: None  # type: ignore[method-assign,assignment]


def misses_are_believed() -> None:
    """Nobody asks the neighbours of a row that was not found."""
    restarts_at_once()
    rows.Rows.confirm_absent = lambda *_: None  # type: ignore[method-assign,assignment]
