"""Bugs that can be planted in any engine."""

from __future__ import annotations

import asyncio
from typing import Any

from anys3.store.mutations import Committed, DeleteEntry, Mutation, PutEntry


def answer_before_commit(engine: Any, window_s: float) -> None:
    """Let a class of stores answer writes without a condition `window_s` before they commit them."""
    original = engine.commit
    tasks = set()

    async def commit(self: Any, mutation: Mutation) -> Any:
        if mutation.expect or not all(isinstance(one, PutEntry | DeleteEntry) for one in mutation.changes):
            return await original(self, mutation)

        async def later() -> None:
            await asyncio.sleep(window_s)
            await original(self, mutation)

        task = asyncio.ensure_future(later())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return Committed(0)

    engine.commit = commit
