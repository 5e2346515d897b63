"""Rows of the index are verified: each bit, their key, their table, their order, and that one is absent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.store.embedded.index import Index
from anys3.store.embedded.rows import MARK, Rows
from anys3.store.errors import Corrupt, StoreError

ROWS = Rows("entries", None)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "index").mkdir()
    opened = Index(tmp_path)
    yield opened
    opened.close()


def put(index: Index, *places: bytes) -> None:
    """Put sealed rows."""
    blobs = index.rows.blobs
    with index.env.begin(write=True) as txn:
        for place in places:
            txn.put(place, blobs.seal_content(place, b"row of " + place), db=blobs.db)


@given(st.binary(min_size=1, max_size=500), st.binary(max_size=500))
def test_what_was_sealed_is_whole(place: bytes, content: bytes) -> None:
    assert ROWS.content(place, ROWS.seal_content(place, content)) == content


@pytest.mark.parametrize("bit", range(8 * len(ROWS.seal_content(b"key", b"content"))))
def test_no_flipped_bit_passes(bit: int) -> None:
    row = bytearray(ROWS.seal_content(b"key", b"content"))
    row[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Corrupt, match="the row b'key' of the table entries is damaged"):
        ROWS.check(b"key", bytes(row))


def test_a_row_under_another_key_or_in_another_table_is_damaged() -> None:
    row = ROWS.seal_content(b"key", b"content")
    for place, table in ((b"kez", "entries"), (b"key", "uploads"), (b"ke", "entries"), (b"keyy", "entries")):
        with pytest.raises(Corrupt):
            Rows(table, None).check(place, row)


def test_a_row_without_a_checksum_passes_only_where_old_ones_may_be() -> None:
    rows = Rows("entries", None)
    with pytest.raises(Corrupt):
        rows.check(b"key", b"\1old")
    rows.allows_old = True
    assert rows.content(b"key", b"\1old") == b"\1old"
    with pytest.raises(Corrupt):
        rows.check(b"key", MARK + b"new and damaged")


@given(st.sets(st.binary(min_size=1, max_size=9), min_size=2, max_size=9), st.data())
def test_a_page_with_one_damaged_row_is_refused(places: set[bytes], data: st.DataObject) -> None:
    page = [(place, ROWS.seal_content(place, b"x")) for place in sorted(places)]
    ROWS.check_all(page)
    number = data.draw(st.integers(0, len(page) - 1))
    place, row = page[number]
    at = data.draw(st.integers(0, len(row) - 1))
    page[number] = (place, row[:at] + bytes([row[at] ^ data.draw(st.integers(1, 255))]) + row[at + 1 :])
    with pytest.raises(Corrupt):
        ROWS.check_all(page)


def test_a_page_out_of_order_or_with_a_row_twice_is_refused() -> None:
    one, two = ((place, ROWS.seal_content(place, b"x")) for place in (b"1", b"2"))
    for page in ([two, one], [one, one, two]):
        with pytest.raises(Corrupt, match="out of order"):
            ROWS.check_all(page)


@pytest.mark.parametrize("place", [b"a", b"m", b"z"])
def test_a_row_is_absent_if_its_neighbours_say_so(index: Index, place: bytes) -> None:
    put(index, b"b", b"c", b"x", b"y")
    with index.env.begin() as txn:
        assert index.rows.blobs.get(txn, place) is None


def test_a_row_whose_key_was_damaged_is_not_absent(index: Index) -> None:
    put(index, b"b", b"m", b"x")
    blobs = index.rows.blobs
    with index.env.begin(write=True) as txn:
        row = txn.get(b"m", db=blobs.db)
        txn.delete(b"m", db=blobs.db)
        txn.put(b"o", row, db=blobs.db)
    with index.env.begin() as txn, pytest.raises(Corrupt):
        blobs.get(txn, b"m")
    with index.env.begin() as txn, pytest.raises(Corrupt):
        blobs.get(txn, b"w")


@pytest.mark.parametrize(
    ("start", "first"), [(b"a", b"b"), (b"b", b"b"), (b"c", b"m"), (b"x", b"x"), (b"y", b"")]
)
def test_a_walk_begins_at_the_first_row_that_is_not_before_its_start(
    index: Index, start: bytes, first: bytes
) -> None:
    put(index, b"b", b"m", b"x")
    with index.env.begin() as txn, txn.cursor(db=index.blobs) as cursor:
        is_there = index.rows.blobs.seek(cursor, start)
        assert (cursor.key() if is_there else b"") == first


def test_an_index_that_lost_a_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    opened = Index(tmp_path)
    with opened.env.begin(write=True) as txn:
        txn.drop(opened.entries)
    opened.close()
    with pytest.raises(Corrupt, match="no table entries"):
        Index(tmp_path)


@pytest.mark.parametrize("at", range(44))
def test_damaged_counters_are_refused(index: Index, at: int) -> None:
    with index.env.begin(write=True) as txn:
        row = bytearray(txn.get(b"counters", db=index.meta))
        row[at] ^= 0x80
        txn.put(b"counters", bytes(row), db=index.meta)
    with pytest.raises(StoreError):
        index.counters()
