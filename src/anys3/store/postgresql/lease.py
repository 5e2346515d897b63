"""What this process knows of the configuration, for how long it may believe so, and what it may still be reading.

Each second it tells its row in the table `process` that it lives, and *then* reads the store's generation; LISTEN
makes it look at once when something has changed, and nothing depends on that. What it has read holds for LEASE_S from
the moment before. Who takes something away says so first, by a row in `change` and a new generation, and waits until
every row has that, or LEASE_S have passed: then nobody believes in what they have read before, and from the change's
own commit on all see the same. No clock of another machine has a part in this.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

import asyncpg

from anys3.store.errors import Unavailable
from anys3.store.postgresql.address import Address
from anys3.store.postgresql.connections import Link, Pool, connect, judge

_log = logging.getLogger(__name__)
BEAT_S = 1.0
LEASE_S = 5.0
_BEAT_TIMEOUT_S = 3.0
_PAUSE_S = 0.2
_POLL_S = 0.001
_POLL_MAX_S = 0.05
_TURN_BITS = 40


class Reading:
    """What was read of the index since `tick` and is still in use, such as a blob that is being sent."""

    __slots__ = ("_lease", "process", "tick")

    def __init__(self, lease: Lease, process: int, tick: int) -> None:
        self._lease = lease
        self.process = process
        self.tick = tick

    def end(self) -> None:
        """Let go. Once, by any thread."""
        self._lease.let_go(self.tick)

    def check(self) -> None:
        """Raise Unavailable if others may have taken this process for dead since, and removed what it reads."""
        if self.process != self._lease.process or not self._lease.is_held:
            raise Unavailable("this process has not reached PostgreSQL for too long")


class Lease:
    """The process's row, kept alive in the side's loop."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.process = 0
        """The id of the row; another one after this process was taken for dead."""
        self._tick = 0
        self._generation = 0
        self._until = 0.0
        self._lock = threading.Lock()
        self._turn = 0  # rises while others may change the configuration
        self._is_changing = False
        self._changes = 0  # of this process, under way
        self._ended_changes: deque[str] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._in_use: dict[int, int] = {}  # readings by tick
        self._ended: deque[int] = deque()
        self._link: Link | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False
        self.when_lost: list[Callable[[], object]] = []
        """Called in the side's loop when PostgreSQL stops answering."""

    @property
    def channel(self) -> str:
        """The name that NOTIFY and LISTEN use."""
        return self._address.schema

    def generation(self) -> int:
        """Return the number of the configuration: always another one while it is being changed. Raises Unavailable."""
        if monotonic() > self._until:
            raise Unavailable(f"PostgreSQL has not answered for {LEASE_S:.0f} s")
        if self._is_changing or self._changes:
            self._turn += 1
        return (self._generation << _TURN_BITS) + self._turn

    @property
    def is_held(self) -> bool:
        """Whether others know that this process lives."""
        return monotonic() <= self._until

    def adopt(self, generation: int) -> None:
        """Take note of a generation that this process has made."""
        with self._lock:
            self._generation = max(self._generation, generation)

    def read(self) -> Reading:
        """Begin to read the index."""
        with self._lock:
            tick = self._tick
            self._in_use[tick] = self._in_use.get(tick, 0) + 1
        return Reading(self, self.process, tick)

    def let_go(self, tick: int) -> None:
        """End a reading that began at that tick. Also for finalizers, which may run while the lock is held."""
        self._ended.append(tick)

    def _settle(self) -> None:
        """Count what has ended. Under the lock."""
        while self._ended:
            tick = self._ended.popleft()
            left = self._in_use[tick] - 1
            if left:
                self._in_use[tick] = left
            else:
                del self._in_use[tick]

    async def begin(self) -> None:
        """Make the row. In the side's loop. Raises Unavailable."""
        self._loop = asyncio.get_running_loop()
        await self._connect()
        await self._beat()
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def end(self) -> None:
        """Stop beating, and let go of the connection. The row is the janitor's to remove."""
        self._is_closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        if self._link is not None:
            with contextlib.suppress(Exception):
                await self._link.raw.close(timeout=1)
            self._drop()

    async def _keep(self) -> None:
        lost: float | None = None
        while not self._is_closing:
            try:
                if self._link is None:
                    await self._connect()
                self._wake.clear()
                is_new = await self._beat()
            except Exception as error:  # noqa: BLE001 (whatever it is, the next beat may succeed)
                if lost is None:
                    lost = monotonic()
                    _log.warning("requests can't be answered: %s", judge(error).error)
                self._drop()
                for tell in self.when_lost:
                    tell()
                await asyncio.sleep(_PAUSE_S)
                continue
            if lost is not None:
                _log.warning("PostgreSQL answers again after %.1f s", monotonic() - lost)
                lost = None
            if not is_new:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        await self._wake.wait()

    async def _connect(self) -> None:
        raw = await connect(self._address)
        self._link = Link(raw, is_prepared=self._address.is_prepared)
        # Not every server of this protocol has LISTEN.
        with contextlib.suppress(asyncpg.PostgresError), self._link.deadline(_BEAT_TIMEOUT_S):
            await raw.add_listener(self.channel, self._hear)
        if not self.process:
            await self._register()

    def _hear(self, *_: object) -> None:
        self._wake.set()

    async def _register(self) -> None:
        schema = self._address.schema
        rows = await self._fetch(
            f"INSERT INTO {schema}.process (id, host, seen, tick, oldest, generation)"
            f" SELECT nextval('{schema}.ids'), $1, clock_timestamp(), now.tick, now.tick, 0"
            f" FROM (SELECT nextval('{schema}.ticks') AS tick OFFSET 0) AS now RETURNING id, tick",
            socket.gethostname(),
        )
        with self._lock:
            self.process, self._tick = rows[0]

    async def _beat(self) -> bool:
        """Renew the lease; return whether there was a new generation, which is not acknowledged yet."""
        schema = self._address.schema
        sent = monotonic()
        with self._lock:
            self._settle()
            # Whoever begins to read before this returns has at least the tick of now.
            oldest = min(self._in_use, default=self._tick)
            known = self._generation
        rows = await self._fetch(
            f"UPDATE {schema}.process SET seen = clock_timestamp(), tick = nextval('{schema}.ticks'),"
            " oldest = $2, generation = $3, is_silent = false WHERE id = $1 RETURNING tick",
            self.process,
            oldest,
            known,
        )
        if not rows:
            await self._register()
            return True
        # In a transaction of its own: whoever commits a generation that is not seen here sees the row above.
        found = await self._fetch(
            f"SELECT generation, EXISTS (SELECT 1 FROM {schema}.change WHERE process <> $1) FROM {schema}.store",
            self.process,
        )
        with self._lock:
            self._tick = rows[0][0]
            self._generation = max(self._generation, found[0][0])
            self._is_changing = found[0][1]
            is_new = self._generation != known
        self._until = sent + LEASE_S
        if ended := list(self._ended_changes):
            await self._fetch(f"DELETE FROM {schema}.change WHERE id = ANY ($1::text[])", ended)
            for _ in ended:
                self._ended_changes.popleft()
        return is_new

    async def _fetch(self, sql: str, *args: object) -> list[Any]:
        assert self._link is not None
        return await self._link.fetch(sql, args, _BEAT_TIMEOUT_S)

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.end()

    @contextlib.asynccontextmanager
    async def changing(self, pool: Pool) -> AsyncIterator[None]:
        """Let no process believe in what it has read of keys and buckets, until they have been changed."""
        schema, change = self._address.schema, secrets.token_hex(8)
        with self._lock:
            self._changes += 1
        try:
            rows = await pool.change(
                f"WITH raised AS (UPDATE {schema}.store SET generation = generation + 1 RETURNING generation)"
                f" INSERT INTO {schema}.change (id, process) SELECT $1, $2 FROM raised"
                " RETURNING (SELECT generation FROM raised)",
                change,
                self.process,
            )
            await self.make_known(pool, rows[0][0])
            yield
        finally:
            with self._lock:
                self._changes -= 1
            self._ended_changes.append(change)
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._wake.set)

    async def make_known(self, pool: Pool, generation: int) -> None:
        """Return when no process believes in an older generation, which the caller has just committed."""
        self.adopt(generation)
        limit = monotonic() + LEASE_S
        schema = self._address.schema
        pause_s = _POLL_S
        with contextlib.suppress(Unavailable, asyncpg.PostgresError):
            await pool.read("SELECT pg_notify($1, '')", self.channel)
        with contextlib.suppress(Unavailable):  # then all that is left is to wait
            while monotonic() < limit:
                rows = await pool.read(
                    f"SELECT count(*) FROM {schema}.process"
                    " WHERE generation < $1 AND id <> $2 AND NOT is_silent",
                    generation,
                    self.process,
                )
                if not rows[0][0]:
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _POLL_MAX_S)
        await asyncio.sleep(max(limit - monotonic(), 0))
