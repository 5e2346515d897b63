"""Connections to PostgreSQL: where to, how many, how long to wait, and what is known when one is lost.

Nothing here waits for ever: connecting, each statement and waiting for a free connection have deadlines of our own,
so a host that vanishes without a word is found out. A connection that misses one is dropped, never used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, TypeVar

import asyncpg

from anys3.store.errors import Corrupt, StoreError, StoreFull, Unavailable
from anys3.store.postgresql.address import Address
from anys3.store.postgresql.counts import Counts

CONNECT_S = 5.0
HOST_S = 2.0
"""For each of several hosts."""
STATEMENT_S = 10.0
"""How long the server works on one statement; we wait a little longer."""
WAIT_S = STATEMENT_S + 2
RETRY_S = 4.0
"""What may be repeated is repeated for this long."""
_PAUSE_S = 0.05
_PAUSE_MAX_S = 0.5

SETTINGS = {
    "application_name": "anys3",
    "statement_timeout": f"{STATEMENT_S:.0f}s",
    "idle_in_transaction_session_timeout": f"{STATEMENT_S:.0f}s",
    # All our statements walk an index; without statistics of a table the planner may think otherwise.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}

# What a statement that fails like this has left undone, and what another attempt may bring about.
_AGAIN = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,  # two transactions made the same row; the second attempt finds it
    asyncpg.ReadOnlySQLTransactionError,  # it was the primary a moment ago
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
)
_SPENT = (
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
)
"""What makes a connection useless for the next statement, too."""
_BUGS = ("22", "23", "42")
"""Classes of SQLSTATE that statements of ours should never meet."""

Result = TypeVar("Result")


class Unknown(Unavailable):
    """The connection was lost while a mutation was under way: it may have happened, or may still happen."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a statement that failed."""

    error: BaseException
    may_retry: bool
    is_unknown: bool = False
    """Whether it may have happened."""
    is_lost: bool = False
    """Whether the connection is of no use any more."""


def judge(error: BaseException) -> Failure:
    """Return what a failure of a statement means. Bugs and cancellation are returned as they are."""
    if isinstance(error, asyncpg.InternalClientError | OSError | TimeoutError | asyncio.IncompleteReadError):
        return Failure(Unknown(_reason(error)), may_retry=True, is_unknown=True, is_lost=True)
    if isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError):
        # Said before anything is sent: the connection was found closed.
        return Failure(Unavailable(_reason(error)), may_retry=True, is_lost=True)
    if isinstance(error, StoreError):
        return Failure(error, may_retry=False)
    if not isinstance(error, asyncpg.PostgresError):
        return Failure(error, may_retry=False, is_lost=True)
    if isinstance(error, _AGAIN):
        return Failure(Unavailable(_reason(error)), may_retry=True, is_lost=isinstance(error, _SPENT))
    state = error.sqlstate or ""
    if state.startswith(("08", "57P")):
        return Failure(Unknown(_reason(error)), may_retry=True, is_unknown=True, is_lost=True)
    return Failure(_refusal(error, state), may_retry=False)


def _refusal(error: Exception, state: str) -> BaseException:
    """Return what an answer of the server means that will not change soon; nothing was changed."""
    if state == "53100":
        return StoreFull(_reason(error))
    if state.startswith("XX") and state != "XX000":
        return Corrupt(_reason(error))
    if state.startswith(_BUGS) and state != "42501":
        return error
    return Unavailable(_reason(error))


def _reason(error: BaseException) -> str:
    return f"PostgreSQL: {str(error) or type(error).__name__}"


async def connect(address: Address) -> Any:
    """Return a connection of asyncpg to the first host that will do. Raises Unavailable.

    The host that did last time is asked first.
    """
    timeout_s = HOST_S if len(address.hosts) > 1 else CONNECT_S
    failures = []
    for number, arguments in address.attempts():
        try:
            raw = await asyncio.wait_for(
                asyncpg.connect(**arguments, server_settings=_settings(address)), timeout_s
            )
            _forget_when_closed(raw)  # an OSError, if it was closed since
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            failures.append(f"{address.host(number)}: {str(error) or type(error).__name__}")
        else:
            address.succeeded(number)
            return raw
    raise Unavailable(f"PostgreSQL can't be reached ({'; '.join(failures)})")


def _forget_when_closed(raw: Any) -> None:
    """Let a connection that is closed, also by the end of this process, take along what it has not delivered.

    A system would go on sending it for minutes: to a network that heals, a mutation that its caller has done again
    since, and others have built upon.
    """
    connected = raw._transport and raw._transport.get_extra_info("socket")  # noqa: SLF001 (asyncpg has no other way)
    if connected is None or raw.is_closed():
        raise ConnectionResetError("closed at once")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _settings(address: Address) -> dict[str, str]:
    """Return what each session begins with. A pooler in between would refuse it: it keeps sessions of its own."""
    return SETTINGS if address.is_prepared else {"application_name": SETTINGS["application_name"]}


class Link:
    """One connection, and the statements that were prepared on it.

    One that misses a deadline is ended without a request to cancel: that would end a commit's wait for a synchronous
    standby, too, and others would see what may be lost.
    """

    __slots__ = ("_is_late", "_is_prepared", "_loop", "_statements", "raw")

    def __init__(self, raw: Any, *, is_prepared: bool) -> None:
        self.raw = raw
        self._is_prepared = is_prepared
        self._statements: dict[str, Any] = {}
        self._loop = asyncio.get_running_loop()
        self._is_late = False

    async def fetch(self, sql: str, args: Sequence[object], timeout_s: float | None = None) -> list[Any]:
        """Run a statement and return its rows."""
        timer = self._loop.call_later(timeout_s or WAIT_S, self._give_up)
        try:
            if self._is_prepared:
                statement = self._statements.get(sql) or await self._prepare(sql)
                found: list[Any] = await statement.fetch(*args)
            else:
                found = await self.raw.fetch(sql, *args)
        except asyncpg.PostgresConnectionError as error:
            raise self._reason(error) from error
        else:
            return found
        finally:
            timer.cancel()

    async def fetch_many(self, sql: str, args: Sequence[Sequence[object]]) -> list[Any]:
        """Run a statement once for each arguments, in one transaction and one round trip; return all rows."""
        with self.deadline():
            if self._is_prepared:
                statement = self._statements.get(sql) or await self._prepare(sql)
                found: list[Any] = await statement.fetchmany(args)
            else:
                found = await self.raw.fetchmany(sql, args)
            return found

    @contextlib.contextmanager
    def deadline(self, timeout_s: float | None = None) -> Iterator[None]:
        """End the connection if what is done meanwhile takes longer."""
        timer = self._loop.call_later(timeout_s or WAIT_S, self._give_up)
        try:
            yield
        except asyncpg.PostgresConnectionError as error:
            raise self._reason(error) from error
        finally:
            timer.cancel()

    async def _prepare(self, sql: str) -> Any:
        # Nothing has happened yet, if this fails: so it is said.
        try:
            statement = await self.raw.prepare(sql)
        except (OSError, asyncpg.PostgresConnectionError) as error:
            raise asyncpg.InterfaceError(f"lost while preparing a statement: {error}") from error
        self._statements[sql] = statement
        return statement

    def _give_up(self) -> None:
        self._is_late = True
        self.end()

    def _reason(self, error: Exception) -> Exception:
        """Return what to say of a connection that was lost."""
        if self._is_late:
            return TimeoutError("no answer in time")
        return ConnectionError(str(error))

    def end(self) -> None:
        """Drop the connection without a word."""
        self._statements.clear()
        self.raw.terminate()


class Pool:
    """Connections for one event loop: made when they are needed, used by one at a time, waited for in turn."""

    def __init__(self, address: Address, size: int) -> None:
        self._address = address
        self._size = size
        self._idle: list[Link] = []
        self._count = 0  # connected or connecting
        self._waiting: deque[asyncio.Future[Link]] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._counts = Counts(size)
        self._reason = "all connections to PostgreSQL are busy"

    async def read(self, sql: str, *args: object) -> list[Any]:
        """Run a statement that may be repeated, and return its rows. Raises Unavailable, Corrupt."""
        return await self.attempt(lambda link: link.fetch(sql, args), may_repeat=True)

    async def change(self, sql: str, *args: object) -> list[Any]:
        """Run a statement at most once, and return its rows. Raises Unavailable, Unknown, StoreFull."""
        return await self.once(lambda link: link.fetch(sql, args))

    async def once(self, work: Callable[[Link], Awaitable[Result]]) -> Result:
        """Do what must not happen twice; it is not broken off if the caller stops waiting. Raises as `attempt`."""
        task = asyncio.get_running_loop().create_task(self.attempt(work, may_repeat=False))
        # A failure that nobody waits for any more would be logged as a mistake of ours, if nobody looked at it.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(task)

    async def attempt(self, work: Callable[[Link], Awaitable[Result]], *, may_repeat: bool) -> Result:
        """Do one statement or transaction; again while it has not happened, or may happen again.

        Raises Unavailable (nothing has happened), Unknown, StoreFull, Corrupt.
        """
        limit = monotonic() + RETRY_S
        pause_s = _PAUSE_S
        while True:
            link = await self.take(limit)
            try:
                result = await work(link)
            except BaseException as error:
                failure = judge(error)
                self.give_back(link, is_lost=failure.is_lost)
                may = failure.may_retry and (may_repeat or not failure.is_unknown)
                if not may or monotonic() + pause_s > limit:
                    self._counts.given_up += isinstance(failure.error, Unavailable)
                    if failure.error is error:
                        raise
                    raise failure.error from error
            else:
                self.give_back(link)
                return result
            self._counts.repeated += 1
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _PAUSE_MAX_S)

    async def take(self, limit: float) -> Link:
        """Return a connection that nobody else uses until it is given back. Raises Unavailable at `limit`."""
        if self._is_closed:
            raise Unavailable("the store is closed")
        while self._idle:
            link = self._idle.pop()
            if not link.raw.is_closed():
                return link
            self._drop(link)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Link] = loop.create_future()
        self._waiting.append(waiter)
        self._connect_more()
        # asyncio.timeout wants a task, and the server's handlers are none.
        timer = loop.call_later(max(limit - monotonic(), 0), self._end_waiting, waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())
            raise
        finally:
            timer.cancel()

    def _end_waiting(self, waiter: asyncio.Future[Link]) -> None:
        if not waiter.done():
            self._counts.given_up += 1
            waiter.set_exception(Unavailable(self._reason))

    def counts(self) -> Counts:
        """Return what there is, and what there was. For any thread."""
        is_open = self._count - len(self._connecting)
        waiting = sum(not waiter.done() for waiter in tuple(self._waiting))
        return replace(self._counts, open=is_open, used=is_open - len(self._idle), waiting=waiting)

    def give_back(self, link: Link, *, is_lost: bool = False) -> None:
        """Let others have a connection, or drop it."""
        if is_lost or self._is_closed or link.raw.is_closed():
            self._drop(link)
            self._connect_more()
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(link)
                return
        self._idle.append(link)

    def forget_idle(self) -> None:
        """Drop all connections that nobody uses: the host at their other end does not answer."""
        while self._idle:
            self._drop(self._idle.pop())

    async def close(self) -> None:
        """Drop all connections. Those in use go when they are given back."""
        self._is_closed = True
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(Unavailable("the store is closed"))
        closing = [link.raw.close(timeout=1) for link in self._idle]
        self._idle.clear()
        await asyncio.gather(*closing, return_exceptions=True)

    def _drop(self, link: Link) -> None:
        self._count -= 1
        self._counts.lost += not self._is_closed
        link.end()

    def _connect_more(self) -> None:
        """Begin a connection if somebody waits for one, and there may be one more."""
        if self._count >= self._size or self._is_closed:
            return
        if sum(not waiter.done() for waiter in self._waiting) > len(self._connecting):
            self._count += 1
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        """Connect, as often as it takes while somebody waits."""
        pause_s = _PAUSE_S
        while True:
            try:
                raw = await connect(self._address)
            except StoreError as error:
                self._reason = str(error)
            except BaseException:
                self._count -= 1
                raise
            else:
                # No more counted as connecting: who waits from now on is to begin another connection.
                self._connecting.difference_update({asyncio.current_task()})
                self._counts.opened += 1
                self.give_back(Link(raw, is_prepared=self._address.is_prepared))
                return
            if not any(not waiter.done() for waiter in self._waiting):
                self._count -= 1
                return
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(pause_s)
            if self._is_closed:
                self._count -= 1
                return
            pause_s = min(pause_s * 2, _PAUSE_MAX_S)
