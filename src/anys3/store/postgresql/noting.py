"""Notes of changed keys: rows that a mutation writes in its own transaction, while the store's row names such notes.

It reads that row after it has locked the bucket's (`enter`, in the schema). Who begins notes names them first, and then
waits until each bucket was free of locks for a moment: what had not seen the name is committed by then. No mutation looks
at a clock: notes whose time is over are written until somebody takes their name away, and nobody may use them.

A mutation locks a key's note before anything else of that key, also where there is one: so a strike waits for what has
noted the key, and what comes behind a strike notes it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from anys3.store.errors import NotesEnded
from anys3.store.interface import Keys, Noted, Notes
from anys3.store.postgresql.connections import Link, Pool
from anys3.store.postgresql.pausing import NOW_MS

_STRUCK_AT_ONCE = 256
_FORGOTTEN_AT_ONCE = 10_000


class Noting:
    """The notes, whoever began them."""

    def __init__(self, schema: str, pool: Pool) -> None:
        self._schema = schema
        self._pool = pool
        self._in_force = f"s.notes = $1 AND s.notes_end_ms > {NOW_MS}"

    async def begin(self, lasts_s: float) -> Notes:
        """Begin anew. Raises Unavailable."""
        [(number,)] = await self._pool.read(
            f"UPDATE {self._schema}.store SET notes = nextval('{self._schema}.ids'), notes_end_ms = {NOW_MS} + $1"
            " RETURNING notes",
            1000 * lasts_s,
        )
        # One bucket at a time, as what is changed in it waits meanwhile.
        free = await self._pool.read(f"SELECT b.id FROM {self._schema}.bucket b FOR UPDATE SKIP LOCKED")
        buckets = await self._pool.read(f"SELECT b.id FROM {self._schema}.bucket b ORDER BY b.id")
        waits = f"SELECT 1 FROM {self._schema}.bucket b WHERE b.id = $1 FOR UPDATE"
        for bucket in sorted({row[0] for row in buckets} - {row[0] for row in free}):
            await self._pool.read(waits, bucket)
        return Notes(str(number))

    async def keep(self, notes: Notes, lasts_s: float) -> None:
        """Let them end after `lasts_s` from now. Raises NotesEnded."""
        if not await self._pool.read(
            f"UPDATE {self._schema}.store s SET notes_end_ms = {NOW_MS} + $2 WHERE {self._in_force} RETURNING 1",
            *(int(notes.id), 1000 * lasts_s),
        ):
            raise NotesEnded(notes.id)

    async def first(self, notes: Notes, limit: int) -> Keys:
        """Return the first keys. Raises NotesEnded."""
        # In one statement: if the notes are in force, each mutation that is committed has noted its key.
        found = await self._pool.read(
            f"SELECT n.bucket, n.key FROM {self._schema}.store s LEFT JOIN LATERAL"
            f" (SELECT bucket, key FROM {self._schema}.noted WHERE notes = $1 ORDER BY bucket, key LIMIT $2) n ON true"
            f" WHERE {self._in_force}",
            *(int(notes.id), limit),
        )
        if not found:
            raise NotesEnded(notes.id)
        return [(bucket, key) for bucket, key in found if key is not None]

    async def strike(self, notes: Notes, keys: Sequence[Noted]) -> None:
        """Forget keys, when what has noted them is committed. Raises NotesEnded."""
        sql = (
            f"WITH struck AS (DELETE FROM {self._schema}.noted WHERE notes = $1 AND bucket = $2 AND key = $3)"
            f" SELECT 1 FROM {self._schema}.store s WHERE {self._in_force}"
        )
        # In the order in which mutations that share a transaction lock them.
        rows = [(int(notes.id), *key) for key in sorted(set(keys))] or [(int(notes.id), 0, b"")]
        for start in range(0, len(rows), _STRUCK_AT_ONCE):
            some = rows[start : start + _STRUCK_AT_ONCE]
            work = partial(_strike, sql=sql, rows=some)
            if len(await self._pool.attempt(work, may_repeat=True)) < len(some):
                raise NotesEnded(notes.id)

    async def end(self, notes: Notes) -> None:
        """End them if they are in force. Raises Unavailable."""
        await self._pool.read(f"UPDATE {self._schema}.store SET notes = 0 WHERE notes = $1", int(notes.id))

    async def forget(self) -> bool:
        """Remove some of what is left of notes that have ended; whether there may be more. Raises Unavailable."""
        await self._pool.read(
            f"UPDATE {self._schema}.store SET notes = 0 WHERE notes > 0 AND notes_end_ms <= {NOW_MS}"
        )
        gone = await self._pool.read(
            f"DELETE FROM {self._schema}.noted WHERE (notes, bucket, key) IN ("
            f"SELECT n.notes, n.bucket, n.key FROM {self._schema}.noted n WHERE n.notes <"
            f" (SELECT CASE s.notes WHEN 0 THEN {2**63 - 1} ELSE s.notes END FROM {self._schema}.store s)"
            " ORDER BY n.notes, n.bucket, n.key LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING 1",
            _FORGOTTEN_AT_ONCE,
        )
        return len(gone) == _FORGOTTEN_AT_ONCE


async def _strike(link: Link, sql: str, rows: Sequence[Sequence[object]]) -> list[Any]:
    return await link.fetch_many(sql, rows)
