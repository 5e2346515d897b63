"""Reads everything that a store holds and reports what is damaged, missing or named by nobody (CON-08)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from anys3.model import Part
from anys3.store.embedded import configuration, reading, strides
from anys3.store.embedded import format as records
from anys3.store.embedded.engine import EmbeddedStore, open_store
from anys3.store.embedded.format import BLOB, INLINE, MANIFEST, Reference, crc32, pack_id
from anys3.store.embedded.multipart import read_manifest
from anys3.store.embedded.rows import Rows
from anys3.store.interface import Corrupt

_ROWS_A_STEP = 1000


@dataclass(frozen=True, slots=True)
class Damage:
    """One object, or one part of an unfinished upload, that can't be read as it was written."""

    bucket: str
    key: bytes
    reason: str
    upload_id: str = ""


@dataclass(slots=True)
class ScrubReport:
    """What a scrub found. `missing` are blobs that a row names, `orphans` files that no row names."""

    objects: int = 0
    parts: int = 0
    bytes: int = 0
    damaged: list[Damage] = field(default_factory=list)
    missing: list[Damage] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether everything can be read. Orphans only take room."""
        return not self.damaged and not self.missing


class Scrub:
    """One pass over a store, which may be in use: what changes meanwhile is looked at again."""

    def __init__(self, store: EmbeddedStore, progress: Callable[[ScrubReport], None]) -> None:
        self._store = store
        self._index = store.index
        self._progress = progress
        self.report = ScrubReport()

    def run(self) -> ScrubReport:
        """Read everything."""
        rows = self._index.rows
        with self._index.env.begin() as txn:
            names = [(place, raw.decode()) for place, raw in configuration.all_contents(rows.names, txn)]
        for namespace, bucket in names:
            for key, row in self._steps(rows.entries, namespace):
                self._object(bucket, namespace, key, row)
            for key, row in self._steps(rows.uploads, namespace):
                self._upload(bucket, key, row)
        self._find_orphans()
        self._progress(self.report)
        return self.report

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
                self._read(records.entry_reference(row))
            except (Corrupt, FileNotFoundError) as error:
                # Overwritten or deleted since: then it is the new row that counts.
                now = self._row(namespace, key)
                if now is None:
                    return
                if now == row:
                    self._note(Damage(bucket, key, str(error)), error)
                    return
                row = now
            else:
                return

    def _row(self, namespace: bytes, key: bytes) -> bytes | None:
        with self._index.env.begin() as txn:
            entries = self._index.rows.entries
            place = strides.find(txn, entries, namespace, key)
            return None if place is None else entries.get(txn, place)

    def _upload(self, bucket: str, key: bytes, row: bytes) -> None:
        row_id = records.upload_row_id(row)
        parts = self._index.rows.parts
        with self._index.env.begin() as txn:
            found = list(strides.walk(txn, parts, pack_id(row_id)))
        upload = records.decode_upload(key, row)
        for place, value in found:
            self.report.parts += 1
            try:
                self._read(records.part_reference(parts.content(place, value)))
            except (Corrupt, FileNotFoundError) as error:
                with self._index.env.begin() as txn:
                    is_current = txn.get(place, db=self._index.parts) == value
                if is_current:
                    self._note(Damage(bucket, key, str(error), upload.upload_id), error)

    def _note(self, damage: Damage, error: Exception) -> None:
        (self.report.missing if isinstance(error, FileNotFoundError) else self.report.damaged).append(damage)

    def _read(self, reference: Reference) -> None:
        """Read a content to its end. Raises Corrupt, FileNotFoundError."""
        if reference.kind == INLINE:
            self._read_inline(reference)
        elif reference.kind == BLOB:
            self._read_blob(reference)
        elif reference.kind == MANIFEST:
            with self._index.env.begin() as txn:
                parts = read_manifest(self._index, txn, reference)
            for part in parts:
                self._read_part(part)
        else:
            raise Corrupt(f"a content of the unknown kind {reference.kind}")

    def _read_part(self, part: Part) -> None:
        assert isinstance(part.content, Reference)
        self._read(part.content)

    def _read_inline(self, reference: Reference) -> None:
        if reference.id:
            with self._index.env.begin() as txn:
                content = txn.get(pack_id(reference.id), db=self._index.inline)
            if content is None or len(content) != reference.size or crc32(content) != reference.crc:
                raise Corrupt(f"inline content {reference.id} is damaged")
        self.report.bytes += reference.size

    def _read_blob(self, reference: Reference) -> None:
        blob = reading.OpenBlob(self._store.files, reference)
        try:
            for block in blob.blocks(0, reference.size):
                self.report.bytes += len(block)
        finally:
            blob.close()

    def _find_orphans(self) -> None:
        """Note files that neither a row nor a writer knows."""
        store = self._store.path
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
        return not self._store.files.path(blob_id).exists()


def scrub(path: str | Path, progress: Callable[[ScrubReport], None] = lambda _: None) -> ScrubReport:
    """Read everything in the store at `path`, also while it is served, and return what was found.

    `progress` is called now and then with the report so far.
    """
    store = open_store(path, is_server=False)
    try:
        return Scrub(store, progress).run()
    finally:
        store.shut()
