"""Servers that make the schema at one moment do not take each other's tables for somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from anys3.store.postgresql import schema
from tests.engines.postgresql import Database


class Overtaken:
    """A connection between whose first two statements something happens."""

    def __init__(self, connection: Any, meanwhile: Callable[[], Awaitable[Any]]) -> None:
        self._connection = connection
        self._meanwhile = [meanwhile]

    async def fetch(self, *arguments: Any) -> Any:
        try:
            return await self._connection.fetch(*arguments)
        finally:
            while self._meanwhile:
                await self._meanwhile.pop()()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_a_server_that_is_overtaken_takes_the_store_that_the_other_one_has_made(postgresql: Database) -> None:
    async def start_two() -> tuple[str, list[str]]:
        dsn = postgresql.new_database()
        one, other = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
        ids: list[str] = []

        async def overtake() -> None:
            ids.append(await schema.prepare(other, "anys3"))

        try:
            return await schema.prepare(Overtaken(one, overtake), "anys3"), ids
        finally:
            await one.close()
            await other.close()

    found, ids = asyncio.run(start_two())
    assert [found] == ids
