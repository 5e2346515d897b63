"""Several stores on one PostgreSQL database: what one changes holds for all, and nobody's bytes are pulled away."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anys3.model import AccessKey, Bucket, Grant
from anys3.store.errors import ExpectationFailed, NoSuchBucket, Unavailable
from anys3.store.interface import Store
from anys3.store.mutations import Absent, DeleteEntry, PutEntry, PutPart, PutUpload, Unchanged
from anys3.store.postgresql import PostgresqlStore
from tests.engines.postgresql import Database
from tests.store.postgresql_stores import beat, names_of, opened, until
from tests.store.suite import (
    change,
    content,
    entry,
    get,
    multipart,
    new_bucket,
    part,
    pattern,
    put,
    read,
    upload,
)

processes = multiprocessing.get_context("spawn")
LARGE = 300_000
DIED = 7


@pytest.fixture
def dsn(postgresql: Database) -> str:
    return postgresql.new_database()


async def both(first: Coroutine[Any, Any, int], second: Coroutine[Any, Any, int]) -> list[int]:
    """Race two mutations; return the numbers of those that won."""
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert all(isinstance(one, int | ExpectationFailed) for one in outcomes), outcomes
    return [number for number, one in enumerate(outcomes) if isinstance(one, int)]


@pytest.mark.requirement("CON-01")
@pytest.mark.known_mistake(53)
def test_what_is_taken_away_in_one_process_is_news_in_the_other_when_the_call_returns(
    dsn: str, tmp_path: Path
) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path, 2) as (one, two):
            bucket = await new_bucket(one)
            key = AccessKey("AK", "s", "n", grants={"photos": Grant(True, True, True)})
            await one.put_key(key)
            for taking_away in (
                lambda: one.put_key(replace(key, grants={})),
                lambda: one.delete_key("AK"),
                lambda: one.update_bucket(replace(bucket, is_public=True)),
                lambda: one.update_bucket(bucket),
                lambda: one.delete_bucket(bucket),
            ):
                before = two.generation()
                await taking_away()
                assert two.generation() > before
            assert await two.key("AK") is None
            assert await two.bucket("photos") is None

    asyncio.run(test())


class Believer:
    """Reads buckets as the server does: what it has read holds as long as the generation stays the same."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._generation = -1
        self._rows: dict[str, Bucket] = {}

    async def owner(self, name: str) -> int:
        generation = self._store.generation()
        if generation != self._generation:
            self._generation, self._rows = generation, {}
        rows = self._rows
        if name not in rows:
            row = await self._store.bucket(name)
            assert row is not None
            rows[name] = row
        return int(rows[name].owner)


@pytest.mark.requirement("CON-01")
def test_nobody_shows_an_old_setting_after_another_has_shown_the_new_one(dsn: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path, 3) as stores:
            bucket = await stores[0].create_bucket(Bucket("photos", 0, 0, owner="0"))
            believers = [Believer(store) for store in stores]
            is_over = False
            wrong: list[str] = []

            async def compare(first: Believer, second: Believer) -> None:
                while not is_over:
                    shown = await first.owner("photos"), await second.owner("photos")
                    if shown[0] > shown[1]:
                        wrong.append(f"{shown[0]}, then {shown[1]}")
                    await asyncio.sleep(0)

            async with asyncio.TaskGroup() as tasks:
                for number, believer in enumerate(believers):
                    tasks.create_task(compare(believer, believers[number - 1]))
                for number in range(1, 41):
                    await stores[number % 3].update_bucket(replace(bucket, owner=str(number)))
                is_over = True
            assert wrong == []

    asyncio.run(test())


def test_a_process_that_does_not_answer_is_waited_for_until_its_lease_is_over(
    dsn: str, tmp_path: Path
) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path, 2) as (one, two):
            await one.put_key(AccessKey("AK", "s", "n"))
            two._side.loop.call_soon_threadsafe(two._lease._task.cancel)  # its thread stands still
            await one.delete_key("AK")
            with pytest.raises(Unavailable):
                two.generation()
            two._lease._task = None

    asyncio.run(test())


def test_of_conditional_writes_that_are_raced_over_two_processes_one_wins(dsn: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path, 2) as (one, two):
            bucket = await new_bucket(one)
            for number in range(30):
                key = b"%d" % number
                body = [pattern(10, 1), pattern(LARGE, 2)][number % 2]
                won = await both(
                    put(one, bucket, key, b"0" + body, Absent(key)),
                    put(two, bucket, key, b"1" + body, Absent(key)),
                )
                assert len(won) == 1
                assert await get(one, bucket, key) == b"%d" % won[0] + body
                found = await two.entry(bucket, key)
                assert found is not None
                unchanged = Unchanged(key, found.sequence)
                won = await both(
                    put(one, bucket, key, b"x", unchanged), put(two, bucket, key, b"y", unchanged)
                )
                assert len(won) == 1

    asyncio.run(test())


def test_sequences_of_a_key_rise_whichever_process_commits(dsn: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path, 2) as stores:
            bucket = await new_bucket(stores[0])
            given: list[int] = []

            async def work(store: PostgresqlStore, seed: int) -> None:
                for number in range(40):
                    changes = PutEntry(b"k", entry(1), b"%d" % seed) if number % 2 else DeleteEntry(b"k")
                    mine = await change(store, bucket, changes)
                    given.append(mine)
                    now = await store.entry(bucket, b"k")
                    assert now is None or now.sequence >= mine

            await asyncio.gather(*(work(store, seed) for seed, store in enumerate(stores * 4)))
            assert len(given) == len(set(given))

    asyncio.run(test())


def test_a_bucket_is_not_deleted_under_an_object_that_another_process_puts(dsn: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path, 2) as (one, two):
            for _ in range(20):
                bucket = await new_bucket(one)
                outcomes = await asyncio.gather(
                    put(one, bucket, b"k", b"1"), two.delete_bucket(bucket), return_exceptions=True
                )
                is_there = await one.bucket(bucket.name) is not None
                assert isinstance(outcomes[0], int) == is_there, outcomes
                assert isinstance(outcomes[0], int | NoSuchBucket), outcomes
                if is_there:
                    await change(one, bucket, DeleteEntry(b"k"))
                    await one.delete_bucket(bucket)

    asyncio.run(test())


@pytest.mark.requirement("CON-02")
def test_a_reader_keeps_its_bytes_though_another_process_deletes_the_object(dsn: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path, 2) as (one, two):
            bucket = await new_bucket(one)
            await put(one, bucket, b"whole", pattern(LARGE))
            await multipart(one, bucket, b"parts", {1: pattern(LARGE, 3), 2: b"inline"}, "u")
            held = [await two.open(bucket, key) for key in (b"whole", b"parts")]
            await change(one, bucket, DeleteEntry(b"whole"), DeleteEntry(b"parts"))
            await put(one, bucket, b"other", pattern(LARGE))
            await change(one, bucket, DeleteEntry(b"other"))
            names = names_of(one)
            assert len(names) == 3
            for _ in range(3):
                for store in (one, two):
                    await beat(store)
                    await store._side.do(store._janitor.turn())
            assert names_of(one) == names
            assert await asyncio.to_thread(read, held[0]) == pattern(LARGE)
            assert await asyncio.to_thread(read, held[1]) == pattern(LARGE, 3) + b"inline"
            await until(lambda: not names_of(one))

    asyncio.run(test())


def write_and_die(dsn: str, directory: Path, wrote: Any) -> None:
    """Write blobs that no commit names, whole ones and one half, in a process that dies."""

    async def work() -> None:
        async with opened(dsn, directory) as [store]:
            for seed in range(3):
                content(store, pattern(LARGE, seed))
            writer = store.writer(None)
            writer.write(pattern(4 * 1024 * 1024))
            wrote.set()
            os._exit(DIED)

    asyncio.run(work())


def test_a_writer_that_is_killed_leaves_no_blob_for_ever(dsn: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path) as [store]:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", pattern(LARGE))
            kept = names_of(store)
            wrote = processes.Event()
            other = processes.Process(target=write_and_die, args=(dsn, tmp_path, wrote))
            other.start()
            await asyncio.to_thread(other.join)
            assert (other.exitcode, wrote.is_set()) == (DIED, True)
            assert len(names_of(store)) >= 4
            store._janitor.dead_s = 1.5
            await until(lambda: names_of(store) == kept)
            assert await get(store, bucket, b"k") == pattern(LARGE)

    asyncio.run(test())


def test_what_is_overwritten_deleted_discarded_or_aborted_is_removed(dsn: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path) as [store]:
            bucket = await new_bucket(store)
            for seed in (1, 2):
                await put(store, bucket, b"k", pattern(LARGE, seed))
            await put(store, bucket, b"gone", pattern(LARGE))
            await change(store, bucket, DeleteEntry(b"gone"))
            writer = store.writer(LARGE)
            writer.write(pattern(LARGE))
            writer.finish()
            writer.discard()
            for upload_id in ("u1", "u2", "u3"):
                await change(store, bucket, PutUpload(upload(b"m", upload_id)))
                for seed in (1, 2):
                    made = content(store, pattern(LARGE, seed))
                    await change(store, bucket, PutPart(b"m", upload_id, part(1, LARGE), made))
            other = await new_bucket(store, "other")
            await change(store, other, PutUpload(upload(b"m", "u4")))
            made = content(store, pattern(LARGE))
            await change(store, other, PutPart(b"m", "u4", part(1, LARGE), made))
            await store.delete_bucket(other)
            await multipart(store, bucket, b"p", {n: pattern(LARGE, n) for n in range(1, 4)}, "u5")
            await change(store, bucket, DeleteEntry(b"p"))
            await until(lambda: len(names_of(store)) == 4)  # k, and a part of each of three uploads
            assert await get(store, bucket, b"k") == pattern(LARGE, 2)
            assert len(await store.parts(bucket, b"m", "u1")) == 1
        async with opened(dsn, tmp_path) as [store]:

            async def is_clean() -> (
                bool
            ):  # the first process may have ended before it struck out what it had removed
                counts = await store._pool.read(
                    "SELECT (SELECT count(*) FROM anys3.pending), (SELECT count(*) FROM anys3.freed),"
                    " (SELECT count(*) FROM anys3.process), (SELECT count(*) FROM anys3.part)"
                )
                return tuple(counts[0]) == (0, 0, 1, 3)

            await until(is_clean)

    asyncio.run(test())


def test_a_process_that_was_taken_for_dead_begins_anew_and_its_blobs_are_not_named(
    dsn: str, tmp_path: Path
) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path, 2) as (one, two):
            bucket = await new_bucket(one)
            await put(one, bucket, b"k", pattern(LARGE))
            written = content(two, pattern(LARGE, 2))
            held = await two.open(bucket, b"k")
            was = two._lease.process
            await one._side.do(one._janitor._bury(was, None))
            await until(lambda: two._lease.process != was)
            with pytest.raises(Unavailable):
                await change(two, bucket, PutEntry(b"k", entry(LARGE), written))
            assert await asyncio.to_thread(read, held) == pattern(LARGE)
            await put(two, bucket, b"k2", pattern(LARGE))
            assert await get(one, bucket, b"k2") == pattern(LARGE)
            await until(lambda: len(names_of(one)) == 2)

    asyncio.run(test())


def test_stores_that_are_opened_at_once_on_an_empty_database_are_one(dsn: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path, 0), asyncio.TaskGroup() as tasks:
            ready = asyncio.Barrier(4)

            async def use() -> str:
                async with opened(dsn, tmp_path) as [store]:
                    await ready.wait()
                    await store.put_key(AccessKey(f"AK{id(store)}", "s", "n"))
                    await ready.wait()
                    assert len(await store.keys()) == 4
                    return store.store_id

            used = [tasks.create_task(use()) for _ in range(4)]
        assert len({task.result() for task in used}) == 1

    asyncio.run(test())


def test_expectations_on_other_keys_hold_against_another_process(dsn: str, tmp_path: Path) -> None:
    async def rename(store: PostgresqlStore, bucket: Bucket, old: bytes, sequence: int, new: bytes) -> int:
        changes = (DeleteEntry(old), PutEntry(new, entry(1), b"x"))
        return await change(store, bucket, *changes, expect=(Unchanged(old, sequence), Absent(new)))

    async def test() -> None:
        async with opened(dsn, tmp_path, 2) as (one, two):
            bucket = await new_bucket(one)
            for number in range(10):
                old, new, other = b"old-%d" % number, b"new-%d" % number, b"other-%d" % number
                was = await put(one, bucket, old, b"x")
                renaming = (rename(one, bucket, old, was, new), rename(two, bucket, old, was, new))
                assert len(await both(*renaming)) == 1
                was = await put(one, bucket, old, b"x")
                renaming = rename(one, bucket, old, was, other)
                assert len(await both(renaming, put(two, bucket, other, b"y", Absent(other)))) == 1
            page = await one.list(bucket, b"", b"", b"", 1000)
            assert [listing for _, listing in page.rows] == [b"<Size>1</Size>"] * len(page.rows)

    asyncio.run(test())


def test_a_reader_that_is_forgotten_lets_go(dsn: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path) as [store]:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", pattern(LARGE))
            held = [await store.open(bucket, b"k") for _ in range(10)]
            with store._lease._lock:  # as if the collector ran while somebody had it
                del held
            await change(store, bucket, DeleteEntry(b"k"))
            await until(lambda: not names_of(store))
            assert not store._lease._in_use

    asyncio.run(test())


def test_there_is_no_content_to_keep_of_a_key_that_was_only_locked(dsn: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(dsn, tmp_path) as [store]:
            bucket = await new_bucket(store)
            keep = PutEntry(b"k", entry(1), None)
            for others in ((), (Absent(b"k"), Absent(b"other"))):
                with pytest.raises(ValueError, match="to keep"):
                    await change(store, bucket, keep, expect=others)
            assert (await store.list(bucket, b"", b"", b"", 10)).rows == []

    asyncio.run(test())
