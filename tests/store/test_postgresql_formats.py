"""Formats of the schema: a store is brought to the next one with what it holds, once, and older versions leave it alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from anys3.store.postgresql import schema
from anys3.store.starting import NewerFormat
from tests.engines.postgresql import Database
from tests.store.postgresql_stores import opened
from tests.store.suite import get, new_bucket, put

NEXT = (
    *schema.MIGRATIONS,
    "ALTER TABLE {schema}.bucket ADD COLUMN color text NOT NULL DEFAULT 'blue'; SELECT pg_sleep(0.2)",
)
"""This version's formats and one that does not exist; what it does can be done once only."""


async def prepare(dsn: str, migrations: tuple[str, ...]) -> str:
    """Bring the schema to the last of these formats, as a version does that knows them."""
    connection = await asyncpg.connect(dsn)
    try:
        return await schema.prepare(connection, "anys3", migrations)
    finally:
        await connection.close()


def formats(postgresql: Database, dsn: str) -> tuple[str, str]:
    """Return the format, and what the next one has added."""
    colors = (
        "SELECT string_agg(column_default, ' ') FROM information_schema.columns WHERE column_name = 'color'"
    )
    return postgresql.psql("SELECT format FROM anys3.store", dsn), postgresql.psql(colors, dsn)


def test_servers_of_the_next_version_migrate_once_and_those_of_this_one_go_on(
    postgresql: Database, tmp_path: Path
) -> None:
    dsn = postgresql.new_database()

    async def test() -> None:
        async with opened(dsn, tmp_path) as [store]:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", b"1")
            ids = await asyncio.gather(*(prepare(dsn, NEXT) for _ in range(5)))
            assert ids == [store.store_id] * 5
            assert await get(store, bucket, b"k") == b"1"
            await put(store, bucket, b"k", b"2")
            assert await get(store, bucket, b"k") == b"2"

    asyncio.run(test())
    assert formats(postgresql, dsn) == (str(schema.FORMAT + 1), "'blue'::text")


def test_servers_that_start_at_once_on_nothing_make_one_store(postgresql: Database) -> None:
    dsn = postgresql.new_database()

    async def test() -> list[str]:
        return await asyncio.gather(*(prepare(dsn, NEXT) for _ in range(5)))

    ids = asyncio.run(test())
    assert len(set(ids)) == 1
    assert formats(postgresql, dsn) == (str(schema.FORMAT + 1), "'blue'::text")


def test_this_version_refuses_a_store_of_the_next_one(postgresql: Database, tmp_path: Path) -> None:
    dsn = postgresql.new_database()

    async def test() -> None:
        await prepare(dsn, NEXT)
        with pytest.raises(
            NewerFormat, match=f"has format {schema.FORMAT + 1}; this version knows {schema.FORMAT}"
        ):
            async with opened(dsn, tmp_path):
                pass

    asyncio.run(test())


def test_a_migration_that_fails_leaves_the_store_as_it_was(postgresql: Database, tmp_path: Path) -> None:
    dsn = postgresql.new_database()
    failing = (*NEXT[:-1], NEXT[-1] + "; SELECT 1 FROM {schema}.nothing")

    async def test() -> None:
        async with opened(dsn, tmp_path) as [store]:
            bucket = await new_bucket(store)
            with pytest.raises(asyncpg.UndefinedTableError):
                await prepare(dsn, failing)
            await put(store, bucket, b"k", b"1")
            assert formats(postgresql, dsn) == (str(schema.FORMAT), "")
        assert await prepare(dsn, NEXT) == store.store_id

    asyncio.run(test())
