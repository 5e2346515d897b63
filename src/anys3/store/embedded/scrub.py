"""Reads everything that a store holds and reports what is damaged, missing or named by nobody (CON-08).

First the index, page by page, trusting nothing (pages.py); LMDB is asked for a row only if all pages are what
they should be, since it may end the process otherwise. Then every object and every part, to its last byte; then,
if nothing was written meanwhile, whether each row of a content is named by an object or a part.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb

from anys3.store.blobs import BlobMissing, Blobs
from anys3.store.damage import Damage
from anys3.store.embedded import configuration, copying, reading, strides
from anys3.store.embedded import format as records
from anys3.store.embedded.engine import EmbeddedStore, open_store
from anys3.store.embedded.format import BLOB, INLINE, MANIFEST, Reference, pack_id, unpack_id
from anys3.store.embedded.inspecting import inspect, inspect_unopened
from anys3.store.embedded.multipart import inline_content, read_manifest
from anys3.store.embedded.remote import RemoteFiles
from anys3.store.embedded.report import DATA, ScrubReport
from anys3.store.embedded.rows import Rows
from anys3.store.errors import Corrupt

_ROWS_A_STEP = 1000
# Verified row by row while the pages are read; the others are met on the way to what they describe.
_PLAIN_TABLES = ("buckets", "names", "keys", "blobs", "freed")


class _Lenient(Rows):
    """Rows of which the damaged ones are noted, and skipped by whoever reads them."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows.table, rows.db)
        self.allows_old = rows.allows_old
        self.damaged: dict[bytes, str] = {}
        """By the row's bytes: why."""

    def check(self, place: bytes, row: bytes) -> None:
        """Note a damaged row."""
        try:
            super().check(place, row)
        except Corrupt as error:
            self.damaged[row] = str(error)


class Scrub:
    """One pass over a store, which may be in use: what changes meanwhile is looked at again."""

    def __init__(self, store: EmbeddedStore, progress: Callable[[ScrubReport], None]) -> None:
        self._store = store
        self._index = store.index
        self._progress = progress
        self._entries = _Lenient(store.index.rows.entries)
        self._uploads = _Lenient(store.index.rows.uploads)
        self._parts = _Lenient(store.index.rows.parts)
        self._remote = store.files if isinstance(store.files, RemoteFiles) else None
        self._named = {kind: array("Q") for kind in (INLINE, BLOB, MANIFEST)}
        self._upload_rows = array("Q")
        self.report = ScrubReport()

    def run(self) -> ScrubReport:
        """Read everything."""
        inspect(self._index.env, self._store.path, self.report, self._progress)
        if self.report.is_clean:
            self.read_rows()
        else:
            self.report.contents_were_read = False
        return self.report

    def read_rows(self) -> None:
        """Read every row, and what it names. The pages must be what they should be."""
        report = self.report
        report.step, report.done = "contents", 0
        report.total = copying.size_of_blobs(self._store.path)
        try:
            for name in _PLAIN_TABLES:
                self._check_table(getattr(self._index.rows, name))
            self._check_table(self._index.noted)
            self._read_buckets()
        except (Corrupt, lmdb.Error) as error:
            report.contents_were_read = False
            self._note_row(str(error))
        self._progress(report)

    def _check_table(self, rows: Rows) -> None:
        with self._index.env.begin() as txn, txn.cursor(db=rows.db) as cursor:
            for place, row in cursor:
                try:
                    rows.check(place, row)
                except Corrupt as error:
                    self._note_row(str(error))

    def _read_buckets(self) -> None:
        before = self._index.counters()
        with self._index.env.begin() as txn:
            names = configuration.all_contents(self._index.rows.names, txn)
        for namespace, raw in names:
            bucket = raw.decode("utf-8", "backslashreplace")
            for key, row in self._steps(self._entries, namespace):
                self._object(bucket, namespace, key, row)
            for key, row in self._steps(self._uploads, namespace):
                self._upload(bucket, key, row)
        self._note_damaged_ways()
        self._find_orphans()
        if self._index.counters() == before:
            self._find_unnamed_rows()

    def _steps(self, table: Rows, namespace: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of a bucket in short transactions, so that old pages can be used again."""
        key, tail = b"", b""
        while True:
            step: list[tuple[bytes, bytes]] = []
            with self._index.env.begin() as txn:
                for row in strides.scan(txn, table, namespace, key, tail):
                    # Never ends between two uploads of one key: the next step begins behind a key.
                    if len(step) >= _ROWS_A_STEP and row[0] != step[-1][0]:
                        break
                    step.append(row)
            yield from step
            self._progress(self.report)
            if len(step) < _ROWS_A_STEP:
                return
            key, tail = step[-1][0], strides.BEHIND

    def _object(self, bucket: str, namespace: bytes, key: bytes, row: bytes) -> None:
        self.report.objects += 1
        for _ in range(3):
            try:
                if row in self._entries.damaged:
                    raise _DamagedRow(self._entries.damaged[row])
                reference = records.decode_entry(row).content
                assert isinstance(reference, Reference)
                if self._row(namespace, key) is None:
                    raise _DamagedRow("the row is there, but a look-up does not find it")
                self._read(reference)
            except (Corrupt, FileNotFoundError) as error:
                # Overwritten or deleted since: then it is the new row that counts.
                now = self._row(namespace, key)
                if now is None and not isinstance(error, _DamagedRow):
                    return
                if now is None or now == row:
                    self._note(Damage(bucket, key, str(error)), error)
                    return
                row = now
            else:
                return

    def _row(self, namespace: bytes, key: bytes) -> bytes | None:
        with self._index.env.begin() as txn:
            place = strides.find(txn, self._entries, namespace, key)
            row: bytes | None = None if place is None else txn.get(place, db=self._entries.db)
            return row

    def _upload(self, bucket: str, key: bytes, row: bytes) -> None:
        if row in self._uploads.damaged:
            reason = self._uploads.damaged[row]
            self._note(Damage(bucket, key, reason), _DamagedRow(reason))
            return
        upload_id = records.decode_upload(key, row).upload_id
        row_id = records.upload_row_id(row)
        self._upload_rows.append(row_id)
        with self._index.env.begin() as txn:
            found = list(strides.walk(txn, self._parts, pack_id(row_id)))
        for place, value in found:
            self.report.parts += 1
            number = int.from_bytes(place[8:10], "big")
            try:
                if value in self._parts.damaged:
                    raise _DamagedRow(self._parts.damaged[value])
                self._read(records.part_reference(self._parts.content(place, value)))
            except (Corrupt, FileNotFoundError) as error:
                with self._index.env.begin() as txn:
                    is_current = txn.get(place, db=self._parts.db) == value
                if is_current:
                    self._note(Damage(bucket, key, str(error), upload_id, number), error)

    def _note(self, damage: Damage, error: Exception) -> None:
        kind, number, file = "content", damage.part_number, DATA
        if isinstance(error, _DamagedRow):
            kind = "row"
        if isinstance(error, _DamagedPart):
            number = number or error.number
        reference = getattr(error, "reference", None)
        if isinstance(reference, Reference) and reference.kind == BLOB:
            path = self._store.files.path(reference.id)
            file = f"blob {path}" if self._remote else str(path.relative_to(self._store.path))
        noted = Damage(damage.bucket, damage.key, damage.reason, damage.upload_id, number, kind, file)
        is_missing = isinstance(error, _MissingBlob)
        (self.report.missing if is_missing else self.report.damaged).append(noted)

    def _note_damaged_ways(self) -> None:
        """Note rows that are no object's, but lead to those with long keys."""
        told = {damage.reason for damage in self.report.damaged}
        for rows in (self._entries, self._uploads, self._parts):
            for reason in rows.damaged.values():
                if reason not in told:
                    self._note_row(reason)

    def _note_row(self, reason: str) -> None:
        self.report.damaged.append(Damage("", b"", reason, kind="row", file=DATA))

    def _read(self, reference: Reference) -> None:
        """Read a content to its end. Raises Corrupt."""
        if reference.kind in self._named:
            self._named[reference.kind].append(reference.id)
        if reference.kind == INLINE:
            self.report.bytes += len(inline_content(self._index, reference))
        elif reference.kind == BLOB:
            self._read_blob(reference)
        elif reference.kind == MANIFEST:
            with self._index.env.begin() as txn:
                parts = read_manifest(self._index, txn, reference)
            for part in parts:
                assert isinstance(part.content, Reference)
                try:
                    self._read(part.content)
                except Corrupt as error:
                    raise _in_part(error, part.number) from error
        else:
            raise Corrupt(f"a content of the unknown kind {reference.kind}")

    def _read_blob(self, reference: Reference) -> None:
        with self._index.env.begin() as txn:
            if txn.get(pack_id(reference.id), db=self._index.blobs) is None:
                raise _DamagedRow(f"blob {reference.id} is not in the table of blobs")
        if self._remote is not None:
            self._read_remote(self._remote, reference)
            return
        try:
            blob = reading.OpenBlob(self._store.files, reference)
        except FileNotFoundError as error:
            raise _MissingBlob(reference) from error
        except Corrupt as error:
            raise _DamagedBlob(error, reference) from error
        try:
            self._count(blob.blocks(0, reference.size))
        except Corrupt as error:
            raise _DamagedBlob(error, reference) from error
        finally:
            blob.close()

    def _read_remote(self, files: RemoteFiles, reference: Reference) -> None:
        try:
            self._count(files.read(reference, 0, reference.size))
        except BlobMissing as error:
            raise _MissingBlob(reference) from error
        except Corrupt as error:
            raise _DamagedBlob(error, reference) from error

    def _count(self, blocks: Iterator[memoryview]) -> None:
        for block in blocks:
            self.report.bytes += len(block)
            self.report.done += len(block)
            self._progress(self.report)

    def _find_orphans(self) -> None:
        """Note files, or blobs elsewhere, that neither a row nor a writer knows."""
        store = self._store.path
        if self._remote is not None:
            found = {name for name in self._remote.names() if not self._is_known(name.rpartition("-")[2])}
            if found:  # else they may have been freed and removed since they were listed
                self.report.orphans += [f"blob {name}" for name in self._remote.names() if name in found]
            return
        for directory in sorted((store / "blobs").iterdir()):
            for file in sorted(directory.iterdir()):
                if not self._is_known(file.name):
                    self.report.orphans.append(str(file.relative_to(store)))

    def _is_known(self, name: str) -> bool:
        try:
            blob_id = int(name, 16)
        except ValueError:
            return False
        # The writer's name goes only after the row is there, so it is looked for first.
        if any(self._store.path.glob(f"incoming/*/{name}")):
            return True
        with self._index.env.begin() as txn:
            if txn.get(pack_id(blob_id), db=self._index.blobs) is not None:
                return True
            freed = self._index.rows.freed
            with txn.cursor(db=freed.db) as cursor:
                if any(records.decode_freed(freed.content(*row)) == (BLOB, blob_id) for row in cursor):
                    return True
        return self._remote is None and not self._store.files.path(blob_id).exists()

    def _find_unnamed_rows(self) -> None:
        """Note rows of contents that nothing names, and that wait for nothing: they only take room."""
        if self.report.damaged or self.report.missing:
            return  # what is damaged names nothing
        rows = self._index.rows
        with self._index.env.begin() as txn:
            if txn.stat(rows.freed.db)["entries"]:
                return  # the janitor is not done yet
            for table, db, named in (
                ("inline", self._index.inline, self._named[INLINE]),
                ("blobs", rows.blobs.db, self._named[BLOB]),
                ("manifests", rows.manifests.db, self._named[MANIFEST]),
                ("parts", rows.parts.db, self._upload_rows),
            ):
                self.report.orphans += _unnamed(txn, table, db, named)


class _DamagedRow(Corrupt):
    """A row of the index is damaged."""


class _DamagedBlob(Corrupt):
    """A blob's file is damaged."""

    def __init__(self, error: Corrupt, reference: Reference) -> None:
        super().__init__(str(error))
        self.reference = reference


class _MissingBlob(_DamagedBlob):
    """A blob's file is not there."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(Corrupt(f"blob {reference.id} is missing"), reference)


class _DamagedPart(_DamagedBlob):
    number = 0


class _MissingPart(_MissingBlob, _DamagedPart):
    pass


def _in_part(error: Corrupt, number: int) -> Corrupt:
    """Return the error of a part of an object, with the part's number."""
    if isinstance(error, _MissingBlob):
        missing = _MissingPart(error.reference)
        missing.number = number
        return missing
    if isinstance(error, _DamagedBlob):
        damaged = _DamagedPart(error, error.reference)
        damaged.number = number
        return damaged
    return error


def _unnamed(txn: Any, table: str, db: Any, named: array[int]) -> list[str]:
    """Return the rows whose ids are not among those that were named, in words."""
    ids = sorted(named)
    found: list[str] = []
    last = None
    with txn.cursor(db=db) as cursor:
        for place in cursor.iternext(values=False):
            row_id = unpack_id(place) if len(place) >= len(pack_id(0)) else 0
            at = bisect_left(ids, row_id)
            if row_id != last and (at == len(ids) or ids[at] != row_id):
                found.append(f"{DATA}: row {row_id} of the table {table}")
            last = row_id
    return found


def scrub(
    path: str | Path,
    progress: Callable[[ScrubReport], None] = lambda _: None,
    blobs: Blobs | None = None,
) -> ScrubReport:
    """Read everything in the store at `path`, also while it is served, and return what was found.

    `progress` is called often, with the report so far. `blobs` is where large contents lie, if elsewhere. A store
    that can't be opened, since its index is damaged, has a report that says so. Raises NewerFormat, NotAStore,
    ReadOnly, Unavailable.
    """
    before = inspect_unopened(Path(path), progress)
    if not before.is_clean:
        before.contents_were_read = False
        return before
    try:
        store = open_store(path, is_server=False, blobs=blobs)
    except Corrupt as error:
        before.damaged.append(Damage("", b"", str(error), kind="row", file=DATA))
        before.contents_were_read = False
        return before
    try:
        pass_ = Scrub(store, progress)
        pass_.report.pages = before.pages
        pass_.read_rows()
        return pass_.report
    finally:
        store.shut()
