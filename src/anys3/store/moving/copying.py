"""A whole copy, and a move: passes until little is left to do, then the last one while nobody writes.

The first two passes of a move look at everything. What is changed from the beginning of the second one on is noted by
the source, so the others look at nothing else: the last one takes as long as what was changed in the one before it.

The copy is paused from its first row to its last, so that nobody serves the half of a store, or takes a half for a
whole. A move ends by two marks that stay: first the source takes no more changes, for good, and then the target does.
A run that is cut short between any two steps leaves the source as it was, or as the next run expects it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from anys3.store.errors import NotesEnded, Pause, PauseChanged, StoreError, Unavailable
from anys3.store.interface import Notes, Store
from anys3.store.moving.passing import NOTES_MAX, Passing
from anys3.store.moving.report import Progress, Report
from anys3.store.moving.walking import patiently

PASSES_MAX = 12
_SHORT_S = 1.0
"""A pass that takes no longer is short enough to be made once more while writes wait."""
_GAIN = 0.7
"""What a pass has to be shorter than the one before by, for another one to be of use."""
PAUSE_MIN_S = 60.0
_TIMES_ESTIMATE = 10
_NOTES_LAST_S = 120.0
_KEEP_EVERY_S = 10.0
_WHOLE_PASSES = 2
"""So many look at everything."""


class Refused(Exception):  # noqa: N818 (what happened)
    """The copy can't be begun, or not ended; what was copied stays for the next run.

    `in_way` is the pause that is in the way of that, and `is_of_target` says whose it is.
    """

    def __init__(self, reason: str, in_way: Pause | None = None, *, is_of_target: bool = False) -> None:
        super().__init__(reason)
        self.in_way = in_way
        self.is_of_target = is_of_target


class Copy:
    """One run, from `source` to `target`."""

    def __init__(
        self,
        source: Store,
        target: Store,
        names: tuple[str, str],
        *,
        progress: Progress = lambda *_: None,
        announce: Callable[[float, float], None] = lambda *_: None,
        today: str = "",
    ) -> None:
        """`names` are those of the two stores, as people read them in `Pause.reason`.

        `announce` is called before writes are paused: with the estimate in seconds, and how long it may be at most.
        """
        self._source = source
        self._target = target
        self._progress = progress
        self._announce = announce
        self._copying = f"it is being filled with a copy of {names[0]}"
        self._moving = f"it is being moved to {names[1]}"
        self._moved = f"it was moved to {names[1]} on "
        self._today = today
        self.report = Report()

    async def run(self, *, follows: bool) -> Report:
        """Copy, and with `follows` move: the source takes no changes from then on, and the target does.

        Raises Refused, StoreFull, Unavailable, Paused (another run has begun), Corrupt (of the index).
        """
        if follows:
            await self._pause_of_source()
        mark = await self._mark()
        passing = Passing(self._source, self._target, self._progress)
        try:
            total = await passing.measure()
            self.report.passes.append(await passing.run("copying", total))
            if follows:
                await self._move(passing, mark)
            elif not self.report.damaged:
                self.report.left = await passing.differences()
                await self._open(mark)
        finally:
            await passing.close()
        return self.report

    async def _pause_of_source(self) -> Pause | None:
        """Return the pause that an earlier run left in the source, if there is one. Raises Refused."""
        pause = await self._source.paused()
        if pause is not None and not pause.reason.startswith((self._moving, self._moved)):
            raise Refused(f"it can't be moved: {pause.reason}", pause)
        return pause

    async def _mark(self) -> Pause:
        """Keep everybody else from writing to the target. Raises Refused unless it is empty, or our own half copy."""
        was = await self._target.paused()
        if was is not None and was.reason != self._copying:
            raise Refused(f"it takes no copy: {was.reason}", was, is_of_target=True)
        try:
            mark = await self._target.pause(self._copying, was=was)
        except PauseChanged as error:
            raise Refused(f"it takes no copy: {error}", error.pause, is_of_target=True) from None
        if was is None and await patiently(self._holds_something):
            await self._target.resume(mark)
            raise Refused("it is not empty", is_of_target=True)
        return mark

    async def _holds_something(self) -> bool:
        return bool(await self._target.keys() or await self._target.buckets(limit=1))

    async def _open(self, mark: Pause) -> None:
        """Let the target be used."""
        await self._target.resume(mark)
        self.report.is_ready = True

    async def _move(self, passing: Passing, mark: Pause) -> None:
        """Bring the target up to the source, and then let it take its place, unless something is damaged."""
        passes = self.report.passes
        try:
            async with self._noting() as notes:
                passes.append(await passing.run("pass 2", self.report.last.bytes))
                await self._follow(passing, notes)
                if not self.report.damaged:
                    await self._switch(passing, notes)
                if not self.report.damaged:
                    await self._open(mark)
        except NotesEnded:
            raise Refused(
                "what changes in it is not noted any more, since another copy follows it now, or this one could"
                f" not reach it for {_NOTES_LAST_S:.0f} s"
            ) from None
        if len(passes) > _WHOLE_PASSES:
            self.report.last.take_totals(passes[_WHOLE_PASSES - 1])
            with contextlib.suppress(StoreError):  # it has been moved, however little of that can be told
                self.report.last.take_totals(await passing.count())

    @contextlib.asynccontextmanager
    async def _noting(self) -> AsyncIterator[Notes]:
        """Have the source note what changes. Raises NotesEnded, wherever they are read."""
        notes = await patiently(lambda: self._source.begin_noting(_NOTES_LAST_S))
        keeping = asyncio.ensure_future(self._keep(notes))
        try:
            yield notes
        finally:
            keeping.cancel()
            with contextlib.suppress(StoreError):  # they end by themselves
                await self._source.end_noting(notes)

    async def _keep(self, notes: Notes) -> None:
        with contextlib.suppress(StoreError):  # told to whoever reads them
            while True:
                await asyncio.sleep(_KEEP_EVERY_S)
                with contextlib.suppress(Unavailable):
                    await self._source.keep_noting(notes, _NOTES_LAST_S)

    async def _follow(self, passing: Passing, notes: Notes) -> None:
        """Make passes over what was noted, for as long as each is shorter than the one before."""
        passes = self.report.passes
        while len(passes) < PASSES_MAX:
            before, last = passes[-2].seconds, passes[-1].seconds
            is_short = last < _SHORT_S or (len(passes) > _WHOLE_PASSES and last > _GAIN * before)
            if is_short and passes[-1].changes < NOTES_MAX:  # else it has not come to the end of them
                return
            passes.append(await passing.follow(f"pass {len(passes) + 1}", notes))

    async def _switch(self, passing: Passing, notes: Notes) -> None:
        """Pause the source, copy what is left, and leave it paused."""
        report = self.report
        report.estimate_s = report.last.seconds
        lasts_s = max(PAUSE_MIN_S, _TIMES_ESTIMATE * report.estimate_s)
        self._announce(report.estimate_s, lasts_s)
        async with self._paused(lasts_s) as pause:
            began = time.monotonic()
            report.passes.append(await passing.follow("the last pass", notes, is_last=True))
            if report.damaged:
                await self._source.resume(pause)
            else:
                await self._source.pause(f"{self._moved}{self._today}", was=pause)
                report.is_moved = True
            report.paused_s = time.monotonic() - began

    @contextlib.asynccontextmanager
    async def _paused(self, lasts_s: float) -> AsyncIterator[Pause]:
        """Hold the source paused; whatever fails meanwhile, it goes on then. Raises Refused.

        Not so if an earlier run had moved it, and only the last mark is missing.
        """
        was = await self._pause_of_source()
        if was is not None and was.reason.startswith(self._moved):
            yield was
            return
        pause = await self._source.pause(self._moving, was=was, lasts_s=lasts_s)
        try:
            async with asyncio.timeout(0.9 * lasts_s):
                yield pause
        except TimeoutError:
            await self._resume(pause)
            raise Refused(f"the last pass was not over after {lasts_s:.0f} s, so writes go on") from None
        except PauseChanged:
            raise Refused("the pause ended before the last pass did, so writes have gone on") from None
        except BaseException:
            await self._resume(pause)
            raise

    async def _resume(self, pause: Pause) -> None:
        with contextlib.suppress(PauseChanged):
            await self._source.resume(pause)
