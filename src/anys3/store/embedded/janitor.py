"""Removes what commits have un-named: the outbox, worked off in the background.

A row of the outbox is deleted last, after everything it stands for, and each step may be repeated, so that
a crash anywhere only leaves work for the next start.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from anys3.store.embedded import blobs, changes
from anys3.store.embedded import format as records
from anys3.store.embedded.committer import Committer
from anys3.store.embedded.control import Control
from anys3.store.embedded.format import BLOB, INLINE, MANIFEST, PARTS, Reference, pack_id, unpack_id
from anys3.store.embedded.index import Index
from anys3.store.interface import StoreError

_log = logging.getLogger(__name__)

Freed = tuple[bytes, int, int]
_ROWS_A_STEP = 200
_RETRY_S = 1.0


class Janitor:
    """One thread that empties the outbox of what this process freed, and at first of what lies in it."""

    def __init__(
        self, index: Index, files: blobs.Files, control: Control, committer: Committer, *, sweeps: bool
    ) -> None:
        self._index = index
        self._files = files
        self._control = control
        self._committer = committer
        self._lock = threading.Condition()
        self._sweeps = sweeps
        self._freed: list[Freed] = []
        self._names: list[Path] = []
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="anys3-janitor", daemon=True)
        self._thread.start()

    def outbox(self) -> list[Freed]:
        """Return what lies in the outbox now."""
        with self._index.env.begin() as txn, txn.cursor(db=self._index.freed) as cursor:
            return [(row, *records.decode_freed(value)) for row, value in cursor]

    def tell(self, batch: changes.Batch) -> None:
        """Take over what a durable batch leaves to do."""
        names = [written.incoming for written in batch.written]
        if names or batch.freed:
            with self._lock:
                self._names += names
                self._freed += batch.freed
                self._lock.notify()

    def close(self) -> None:
        """Do what can be done now, and end the thread."""
        with self._lock:
            self._is_closing = True
            self._lock.notify()
        self._thread.join()

    def _run(self) -> None:
        pinned: list[Freed] = self.outbox() if self._sweeps else []
        is_first = bool(pinned)
        is_last = False
        while not is_last:
            with self._lock:
                if not (self._names or self._freed or self._is_closing or is_first):
                    self._lock.wait(_RETRY_S if pinned or self._files.has_unremoved() else None)
                names, self._names = self._names, []
                freed, self._freed = pinned + self._freed, []
                is_last = self._is_closing
                is_first = False
            try:
                while names:
                    blobs.remove(names[-1])
                    names.pop()
                self._files.remove_again()
                pinned = self._remove(freed)
            except (OSError, StoreError) as error:
                _log.warning("removing freed contents failed, will try again: %s", error)
                pinned = freed
                with self._lock:
                    self._names += names
                    if not is_last:
                        self._lock.wait(_RETRY_S)

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
        for row, kind, content_id in step:
            if kind in (BLOB, INLINE):
                self._remove_content(Reference(kind, content_id, 0, 0), rows)
            elif self._remove_group(kind, content_id, rows):
                more.append((row, kind, content_id))
                continue
            done.append(("freed", row))
        self._committer.run(_delete_rows, rows + done)
        return more

    def _remove_group(self, kind: int, group_id: int, rows: list[tuple[str, bytes]]) -> bool:
        """Remove some parts of a manifest or of an upload; True if there are more."""
        table = "manifests" if kind == MANIFEST else "parts"
        assert kind in (MANIFEST, PARTS)
        found: list[tuple[bytes, bytes]] = []
        with self._index.env.begin() as txn, txn.cursor(db=getattr(self._index, table)) as cursor:
            beginning = pack_id(group_id)
            if cursor.set_range(beginning):
                for place, value in cursor.iternext():
                    # A chunk of a manifest holds many parts, so it is a step of its own.
                    if not place.startswith(beginning) or len(rows) + len(found) >= _ROWS_A_STEP:
                        break
                    found.append((place, value))
                    if kind == MANIFEST:
                        break
        for place, value in found:
            parts = records.chunk_parts(value) if kind == MANIFEST else [records.decode_part(value)[0]]
            for part in parts:
                assert isinstance(part.content, Reference)
                self._remove_content(part.content, rows)
            rows.append((table, place))
        return bool(found)

    def _remove_content(self, reference: Reference, rows: list[tuple[str, bytes]]) -> None:
        if reference.kind == BLOB:
            blobs.remove(self._files.path(reference.id))
            rows.append(("blobs", pack_id(reference.id)))
        elif reference.id:
            rows.append(("inline", pack_id(reference.id)))


def _delete_rows(batch: changes.Batch, rows: list[tuple[str, bytes]]) -> None:
    for table, row in rows:
        batch.txn.delete(row, db=getattr(batch.index, table))
