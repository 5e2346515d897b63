"""Listings of all engines equal those of a sorted list, page by page, whatever the keys look like."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anys3.model import Bucket
from anys3.store import postgresql
from anys3.store.embedded import open_store
from anys3.store.files import open_blobs
from anys3.store.interface import Store
from anys3.store.memory import MemoryStore
from anys3.store.mutations import DeleteEntry, Mutation, PutEntry, PutUpload
from tests.store.suite import entry, new_bucket, upload

# Lengths around one and two strides of the embedded index meet each other in all combinations.
PIECES = ["a", "b", "/", "é", "\uffff", "\U00010000", "x" * 7, "x" * 100, "x" * 393, "x" * 399, "x" * 400]
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join).map(str.encode)
keys = texts.filter(lambda key: len(key) <= 1024)
positions = st.one_of(st.just(b""), keys, texts, st.binary(max_size=5), keys.map(lambda key: key + b"\xff"))
numbers = count()


@pytest.fixture(scope="module", params=["memory", "embedded", "postgresql"])
def runner(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[asyncio.Runner, Store]]:
    """Return one store and the loop that it is used from."""
    path: Path = tmp_path_factory.mktemp("model") / "store"
    with asyncio.Runner() as loop:
        store: Store
        if request.param == "postgresql":
            dsn = request.getfixturevalue("postgresql").new_database()
            store = loop.run(postgresql.open_store(dsn, open_blobs(f"file:{path}")))
        else:
            store = MemoryStore() if request.param == "memory" else open_store(path)
        yield loop, store
        loop.run(store.close())


def listed(present: set[bytes], prefix: bytes, delimiter: bytes, after: bytes) -> list[tuple[bytes, bool]]:
    """Return the whole listing as (item, is it a common prefix), by the definition."""
    items = set()
    for key in present:
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            items.add((key, False) if at < 0 else (key[: at + len(delimiter)], True))
    return sorted(item for item in items if item[0] > after)


async def filled(store: Store, put: list[bytes], deleted: list[bytes]) -> Bucket:
    """Return a new bucket with what is left after those puts and deletes."""
    bucket = await new_bucket(store, f"bucket-{next(numbers)}")
    changes = [PutEntry(key, entry(0), b"") for key in put]
    await store.commit(Mutation(bucket, (*changes, *(DeleteEntry(key) for key in deleted))))
    return bucket


@pytest.mark.requirement("LIST-02", "LIST-03", "LIST-04", "LIST-05", "LIST-06")
@pytest.mark.known_mistake(48)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    put=st.lists(keys, max_size=20),
    deleted=st.lists(keys, max_size=3),
    prefix=positions,
    delimiter=st.sampled_from([b"", b"/", b"a", b"xx", b"b/", "é".encode()]),
    after=positions,
    limit=st.sampled_from([1, 2, 3, 5, 9, 30]),
)
@example([b"%d" % n for n in range(8)], [], b"", b"", b"", 30)
@example([b"%d" % n for n in range(9)], [], b"", b"/", b"", 8)
@example([b"x" * 400, b"x" * 401], [], b"", b"x" * 7, b"", 1)
@example([b"x" * 400, b"x" * 400 + b"a"], [b"x" * 400 + b"a"], b"", b"", b"x" * 400, 1)
@example([b"a"], [], b"", b"", b"a\0\0", 1)
def test_pages_put_together_are_the_sorted_listing(
    runner: tuple[asyncio.Runner, Store],
    put: list[bytes],
    deleted: list[bytes],
    prefix: bytes,
    delimiter: bytes,
    after: bytes,
    limit: int,
) -> None:
    loop, store = runner
    expected = listed(set(put) - set(deleted), prefix, delimiter, after)

    async def pages() -> list[tuple[bytes, bool]]:
        bucket = await filled(store, put, deleted)
        found: list[tuple[bytes, bool]] = []
        position = after
        for _ in range(100):
            page = await store.list(bucket, prefix, delimiter, position, limit)
            items = sorted(
                [(key, False) for key, _ in page.rows] + [(common, True) for common in page.prefixes]
            )
            assert len(items) <= limit
            found += items
            if not page.is_truncated:
                break
            assert len(items) == limit
            assert (page.last, page.is_last_prefix) == items[-1]
            position = page.last + b"\xff" if page.is_last_prefix else page.last
        return found

    assert loop.run(pages()) == expected


@pytest.mark.requirement("LMU-01", "LMU-02")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    put=st.lists(st.tuples(keys, st.sampled_from(["1", "2", "22", "3" * 96])), max_size=8),
    prefix=st.one_of(st.just(b""), keys),
    limit=st.integers(1, 3),
)
def test_pages_of_uploads_put_together_are_all_uploads(
    runner: tuple[asyncio.Runner, Store], put: list[tuple[bytes, str]], prefix: bytes, limit: int
) -> None:
    loop, store = runner

    async def pages() -> list[tuple[bytes, str]]:
        bucket = await new_bucket(store, f"bucket-{next(numbers)}")
        for key, upload_id in put:
            await store.commit(Mutation(bucket, (PutUpload(upload(key, upload_id)),)))
        found: list[tuple[bytes, str]] = []
        position: tuple[bytes, str | None] = (b"", None)
        for _ in range(100):
            page = await store.uploads(bucket, prefix, b"", *position, limit)
            found += [(one.key, one.upload_id) for one in page.uploads]
            if not page.is_truncated:
                break
            position = found[-1]
        return found

    assert loop.run(pages()) == sorted({one for one in put if one[0].startswith(prefix)})
