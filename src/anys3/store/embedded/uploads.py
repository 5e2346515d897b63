"""Unfinished uploads, their parts, and what they became: the engine's reading side of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from anys3.model import Bucket, Entry, Upload
from anys3.store import paging
from anys3.store.embedded import format as records
from anys3.store.embedded import strides
from anys3.store.embedded.format import INLINE, MANIFEST, Reference, pack_id
from anys3.store.embedded.multipart import PartSource, inline_content, read_manifest
from anys3.store.embedded.opened import OpenedStore
from anys3.store.embedded.reading import OwnedSource
from anys3.store.errors import Corrupt, NoSuchUpload
from anys3.store.interface import OpenedPart, Parts, UploadListing


class Uploads(OpenedStore):
    """The part of the engine that knows uploads; see EmbeddedStore."""

    def _entry(self, txn: Any, bucket: Bucket, key: bytes) -> bytes | None:
        """Return an entry's row. Raises NoSuchBucket, Corrupt."""
        place: bytes | None = pack_id(bucket.id) + key
        if len(key) > strides.STRIDE:
            place = strides.find(txn, self.index.rows.entries, pack_id(bucket.id), key)
        raw = None if place is None else self.index.rows.entries.get(txn, place)
        if raw is None:
            self._check_bucket(txn, bucket)
        return raw

    def _upload(self, txn: Any, bucket: Bucket, key: bytes, upload_id: str) -> bytes | None:
        name = upload_id.encode()
        uploads = self.index.rows.uploads
        place = strides.find(txn, uploads, pack_id(bucket.id), key)
        if place is None or len(name) > strides.MAX_UPLOAD_ID:
            return None
        return uploads.get(txn, place + strides.UPLOAD + name)

    async def upload(self, bucket: Bucket, key: bytes, upload_id: str) -> Upload | None:
        """Return an unfinished upload of that key, else None."""
        with naming(bucket, key), self._reading() as txn:
            raw = self._upload(txn, bucket, key, upload_id)
            if raw is None:
                self._check_bucket(txn, bucket)
                return None
            return records.decode_upload(key, raw)

    async def uploads(
        self,
        bucket: Bucket,
        prefix: bytes,
        delimiter: bytes,
        after_key: bytes,
        after_upload_id: str | None,
        limit: int,
    ) -> UploadListing:
        """Return the first `limit` uploads (and common prefixes) after a position."""
        within = b""
        if after_upload_id is not None:
            name = after_upload_id.encode()[: strides.MAX_UPLOAD_ID].split(b"\0")[0]
            within = strides.UPLOAD + name + b"\0"
        with naming(bucket), self._reading() as txn:
            self._check_bucket(txn, bucket)
            namespace = pack_id(bucket.id)

            def scan(key: bytes, is_after: bool) -> Iterator[tuple[bytes, bytes]]:
                tail = strides.BEHIND if is_after else within if key == after_key else b""
                return strides.scan(txn, self.index.rows.uploads, namespace, key, tail)

            found, prefixes, is_truncated = paging.page(
                scan, prefix, delimiter, after_key, limit, is_after=after_upload_id is None
            )
            uploads = [records.decode_upload(key, raw) for key, raw in found]
        return UploadListing(uploads, prefixes, is_truncated)

    async def parts(
        self, bucket: Bucket, key: bytes, upload_id: str, after: int = 0, limit: int = 10_000
    ) -> Parts:
        """Return the parts with numbers above `after`, ascending. Raises NoSuchUpload."""
        with naming(bucket, key), self._reading() as txn:
            raw = self._upload(txn, bucket, key, upload_id)
            if raw is None:
                self._check_bucket(txn, bucket)
                raise NoSuchUpload(upload_id)
            row_id = pack_id(records.upload_row_id(raw))
            found: Parts = []
            if after >= 0xFFFF:
                return found
            rows = self.index.rows.parts
            for place, row in strides.walk(txn, rows, row_id, (after + 1).to_bytes(2, "big")):
                if len(found) >= limit:
                    break
                found.append(records.decode_part(rows.content(place, row))[0])
        return found

    async def open_part(self, bucket: Bucket, key: bytes, upload_id: str, number: int) -> OpenedPart | None:
        """Return a part's row and bytes, None if there is no such part. Raises NoSuchUpload, Corrupt."""
        with self._reading() as txn:
            pin = self.index.counters(txn).sequence
        self._control.pin(pin)
        is_kept = False
        try:
            with naming(bucket, key), self._reading() as txn:
                raw = self._upload(txn, bucket, key, upload_id)
                if raw is None:
                    self._check_bucket(txn, bucket)
                    raise NoSuchUpload(upload_id)
                place = pack_id(records.upload_row_id(raw)) + number.to_bytes(2, "big")
                row = self.index.rows.parts.get_content(txn, place)
                if row is None:
                    return None
                part = records.decode_part(row)[0]
                reference = part.content
                assert isinstance(reference, Reference)
                if reference.kind == INLINE:
                    return OpenedPart(part, inline_content(self.index, reference, txn), None)
            source = PartSource(self.index, self.files, reference, self._control, pin)
            is_kept = True
            return OpenedPart(part, None, OwnedSource(source, bucket.name, key))
        finally:
            if not is_kept:
                self._control.unpin(pin)

    async def completed(self, bucket: Bucket, key: bytes, upload_id: str) -> tuple[Entry, Parts] | None:
        """Return the current entry and its parts if that upload made it, else None (CPL-13, CPL-18)."""
        with naming(bucket, key), self._reading() as txn:
            raw = self._entry(txn, bucket, key)
            if raw is None:
                return None
            entry = records.decode_entry(raw)
            reference = entry.content
            assert isinstance(reference, Reference)
            if not upload_id or entry.upload_id != upload_id or reference.kind != MANIFEST:
                return None
            return entry, read_manifest(self.index, txn, reference)


@contextlib.contextmanager
def naming(bucket: Bucket, key: bytes | None = None) -> Iterator[None]:
    """Tell what damage that is found meanwhile belongs to."""
    try:
        yield
    except Corrupt as error:
        raise error.about(bucket.name, key) from None
