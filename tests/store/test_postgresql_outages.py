"""PostgreSQL fails under the store: nothing acknowledged is lost, nothing happens twice, nothing waits for ever."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from anys3.model import AccessKey, Bucket
from anys3.store.errors import Corrupt, ExpectationFailed, StoreError, Unavailable
from anys3.store.files import open_blobs
from anys3.store.interface import ContentWriter
from anys3.store.mutations import PutEntry, Unchanged
from anys3.store.postgresql import PostgresqlStore, connections, open_store
from anys3.store.postgresql.connections import RETRY_S, STATEMENT_S, Unknown
from anys3.store.starting import NewerFormat, NotAStore
from tests.engines import postgresql as engine
from tests.engines.fixtures import need
from tests.engines.postgresql import Database, Postgresql
from tests.store.postgresql_stores import names_of, opened, until
from tests.store.suite import change, content, entry, get, new_bucket, pattern, put

LARGE = 100_000
KEYS = 8


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Postgresql]:
    """A server that this test may stop and kill."""
    need(engine.missing())
    with Postgresql(tmp_path / "server", is_durable=False) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements have a third of their time, here and in the server."""
    monkeypatch.setattr(connections, "WAIT_S", connections.WAIT_S / 3)
    monkeypatch.setitem(connections.SETTINGS, "statement_timeout", f"{STATEMENT_S / 3:.1f}s")


def written(writer: ContentWriter, body: bytes) -> object:
    """Return a content."""
    writer.write(body)
    return writer.finish()


class Counters:
    """Numbers that are counted up by conditional writes: what each object says must be what was acknowledged."""

    def __init__(self, store: PostgresqlStore, bucket: Bucket) -> None:
        self.store = store
        self.bucket = bucket
        self.sure = [0] * KEYS
        self.unsure = [0] * KEYS
        self.failures = 0
        self.is_over = False

    async def count(self, number: int) -> None:
        """Count up until it is over. Only this task writes the key, so it finds out what became of a doubt."""
        key = b"k%d" % number
        size = (10, LARGE)[number % 2]
        while not self.is_over:
            writer = self.store.writer(size)
            try:
                found = await self.store.entry(self.bucket, key)
                value = int(found.etag) if found else 0
                assert self.sure[number] <= value <= self.sure[number] + self.unsure[number]
                self.sure[number], self.unsure[number] = value, 0
                body = await asyncio.to_thread(written, writer, pattern(size, value + 1))
                made = PutEntry(key, entry(size, str(value + 1)), body)
                self.unsure[number] = 1
                sequence = found.sequence if found else 0
                await change(self.store, self.bucket, made, expect=(Unchanged(key, sequence),))
                self.sure[number], self.unsure[number] = value + 1, 0
            except Unknown:
                self.failures += 1
            except ExpectationFailed:
                # Only after a doubt: what was not known to have happened has happened since.
                assert self.unsure[number]
            except Unavailable:
                self.failures += 1
                await asyncio.sleep(0.02)
            finally:
                writer.discard()

    async def check(self) -> None:
        """Compare each object with its counter: its row, and its bytes."""
        for number in range(KEYS):
            key = b"k%d" % number
            found = await self.store.entry(self.bucket, key)
            value = int(found.etag) if found else 0
            assert self.sure[number] <= value <= self.sure[number] + self.unsure[number]
            if value:
                assert await get(self.store, self.bucket, key) == pattern((10, LARGE)[number % 2], value)


def test_no_write_is_lost_or_happens_twice_while_connections_are_killed(
    postgresql: Database, tmp_path: Path
) -> None:
    dsn = postgresql.new_database()
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"

    async def test() -> None:
        async with opened(dsn, tmp_path) as [store]:
            counters = Counters(store, await new_bucket(store))
            chance = random.Random(1)
            async with asyncio.TaskGroup() as tasks:
                for number in range(KEYS):
                    tasks.create_task(counters.count(number))
                killer = await asyncpg.connect(dsn)
                for _ in range(40):
                    await asyncio.sleep(chance.random() / 5)
                    await killer.execute(f"{kill} AND random() < 0.3 AND pid <> pg_backend_pid()")
                await killer.close()
                counters.is_over = True
            await counters.check()
            assert sum(counters.sure) > KEYS
            await until(lambda: len(names_of(store)) <= KEYS)  # what was in doubt is removed, or named

    asyncio.run(test())


def test_a_server_that_is_gone_is_unavailable_and_one_that_is_back_is_found_again(
    own: Postgresql, tmp_path: Path
) -> None:
    async def test() -> None:
        async with opened(own.new_database(), tmp_path / "blobs", 2) as stores:
            one, two = stores
            bucket = await new_bucket(one)
            counters = Counters(one, bucket)
            async with asyncio.TaskGroup() as tasks:
                for number in range(KEYS):
                    tasks.create_task(counters.count(number))
                for end in (own.stop, own.kill):
                    await asyncio.sleep(0.5)
                    await asyncio.to_thread(end)
                    working = (two.entry(bucket, b"k"), two.keys(), put(two, bucket, b"x", b"1"))
                    found = await asyncio.gather(*working, return_exceptions=True)
                    assert all(isinstance(one, Unavailable) for one in found), found
                    await until(lambda: not any(map(is_known, stores)))
                    await asyncio.to_thread(own.start)
                    await until(lambda: all(map(is_known, stores)))
                    await put(two, bucket, b"x", b"1")
                counters.is_over = True
            assert counters.failures
            await counters.check()
            before = one.generation()
            await two.put_key(AccessKey("AK", "s", "n"))
            assert one.generation() > before

    asyncio.run(test())


def is_known(store: PostgresqlStore) -> bool:
    """Tell whether the store can say what is configured."""
    try:
        return store.generation() > 0
    except Unavailable:
        return False


@contextmanager
def silent(server: Postgresql) -> Iterator[None]:
    """Let the server keep its connections, and answer nothing: as a host whose link was cut."""
    pids = [server.primary.daemon.pid]
    pids += map(int, Path(f"/proc/{pids[0]}/task/{pids[0]}/children").read_text().split())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(own: Postgresql, tmp_path: Path) -> None:
    async def timed(work: object) -> float:
        before = time.monotonic()
        with pytest.raises(Unavailable):
            await work  # type: ignore[misc]
        return time.monotonic() - before

    async def test() -> None:
        async with opened(own.new_database(), tmp_path / "blobs") as [store]:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", b"1")
            with silent(own):
                took = await asyncio.gather(
                    timed(store.open(bucket, b"k")),
                    timed(put(store, bucket, b"k", b"2")),
                    timed(store.create_bucket(Bucket("other", 0, 0))),
                    timed(asyncio.to_thread(content, store, pattern(LARGE))),
                    *(timed(store.entry(bucket, b"k")) for _ in range(20)),
                )
                assert max(took) < STATEMENT_S + 2 * RETRY_S + 30
                await until(lambda: not is_known(store))
            await until(lambda: is_known(store))
            assert await get(store, bucket, b"k") in (b"1", b"2")
            await put(store, bucket, b"k", pattern(LARGE))
            assert await get(store, bucket, b"k") == pattern(LARGE)

    asyncio.run(test())


def test_a_store_whose_server_is_gone_can_be_closed(own: Postgresql, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(own.new_database(), tmp_path / "blobs") as [store]:
            await put(store, await new_bucket(store), b"k", pattern(LARGE))
            await asyncio.to_thread(own.kill)

    asyncio.run(test())


def test_damaged_inline_bytes_are_not_sent(postgresql: Database, tmp_path: Path) -> None:
    dsn = postgresql.new_database()

    async def test() -> None:
        async with opened(dsn, tmp_path) as [store]:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", b"abc")
            postgresql.psql("UPDATE anys3.object SET content = 'abd'", dsn)
            with pytest.raises(Corrupt, match=r"bucket 'photos', key 'k'"):
                await store.open(bucket, b"k")

    asyncio.run(test())


@pytest.mark.known_mistake(52)
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE anys3.store SET format = 99", NewerFormat),
        ("DROP SCHEMA anys3 CASCADE; CREATE SCHEMA anys3; CREATE TABLE anys3.mine (x int)", NotAStore),
    ],
)
def test_what_this_version_does_not_know_is_left_alone(
    postgresql: Database, tmp_path: Path, sql: str, expected: type[StoreError]
) -> None:
    dsn = postgresql.new_database()

    async def test() -> None:
        async with opened(dsn, tmp_path):
            pass
        postgresql.psql(sql, dsn)
        with pytest.raises(expected):
            async with opened(dsn, tmp_path):
                pass

    asyncio.run(test())


def test_a_server_that_is_not_there_says_so_without_the_password(tmp_path: Path) -> None:
    dsn = "postgresql://me:hunter2@127.0.0.1:1,localhost:2/db"

    async def test() -> str:
        with pytest.raises(Unavailable) as caught:
            await open_store(dsn, open_blobs(f"file:{tmp_path}"))
        return str(caught.value)

    message = asyncio.run(test())
    assert "127.0.0.1:1" in message
    assert "localhost:2" in message
    assert "hunter2" not in message


def test_a_store_that_can_not_be_opened_leaves_no_connection(own: Postgresql, tmp_path: Path) -> None:
    async def test() -> None:
        dsn = own.new_database()
        async with opened(dsn, tmp_path / "blobs"):
            pass
        own.psql("ALTER TABLE anys3.process RENAME TO gone", dsn)
        with pytest.raises(asyncpg.UndefinedTableError):
            await open_store(dsn, open_blobs(f"file:{tmp_path}/blobs"))
        own.psql("ALTER TABLE anys3.gone RENAME TO process", dsn)
        async with opened(dsn, tmp_path / "blobs"):
            pass
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        await until(lambda: own.psql(others, dsn) == "0")

    asyncio.run(test())


@pytest.mark.usefixtures("impatient")
def test_a_write_that_no_standby_has_is_neither_acknowledged_nor_seen(tmp_path: Path) -> None:
    need(engine.missing())

    async def test(server: Postgresql) -> None:
        async with opened(server.dsn, tmp_path / "blobs") as [store]:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", b"1")
            server.replicas[0].kill()
            second = asyncio.create_task(put(store, bucket, b"k", b"2"))
            await asyncio.sleep(1)
            third = asyncio.create_task(
                put(store, bucket, b"k", b"3")
            )  # waits for the lock that the second has
            outcomes = await asyncio.gather(second, third, return_exceptions=True)
            assert [type(one) for one in outcomes] == [Unknown, Unavailable]
            assert await get(store, bucket, b"k") == b"1"
            await asyncio.to_thread(server.replicas[0].start)

            async def is_written() -> bool:
                return await get(store, bucket, b"k") == b"2"

            await until(is_written)

    with Postgresql(tmp_path / "server", replicas=1, is_durable=False) as server:
        asyncio.run(test(server))
