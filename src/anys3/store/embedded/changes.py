"""Mutations, applied to the index inside the one transaction of a batch.

Each mutation is checked as a whole before its first write, so that one that fails has changed nothing and
the others of its batch go on (CONDW-02, CON-06).
"""

from __future__ import annotations

from typing import Any

from anys3.model import Bucket, Entry
from anys3.store.embedded import format as records
from anys3.store.embedded import noting, pausing, strides
from anys3.store.embedded.blobs import Written
from anys3.store.embedded.format import INLINE, MANIFEST, PARTS, Counters, Reference, pack_id
from anys3.store.embedded.index import Index
from anys3.store.errors import ExpectationFailed, NoSuchBucket, NoSuchUpload, PartChanged, Paused
from anys3.store.interface import Notes
from anys3.store.mutations import (
    AbortUpload,
    Absent,
    Change,
    Committed,
    CompleteUpload,
    DeleteEntry,
    Expectation,
    Matches,
    Mutation,
    Present,
    PutEntry,
    PutPart,
    PutUpload,
    Unchanged,
    keys_of,
)


class Batch:
    """One write transaction: the counters as they will be, and what is to be done after the commit."""

    __slots__ = (
        "_bucket_ids",
        "_first_generation",
        "_freed_rows",
        "_holder",
        "_is_open",
        "_oldest",
        "freed",
        "generation",
        "index",
        "inline_bytes",
        "is_applying",
        "is_plain",
        "knows_notes",
        "next_id",
        "next_inline",
        "notes",
        "sequence",
        "txn",
        "written",
    )

    def __init__(self, index: Index, txn: Any, holder: str = "") -> None:
        """`holder` is who makes the changes, if it has paused the store."""
        self._holder = holder
        self._is_open = False
        self.index = index
        self.txn = txn
        counters = index.counters(txn)
        self.sequence = counters.sequence
        self.generation = self._first_generation = counters.generation
        self.next_id = counters.next_id
        self.next_inline = counters.next_inline
        self._oldest = counters.oldest
        self.is_plain = index.has_only_counters(txn)
        """Whether neither a pause nor notes are there: one look for both, in nearly every batch."""
        self.freed: list[tuple[bytes, int, int]] = []
        """Rows put into the outbox: (row, kind, id)."""
        self.written: list[Written] = []
        """Contents that were claimed."""
        self.inline_bytes = 0
        self.is_applying = False
        """Whether a mutation has begun to write: what it raises then must undo the whole batch."""
        self.notes: Notes | None = None
        self.knows_notes = False
        """Whether `notes` are those in force: see noting.py."""
        self._bucket_ids: set[int] = set()
        self._freed_rows = 0

    def finish(self) -> None:
        """Write the counters: the last thing in a transaction."""
        ids = (self.next_id, self.next_inline)
        self.index.put_counters(
            self.txn, Counters(records.FORMAT, self.sequence, self.generation, *ids, self._oldest)
        )

    @property
    def has_new_configuration(self) -> bool:
        """Whether the generation was raised."""
        return self.generation != self._first_generation

    def new_id(self) -> int:
        """Return an id that nothing else has, for all time."""
        self.next_id += 1
        return self.next_id - 1

    def new_packed_id(self) -> bytes:
        """Return a new id as a row's beginning."""
        return pack_id(self.new_id())

    def check_open(self) -> None:
        """Raise Paused unless the store takes changes; for every change that is not housekeeping."""
        if self._is_open:
            return
        pause = None if self.is_plain else pausing.read_to_change(self.index.others, self.txn)
        if (pause.holder if pause else "") != self._holder:
            raise Paused(pause)
        self._is_open = True

    def forget_pause(self) -> None:
        """Forget whether the store takes changes."""
        self.is_plain = False
        self._is_open = False

    def check_bucket(self, bucket: Bucket) -> None:
        """Raise NoSuchBucket unless that very bucket exists (DB-06)."""
        if bucket.id in self._bucket_ids:
            return
        if self.index.rows.names.get(self.txn, pack_id(bucket.id)) is None:
            raise NoSuchBucket(bucket.name)
        self._bucket_ids.add(bucket.id)

    def forget_bucket(self, bucket: Bucket) -> None:
        """Forget that the bucket exists."""
        self._bucket_ids.discard(bucket.id)

    def entry(self, bucket: Bucket, key: bytes) -> bytes | None:
        """Return an entry's row. Raises Corrupt."""
        place: bytes | None = pack_id(bucket.id) + key
        if len(key) > strides.STRIDE:
            place = strides.find(self.txn, self.index.rows.entries, pack_id(bucket.id), key)
        return None if place is None else self.index.rows.entries.get(self.txn, place)

    def put_entry(self, bucket: Bucket, key: bytes, row: bytes) -> None:
        """Put an entry's row."""
        entries = self.index.rows.entries
        place = pack_id(bucket.id) + key
        if len(key) > strides.STRIDE:
            place = strides.make(self.txn, entries, pack_id(bucket.id), key, self.new_packed_id)
        self.txn.put(place, entries.seal(place, row), db=entries.db)

    def keep(self, content: object) -> Reference:
        """Take a content over into the index and return its name.

        Raises TypeError for what no writer of this store made, StoreError for a discarded content.
        """
        if isinstance(content, Written):
            content.claim()
            self.written.append(content)
            place = pack_id(content.reference.id)
            self.txn.put(place, self.index.rows.blobs.seal_content(place, b""), db=self.index.blobs)
            return content.reference
        if isinstance(content, bytes):
            return self._keep_inline(content)
        if isinstance(content, (bytearray, memoryview)):
            return self._keep_inline(bytes(content))
        raise TypeError(f"not a content of this engine: {content!r}")

    def _keep_inline(self, content: bytes) -> Reference:
        if not content:
            return Reference(INLINE, 0, 0, 0)
        number = self.next_inline
        self.next_inline += 1
        self.inline_bytes += len(content)
        self.txn.put(pack_id(number), content, db=self.index.inline, append=True)
        return Reference(INLINE, number, len(content), records.crc32(content))

    def free(self, reference: Reference) -> None:
        """Un-name an object's content: its inline bytes go now, files after the commit."""
        if reference.kind == INLINE:
            if reference.id:
                self.txn.delete(pack_id(reference.id), db=self.index.inline)
        else:
            self.put_freed(reference.kind, reference.id)

    def put_freed(self, kind: int, content_id: int) -> None:
        """Put something into the outbox."""
        # One more than the sequence of the last finished mutation: the one that is being applied.
        row = pack_id(self.sequence + 1) + self._freed_rows.to_bytes(4, "big")
        self._freed_rows += 1
        sealed = self.index.rows.freed.seal_content(row, records.encode_freed(kind, content_id))
        self.txn.put(row, sealed, db=self.index.freed)
        self.freed.append((row, kind, content_id))


def apply(batch: Batch, mutation: Mutation) -> Committed:
    """Check a mutation and apply it. What it raises before its first write has changed nothing."""
    bucket = mutation.bucket
    batch.check_open()
    batch.check_bucket(bucket)
    for expectation in mutation.expect:
        _expect(batch, bucket, expectation)
    for change in mutation.changes:
        _check(batch, bucket, change)
    is_noting = noting.is_on(batch)
    batch.is_applying = True
    for change in mutation.changes:
        _APPLY[type(change)](batch, bucket, change)
    if is_noting:
        noting.note(batch, bucket.id, keys_of(mutation))
    batch.is_applying = False
    batch.sequence += 1
    return Committed(batch.sequence)


def _expect(batch: Batch, bucket: Bucket, expectation: Expectation) -> None:
    row = batch.entry(bucket, expectation.key)
    if isinstance(expectation, Absent):
        holds = row is None
    elif isinstance(expectation, Present):
        holds = row is not None
    elif isinstance(expectation, Matches):
        holds = row is not None and records.decode_entry(row).etag == expectation.etag
    elif isinstance(expectation, Unchanged):
        holds = (records.entry_sequence(row) if row is not None else 0) == expectation.sequence
    else:
        raise TypeError(f"not an expectation: {expectation!r}")
    if not holds:
        raise ExpectationFailed(expectation, None if row is None else records.decode_entry(row))


def _check(batch: Batch, bucket: Bucket, change: Change) -> None:
    if isinstance(change, PutEntry):
        if change.content is None and batch.entry(bucket, change.key) is None:
            raise ValueError(f"there is no content of {change.key!r} to keep")
    elif isinstance(change, (PutPart, AbortUpload)):
        _upload(batch, bucket, change.key, change.upload_id)
    elif isinstance(change, CompleteUpload):
        row_id = _upload(batch, bucket, change.key, change.upload_id)[1]
        for part in change.parts:
            row = batch.index.rows.parts.get_content(batch.txn, _part_place(row_id, part.number))
            if row is None or records.part_reference(row) != part.content:
                raise PartChanged(f"part {part.number} was replaced")
    elif isinstance(change, PutUpload) and len(change.upload.upload_id.encode()) > strides.MAX_UPLOAD_ID:
        raise ValueError(f"upload ids end at {strides.MAX_UPLOAD_ID} bytes")


def _upload(batch: Batch, bucket: Bucket, key: bytes, upload_id: str) -> tuple[bytes, int]:
    """Return an upload's place and its row id. Raises NoSuchUpload."""
    uploads = batch.index.rows.uploads
    place = strides.find(batch.txn, uploads, pack_id(bucket.id), key)
    name = upload_id.encode()
    if place is not None and len(name) <= strides.MAX_UPLOAD_ID:
        place += strides.UPLOAD + name
        row = uploads.get(batch.txn, place)
        if row is not None:
            return place, records.upload_row_id(row)
    raise NoSuchUpload(upload_id)


def _part_place(row_id: int, number: int) -> bytes:
    return pack_id(row_id) + number.to_bytes(2, "big")


def _publish(batch: Batch, bucket: Bucket, key: bytes, entry: Entry, content: object) -> None:
    old = batch.entry(bucket, key)
    if content is not None:
        reference = content if isinstance(content, Reference) else batch.keep(content)
        if reference.size != entry.size:
            raise ValueError(f"an entry of {entry.size} bytes has a content of {reference.size}")
        if old is not None:
            batch.free(records.entry_reference(old))
    else:
        assert old is not None
        reference = records.entry_reference(old)
    batch.put_entry(bucket, key, records.encode_entry(entry, reference, batch.sequence + 1))


def _put_entry(batch: Batch, bucket: Bucket, change: PutEntry) -> None:
    _publish(batch, bucket, change.key, change.entry, change.content)


def _delete_entry(batch: Batch, bucket: Bucket, change: DeleteEntry) -> None:
    old = batch.entry(bucket, change.key)
    if old is None:
        return
    strides.delete(batch.txn, batch.index.rows.entries, pack_id(bucket.id), change.key)
    batch.free(records.entry_reference(old))


def _put_upload(batch: Batch, bucket: Bucket, change: PutUpload) -> None:
    upload = change.upload
    uploads = batch.index.rows.uploads
    place = strides.make(batch.txn, uploads, pack_id(bucket.id), upload.key, batch.new_packed_id)
    place += strides.UPLOAD + upload.upload_id.encode()
    old = uploads.get(batch.txn, place)
    if old is not None:
        batch.put_freed(PARTS, records.upload_row_id(old))
    row = records.encode_upload(upload, batch.new_id())
    batch.txn.put(place, uploads.seal(place, row), db=uploads.db)


def _put_part(batch: Batch, bucket: Bucket, change: PutPart) -> None:
    _, row_id = _upload(batch, bucket, change.key, change.upload_id)
    parts = batch.index.rows.parts
    place = _part_place(row_id, change.part.number)
    reference = batch.keep(change.content)
    if reference.size != change.part.size:
        raise ValueError(f"a part of {change.part.size} bytes has a content of {reference.size}")
    old = parts.get_content(batch.txn, place)
    if old is not None:
        batch.free(records.part_reference(old))
    record = records.encode_part(change.part, reference)
    batch.txn.put(place, parts.seal_content(place, record), db=parts.db)


def _complete_upload(batch: Batch, bucket: Bucket, change: CompleteUpload) -> None:
    _, row_id = _upload(batch, bucket, change.key, change.upload_id)
    txn, parts, manifests = batch.txn, batch.index.rows.parts, batch.index.rows.manifests
    listed: list[tuple[int, bytes]] = []
    for part in change.parts:
        place = _part_place(row_id, part.number)
        record = parts.get_content(txn, place)
        assert record is not None  # it was checked
        listed.append((part.size, record))
        txn.delete(place, db=parts.db)
    manifest = batch.new_id()
    for number, chunk in enumerate(records.encode_manifest(listed)):
        place = pack_id(manifest) + number.to_bytes(4, "big")
        txn.put(place, manifests.seal_content(place, chunk), db=manifests.db)
    _drop_upload(batch, bucket, change.key, change.upload_id, row_id)
    size = sum(size for size, _ in listed)
    reference = Reference(MANIFEST, manifest, size, 0)
    entry = change.entry
    if entry.upload_id != change.upload_id:
        raise ValueError("the entry must keep the upload's id")
    _publish(batch, bucket, change.key, entry, reference)


def _abort_upload(batch: Batch, bucket: Bucket, change: AbortUpload) -> None:
    _, row_id = _upload(batch, bucket, change.key, change.upload_id)
    _drop_upload(batch, bucket, change.key, change.upload_id, row_id)


def _drop_upload(batch: Batch, bucket: Bucket, key: bytes, upload_id: str, row_id: int) -> None:
    """Delete an upload; the parts that are left become the janitor's."""
    tail = strides.UPLOAD + upload_id.encode()
    strides.delete(batch.txn, batch.index.rows.uploads, pack_id(bucket.id), key, tail)
    batch.put_freed(PARTS, row_id)


_APPLY: dict[type, Any] = {
    PutEntry: _put_entry,
    DeleteEntry: _delete_entry,
    PutUpload: _put_upload,
    PutPart: _put_part,
    CompleteUpload: _complete_upload,
    AbortUpload: _abort_upload,
}
