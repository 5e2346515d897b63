"""A pause on PostgreSQL waits for what is being committed, and for nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from anys3.store.files import open_blobs
from anys3.store.postgresql import open_store
from anys3.store.postgresql.engine import PostgresqlStore
from tests.engines.postgresql import Database
from tests.store.suite import new_bucket, put

Test = Callable[[PostgresqlStore, Any], Awaitable[None]]


@pytest.fixture
def run(postgresql: Database, tmp_path: Path) -> Callable[[Test], None]:
    """Return a function that runs a coroutine on a new store and a connection to its database."""

    def run_on_store(test: Test) -> None:
        async def body() -> None:
            dsn = postgresql.new_database()
            store = await open_store(dsn, open_blobs(f"file:{tmp_path}/blobs"))
            connection = await asyncpg.connect(dsn)
            try:
                await test(store, connection)
            finally:
                await connection.close()
                await store.close()

        asyncio.run(body())

    return run_on_store


def test_a_pause_is_not_there_before_what_was_begun_has_ended(run: Callable[[Test], None]) -> None:
    async def test(store: PostgresqlStore, connection: Any) -> None:
        bucket = await new_bucket(store)
        await put(store, bucket, b"k", b"1")
        transaction = connection.transaction()
        await transaction.start()
        deleted = await connection.fetchrow(
            "SELECT outcome FROM anys3.object_delete($1, $2, false, false, NULL, NULL, '')", bucket.id, b"k"
        )
        assert deleted["outcome"] == 0
        pausing = asyncio.ensure_future(store.pause("it is being moved"))
        done, _ = await asyncio.wait([pausing], timeout=0.5)
        assert not done
        assert await store.paused() is None
        await transaction.commit()
        await pausing
        assert await store.entry(bucket, b"k") is None

    run(test)


def test_a_mutation_that_waits_for_a_pause_is_refused_by_it(run: Callable[[Test], None]) -> None:
    async def test(store: PostgresqlStore, connection: Any) -> None:
        bucket = await new_bucket(store)
        transaction = connection.transaction()
        await transaction.start()
        pause = "SELECT is_done FROM anys3.store_pause('', 'it is being moved', 'somebody', NULL)"
        assert await connection.fetchval(pause)
        putting = asyncio.ensure_future(put(store, bucket, b"k", b"1"))
        making = asyncio.ensure_future(new_bucket(store, "another"))
        done, _ = await asyncio.wait([putting, making], timeout=0.5)
        assert not done
        await transaction.commit()
        outcomes = await asyncio.gather(putting, making, return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["it is being moved"] * 2
        assert await store.entry(bucket, b"k") is None
        assert await store.bucket("another") is None

    run(test)
