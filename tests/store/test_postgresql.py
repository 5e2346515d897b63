"""The engine on PostgreSQL keeps the contract, with inline contents and with blobs in a directory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from anys3.store.files import open_blobs
from anys3.store.postgresql import open_store
from tests.engines.postgresql import Database
from tests.store.suite import StoreTest, Suite


class TestPostgresql(Suite):
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
