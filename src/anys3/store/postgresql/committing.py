"""Mutations on their way: what one turn of the loop submits goes in one round trip, and is one transaction.

Each mutation is one call of a function in the database, which decides it by itself. A call's transaction is begun
again where it is known not to have happened; where that is not known, its callers are told so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from anys3.model import Entry
from anys3.store.contents import Stored
from anys3.store.errors import StoreError, Unavailable
from anys3.store.mutations import Absent, Expectation, Matches, Present, Unchanged
from anys3.store.postgresql import rows
from anys3.store.postgresql.connections import Pool, Unknown

DONE, NO_BUCKET, FAILED, NO_UPLOAD, PART_CHANGED, NAME_LOST, NOTHING_TO_KEEP, NOT_EMPTY, PAUSED = range(9)
"""Outcomes of the functions in the database."""
FLIGHTS_MAX = 4
"""Transactions of a kind at a time; what comes meanwhile goes together."""
MUTATIONS_MAX = 64
BYTES_MAX = 1024 * 1024

# The functions, with how many arguments each takes, the last one being who has paused the store, and whether it tells the row that an expectation failed on.
FUNCTIONS = {
    "object_put": (22, True),
    "object_delete": (7, True),
    "upload_put": (11, False),
    "part_put": (13, False),
    "upload_complete": (19, True),
    "upload_abort": (4, False),
    "object_lock": (3, True),
}
_WAS = ", ".join(f"(r.was).{column}" for column in rows.ENTRY_COLUMNS)


def statement(schema: str, name: str) -> str:
    """Return the statement that calls a function: its rows are outcome, sequence, and the columns of ENTRY."""
    count, tells_row = FUNCTIONS[name]
    arguments = ", ".join(f"${number}" for number in range(1, count + 1))
    columns = f"r.outcome, r.committed, {_WAS}" if tells_row else "r.outcome, r.committed"
    return f"SELECT {columns} FROM {schema}.{name}({arguments}) r"


@dataclass(slots=True)
class Call:
    """One call. The first two arguments are always bucket and key: calls are made in their order."""

    arguments: tuple[Any, ...]
    content: object
    future: asyncio.Future[Any]

    @property
    def weight(self) -> int:
        """How many bytes it sends, about."""
        return 1024 + (len(self.content) if isinstance(self.content, bytes) else 0)


class Lane:
    """Calls of one function."""

    def __init__(self, pool: Pool, sql: str, settle: Callable[[str], None]) -> None:
        self._pool = pool
        self._sql = sql
        self._settle = settle
        self._waiting: deque[Call] = deque()
        self._flights: set[asyncio.Task[None]] = set()
        self._is_departing = False

    async def call(self, arguments: tuple[Any, ...], content: object = None) -> Any:
        """Return the row of one call. Raises Unavailable, Unknown, StoreFull.

        If the caller stops waiting, it happens all the same, and its content is looked after.
        """
        loop = asyncio.get_running_loop()
        if isinstance(content, Stored):
            content.is_claimed = True
        call = Call(arguments, content, loop.create_future())
        self._waiting.append(call)
        if not self._is_departing and len(self._flights) < FLIGHTS_MAX:
            self._is_departing = True
            loop.call_soon(self._depart)
        return await call.future

    async def finish(self) -> None:
        """Return when all calls are answered."""
        while self._waiting or self._flights:
            await asyncio.sleep(0)
            await asyncio.gather(*self._flights)

    def _depart(self) -> None:
        self._is_departing = False
        while self._waiting and len(self._flights) < FLIGHTS_MAX:
            together: list[Call] = []
            weight = 0
            while self._waiting and len(together) < MUTATIONS_MAX and weight < BYTES_MAX:
                call = self._waiting.popleft()
                together.append(call)
                weight += call.weight
            task = asyncio.get_running_loop().create_task(self._fly(together))
            self._flights.add(task)
            task.add_done_callback(self._land)

    def _land(self, task: asyncio.Task[None]) -> None:
        self._flights.discard(task)
        self._depart()

    async def _fly(self, calls: list[Call]) -> None:
        # In one order everywhere: two transactions that lock the same keys can't wait for each other.
        calls.sort(key=lambda call: call.arguments[:2])
        try:
            arguments = [call.arguments for call in calls]
            if len(calls) == 1:
                found = await self._pool.attempt(
                    lambda link: link.fetch(self._sql, arguments[0]), may_repeat=False
                )
            else:
                found = await self._pool.attempt(
                    lambda link: link.fetch_many(self._sql, arguments), may_repeat=False
                )
        except Exception as error:  # noqa: BLE001 (each caller gets it)
            if len(calls) > 1 and not isinstance(error, Unavailable):
                for call in calls:  # one of them is refused, and the others have nothing to do with it
                    await self._fly([call])
                return
            for call in calls:
                self._fail(call, error)
        else:
            for call, row in zip(calls, found, strict=True):
                self._answer(call, row)

    def _answer(self, call: Call, row: Any) -> None:
        if row[0] != DONE:
            self._release(call)
        if not call.future.done():
            call.future.set_result(row)

    def _fail(self, call: Call, error: Exception) -> None:
        if not isinstance(error, Unknown):
            self._release(call)
        elif isinstance(call.content, Stored):
            self._settle(call.content.name)
        if not call.future.done():
            # Each has a traceback of its own.
            call.future.set_exception(type(error)(*error.args) if isinstance(error, StoreError) else error)

    def _release(self, call: Call) -> None:
        """Give a content that was not named back to whoever made it, or remove it if they have gone."""
        if isinstance(call.content, Stored):
            if call.future.cancelled():
                self._settle(call.content.name)
            else:
                call.content.is_claimed = False


def conditions(expect: Sequence[Expectation], key: bytes) -> tuple[bool, bool, str | None, int | None] | None:
    """Return expectations on one key as arguments; None if they are about others, or too many."""
    is_absent = is_present = False
    etag: str | None = None
    sequence: int | None = None
    for one in expect:
        if one.key != key:
            return None
        match one:
            case Absent():
                is_absent = True
            case Present():
                is_present = True
            case Matches(etag=wanted) if etag is None and rows.is_text(wanted):
                etag = wanted
            case Unchanged(sequence=wanted_sequence) if sequence is None:
                sequence = wanted_sequence
            case _:
                return None
    return is_absent, is_present, etag, sequence


def first_failed(expect: Sequence[Expectation], current: Entry | None) -> Expectation | None:
    """Return the first of expectations on one key that does not hold."""
    for one in expect:
        match one:
            case Absent():
                holds = current is None
            case Present():
                holds = current is not None
            case Matches(etag=etag):
                holds = current is not None and current.etag == etag
            case Unchanged(sequence=sequence):
                holds = (current.sequence if current else 0) == sequence
        if not holds:
            return one
    return None
