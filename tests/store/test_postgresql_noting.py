"""Notes of changed keys on PostgreSQL: who waits for whom, by connections that hold the order by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from anys3.model import Bucket
from anys3.store.mutations import AbortUpload, Change, DeleteEntry, PutEntry, PutPart, PutUpload
from anys3.store.postgresql import PostgresqlStore
from tests.engines.postgresql import Database
from tests.store.noting_suite import LONG_S, Follower, drain
from tests.store.postgresql_stores import opened, until
from tests.store.suite import change, entry, new_bucket, part, put, upload

Test = Callable[[PostgresqlStore, Any], Awaitable[None]]
DELETE = "SELECT outcome FROM anys3.object_delete($1, $2, false, false, NULL, NULL, '')"
STILL_S = 0.3
"""For so long nothing happens that must wait; on a slow machine a mistake may be missed, and nothing fails."""
KEYS = [b"k%02d" % number for number in range(10)]


@pytest.fixture
def run(postgresql: Database, tmp_path: Path) -> Callable[[Test], None]:
    """Return a function that runs a coroutine on a new store and a connection to its database."""

    def run_on_store(test: Test) -> None:
        async def body() -> None:
            dsn = postgresql.new_database()
            async with opened(dsn, tmp_path) as [store]:
                connection = await asyncpg.connect(dsn)
                try:
                    await test(store, connection)
                finally:
                    await connection.close()

        asyncio.run(body())

    return run_on_store


async def waits(task: asyncio.Future[Any]) -> bool:
    """Whether it is not done after a while."""
    _, pending = await asyncio.wait([task], timeout=STILL_S)
    return bool(pending)


def test_a_strike_waits_for_what_has_noted_the_key_and_reads_see_it_then(run: Callable[[Test], None]) -> None:
    async def test(store: PostgresqlStore, connection: Any) -> None:
        bucket = await new_bucket(store)
        notes = await store.begin_noting(LONG_S)
        await put(store, bucket, b"k", b"1")
        async with connection.transaction():
            assert await connection.fetchval(DELETE, bucket.id, b"k") == 0
            striking = asyncio.ensure_future(store.strike_noted(notes, [(bucket.id, b"k")]))
            assert await waits(striking)
        await striking
        assert await store.entry(bucket, b"k") is None
        assert await store.noted(notes, 10) == []

    run(test)


def test_a_change_that_is_not_committed_leaves_its_new_note_behind_a_strike(
    run: Callable[[Test], None],
) -> None:
    async def test(store: PostgresqlStore, connection: Any) -> None:
        bucket = await new_bucket(store)
        await put(store, bucket, b"k", b"1")
        notes = await store.begin_noting(LONG_S)
        async with connection.transaction():
            assert await connection.fetchval(DELETE, bucket.id, b"k") == 0
            await store.strike_noted(notes, [(bucket.id, b"k")])
            assert await store.noted(notes, 10) == []
        assert await store.noted(notes, 10) == [(bucket.id, b"k")]

    run(test)


def test_a_change_that_meets_a_strike_notes_the_key_again(run: Callable[[Test], None]) -> None:
    async def test(store: PostgresqlStore, connection: Any) -> None:
        bucket = await new_bucket(store)
        notes = await store.begin_noting(LONG_S)
        await put(store, bucket, b"k", b"1")
        async with connection.transaction():
            await connection.execute("DELETE FROM anys3.noted")
            putting = asyncio.ensure_future(put(store, bucket, b"k", b"2"))
            assert await waits(putting)
        await putting
        assert await store.noted(notes, 10) == [(bucket.id, b"k")]

    run(test)


def test_to_begin_waits_for_what_could_not_know_and_for_nobody_else(run: Callable[[Test], None]) -> None:
    async def test(store: PostgresqlStore, connection: Any) -> None:
        bucket, other = await new_bucket(store), await new_bucket(store, "other")
        await put(store, bucket, b"k", b"1")
        async with connection.transaction():
            assert await connection.fetchval(DELETE, bucket.id, b"k") == 0
            beginning = asyncio.ensure_future(store.begin_noting(LONG_S))
            assert await waits(beginning)
            await put(store, bucket, b"a", b"1")
            await put(store, other, b"b", b"1")
            assert not beginning.done()
        notes = await beginning
        assert await store.entry(bucket, b"k") is None
        assert await store.noted(notes, 10) == [(bucket.id, b"a"), (other.id, b"b")]

    run(test)


def test_a_batch_that_is_the_victim_of_a_deadlock_is_done_again(run: Callable[[Test], None]) -> None:
    async def test(store: PostgresqlStore, connection: Any) -> None:
        bucket = await new_bucket(store)
        notes = await store.begin_noting(LONG_S)
        await connection.execute("SET deadlock_timeout = '1h'")  # so it is never this one
        async with connection.transaction():
            await connection.fetchval(DELETE, bucket.id, b"z")
            putting = asyncio.gather(*(put(store, bucket, key, b"1") for key in (b"a", b"z")))
            assert await waits(putting)
            await connection.fetchval(DELETE, bucket.id, b"a")
        await putting
        assert [key for key, _ in await store.entries(bucket, b"", 10)] == [b"a", b"z"]
        assert await drain(store, notes) == [(bucket.id, b"a"), (bucket.id, b"z")]

    run(test)


async def write(store: PostgresqlStore, bucket: Bucket, keys: list[bytes], name: str) -> None:
    """Change all keys in this order, in each way that shares a transaction."""
    for turn in range(8):
        etag = f"{name}{turn:031}"
        puts: list[Change] = [PutEntry(key, entry(1, etag), b"1") for key in keys]
        uploads: list[Change] = [PutUpload(upload(key, f"{name}{turn}")) for key in keys]
        parts: list[Change] = [PutPart(key, f"{name}{turn}", part(1, 1), b"1") for key in keys]
        ends: list[Change] = [AbortUpload(key, f"{name}{turn}") for key in keys]
        for changes in (puts, uploads, parts, ends):
            await asyncio.gather(*(change(store, bucket, one) for one in changes))
        await change(store, bucket, *(DeleteEntry(key) for key in keys[turn:]))
        await change(store, bucket, *puts[: turn + 3], *(DeleteEntry(key) for key in keys[-2:]))


def test_batches_of_the_same_keys_in_opposite_order_lose_nothing_and_never_deadlock(
    postgresql: Database, tmp_path: Path
) -> None:
    dsn = postgresql.new_database()

    async def test() -> None:
        async with opened(dsn, tmp_path, 3) as (one, two, three):
            bucket = await new_bucket(one)
            follower = Follower(three, bucket, await three.begin_noting(LONG_S))
            writing = asyncio.gather(
                write(one, bucket, KEYS, "a"),
                write(one, bucket, KEYS[::-1], "b"),
                write(two, bucket, KEYS[::-1], "c"),
                write(two, bucket, KEYS, "d"),
            )
            while not writing.done():
                await follower.turn()
            await writing
            while await follower.turn():
                pass
            found = {key: row.etag for key, row in await one.entries(bucket, b"", 100)}
            assert follower.copy == found

    asyncio.run(test())
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert postgresql.psql(deadlocks, dsn) == "0"


def test_what_is_left_of_notes_is_removed_beside_the_requests(run: Callable[[Test], None]) -> None:
    async def test(store: PostgresqlStore, connection: Any) -> None:
        bucket = await new_bucket(store)
        first = await store.begin_noting(LONG_S)
        await put(store, bucket, b"old", b"1")
        second = await store.begin_noting(LONG_S)
        await put(store, bucket, b"new", b"1")
        count = "SELECT string_agg(convert_from(key, 'UTF8'), ' ') FROM anys3.noted"

        async def is_only_new() -> bool:
            return bool(await connection.fetchval(count) == "new")

        async def is_over() -> bool:
            return await connection.fetchval(count) is None

        await until(is_only_new)
        await store.end_noting(first)
        assert await store.noted(second, 10) == [(bucket.id, b"new")]
        await store.keep_noting(second, 0)
        await until(is_over)
        assert await connection.fetchval("SELECT notes FROM anys3.store") == 0
        await put(store, bucket, b"k", b"1")
        assert await is_over()

    run(test)
