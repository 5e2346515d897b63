"""Two ordered lists of rows, each read in pages, compared side by side."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from anys3.store.errors import Paused, Unavailable

Fetch = Callable[[Any], Awaitable[list[tuple[Any, Any]]]]
"""`fetch(after)` returns the next (place, row) pairs in order, none at the end; None is before the first."""
_T = TypeVar("_T")
_PATIENCE_S = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)
"""How long to wait for an engine that is away before it is asked again."""
_place = itemgetter(0)


class Difference(NamedTuple):
    """A place whose rows are not equal; None is absent."""

    place: Any
    ours: Any
    theirs: Any


class Window(NamedTuple):
    """A stretch of both lists, up to `last`: our rows, and where they differ from theirs."""

    rows: list[tuple[Any, Any]]
    differences: list[Difference]
    last: Any


class _Side:
    """One of the lists: a page of it, and whether there is more."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._after: Any = None
        self.page: list[tuple[Any, Any]] = []
        self.is_over = False

    async def fill(self) -> None:
        if self.page or self.is_over:
            return
        self.page = await patiently(lambda: self._fetch(self._after))
        self.is_over = not self.page
        if self.page:
            self._after = self.page[-1][0]

    async def take_until(self, last: Any) -> list[tuple[Any, Any]]:
        """Take all rows up to that place, on however many pages they are."""
        taken: list[tuple[Any, Any]] = []
        while not self.is_over:
            await self.fill()
            taken += self.take(last)
            if self.page:
                break
        return taken

    def take(self, last: Any) -> list[tuple[Any, Any]]:
        """Return the page's rows up to that place, and keep the others."""
        at = bisect_right(self.page, last, key=_place)
        taken, self.page = self.page[:at], self.page[at:]
        return taken


async def compare(ours: Fetch, theirs: Fetch, is_same: Callable[[Any, Any], bool]) -> AsyncIterator[Window]:
    """Yield all of both lists, window by window."""
    here, there = _Side(ours), _Side(theirs)
    while True:
        await asyncio.gather(here.fill(), there.fill())
        ends = [side.page[-1][0] for side in (here, there) if side.page]
        if not ends:
            return
        last = min(ends)
        rows, others = here.take(last), dict(there.take(last))
        found = []
        for place, row in rows:
            other = others.pop(place, None)
            if other is None or not is_same(row, other):
                found.append(Difference(place, row, other))
        found += [Difference(place, None, other) for place, other in others.items()]
        yield Window(rows, found, last)


class Known:
    """Stretches of one bucket that were the same in both stores: what they held here, in a few bytes each.

    Nobody else writes there. So a stretch that is as it was here need not be read there again, which makes the last
    pass, while writes wait, as short as reading this side is.
    """

    def __init__(self) -> None:
        self._lasts: list[bytes] = []
        self._sums: list[int | None] = []

    def add(self, window: Window) -> None:
        """Note a stretch that comes behind all others; one with differences is to be looked at again."""
        self._lasts.append(window.last)
        self._sums.append(None if window.differences else _sum(window.rows))

    async def compare(
        self, ours: Fetch, theirs: Fetch, is_same: Callable[[Any, Any], bool]
    ) -> AsyncIterator[Window]:
        """Yield all of both lists, window by window; theirs are only read where ours have changed."""
        here, after = _Side(ours), None
        for last, known in zip(self._lasts, self._sums, strict=True):
            rows = await here.take_until(last)
            if known is not None and _sum(rows) == known:
                yield Window(rows, [], last)
            else:
                async for window in compare(_listed(rows), _between(theirs, after, last), is_same):
                    yield window
            after = last
        rest = here.page
        async for window in compare(_then(rest, ours, after), _between(theirs, after, None), is_same):
            yield window


def _sum(rows: list[tuple[Any, Any]]) -> int:
    """Return what is another number, but for one chance in 2^64, when a row was changed, put or deleted."""
    return hash(tuple([(key, entry.sequence) for key, entry in rows]))


def _listed(rows: list[tuple[Any, Any]]) -> Fetch:
    async def fetch(after: Any) -> list[tuple[Any, Any]]:
        return rows if after is None else []

    return fetch


def _then(first: list[tuple[Any, Any]], fetch_more: Fetch, start: Any) -> Fetch:
    """Return what fetches these rows, and then those behind them."""

    async def fetch(after: Any) -> list[tuple[Any, Any]]:
        if after is None and first:
            return first
        return await fetch_more(start if after is None else after)

    return fetch


def _between(fetch_all: Fetch, start: Any, last: Any) -> Fetch:
    """Return what fetches the rows behind `start`, up to `last` (None: to the end)."""

    async def fetch(after: Any) -> list[tuple[Any, Any]]:
        page = await fetch_all(start if after is None else after)
        return page if last is None else page[: bisect_right(page, last, key=_place)]

    return fetch


async def patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """Do what may be done twice, until the engine that it needs is there again. Raises Unavailable, Paused."""
    for wait_s in _PATIENCE_S:
        try:
            return await call()
        except Paused:
            raise
        except Unavailable:
            await asyncio.sleep(wait_s)
    return await call()
