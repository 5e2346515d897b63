"""How the index on PostgreSQL is reached: its DSN, poolers, standbys, and the plans of its statements."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from anys3.model import AccessKey
from anys3.store.errors import Unavailable
from anys3.store.files import open_blobs
from anys3.store.interface import Opened, Store
from anys3.store.mutations import DeleteEntry, Mutation, PutEntry, PutUpload
from anys3.store.postgresql import Address, PostgresqlStore, connections, open_store, redacted
from anys3.store.postgresql.connections import SETTINGS, Link
from anys3.store.starting import Unsuitable
from tests.engines import postgresql as engine
from tests.engines.fixtures import need
from tests.engines.postgresql import Database, Postgresql
from tests.store.postgresql_stores import opened, until
from tests.store.suite import change, entry, get, multipart, new_bucket, pattern, put, upload

USE = [
    lambda store, bucket: put(store, bucket, b"k", b"1"),
    lambda store, bucket: change(store, bucket, DeleteEntry(b"k")),
    lambda store, bucket: change(store, bucket, *(DeleteEntry(b"%d" % n) for n in range(1000))),
    lambda store, bucket: store.open(bucket, b"there"),
    lambda store, bucket: store.entry(bucket, b"there"),
    lambda store, bucket: store.list(bucket, b"", b"", b"", 1000),
    lambda store, bucket: store.list(bucket, b"", b"/", b"", 1000),
    lambda store, bucket: store.uploads(bucket, b"", b"", b"", None, 1000),
]


def hosts(address: Address) -> list[tuple[str, str]]:
    """Return what is tried, in order."""
    return [(address.host(number), given["target_session_attrs"]) for number, given in address.attempts()]


def test_a_dsn_says_what_is_ours_and_the_rest_is_the_drivers() -> None:
    address = Address(
        "postgresql://me:pw@h1:1,h2:2/db?schema=mine&pool=3&list=standby&prepared=false&sslmode=require"
    )
    assert (address.schema, address.pool_size, address.lists_standby, address.is_prepared) == (
        "mine",
        3,
        True,
        False,
    )
    [first, second] = [given for _, given in address.attempts()]
    assert first["dsn"] == "postgresql://me:pw@h1:1/db?sslmode=require"
    assert second["dsn"] == "postgresql://me:pw@h2:2/db?sslmode=require"
    assert hosts(address) == [("h1:1", "read-write"), ("h2:2", "read-write")]
    address.succeeded(1)
    assert hosts(address) == [("h2:2", "read-write"), ("h1:1", "read-write")]


def test_a_host_that_says_nothing_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unavailable, match=rf"{name}: TimeoutError"):
            asyncio.run(connections.connect(Address(f"postgresql://me@{name}/db")))


def test_listings_ask_all_standbys_before_any_primary() -> None:
    dsn = "postgresql://h1,h2/db?list=standby"
    assert hosts(Address(dsn).standby(dsn)) == [
        ("h1", "standby"),
        ("h2", "standby"),
        ("h1", "any"),
        ("h2", "any"),
    ]


@pytest.mark.parametrize(
    "dsn",
    [
        "mysql://me:hunter2@h/db",
        "postgresql://me:hunter2@h/db?schema=a.b",
        "postgresql://me:hunter2@h/db?schema=x;drop",
        "postgresql://me:hunter2@h/db?schema=A",
        "postgresql://me:hunter2@h/db?pool=0",
        "postgresql://me:hunter2@h/db?pool=many",
        "postgresql://me:hunter2@h/db?list=both",
    ],
)
def test_a_dsn_that_makes_no_sense_is_refused_without_its_password(dsn: str) -> None:
    with pytest.raises(Unsuitable) as caught:
        Address(dsn)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://me:hunter2@h1,h2:5/db?schema=a", "postgresql://me:***@h1,h2:5/db?schema=a"),
        ("postgresql://me:h%40u:n@h/db", "postgresql://me:***@h/db"),
        ("postgresql://me@h/db?password=hunter2&x=1", "postgresql://me@h/db?password=***&x=1"),
        ("postgresql://me@h/db?Pass%77ord=hunter2", "postgresql://me@h/db?Pass%77ord=***"),
        ("postgresql:///db", "postgresql:///db"),
    ],
)
def test_a_password_is_not_shown(dsn: str, shown: str) -> None:
    assert redacted(dsn) == shown


def test_a_store_may_be_reached_without_prepared_statements(postgresql: Database, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(f"{postgresql.new_database()}?prepared=false&pool=2&schema=other", tmp_path, 2) as (
            one,
            two,
        ):
            bucket = await new_bucket(one)
            await multipart(one, bucket, b"m", {1: pattern(300_000), 2: b"abc"}, "u")
            changes = tuple(PutEntry(b"%d" % n, entry(1), b"x") for n in range(20))
            await asyncio.gather(*(two.commit(Mutation(bucket, (made,))) for made in changes))
            assert len((await one.list(bucket, b"", b"/", b"", 100)).rows) == 21
            assert await get(two, bucket, b"m") == pattern(300_000) + b"abc"
            key = AccessKey("AK", "s", "n", is_root=True)
            assert await one.claim_root(key) == await two.key("AK") == key

    asyncio.run(test())


def test_listings_may_be_read_from_a_standby_but_for_commands(tmp_path: Path) -> None:
    need(engine.missing())

    async def test(server: Postgresql) -> None:
        [primary, replica] = [node.dsn.partition("@")[2].partition("/")[0] for node in server.nodes]
        dsn = f"postgresql://postgres@{replica},{primary}/postgres?list=standby"
        async with opened(dsn, tmp_path / "blobs") as [store]:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", b"1")

            async def is_listed() -> bool:
                return len((await store.list(bucket, b"", b"", b"", 10)).rows) == 1

            await until(is_listed)
            where = "SELECT pg_is_in_recovery()"
            assert (await store._listing_pool.read(where))[0][0] is True
            assert (await store._pool.read(where))[0][0] is False
            server.psql("SELECT pg_wal_replay_pause()", server.replicas[0].dsn)
            await change(store, bucket, PutUpload(upload(b"k", "u1")))
            copier = await open_store(dsn, open_blobs(f"file:{tmp_path}/blobs"), is_server=False)
            assert len((await copier.uploads(bucket, b"", b"", b"", None, 10)).uploads) == 1
            await copier.close()
            await asyncio.to_thread(server.replicas[0].kill)
            await until(is_listed)  # from the primary, then

    with Postgresql(tmp_path / "server", replicas=1, is_durable=False) as server:
        server.psql("ALTER SYSTEM RESET synchronous_standby_names")
        server.psql("SELECT pg_reload_conf()")
        asyncio.run(test(server))


@pytest.mark.parametrize("work", USE)
def test_each_of_these_is_one_round_trip(
    postgresql: Database,
    tmp_path: Path,
    work: Callable[[Store, Any], Awaitable[Opened]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = 0

    async def test() -> None:
        nonlocal calls
        async with opened(postgresql.new_database(), tmp_path) as [store]:
            bucket = await new_bucket(store)
            for key in (b"there", b"here/1", b"here/2"):
                await put(store, bucket, key, b"x")
            await put(store, bucket, b"warm", b"x")
            monkeypatch.setattr(store._pool, "give_back", counting(store._pool.give_back))
            calls = 0
            await work(store, bucket)
            made = calls
            assert made == 1 + (
                work is USE[-1]
            )  # no upload: whether there is such a bucket is a second question

    def counting(give_back: Callable[..., None]) -> Callable[..., None]:
        def count(link: Link, *, is_lost: bool = False) -> None:
            nonlocal calls
            calls += 1
            give_back(link, is_lost=is_lost)

        return count

    asyncio.run(test())


async def plans(store: PostgresqlStore, dsn: str) -> list[str]:
    """Return the generic plans of the statements that requests use."""
    listings = store._listings
    reading = [store._entry_sql, store._open_sql, store._upload_sql, store._parts_sql]
    statements = [
        *reading,
        listings._plain,
        listings._uploads,
        store._sources._all_parts,
        store._sources._some_parts,
    ]
    connection = await asyncpg.connect(dsn, server_settings=SETTINGS)
    found = []
    try:
        for number, sql in enumerate(statements):
            await connection.execute(f"PREPARE s{number} AS {sql}")
            count = len(set(re.findall(r"\$\d+", sql)))
            lines = await connection.fetch(f"EXPLAIN EXECUTE s{number} ({', '.join(['NULL'] * count)})")
            found.append("\n".join(line[0] for line in lines))
    finally:
        await connection.close()
    return found


@pytest.mark.parametrize("statistics", ["", "ANALYZE", "VACUUM ANALYZE"])
def test_no_plan_reads_a_whole_table_or_sorts_it(
    postgresql: Database, tmp_path: Path, statistics: str
) -> None:
    dsn = postgresql.new_database()

    async def test() -> list[str]:
        store = await open_store(dsn, open_blobs(f"file:{tmp_path}"))
        try:
            bucket = await new_bucket(store)
            await multipart(store, bucket, b"m", {1: b"abc"}, "u")
            if statistics:
                postgresql.psql(statistics, dsn)
            return await plans(store, dsn)
        finally:
            await store.close()

    found = asyncio.run(test())
    assert [plan for plan in found if "Seq Scan" in plan or "Sort" in plan or "Index" not in plan] == []
