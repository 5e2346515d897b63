"""Removes what commits have un-named: the outbox, worked off in the background.

A row of the outbox is deleted last, after everything it stands for, and each step may be repeated, so that
a crash anywhere only leaves work for the next start.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import lmdb

from anys3.model import Part
from anys3.store.embedded import blobs, changes, strides
from anys3.store.embedded import format as records
from anys3.store.embedded.committer import Committer
from anys3.store.embedded.control import Control
from anys3.store.embedded.format import BLOB, INLINE, MANIFEST, PARTS, Reference, pack_id, unpack_id
from anys3.store.embedded.index import Index
from anys3.store.embedded.remote import RemoteFiles
from anys3.store.errors import Corrupt, StoreError

_log = logging.getLogger(__name__)

Freed = tuple[bytes, int, int]
_ROWS_A_STEP = 200
_RETRY_S = 1.0
_RETRY_MAX_S = 15.0
_SWEEP_S = 30.0


class Janitor:
    """One thread that empties the outbox of what this process freed, and at first of what lies in it."""

    def __init__(
        self,
        index: Index,
        files: blobs.Files,
        control: Control,
        committer: Committer,
        *,
        sweeps: bool,
        removes: bool = True,
    ) -> None:
        """`removes` False: the blobs can't be reached from here, so what is freed is left to the server."""
        self._index = index
        self._files = files
        self._control = control
        self._committer = committer
        self._lock = threading.Condition()
        self._sweeps = sweeps
        self._removes = removes
        self._remote = files if isinstance(files, RemoteFiles) else None
        if self._remote is not None:
            self._remote.on_unremoved = self._wake
        self._doomed: list[int] = []
        """Blobs elsewhere that the step at hand removes together."""
        self._freed: list[Freed] = []
        self._names: list[Path] = []
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="anys3-janitor", daemon=True)
        self._thread.start()

    def outbox(self) -> list[Freed]:
        """Return what lies in the outbox now. Raises Corrupt."""
        freed = self._index.rows.freed
        with self._index.env.begin() as txn, txn.cursor(db=freed.db) as cursor:
            return [(row, *records.decode_freed(freed.content(row, value))) for row, value in cursor]

    def _left(self) -> list[Freed]:
        try:
            return self.outbox()
        except (StoreError, lmdb.Error) as error:
            _log.error("the outbox can't be read, so what lies there keeps its room: %s", error)
            return []

    def tell(self, batch: changes.Batch) -> None:
        """Take over what a durable batch leaves to do."""
        names = [written.incoming for written in batch.written]
        if names or batch.freed:
            with self._lock:
                self._names += names
                if self._removes:
                    self._freed += batch.freed
                self._lock.notify()

    def _wake(self) -> None:
        with self._lock:
            self._lock.notify()

    def close(self) -> None:
        """Do what can be done now, and end the thread."""
        with self._lock:
            self._is_closing = True
            self._lock.notify()
        self._thread.join()

    def _run(self) -> None:
        pinned: list[Freed] = self._left() if self._sweeps else []
        is_first = bool(pinned)
        is_last = False
        delay_s = _RETRY_S
        while not is_last:
            is_idle = False
            with self._lock:
                if not (self._names or self._freed or self._is_closing or is_first):
                    has_work = bool(pinned) or self._files.has_unremoved()
                    is_idle = not self._lock.wait(self._patience_s(has_work=has_work))
                names, self._names = self._names, []
                freed, self._freed = pinned + self._freed, []
                is_last = self._is_closing
                is_first = False
            if is_idle and not freed and self._is_sweeper():
                freed = self._left()
            try:
                while names:
                    blobs.remove(names[-1])
                    names.pop()
                self._files.remove_again()
                pinned = self._remove(freed)
                delay_s = _RETRY_S
            except (OSError, StoreError) as error:
                _log.warning("removing freed contents failed, will try again: %s", error)
                pinned = freed
                with self._lock:
                    self._names += names
                    if not is_last:
                        self._lock.wait_for(lambda: self._is_closing, delay_s)
                if self._remote is not None:  # its engine may be away for long
                    delay_s = min(2 * delay_s, _RETRY_MAX_S)

    def _patience_s(self, *, has_work: bool) -> float | None:
        """Return how long to wait for news. Commands that can't reach the blobs leave work without a word."""
        if has_work:
            return _RETRY_S
        return _SWEEP_S if self._is_sweeper() else None

    def _is_sweeper(self) -> bool:
        return self._sweeps and self._remote is not None and self._control.slot == 0

    def _remove(self, freed: list[Freed]) -> list[Freed]:
        """Remove what no reader needs; return the rest. `freed` was taken before the pins are read."""
        oldest = self._control.oldest_pin()
        ready = [one for one in freed if oldest is None or unpack_id(one[0]) <= oldest]
        for at in range(0, len(ready), _ROWS_A_STEP):
            step = ready[at : at + _ROWS_A_STEP]
            while step:
                step = self._remove_some(step)
        return [one for one in freed if oldest is not None and unpack_id(one[0]) > oldest]

    def _remove_some(self, step: list[Freed]) -> list[Freed]:
        """Remove some of a step's contents, then their rows; return what there is more of."""
        rows: list[tuple[str, bytes]] = []
        done: list[tuple[str, bytes]] = []
        more: list[Freed] = []
        self._doomed = []
        for row, kind, content_id in step:
            if kind in (BLOB, INLINE):
                self._remove_content(Reference(kind, content_id, 0, 0), rows)
            else:
                try:
                    has_more = self._remove_group(kind, content_id, rows)
                except Corrupt as error:
                    _log.error("a deleted object's parts keep their room: %s", error)
                    continue
                if has_more:
                    more.append((row, kind, content_id))
                    continue
            done.append(("freed", row))
        if self._remote is not None:
            self._remote.remove_blobs(self._doomed)
        self._committer.run(_delete_rows, rows + done)
        return more

    def _remove_group(self, kind: int, group_id: int, rows: list[tuple[str, bytes]]) -> bool:
        """Remove some parts of a manifest or of an upload; True if there are more. Raises Corrupt."""
        assert kind in (MANIFEST, PARTS)
        table = self._index.rows.manifests if kind == MANIFEST else self._index.rows.parts
        found: list[tuple[bytes, list[Part]]] = []
        with self._index.env.begin() as txn:
            for place, row in strides.walk(txn, table, pack_id(group_id)):
                # A chunk of a manifest holds many parts, so it is a step of its own.
                if len(rows) + len(found) >= _ROWS_A_STEP:
                    break
                value = table.content(place, row)
                parts = records.chunk_parts(value) if kind == MANIFEST else [records.decode_part(value)[0]]
                found.append((place, parts))
                if kind == MANIFEST:
                    break
        for place, parts in found:
            for part in parts:
                assert isinstance(part.content, Reference)
                self._remove_content(part.content, rows)
            rows.append((table.table, place))
        return bool(found)

    def _remove_content(self, reference: Reference, rows: list[tuple[str, bytes]]) -> None:
        if reference.kind == BLOB:
            if self._remote is None:
                blobs.remove(self._files.path(reference.id))
            else:
                self._doomed.append(reference.id)
            rows.append(("blobs", pack_id(reference.id)))
        elif reference.id:
            rows.append(("inline", pack_id(reference.id)))


def _delete_rows(batch: changes.Batch, rows: list[tuple[str, bytes]]) -> None:
    for table, row in rows:
        batch.txn.delete(row, db=getattr(batch.index, table))
