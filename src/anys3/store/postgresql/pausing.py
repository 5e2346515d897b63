"""The pause of the store, in its row, and who may change something all the same.

A mutation looks at it after it has locked the bucket's row, and a pause locks all buckets before it is committed: so
what has looked before it is committed before it, too. What changes the configuration locks the store's row.
"""

from __future__ import annotations

import uuid

from anys3.store.errors import Pause, PauseChanged, Paused
from anys3.store.postgresql.connections import Pool

NOW_MS = "extract(epoch FROM clock_timestamp()) * 1000"
_HOLDER = f"CASE WHEN pause_ends_ms <= {NOW_MS} THEN '' ELSE pause_holder END"


def is_open(holder: str) -> str:
    """Return the condition on the store's row under which the holder, an expression, may change something."""
    return f"{_HOLDER} = {holder}"


class Pauses:
    """The pause, and the one that this process has begun."""

    def __init__(self, schema: str, pool: Pool) -> None:
        self._schema = schema
        self._pool = pool
        self.holder = ""

    async def now(self) -> Pause | None:
        """Return the pause that is in force."""
        found = await self._pool.read(
            f"SELECT pause_reason, pause_holder, pause_ends_ms FROM {self._schema}.store WHERE NOT ({is_open('$1')})",
            "",
        )
        return Pause(*found[0]) if found else None

    async def begin(self, reason: str, was: Pause | None, lasts_s: float | None) -> Pause:
        """Pause the store. Raises PauseChanged."""
        holder = uuid.uuid4().hex
        pause = await self._replace(was, reason, holder, None if lasts_s is None else round(1000 * lasts_s))
        self.holder = holder
        return pause

    async def end(self, was: Pause) -> None:
        """End that pause. Raises PauseChanged."""
        await self._replace(was, "", "", None)
        if self.holder == was.holder:
            self.holder = ""

    async def _replace(self, was: Pause | None, reason: str, holder: str, lasts_ms: int | None) -> Pause:
        [(is_done, *pause)] = await self._pool.change(
            f"SELECT is_done, reason, holder, ends_ms FROM {self._schema}.store_pause($1, $2, $3, $4)",
            *(was.holder if was else "", reason, holder, lasts_ms),
        )
        if not is_done:
            raise PauseChanged(Pause(*pause) if pause[1] else None)
        return Pause(*pause)

    async def refusal(self) -> Paused:
        """Return what is raised for a change that was refused."""
        return Paused(await self.now())
