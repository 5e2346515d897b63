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
    """A stretch of both lists: our rows, and where they differ from theirs."""

    rows: list[tuple[Any, Any]]
    differences: list[Difference]


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
        yield Window(rows, found)


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
