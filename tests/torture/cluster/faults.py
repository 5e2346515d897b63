"""Faults that no engine makes often enough by itself: functions for `tests.torture.server --with`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from anys3.store.postgresql.connections import Link


def lose_answers(one_in: str) -> None:
    """Lose the connection to PostgreSQL when a mutation has been done and its answer is on the way."""
    chance = random.Random(1)

    def losing(original: Any) -> Any:
        async def fetch(self: Link, sql: str, args: Sequence[object], *more: Any) -> Any:
            rows = await original(self, sql, args, *more)
            if any(word in sql for word in ("_put(", "_delete(", "_complete(")) and not chance.randrange(
                int(one_in)
            ):
                self.raw.terminate()
                raise ConnectionResetError("the answer was lost")
            return rows

        return fetch

    Link.fetch = losing(Link.fetch)  # type: ignore[method-assign]
    Link.fetch_many = losing(Link.fetch_many)  # type: ignore[method-assign]
