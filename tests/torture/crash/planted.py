"""Bugs for the server, to see that the harness finds them: each breaks one promise or one ordering.

`python -m tests.torture.server --with tests.torture.crash.planted:answer_before_commit -- serve DIR`. What they
have in common: as long as nobody is killed, most of them can't be seen.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, NamedTuple

from anys3.store.embedded import blobs, changes, committer, device, engine, janitor, recovery
from anys3.store.embedded.format import BLOB, Reference
from anys3.store.mutations import Committed, CompleteUpload, Mutation


class Planted(NamedTuple):
    """How a bug shows itself: the step to be killed at (or none), and words of the violation."""

    name: str
    step: str
    words: str
    weights: dict[str, float]
    """What the workload mostly does."""

    @property
    def sentence(self) -> str:
        """What is wrong, in words."""
        return str(globals()[self.name].__doc__)


_LARGE = {"put_border": 60.0, "get": 0.0}
_SMALL = {"put_small": 60.0, "get": 0.0}
_DELETIONS = {"put_small": 40.0, "delete_many": 15.0, "delete": 0.0}
_UPLOADS = {"upload_part": 20.0, "complete": 20.0}
PLANTED = (
    Planted("answer_before_commit", "answer sent, after", "found None", _SMALL),
    Planted("named_before_linked", "blob linked, before", "missing: ", _LARGE),
    Planted("cleaned_unseen", "incoming name removed, before", "missing: ", _LARGE),
    Planted("freed_before_commit", "content freed, after", "missing: ", _LARGE),
    Planted("row_deleted_first", "freed blob removed, before", "leaked: ", _LARGE),
    Planted("incoming_forgotten", "blob linked, after", "left in incoming/", _LARGE),
    Planted("parts_freed_at_complete", "", "CompleteMultipartUpload", _UPLOADS),
    Planted("mutation_dropped", "", "found ", _SMALL),
    Planted("deletion_in_steps", "object deleted, after", "DeleteObjects", _DELETIONS),
    Planted("bytes_written_behind", "answer sent, after", "damaged: ", _LARGE),
)
"""All of them; the table is what the tests go through."""


class _Behind:
    """Stands before an LMDB object and passes everything on."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def answer_before_commit() -> None:
    """Tell clients that it is done, then commit."""
    late: list[Any] = []

    class Transaction(_Behind):
        def commit(self) -> None:
            late.append(self._real)

    class Environment(_Behind):
        def begin(self, *arguments: Any, write: bool = False, **named: Any) -> Any:
            real = self._real.begin(*arguments, write=write, **named)
            return Transaction(real) if write else real

    answer, open_store = committer._answer, engine.EmbeddedStore.__init__

    def open_late(self: Any, *arguments: Any, **named: Any) -> None:
        arguments[1].env = Environment(arguments[1].env)
        open_store(self, *arguments, **named)

    def answer_first(outcomes: Any) -> None:
        answer(outcomes)
        time.sleep(0.02)  # the loop answers meanwhile
        while late:
            late.pop().commit()

    engine.EmbeddedStore.__init__ = open_late  # type: ignore[method-assign]
    committer._answer = answer_first


def named_before_linked() -> None:
    """Let the index name a blob before it has its final name."""
    settle, publish = blobs.Written.settle, blobs.Files.publish
    here = threading.local()

    def link(old: Any, new: Any) -> None:
        if not getattr(here, "is_publishing", False):
            os.link(old, new)

    def publish_name(self: Any, reference: Reference, incoming: Any) -> Any:
        here.is_publishing = True
        try:
            return publish(self, reference, incoming)
        finally:
            here.is_publishing = False

    def settle_and_link(self: Any, *, is_named: bool) -> None:
        if is_named:
            blobs.os.link(self.incoming, self._final)
        settle(self, is_named=is_named)

    blobs.os = type("System", (_Behind,), {"link": staticmethod(link)})(os)
    blobs.Files.publish = publish_name  # type: ignore[method-assign]
    blobs.Written.settle = settle_and_link  # type: ignore[method-assign]


def cleaned_unseen() -> None:
    """Clean incoming/ with all its blobs, without looking whether a row names them."""

    def clean(_: Any, files: Any, incoming: Any) -> None:
        for left in incoming.iterdir():
            blobs.remove(files.path(int(left.name, 16)))
            left.unlink()

    recovery.clean_incoming = clean


def freed_before_commit() -> None:
    """Remove a replaced blob's file before the commit that un-names it."""
    open_store, free = engine.EmbeddedStore.__init__, changes.Batch.free
    files: list[Any] = []

    def remember(self: Any, *arguments: Any, **named: Any) -> None:
        open_store(self, *arguments, **named)
        files[:] = [self.files]

    def free_now(self: Any, reference: Reference) -> None:
        if reference.kind == BLOB:
            blobs.remove(files[0].path(reference.id))
        free(self, reference)

    engine.EmbeddedStore.__init__ = remember  # type: ignore[method-assign]
    changes.Batch.free = free_now  # type: ignore[method-assign]


def row_deleted_first() -> None:
    """Delete the rows of the outbox, then the blobs that they stand for."""
    remove = janitor.Janitor._remove_some

    def forget_first(self: Any, step: Any) -> Any:
        self._committer.run(janitor._delete_rows, [("freed", row) for row, _, _ in step])
        return remove(self, step)

    janitor.Janitor._remove_some = forget_first  # type: ignore[method-assign]


def incoming_forgotten() -> None:
    """Leave what lies in incoming/ where it is."""
    recovery.clean_incoming = lambda *_: None


def parts_freed_at_complete() -> None:
    """Free the parts of an upload when it is completed, as if they were its own still."""
    complete = changes._APPLY[CompleteUpload]

    def complete_and_free(batch: Any, bucket: Any, change: Any) -> None:
        complete(batch, bucket, change)
        for part in change.parts:
            batch.free(part.content)

    changes._APPLY[CompleteUpload] = complete_and_free


def mutation_dropped() -> None:
    """Answer the last of several mutations of a transaction without applying it."""
    apply = committer.Committer._apply

    def apply_some(self: Any, waiting: Any) -> Any:
        if len(waiting) > 1 and waiting[-1].job is changes.apply:
            dropped = waiting[-1]._replace(job=lambda batch, _: Committed(batch.sequence))
            waiting = [*waiting[:-1], dropped]
        return apply(self, waiting)

    committer.Committer._apply = apply_some  # type: ignore[method-assign]


def deletion_in_steps() -> None:
    """Give each change of a mutation a commit of its own."""
    commit = engine.EmbeddedStore.commit

    async def commit_each(self: Any, mutation: Mutation) -> Committed:
        done = None
        for change in mutation.changes:
            done = await commit(self, Mutation(mutation.bucket, (change,), mutation.expect))
        assert done is not None
        return done

    engine.EmbeddedStore.commit = commit_each  # type: ignore[method-assign]


def bytes_written_behind() -> None:
    """Keep the last bytes of a blob in memory until after the answer."""
    settle = blobs.Written.settle
    kept: list[tuple[int, bytes, int]] = []

    def keep(descriptor: int, data: memoryview, offset: int) -> None:
        kept.append((os.dup(descriptor), bytes(data), offset))

    def write() -> None:
        while kept:
            descriptor, data, offset = kept.pop()
            device.drop_direct(descriptor)  # these bytes lie anywhere in memory
            os.pwrite(descriptor, data, offset)
            os.close(descriptor)

    def settle_and_write(self: Any, *, is_named: bool) -> None:
        settle(self, is_named=is_named)
        threading.Timer(0.5, write).start()

    blobs.Written.settle = settle_and_write  # type: ignore[method-assign]
    blobs.device = type("Device", (_Behind,), {"write_at": staticmethod(keep)})(blobs.device)
