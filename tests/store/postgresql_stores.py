"""Stores on one PostgreSQL database for tests: opened together, closed together, whatever happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from anys3.store.files import open_blobs
from anys3.store.postgresql import PostgresqlStore, open_store

WAIT_S = 120.0


@asynccontextmanager
async def opened(dsn: str, directory: Path, count: int = 1) -> AsyncIterator[list[PostgresqlStore]]:
    """Open stores on one database, with their blobs in one directory."""
    async with AsyncExitStack() as stack:
        stores = []
        for _ in range(count):
            store = await open_store(dsn, open_blobs(f"file:{directory}"))
            stack.push_async_callback(store.close)
            stores.append(store)
        yield stores


async def until(claim: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Wait until a claim is true."""
    limit = time.monotonic() + WAIT_S
    while True:
        found = claim()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < limit, claim
        await asyncio.sleep(0.02)


async def beat(store: PostgresqlStore) -> None:
    """Return after the next heartbeat."""
    tick = store._lease._tick
    store._side.call(store._lease._wake.set)
    await until(lambda: store._lease._tick > tick)


def names_of(store: PostgresqlStore) -> set[str]:
    """Return the names of all blobs that lie there."""
    return set(store._blobs.names())
