"""Names of blobs. The index knows of each before its first byte is written, so that none stays that nothing refers to.

A name is a row of `pending` until a commit that names the blob takes the row away. Who takes it away otherwise moves
it to `freed`, in one statement, so the row's lock decides between the two.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections import deque
from time import monotonic, sleep

from anys3.store.errors import Unavailable
from anys3.store.postgresql.connections import RETRY_S, Pool
from anys3.store.postgresql.lease import Lease
from anys3.store.postgresql.side import Side

BLOCK = 64
"""Names that are reserved at a time."""
_LOW = BLOCK // 2
_MOST_AT_ONCE = 500
_PAUSE_S = 0.05


class BlobNames:
    """Names for the writers of this process; see contents.Names. Used by any thread, kept in the side's loop."""

    def __init__(self, schema: str, side: Side, pool: Pool, lease: Lease) -> None:
        self._schema = schema
        self._side = side
        self._pool = pool
        self._lease = lease
        self._ready: deque[tuple[int, str]] = deque()  # with the process that they are reserved for
        self._refill = threading.Lock()
        self._never_named: deque[str] = deque()
        self._perhaps_named: deque[str] = deque()
        self._is_flushing = False

    def new_name(self) -> str:
        """Return a name that no blob has had. Blocks; for threads. Raises Unavailable."""
        limit = monotonic() + RETRY_S
        while monotonic() < limit:
            with contextlib.suppress(IndexError):
                process, name = self._ready.popleft()
                if process != self._lease.process:
                    continue  # others have taken it back
                if len(self._ready) < _LOW and self._refill.acquire(blocking=False):
                    self._side.begin(self._reserve()).add_done_callback(lambda _: self._refill.release())
                return name
            if not self._refill.acquire(timeout=max(limit - monotonic(), 0)):
                break
            try:
                if not self._ready:
                    self._side.wait(self._reserve(), RETRY_S)
            finally:
                self._refill.release()
            if not self._ready:  # this process was taken for dead, and does not know it yet
                sleep(_PAUSE_S)
        raise Unavailable("no name for a blob could be reserved")

    def give_up(self, name: str) -> None:
        """Take a name back that no commit has named. For any thread."""
        self._never_named.append(name)
        self._side.call(self._flush_soon)

    def settle(self, name: str) -> None:
        """Take a name back unless a commit, whose outcome is not known, has named it. For any thread."""
        self._perhaps_named.append(name)
        self._side.call(self._flush_soon)

    async def _reserve(self) -> None:
        process = self._lease.process
        names = [secrets.token_hex(16) for _ in range(BLOCK)]
        # A process that was taken for dead has no row, and its names would never be taken back.
        rows = await self._pool.change(
            f"INSERT INTO {self._schema}.pending (blob, process)"
            f" SELECT name, p.id FROM (SELECT id FROM {self._schema}.process WHERE id = $2 FOR KEY SHARE) AS p,"
            " unnest($1::text[]) AS name RETURNING blob",
            names,
            process,
        )
        if rows:
            self._ready.extend((process, name) for name in names)

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            task = asyncio.get_running_loop().create_task(self._flush())
            task.add_done_callback(lambda _: None)

    async def _flush(self) -> None:
        try:
            with contextlib.suppress(Unavailable):  # the janitor's turn will do it
                await self.flush()
        finally:
            self._is_flushing = False

    async def flush(self) -> None:
        """Move what was given up to what is to be removed. In the side's loop. Raises Unavailable."""
        schema = self._schema
        gone = (
            f"WITH gone AS (DELETE FROM {schema}.pending WHERE blob = ANY ($1::text[]) RETURNING blob)"
            f" INSERT INTO {schema}.freed (id, blob) SELECT nextval('{schema}.ids'), name FROM"
        )
        # A name that was never named is freed although its row may have been taken away already: what was
        # written since then would stay. A row twice in `freed` does no harm.
        await self._move(self._never_named, f"{gone} unnest($1::text[]) AS name")
        await self._move(self._perhaps_named, f"{gone} (SELECT blob AS name FROM gone) AS gone_names")

    async def _move(self, names: deque[str], sql: str) -> None:
        while names:
            some = [names.popleft() for _ in range(min(len(names), _MOST_AT_ONCE))]
            try:
                await self._pool.read(sql, some)
            except BaseException:
                names.extendleft(some)
                raise

    async def end(self) -> None:
        """Return all names that were never given out. In the side's loop. Raises Unavailable."""
        unused = [name for _, name in self._ready]
        self._ready.clear()
        await self._pool.read(f"DELETE FROM {self._schema}.pending WHERE blob = ANY ($1::text[])", unused)
        await self.flush()
