"""The index as a server's handlers use it: outside of Tasks, where asyncio's timeouts refuse to work."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from anys3.model import Bucket, Entry
from anys3.server.driving import drive
from anys3.store.errors import Unavailable
from anys3.store.files import open_blobs
from anys3.store.mutations import Absent, DeleteEntry, Mutation, PutEntry
from anys3.store.postgresql import open_store
from tests.engines.postgresql import Database

ENTRY = Entry(4, 0, "e", b"", b"", b"<Size>4</Size>")


async def driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine as a connection of the server does, and return what it returns."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Any] = loop.create_future()

    def done(result: Any, error: BaseException | None) -> None:
        ended.set_exception(error) if error is not None else ended.set_result(result)

    loop.call_soon(drive, coroutine, done, loop)  # a Task of ours is not current there
    return await asyncio.wait_for(ended, 60)


def test_handlers_need_no_task(postgresql: Database, tmp_path: Path) -> None:
    async def use() -> tuple[list[bytes], list[bytes]]:
        store = await open_store(f"{postgresql.new_database()}?pool=2", open_blobs(f"file:{tmp_path / 'b'}"))
        bucket = await driven(store.create_bucket(Bucket("bucket", 0, 0)))
        puts = (PutEntry(b"a/1", ENTRY, b"data"), PutEntry(b"b", ENTRY, b"data"))
        await driven(store.commit(Mutation(bucket, puts, (Absent(b"a/1"),))))
        await driven(store.commit(Mutation(bucket, (DeleteEntry(b"none"),))))
        page = await driven(store.list(bucket, b"", b"/", b"", 10))
        opened = await driven(store.open(bucket, b"b"))
        assert opened.inline == b"data"
        await store.close()
        return [key for key, _ in page.rows], page.prefixes

    assert asyncio.run(use()) == ([b"b"], [b"a/"])


def test_each_who_waits_gets_a_connection_and_waiting_ends(postgresql: Database, tmp_path: Path) -> None:
    async def use() -> None:
        store = await open_store(f"{postgresql.new_database()}?pool=2", open_blobs(f"file:{tmp_path / 'b'}"))
        held = [await store._pool.take(monotonic() + 60) for _ in range(2)]
        try:
            with pytest.raises(Unavailable):
                await driven(store.bucket("bucket"))
        finally:
            for link in held:
                store._pool.give_back(link)
            await store.close()

    asyncio.run(use())


def test_a_failure_that_nobody_waits_for_any_more_is_not_told_as_a_mistake(
    postgresql: Database, tmp_path: Path
) -> None:
    async def use() -> list[Any]:
        told: list[Any] = []
        begun, may_fail, given_back = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def fail(link: object) -> None:
            begun.set()
            await may_fail.wait()
            asyncio.get_running_loop().call_later(0.1, given_back.set)
            raise Unavailable(repr(link))

        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        store = await open_store(postgresql.new_schema(), open_blobs(f"file:{tmp_path / 'b'}"))
        waiting = asyncio.ensure_future(store._pool.once(fail))
        await begun.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        may_fail.set()
        await given_back.wait()
        gc.collect()
        await store.close()
        return told

    assert asyncio.run(use()) == []
