"""The engine on PostgreSQL keeps the contract, with inline contents and with blobs in a directory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from anys3.server.driving import drive
from anys3.store.files import open_blobs
from anys3.store.mutations import Absent, DeleteEntry, PutEntry
from anys3.store.postgresql import open_store
from tests.engines.postgresql import Database
from tests.store.noting_suite import NotingSuite, RunAgain
from tests.store.pausing_suite import PausingSuite, RunTwo, TwoTest
from tests.store.suite import StoreTest, Suite, change, entry, new_bucket, put


class TestPostgresql(Suite, PausingSuite, NotingSuite):
    """The contract, on a real server."""

    @pytest.fixture
    def run(self, postgresql: Database, tmp_path: Path) -> Callable[[StoreTest], None]:
        """Return a function that runs a coroutine on a new store and closes it."""

        def run_on_store(test: StoreTest) -> None:
            async def body() -> None:
                store = await open_store(postgresql.new_schema(), open_blobs(f"file:{tmp_path}/blobs"))
                try:
                    await test(store)
                finally:
                    await store.close()

            asyncio.run(body())

        return run_on_store

    @pytest.fixture
    def run_two(self, postgresql: Database, tmp_path: Path) -> RunTwo:
        """Return a function that runs a coroutine on one new store, opened twice, and closes it."""

        def run_on_two(test: TwoTest) -> None:
            async def body() -> None:
                dsn = postgresql.new_schema()
                store = await open_store(dsn, open_blobs(f"file:{tmp_path}/blobs"))
                try:
                    other = await open_store(dsn, open_blobs(f"file:{tmp_path}/blobs"), is_server=False)
                    try:
                        await test(store, other)
                    finally:
                        await other.close()
                finally:
                    await store.close()

            asyncio.run(body())

        return run_on_two

    @pytest.fixture
    def run_again(self, postgresql: Database, tmp_path: Path) -> RunAgain:
        """Return a function that runs two coroutines on one new store, opened anew for the second."""

        def run_twice(first: StoreTest, second: StoreTest) -> None:
            async def body() -> None:
                dsn = postgresql.new_schema()
                for test in (first, second):
                    store = await open_store(dsn, open_blobs(f"file:{tmp_path}/blobs"))
                    try:
                        await test(store)
                    finally:
                        await store.close()

            asyncio.run(body())

        return run_twice

    def test_more_handlers_than_connections_are_served_and_none_needs_to_be_a_task(self, run):
        async def test(store):
            async with asyncio.timeout(60):
                done = [handled(store.buckets()) for _ in range(40)]
                assert await asyncio.gather(*done) == [[]] * len(done)

        run(test)

    def test_a_handler_that_is_no_task_changes_one_key_or_many_and_lists_them(self, run):
        async def test(store):
            bucket = await handled(new_bucket(store))
            keys = [b"a", b"b/1", b"b/2"]
            for key in keys:
                await handled(put(store, bucket, key, b"x", Absent(key)))
            assert (await handled(store.list(bucket, b"", b"/", b"", 10))).prefixes == [b"b/"]
            await handled(change(store, bucket, DeleteEntry(keys[0]), PutEntry(b"c", entry(1), b"y")))
            many = [b"%0500d" % number for number in range(1000)]
            await handled(change(store, bucket, *(DeleteEntry(key) for key in (*keys, *many))))
            assert [key for key, _ in await handled(store.entries(bucket, b"", 10))] == [b"c"]

        run(test)


def handled(handler: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    """Return what becomes of a coroutine that is driven as the server drives its handlers: as no task."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def end(result: object, error: BaseException | None) -> None:
        future.set_result(result) if error is None else future.set_exception(error)

    loop.call_soon(drive, handler, end, loop)
    return future
