"""Pages of keys and uploads: one statement each for keys, by keyset; common prefixes are skipped in the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from anys3.model import Bucket, Upload
from anys3.store import paging
from anys3.store.interface import Listing, UploadListing
from anys3.store.postgresql import rows
from anys3.store.postgresql.connections import Pool

_BEHIND = b"\xff"
"""Stands behind every byte of a key: keys are UTF-8."""
_Place = tuple[bytes, bytes]
"""A key and an upload id; uploads behind it have a higher key, or that one and a higher id."""


class Listings:
    """Reads pages."""

    def __init__(self, schema: str, pool: Pool) -> None:
        self._pool = pool
        self._plain = (
            f"SELECT key, listing FROM {schema}.object"
            " WHERE bucket = $1 AND key >= $2 AND key < $3 AND newest = 0 ORDER BY key LIMIT $4"
        )
        self._rolled_up = (
            f"SELECT keys, listings, is_truncated FROM {schema}.object_page($1, $2, $3, $4, $5, $6, $7)"
        )
        self._uploads = (
            f"SELECT {rows.UPLOAD} FROM {schema}.upload"
            " WHERE bucket = $1 AND (key, upload_id) > ($2, $3) AND key < $4 ORDER BY key, upload_id LIMIT $5"
        )

    async def page(
        self, bucket: Bucket, prefix: bytes, delimiter: bytes, after: bytes, limit: int
    ) -> Listing:
        """Return one page of keys; see Store.list. Whether the bucket exists is not looked at."""
        if b"\0" in prefix:
            return Listing([], [], False, b"", False)
        # Keys hold no NUL: the first one after `after` is the first from there on.
        start = after + b"\0" if after and after >= prefix else prefix
        if not delimiter:
            return await self._flat(bucket, start, prefix + _BEHIND, limit)
        arguments = (len(prefix), delimiter, start, after, prefix + _BEHIND, limit)
        [(keys, listings, is_truncated)] = await self._pool.read(self._rolled_up, bucket.id, *arguments)
        if not keys:
            return Listing([], [], is_truncated, b"", False)
        found = [pair for pair in zip(keys, listings, strict=True) if pair[1] is not None]
        prefixes = [key for key, listing in zip(keys, listings, strict=True) if listing is None]
        return Listing(found, prefixes, is_truncated, keys[-1], listings[-1] is None)

    async def _flat(self, bucket: Bucket, start: bytes, stop: bytes, limit: int) -> Listing:
        found = await self._pool.read(self._plain, bucket.id, start, stop, limit + 1)
        is_truncated = len(found) > limit
        pairs = [(key, listing) for key, listing in found[:limit]]
        return Listing(pairs, [], is_truncated, pairs[-1][0] if pairs else b"", False)

    async def uploads(
        self,
        bucket: Bucket,
        prefix: bytes,
        delimiter: bytes,
        after_key: bytes,
        after_upload_id: str | None,
        limit: int,
    ) -> UploadListing:
        """Return one page of uploads; see Store.uploads. Whether the bucket exists is not looked at."""
        known = _Known()
        within = b"" if after_upload_id is None else after_upload_id.encode("utf-8", "surrogatepass")

        def scan(key: bytes, is_after: bool) -> Iterator[tuple[bytes, Upload]]:
            if is_after:
                return known.walk((key + b"\0", b""))
            return known.walk((key, within if key == after_key else b""))

        while True:
            try:
                found, prefixes, is_truncated = paging.page(
                    scan, prefix, delimiter, after_key, limit, is_after=after_upload_id is None
                )
            except _Missing as missing:
                place = missing.place
                read = await self._pool.read(self._uploads, bucket.id, *place, prefix + _BEHIND, limit + 1)
                known.add(place, [rows.upload(row) for row in read], is_all=len(read) <= limit)
            else:
                return UploadListing([upload for _, upload in found], prefixes, is_truncated)


class _Missing(Exception):  # noqa: N818 (it says what is needed)
    """What stands behind a place was not read yet."""

    def __init__(self, place: _Place) -> None:
        super().__init__(place)
        self.place = place


class _Stretch(NamedTuple):
    start: _Place
    uploads: list[Upload]
    end: _Place | None
    """The last upload's place; None: there is none behind them."""


class _Known:
    """The uploads that a page has read so far. A page begins anew when it needs others, which is rare."""

    def __init__(self) -> None:
        self._stretches: list[_Stretch] = []

    def add(self, start: _Place, uploads: list[Upload], *, is_all: bool) -> None:
        """Take note of the uploads behind a place."""
        self._stretches.append(_Stretch(start, uploads, None if is_all else _place(uploads[-1])))

    def walk(self, place: _Place) -> Iterator[tuple[bytes, Upload]]:
        """Yield the uploads behind a place, by key. Raises _Missing."""
        while True:
            stretch = self._find(place)
            for upload in stretch.uploads:
                if _place(upload) > place:
                    yield upload.key, upload
            if stretch.end is None:
                return
            place = stretch.end

    def _find(self, place: _Place) -> _Stretch:
        for stretch in self._stretches:
            if stretch.start <= place and (stretch.end is None or place < stretch.end):
                return stretch
        raise _Missing(place)


def _place(upload: Upload) -> _Place:
    return upload.key, upload.upload_id.encode()
