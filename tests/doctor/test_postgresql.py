"""What the doctor says of an index on PostgreSQL: each finding is made to happen on a real one."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from anys3.store.files import open_blobs
from anys3.store.findings import Finding
from anys3.store.postgresql import PostgresqlStore, examining, examining_tables, open_store
from anys3.store.postgresql.examining import examine
from tests.doctor.findings import clock, levels, worst
from tests.engines import postgresql as engine
from tests.engines.daemon import wait_until
from tests.engines.fixtures import need
from tests.engines.postgresql import Database, Postgresql
from tests.store.suite import new_bucket, put


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgresql]:
    """A primary that syncs, with two synchronous replicas."""
    need(engine.missing())
    with Postgresql(tmp_path_factory.mktemp("pg") / "replicated", replicas=2) as running:
        yield running


@contextmanager
def transaction(dsn: str, *statements: str) -> Iterator[None]:
    """Keep a transaction open in which these statements were run."""
    ready, done = threading.Event(), threading.Event()

    async def keep() -> None:
        connection = await asyncpg.connect(dsn)
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)
            ready.set()
            await asyncio.to_thread(done.wait)
        await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(keep()))
    thread.start()
    assert ready.wait(60)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_primary_with_two_synchronous_replicas_is_well(replicated: Postgresql) -> None:
    found = levels(examine(replicated.new_database(), clock))
    wanted = (
        "index",
        "version",
        "role",
        "durable",
        "standbys",
        "transactions",
        "size",
        "clock",
        "connections",
    )
    assert {id: found[id] for id in wanted} == dict.fromkeys(wanted, "ok")


def test_a_server_that_does_not_sync_is_told(postgresql: Database) -> None:
    found = levels(examine(postgresql.new_database(), clock))
    assert (found["fsync"], found["full-page-writes"], "durable" in found) == ("problem", "problem", False)


def test_pages_without_checksums_are_told(postgresql: Database) -> None:
    assert levels(examine(postgresql.new_database(), clock))["checksums"] == "warning"


def test_a_single_server_is_told(postgresql: Database) -> None:
    finding = worst(examine(postgresql.new_database(), clock))["standbys"]
    assert (finding.level, "lost with its disk" in finding.found) == ("warning", True)


@pytest.mark.parametrize("value", ["off", "local"])
def test_a_database_that_does_not_wait_is_told(replicated: Postgresql, value: str) -> None:
    dsn = replicated.new_database()
    replicated.psql(f"ALTER DATABASE {dsn.rpartition('/')[2]} SET synchronous_commit = {value}")
    assert levels(examine(dsn, clock))["sync-commit"] == "problem"


def test_a_standby_alone_is_told(replicated: Postgresql) -> None:
    (finding,) = examine(replicated.replicas[0].dsn, clock)
    assert (finding.id, finding.level) == ("index", "problem")


def test_the_primary_is_found_among_several_hosts(replicated: Postgresql) -> None:
    hosts = [f"127.0.0.1:{node.port}" for node in (*replicated.replicas, replicated.primary)]
    found = worst(examine(f"postgresql://postgres@{','.join(hosts)}/postgres", clock))
    assert (found["role"].level, "3 hosts" in found["index"].found) == ("ok", True)


def test_replicas_that_are_missing_are_told_without_waiting_for_them(tmp_path: Path) -> None:
    need(engine.missing())
    with Postgresql(tmp_path / "pg", replicas=1) as lonely:
        lonely.replicas[0].kill()
        lonely.primary.daemon.wait(
            lambda: lonely.psql("SELECT count(*) FROM pg_stat_replication") == "0", "alone"
        )
        finding = worst(examine(lonely.dsn, clock))["standbys"]
    assert (finding.level, "writes hang" in finding.found) == ("problem", True)


def test_an_old_transaction_is_told(postgresql: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "_LONG_S", 0.0)
    dsn = postgresql.new_database()
    with transaction(dsn, "SELECT 1"):
        finding = worst(examine(dsn, clock))["transactions"]
    assert (finding.level, "pg_terminate_backend" in finding.advice) == ("warning", True)


def test_a_lock_that_is_waited_for_is_told(postgresql: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "_WAIT_S", 0.0)
    dsn = postgresql.new_database()
    postgresql.psql("CREATE TABLE busy (i int)", dsn)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with transaction(dsn, "LOCK TABLE busy"):
        waiter = threading.Thread(target=lambda: postgresql.psql("BEGIN; LOCK TABLE busy; COMMIT", dsn))
        waiter.start()
        wait_until(lambda: postgresql.psql(waiting, dsn) != "0", "waited for")
        finding = worst(examine(dsn, clock))["locks"]
    waiter.join()
    assert (finding.level, "pg_blocking_pids" in finding.advice) == ("warning", True)


def test_a_standby_that_is_behind_is_told(replicated: Postgresql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "_LAG_BYTES", -1)
    assert levels(examine(replicated.new_database(), clock))["lag"] == "warning"


@pytest.mark.parametrize(("oldest", "level"), [(2_000_000_000, "warning"), (-1, "problem")])
def test_rows_that_are_long_unfrozen_are_told(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch, oldest: int, level: str
) -> None:
    monkeypatch.setattr(examining, "_OLD_XID", -1)
    monkeypatch.setattr(examining, "_OLDEST_XID", oldest)
    assert levels(examine(postgresql.new_database(), clock))["age"] == level


def test_more_servers_than_connections_are_told(postgresql: Database) -> None:
    assert levels(examine(f"{postgresql.new_database()}?pool=1000", clock))["connections"] == "warning"


def test_a_slot_that_nobody_reads_is_told(replicated: Postgresql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "_KEPT_BYTES", -1)
    dsn = replicated.new_database()
    replicated.psql("SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        finding = worst(examine(dsn, clock))["slots"]
    finally:
        replicated.psql("SELECT pg_drop_replication_slot('forgotten')")
    assert (finding.level, finding.id) == ("warning", "slots")


def test_a_clock_that_is_wrong_is_told(postgresql: Database) -> None:
    found = levels(examine(postgresql.new_database(), lambda: clock() + 3600))
    assert found["clock"] == "problem"


# --- the store's own tables ---------------------------------------------------------------------------


@contextmanager
def serving(dsn: str, blobs: Path) -> Iterator[PostgresqlStore]:
    """Have the store open, as a server has, in another thread."""
    ready: queue.Queue[PostgresqlStore] = queue.Queue()
    done = threading.Event()

    async def serve() -> None:
        store = await open_store(dsn, open_blobs(f"file:{blobs}"))
        ready.put(store)
        await asyncio.to_thread(done.wait)
        await store.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield ready.get(timeout=60)
    finally:
        done.set()
        thread.join()


def test_a_database_without_a_store_is_left_without_one(postgresql: Database) -> None:
    dsn = postgresql.new_database()
    before = levels(examine(dsn, clock))["store"]
    assert (before, postgresql.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'anys3'", dsn)) == (
        "note",
        "0",
    )


def test_a_served_store_is_well(postgresql: Database, tmp_path: Path) -> None:
    dsn = postgresql.new_database()
    with serving(dsn, tmp_path / "blobs"):
        found = worst(examine(dsn, clock))
    wanted = ("store", "servers", "tables", "backlog")
    assert {id: found[id].level for id in wanted} == dict.fromkeys(wanted, "ok")
    assert found["servers"].found.startswith("1 processes")


def test_a_store_of_a_newer_version_is_told(postgresql: Database, tmp_path: Path) -> None:
    dsn = postgresql.new_database()
    with serving(dsn, tmp_path / "blobs"):
        pass
    postgresql.psql("UPDATE anys3.store SET format = 99", dsn)
    finding = worst(examine(dsn, clock))["store"]
    assert (finding.level, "99" in finding.found) == ("problem", True)


def test_a_server_that_was_killed_is_told(postgresql: Database, tmp_path: Path) -> None:
    dsn = postgresql.new_database()
    with serving(dsn, tmp_path / "blobs"):
        pass
    row = "(1, 'gone', now(), now() - interval '1 hour', 1, 1, 1, true)"
    postgresql.psql(f"INSERT INTO anys3.process VALUES {row}", dsn)
    assert worst(examine(dsn, clock))["ended"].level == "note"


def test_a_table_full_of_dead_rows_is_told(
    postgresql: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examining_tables, "_MANY_DEAD", -1)
    monkeypatch.setattr(examining_tables, "_DEAD_SHARE", -1.0)
    dsn = postgresql.new_database()
    with serving(dsn, tmp_path / "blobs"):
        finding = worst(examine(dsn, clock))["dead-rows"]
    assert (finding.level, "vacuumed" in finding.found) == ("warning", True)


@pytest.mark.parametrize("lasts_s", [None, 3600.0])
def test_a_pause_that_is_in_force_is_told(
    postgresql: Database, tmp_path: Path, lasts_s: float | None
) -> None:
    dsn = postgresql.new_database()

    async def pause() -> None:
        store = await open_store(dsn, open_blobs(f"file:{tmp_path / 'blobs'}"))
        await store.pause("it is being moved", lasts_s=lasts_s)
        await store.close()

    asyncio.run(pause())
    finding = worst(examine(dsn, clock))["pause"]
    assert (finding.level, "it is being moved" in finding.found) == ("warning", True)


def test_a_copy_that_follows_the_store_is_told(postgresql: Database, tmp_path: Path) -> None:
    dsn = postgresql.new_database()

    async def follow() -> dict[str, Finding]:
        store = await open_store(dsn, open_blobs(f"file:{tmp_path / 'blobs'}"))
        notes = await store.begin_noting(1000.0)
        await put(store, await new_bucket(store), b"k", b"1")
        found = await asyncio.to_thread(lambda: worst(examine(dsn, clock)))
        await store.end_noting(notes)
        await store.close()
        return found

    finding = asyncio.run(follow())["notes"]
    assert (finding.level, finding.found.endswith(": 1 changed keys are noted")) == ("ok", True)
    assert "notes" not in worst(examine(dsn, clock))


@pytest.mark.parametrize(("keep", "level"), [("0", "warning"), ("1h", "warning"), ("3h", "ok")])
def test_blobs_that_should_be_gone_are_told(
    postgresql: Database, tmp_path: Path, keep: str, level: str
) -> None:
    dsn = postgresql.new_database()
    with serving(dsn, tmp_path / "blobs"):
        pass
    postgresql.psql(
        "INSERT INTO anys3.freed (id, blob, freed_at) VALUES (-1, 'a', now() - interval '2 h')", dsn
    )
    assert worst(examine(f"{dsn}?keep={keep}", clock))["backlog"].level == level


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    (finding,) = examine("postgresql://someone:hunter2-hunter2@127.0.0.1:1/none", clock)
    assert (finding.level, "127.0.0.1:1" in finding.found, "hunter2" in str(finding)) == (
        "problem",
        True,
        False,
    )
