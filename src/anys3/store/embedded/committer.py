"""Group commit: all mutations that wait go into one transaction and one sync.

There is no delay: the next batch is what arrived while the last one synced. What one turn of an event loop
submits is handed over at its end, together: waking the writer thread for each would cost more than its work.
Each mutation is decided by itself; a future is answered only after the commit that holds it (CON-04, CON-05).

A commit whose write or sync failed is never tried again as it was: its mutations are refused, and what comes next is
written anew (docs/decisions/0007-faults.md). LMDB refuses everything, reads too, once it could not write a meta page:
then the store has failed, and its process has to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future as ThreadFuture
from typing import Any, NamedTuple

import lmdb

from anys3.store.embedded import metapages
from anys3.store.embedded.changes import Batch
from anys3.store.embedded.control import Control
from anys3.store.embedded.index import Index, translate
from anys3.store.errors import StoreError, StoreFull, Unavailable

_log = logging.getLogger(__name__)

Job = Callable[[Batch, Any], object]
MAX_BATCH = 512
MAX_BATCH_BYTES = 16 * 1024 * 1024
"""Inline bytes after which a transaction ends, since all of them lie in memory until then."""


class _Waiting(NamedTuple):
    job: Job
    argument: Any
    future: Any
    loop: asyncio.AbstractEventLoop | None
    """The loop of an asyncio future; None for a thread's future."""


_Outcome = tuple[_Waiting, object, BaseException | None]


class _NotCommitted(Exception):  # noqa: N818 (what happened)
    """A transaction could not be begun or committed, whatever it held; `refusal` says why."""

    def __init__(self, refusal: StoreError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class Committer:
    """The writer thread of one store. `after_commit` is called in it, with each batch that is durable."""

    def __init__(self, index: Index, after_commit: Callable[[Batch], None], control: Control) -> None:
        self._index = index
        self._after_commit = after_commit
        self._control = control
        self.on_failure: Callable[[str], None] | None = None
        """Called once, in the writer thread, with the reason why nothing can be read or written any more."""
        self.holder = ""
        """Of the pause that this process has begun, if it has: see pausing.py."""
        self._has_failed = False
        self._queue: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
        """What each loop's present turn has submitted; touched only in that loop's thread."""
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="anys3-committer", daemon=True)
        self._thread.start()

    def submit(self, job: Job, argument: Any) -> asyncio.Future[Any]:
        """Let `job(batch, argument)` be part of the next batch; called from a running event loop."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if self._is_closed:
            raise Unavailable("the store is closed")
        waiting = _Waiting(job, argument, future, loop)
        gathered = self._gathered.get(loop)
        if gathered is None:
            self._gathered[loop] = [waiting]
            loop.call_soon(self.hand_over, loop)
        else:
            gathered.append(waiting)
        return future

    def hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the writer thread what this turn of the loop has gathered, if anything."""
        gathered = self._gathered.pop(loop, None)
        if gathered is not None:
            self._queue.put(gathered)
            if not self._thread.is_alive():
                self._refuse_late()

    def run(self, job: Job, argument: Any) -> Any:
        """Do the same from a thread of its own, and wait for it."""
        if self._is_closed:
            raise Unavailable("the store is closed")
        future: ThreadFuture[Any] = ThreadFuture()
        self._queue.put([_Waiting(job, argument, future, None)])
        if not self._thread.is_alive():
            self._refuse_late()
        return future.result()

    def close(self) -> None:
        """Finish what waits, and end the thread. Idempotent."""
        self._is_closed = True
        self._queue.put(None)
        self._thread.join()
        self._refuse_late()

    def _refuse_late(self) -> None:
        """Tell those who came too late that nothing was done; the thread has ended."""
        with contextlib.suppress(queue.Empty):
            while True:
                late = self._queue.get_nowait() or []
                _answer([(one, None, Unavailable("the store is closed")) for one in late])

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001 (a server that can't write any more has to say so)
            _log.exception("the writer thread ended")
            self._fail(f"the writer thread ended: {error!r}")

    def _serve(self) -> None:
        get = self._queue.get
        is_open = True
        while is_open:
            waiting: list[_Waiting] = []
            handed = get()
            while handed is not None:
                waiting += handed
                if len(waiting) >= MAX_BATCH:
                    break
                try:
                    handed = self._queue.get_nowait()
                except queue.Empty:
                    break
            else:
                is_open = False
            while waiting:
                outcomes = self._commit(waiting)
                del waiting[: len(outcomes)]
                _answer(outcomes)

    def _commit(self, waiting: list[_Waiting]) -> list[_Outcome]:
        """Commit the first of those that wait, at least one, and return their outcomes."""
        try:
            return self._apply(waiting)
        except _NotCommitted as failed:
            # Less may fit where all of it did not. Nothing else is tried twice: a device that fails once more
            # for each of many would keep them all waiting.
            if len(waiting) == 1 or not isinstance(failed.refusal, StoreFull):
                kind, reason = type(failed.refusal), str(failed)
                return [(one, None, kind(reason)) for one in waiting]
        except Exception as error:  # noqa: BLE001 (whatever it is, it is told to the one whose fault it is)
            # Something went wrong in the middle, so all of it was undone: who was it?
            if len(waiting) == 1:
                refusal = translate(error) if isinstance(error, (lmdb.Error, OSError)) else error
                return [(waiting[0], None, refusal)]
        return [outcome for one in waiting for outcome in self._commit([one])]

    def _apply(self, waiting: list[_Waiting]) -> list[_Outcome]:
        """Apply what fits into one transaction. Raises what must undo all of it."""
        outcomes: list[_Outcome] = []
        txn = self._begin()
        batch = None
        try:
            batch = Batch(self._index, txn, self.holder)
            for one in waiting:
                try:
                    outcomes.append((one, one.job(batch, one.argument), None))
                except StoreError as refusal:
                    if batch.is_applying:
                        raise  # something was written already
                    outcomes.append((one, None, refusal))
                if batch.inline_bytes >= MAX_BATCH_BYTES:
                    break
            batch.finish()
            if batch.has_new_configuration:
                self._control.tell_generation(batch.generation)
            self._end(txn)
        except BaseException:
            txn.abort()
            self._settle(batch, is_named=False)
            raise
        self._settle(batch, is_named=True)
        return outcomes

    def _begin(self) -> Any:
        """Begin to write, on meta pages that the device has. Raises _NotCommitted."""
        try:
            txn = self._index.env.begin(write=True)
        except lmdb.Error as error:
            if isinstance(error, lmdb.PanicError):
                self._fail(str(error))
            raise _NotCommitted(translate(error)) from error
        number = txn.id()
        if self._control.attempt() == number:  # somebody's commit of that number did not succeed
            try:
                metapages.write_back(self._index)
            except OSError as error:
                txn.abort()
                raise _NotCommitted(translate(error)) from error
        return txn

    def _end(self, txn: Any) -> None:
        """Commit. Raises _NotCommitted."""
        self._control.tell_attempt(txn.id())
        try:
            txn.commit()
        except lmdb.Error as error:
            self._check_health(error)
            raise _NotCommitted(translate(error)) from error

    def _check_health(self, failure: lmdb.Error) -> None:
        """Find out whether LMDB goes on after a failed commit: not if it was the meta page's."""
        try:
            self._index.env.begin().abort()
        except lmdb.PanicError:
            self._fail(str(failure))
        except lmdb.Error:
            pass  # it will be told to whoever meets it

    def _fail(self, reason: str) -> None:
        """Tell, once, that this process can't use the store any more."""
        if self._has_failed:
            return
        self._has_failed = True
        _log.error("the index can't be used any more by this process: %s", reason)
        if self.on_failure is not None:
            self.on_failure(reason)

    def _settle(self, batch: Batch | None, *, is_named: bool) -> None:
        """Do what follows a transaction; nothing that fails here may make it be repeated."""
        if batch is None:
            return
        try:
            for written in batch.written:
                written.settle(is_named=is_named)
            if is_named:
                self._after_commit(batch)
        except Exception:  # noqa: BLE001 (the commit stands, whatever this is)
            _log.exception("after a commit")


def _answer(outcomes: list[_Outcome]) -> None:
    """Hand results to those who wait, with one wake-up for each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for outcome in outcomes:
        waiting, result, error = outcome
        if waiting.loop is not None:
            loops.setdefault(waiting.loop, []).append(outcome)
        elif error is not None:
            waiting.future.set_exception(error)
        else:
            waiting.future.set_result(result)
    for loop, theirs in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, theirs)


def _settle(outcomes: list[_Outcome]) -> None:
    for waiting, result, error in outcomes:
        future = waiting.future
        if future.done():  # cancelled by a client that went away; the commit stands
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
