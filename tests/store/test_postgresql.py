"""The engine on PostgreSQL keeps the contract, with inline contents and with blobs in a directory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from anys3.server.driving import Driver
from anys3.store.files import open_blobs
from anys3.store.postgresql import open_store
from tests.engines.postgresql import Database
from tests.store.pausing_suite import PausingSuite, RunTwo, TwoTest
from tests.store.suite import StoreTest, Suite


class TestPostgresql(Suite, PausingSuite):
    """The contract, on a real server."""

    @pytest.fixture
    def run(self, postgresql: Database, tmp_path: Path) -> Callable[[StoreTest], None]:
        """Return a function that runs a coroutine on a new store and closes it."""

        def run_on_store(test: StoreTest) -> None:
            async def body() -> None:
                store = await open_store(postgresql.new_database(), open_blobs(f"file:{tmp_path}/blobs"))
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
                dsn = postgresql.new_database()
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

    def test_more_handlers_than_connections_are_served_and_none_needs_to_be_a_task(self, run):
        async def test(store):
            loop = asyncio.get_running_loop()
            done = [loop.create_future() for _ in range(40)]

            def end(future, result, error):
                future.set_result(result) if error is None else future.set_exception(error)

            def begin(future):
                handler = store.buckets()
                Driver(handler, handler.send(None), partial(end, future), loop)

            for future in done:
                loop.call_soon(begin, future)
            async with asyncio.timeout(60):
                assert await asyncio.gather(*done) == [[]] * len(done)

        run(test)
