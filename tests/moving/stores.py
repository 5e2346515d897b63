"""Stores between a copy and its engines: one that dies at a call, and one that others write to meanwhile."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from anys3.store.interface import Store


class Died(Exception):
    """The process of the copy is no more."""


class Life:
    """Counts the calls of a copy on its stores, and ends it before one of them, or after it."""

    def __init__(self, ends_at: int | None = None, *, is_done: bool = False) -> None:
        """`ends_at`: the number of the call; `is_done`: the call still happens."""
        self.calls = 0
        self._ends_at = ends_at
        self._is_done = is_done

    async def call(self, method: Callable[..., Awaitable[Any]], *args: Any, **others: Any) -> Any:
        self.calls += 1
        if self._ends_at is not None and self.calls >= self._ends_at:
            if self._is_done and self.calls == self._ends_at:
                await method(*args, **others)
            raise Died
        return await method(*args, **others)


class Watched:
    """A store whose awaitable methods go through `call(method, ...)`."""

    def __init__(self, store: Store, call: Callable[..., Awaitable[Any]]) -> None:
        self._store = store
        self._call = call

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def called(*args: Any, **others: Any) -> Any:
            return await self._call(found, *args, **others)

        return called
