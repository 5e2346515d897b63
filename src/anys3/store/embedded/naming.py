"""What the rows of an index name: each content once, with the object or the part that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from anys3.store.embedded import format as records
from anys3.store.embedded import strides
from anys3.store.embedded.configuration import all_contents
from anys3.store.embedded.format import MANIFEST, Reference, pack_id
from anys3.store.embedded.index import Index
from anys3.store.embedded.multipart import read_manifest
from anys3.store.errors import Corrupt


class Named(NamedTuple):
    """One content, inline or a blob. With a `reason` it can't be told which: its row is damaged."""

    bucket: str
    key: bytes
    upload_id: str
    reference: Reference
    reason: str = ""


_UNKNOWN = Reference(0, 0, 0, 0)


class Naming:
    """One walk over all rows of a moment; the counts are whole at its end."""

    def __init__(self, index: Index, txn: Any) -> None:
        self._index = index
        self._txn = txn
        self.objects = 0
        self.uploads = 0
        self.parts = 0
        """Of unfinished uploads."""

    def contents(self) -> Iterator[Named]:
        """Yield every content that an object or a part of an unfinished upload has."""
        rows = self._index.rows
        names = [(place, raw.decode()) for place, raw in all_contents(rows.names, self._txn)]
        for namespace, bucket in names:
            for key, row in strides.scan(self._txn, rows.entries, namespace, b""):
                self.objects += 1
                yield from self._of_object(bucket, key, row)
            for key, row in strides.scan(self._txn, rows.uploads, namespace, b""):
                self.uploads += 1
                yield from self._of_upload(bucket, key, row)

    def _of_object(self, bucket: str, key: bytes, row: bytes) -> Iterator[Named]:
        try:
            reference = records.entry_reference(row)
            if reference.kind != MANIFEST:
                yield Named(bucket, key, "", reference)
                return
            parts = read_manifest(self._index, self._txn, reference)
        except Corrupt as error:
            yield Named(bucket, key, "", _UNKNOWN, str(error))
            return
        for part in parts:
            assert isinstance(part.content, Reference)
            yield Named(bucket, key, "", part.content)

    def _of_upload(self, bucket: str, key: bytes, row: bytes) -> Iterator[Named]:
        try:
            upload_id = records.decode_upload(key, row).upload_id
            row_id = pack_id(records.upload_row_id(row))
        except Corrupt as error:
            yield Named(bucket, key, "", _UNKNOWN, str(error))
            return
        parts = self._index.rows.parts
        for place, part in strides.walk(self._txn, parts, row_id):
            self.parts += 1
            try:
                yield Named(bucket, key, upload_id, records.part_reference(parts.content(place, part)))
            except Corrupt as error:
                yield Named(bucket, key, upload_id, _UNKNOWN, str(error))
