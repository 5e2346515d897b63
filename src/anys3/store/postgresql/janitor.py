"""What goes on beside the requests: what nothing refers to is removed, and processes that died are noticed.

A blob may be removed when nobody can be reading it: it was freed, and marked with a tick after that was to be seen;
since then every process that lives has let go of all that it had read before that tick. A process is taken for dead
when its row does not change while this one, which can reach PostgreSQL, watches.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from anys3.store.blobs import Blobs
from anys3.store.errors import Unavailable
from anys3.store.figures import Figure
from anys3.store.postgresql.connections import Pool
from anys3.store.postgresql.lease import LEASE_S, Lease
from anys3.store.postgresql.names import BlobNames
from anys3.store.postgresql.noting import Noting

_log = logging.getLogger(__name__)
TURN_S = 1.0
SILENT_S = 1.5 * LEASE_S
"""From then on nobody waits for it."""
DEAD_S = 60.0
"""From then on nothing is kept for it."""
_MARKED_AT_ONCE = 1000
_REMOVED_AT_ONCE = 200
_PARTS_AT_ONCE = 500
_TURNS_MAX = 50
_LOOKS_S = 15.0


@dataclass(slots=True)
class _Seen:
    """A process as it was seen last, and since when it is so."""

    tick: int
    since: float
    is_silent: bool


class Janitor:
    """The work of one process, in the side's loop."""

    def __init__(
        self, schema: str, pool: Pool, lease: Lease, names: BlobNames, blobs: Blobs, *, is_server: bool
    ) -> None:
        self._schema = schema
        self._pool = pool
        self._lease = lease
        self._names = names
        self._noting = Noting(schema, pool)
        self._blobs = blobs
        self._is_server = is_server
        self._seen: dict[int, _Seen] = {}
        self._last_look = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._removal: asyncio.Task[None] | None = None
        self.dead_s = DEAD_S
        self._removed = 0
        self._overdue_s = 0.0
        self._looks_at = 0.0
        self.keep_s = 0
        """For how long blobs stay after they were freed."""

    def begin(self) -> None:
        """Take turns until `end`; those who watch don't wait for what is being removed."""
        turns = [self._names.flush, self.watch, self.turn] if self._is_server else [self._names.flush]
        self._tasks = [asyncio.get_running_loop().create_task(self._repeat(turn)) for turn in turns]

    async def end(self) -> None:
        """Stop; what is not done will be done by another, or later."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._removal is not None:  # blobs are closed next
            await asyncio.gather(self._removal, return_exceptions=True)

    async def _repeat(self, turn: Callable[[], Awaitable[None]]) -> None:
        level = logging.WARNING
        while True:
            await asyncio.sleep(TURN_S)
            try:
                await turn()
                level = logging.WARNING
            except Unavailable as error:  # the next turn goes on
                _log.log(level, "what was freed keeps its room for now: %s", error)
                level = logging.DEBUG  # said once
            except Exception:  # noqa: BLE001 (whatever it is, it is logged)
                _log.exception("what was freed keeps its room for now")

    def figures(self) -> list[Figure]:
        """Return what was removed, and whether that keeps up. For any thread."""
        return [
            Figure(
                "anys3_blobs_removed_total", "Blobs removed as nothing named them any more.", self._removed
            ),
            Figure(
                "anys3_blobs_overdue_seconds",
                "How long the oldest blob has waited to be removed, beyond keep=; looked at each 15 s.",
                self._overdue_s,
                over="most",
            ),
        ]

    async def _look_at_overdue(self) -> None:
        if monotonic() < self._looks_at:
            return
        self._looks_at = monotonic() + _LOOKS_S
        rows = await self._pool.read(
            f"SELECT extract(epoch FROM clock_timestamp() - min(freed_at))::float8 FROM {self._schema}.freed"
        )
        self._overdue_s = max(0.0, (rows[0][0] or 0.0) - self.keep_s)

    async def turn(self) -> None:
        """Remove what there is to remove now. Raises Unavailable."""
        await self._look_at_overdue()
        await self._mark()
        await self._remove()
        for _ in range(_TURNS_MAX):
            if not await self._noting.forget():
                return

    # processes

    async def watch(self) -> None:
        """Note which processes are silent, and bury the dead. Raises Unavailable."""
        rows = await self._pool.read(f"SELECT id, tick, is_silent FROM {self._schema}.process")
        now = monotonic()
        if now - self._last_look > SILENT_S:
            self._seen.clear()  # who was silent in the meantime, they or we?
        self._last_look = now
        before = self._seen
        self._seen = {}
        for process, tick, is_silent in rows:
            seen = before.get(process)
            if seen is None or seen.tick != tick:
                seen = _Seen(tick, now, is_silent)
            seen.is_silent = is_silent
            self._seen[process] = seen
            if process == self._lease.process:
                continue
            if now - seen.since > self.dead_s:
                await self._bury(process, tick)
            elif now - seen.since > SILENT_S and not is_silent:
                await self._pool.read(
                    f"UPDATE {self._schema}.process SET is_silent = true WHERE id = $1 AND tick = $2",
                    process,
                    tick,
                )

    async def _bury(self, process: int, tick: int | None) -> None:
        await self._pool.read(
            f"WITH dead AS (DELETE FROM {self._schema}.process"
            " WHERE id = $1 AND ($2::bigint IS NULL OR tick = $2) RETURNING id),"
            f" ended AS (DELETE FROM {self._schema}.change WHERE process IN (SELECT id FROM dead)),"
            f" gone AS (DELETE FROM {self._schema}.pending WHERE process IN (SELECT id FROM dead) RETURNING blob)"
            f" INSERT INTO {self._schema}.freed (id, blob)"
            f" SELECT nextval('{self._schema}.ids'), blob FROM gone",
            process,
            tick,
        )

    async def leave(self) -> None:
        """Take this process's own row away, and all names that it still has. Raises Unavailable."""
        await self._bury(self._lease.process, None)

    # what was freed

    async def _mark(self) -> None:
        """Give what was freed a tick that is higher than those of all who may have seen it in the index."""
        for _ in range(_TURNS_MAX):
            rows = await self._pool.read(
                f"UPDATE {self._schema}.freed SET tick = nextval('{self._schema}.ticks')"
                f" WHERE id IN (SELECT id FROM {self._schema}.freed WHERE tick IS NULL"
                " AND freed_at <= clock_timestamp() - interval '1 second' * $2::integer"
                " ORDER BY freed_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id",
                _MARKED_AT_ONCE,
                self.keep_s,
            )
            if len(rows) < _MARKED_AT_ONCE:
                return

    async def _remove(self) -> None:
        for _ in range(_TURNS_MAX):
            rows = await self._claim()
            names = [blob for _, blob, _ in rows if blob is not None]
            if names:
                await self._remove_blobs(names)
            for _, _, owner in rows:
                if owner is not None:
                    await self._remove_parts(owner)
            done = [id_ for id_, _, _ in rows]
            if done:
                await self._pool.read(
                    f"DELETE FROM {self._schema}.freed WHERE id = ANY ($1::bigint[])",
                    done,
                )
            if len(rows) < _REMOVED_AT_ONCE:
                return

    async def _claim(self) -> list[Any]:
        """Return what may be removed now, and is this process's to remove until it is gone from the table."""
        return await self._pool.read(
            f"UPDATE {self._schema}.freed SET janitor = $1 WHERE id IN ("
            f"SELECT f.id FROM {self._schema}.freed f"
            f" WHERE f.tick < (SELECT min(p.oldest) FROM {self._schema}.process p)"
            " AND (f.janitor IS NULL OR f.janitor = $1"
            f" OR f.janitor NOT IN (SELECT p.id FROM {self._schema}.process p))"
            " AND f.freed_at <= clock_timestamp() - interval '1 second' * $3::integer"
            " ORDER BY f.freed_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id, blob, owner",
            self._lease.process,
            _REMOVED_AT_ONCE,
            self.keep_s,
        )

    async def _remove_blobs(self, names: list[str]) -> None:
        work = asyncio.to_thread(self._blobs.remove, names)
        self._removal = asyncio.get_running_loop().create_task(work)
        await asyncio.shield(self._removal)
        self._removed += len(names)

    async def _remove_parts(self, owner: int) -> None:
        """Remove the parts of an object or an upload that is no more, some at a time."""
        while True:
            rows = await self._pool.read(
                f"SELECT number, blob FROM {self._schema}.part WHERE owner = $1 ORDER BY number LIMIT $2",
                owner,
                _PARTS_AT_ONCE,
            )
            if not rows:
                return
            names = [blob for _, blob in rows if blob is not None]
            if names:
                await self._remove_blobs(names)
            await self._pool.read(
                f"DELETE FROM {self._schema}.part WHERE owner = $1 AND number <= $2",
                owner,
                rows[-1][0],
            )
