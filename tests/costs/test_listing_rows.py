"""How much of the index a LIST page reads: steps of the real LMDB cursors, counted on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from anys3.model import Bucket
from anys3.store.embedded import EmbeddedStore, open_store
from anys3.store.interface import Listing
from anys3.store.mutations import Mutation, PutEntry
from tests.store.suite import entry, new_bucket

PREFIXES, KEYS_EACH = 1_000, 12
Test = Callable[[EmbeddedStore, Bucket, "Reads"], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Reads:
    """What was asked of the index."""

    rows: int = 0
    """Rows that a cursor stood on, by a step or a seek."""
    seeks: int = 0
    gets: int = 0


class Counting:
    """Stands for something of LMDB and counts what is read through it; all else goes straight through."""

    def __init__(self, real: Any, reads: Reads) -> None:
        self._real = real
        self._reads = reads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __enter__(self) -> Counting:
        self._real.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self._real.__exit__(*error)


class CountingEnvironment(Counting):
    def begin(self, *arguments: Any, **options: Any) -> CountingTransaction:
        return CountingTransaction(self._real.begin(*arguments, **options), self._reads)


class CountingTransaction(Counting):
    def cursor(self, *arguments: Any, **options: Any) -> CountingCursor:
        return CountingCursor(self._real.cursor(*arguments, **options), self._reads)

    def get(self, *arguments: Any, **options: Any) -> Any:
        self._reads.gets += 1
        return self._real.get(*arguments, **options)


class CountingCursor(Counting):
    def set_range(self, key: bytes) -> bool:
        self._reads.seeks += 1
        self._reads.rows += 1
        found: bool = self._real.set_range(key)
        return found

    set_key = set_range

    def next(self) -> bool:
        self._reads.rows += 1
        found: bool = self._real.next()
        return found

    def prev(self) -> bool:
        self._reads.rows += 1
        found: bool = self._real.prev()
        return found

    def iternext(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        for row in self._real.iternext(*arguments, **options):
            self._reads.rows += 1
            yield row


@pytest.fixture
def on_full_bucket(tmp_path: Path) -> Callable[[Test], None]:
    """A function that runs a test on a bucket with many prefixes of many keys each."""

    async def body(test: Test) -> None:
        store = open_store(tmp_path / "store")
        try:
            bucket = await new_bucket(store)
            for number in range(PREFIXES):
                changes = [
                    PutEntry(b"p%04d/k%04d" % (number, key), entry(1), b"x") for key in range(KEYS_EACH)
                ]
                await store.commit(Mutation(bucket, tuple(changes)))
            reads = Reads()
            store.index.env = CountingEnvironment(store.index.env, reads)
            await test(store, bucket, reads)
        finally:
            await store.close()

    return lambda test: asyncio.run(body(test))


def size(page: Listing) -> tuple[int, int, bool]:
    """Return keys, common prefixes, and whether more follow."""
    return len(page.rows), len(page.prefixes), page.is_truncated


@pytest.mark.requirement("LIST-03")
@pytest.mark.parametrize("after", [b"", b"p0500/k0007"], ids=["first", "deep"])
def test_a_flat_page_reads_its_own_rows_and_one_more(
    on_full_bucket: Callable[[Test], None], after: bytes
) -> None:
    async def test(store: EmbeddedStore, bucket: Bucket, reads: Reads) -> None:
        page = await store.list(bucket, b"", b"", after, 1000)
        assert size(page) == (1000, 0, True)
        assert (reads.seeks, reads.rows <= 1010, reads.gets <= 1) == (1, True, True)

    on_full_bucket(test)


@pytest.mark.requirement("LIST-04")
@pytest.mark.parametrize(("limit", "is_truncated"), [(PREFIXES, False), (PREFIXES - 1, True)])
def test_a_page_of_common_prefixes_seeks_over_their_keys(
    on_full_bucket: Callable[[Test], None], limit: int, is_truncated: bool
) -> None:
    async def test(store: EmbeddedStore, bucket: Bucket, reads: Reads) -> None:
        page = await store.list(bucket, b"", b"/", b"", limit)
        assert size(page) == (0, limit, is_truncated)
        # A seek and a step for each prefix, and the probe that asks whether delimiters are about.
        assert reads.seeks <= PREFIXES + 3
        assert reads.rows <= 2 * PREFIXES + 20
        assert reads.gets <= 1

    on_full_bucket(test)


def test_a_page_below_one_prefix_reads_nothing_outside_it(on_full_bucket: Callable[[Test], None]) -> None:
    async def test(store: EmbeddedStore, bucket: Bucket, reads: Reads) -> None:
        page = await store.list(bucket, b"p0500/", b"/", b"", 1000)
        assert size(page) == (KEYS_EACH, 0, False)
        assert reads.rows <= 4 * (KEYS_EACH + 1)

    on_full_bucket(test)


def test_one_read_of_an_object_gets_two_rows(on_full_bucket: Callable[[Test], None]) -> None:
    async def test(store: EmbeddedStore, bucket: Bucket, reads: Reads) -> None:
        opened = await store.open(bucket, b"p0007/k0003")
        assert opened is not None
        assert (opened.inline, reads) == (b"x", Reads(rows=0, seeks=0, gets=2))

    on_full_bucket(test)
