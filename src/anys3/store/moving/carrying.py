"""One object, or one unfinished upload, made the same in another store.

Whatever is found there is taken over where it is the same: so a run that was cut short, in the middle of an object of
many parts too, is gone on with by another one. Nothing is remembered anywhere else.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from anys3.model import Bucket, Checksum, Entry, Part, Upload
from anys3.store.errors import NoSuchUpload
from anys3.store.interface import Opened, Store
from anys3.store.moving.contents import Contents, Held
from anys3.store.moving.report import Pass
from anys3.store.moving.verifying import Mismatch, Sums, check_parts
from anys3.store.mutations import (
    AbortUpload,
    Change,
    CompleteUpload,
    DeleteEntry,
    Mutation,
    PutEntry,
    PutPart,
    PutUpload,
)

_NEVER = 1 << 62
"""No commit's sequence."""


def is_same_entry(one: Entry, other: Entry) -> bool:
    """Tell whether two rows are the same, but for what only means something in their engines."""
    return one[:-2] == other[:-2]


def _is_same_part(one: Part, other: Part | None) -> bool:
    return other is not None and replace(one, content=None) == replace(other, content=None)


def _has_same_content(one: Entry, other: Entry) -> bool:
    """Tell whether only headers and tags differ: Last-Modified goes with the bytes."""
    return (one.size, one.modified_ms, one.etag, one.checksum, one.part_count, one.upload_id) == (
        other.size, other.modified_ms, other.etag, other.checksum, other.part_count, other.upload_id
    )  # fmt: skip


class Buckets:
    """A bucket of the one store, and the bucket of that name in the other."""

    def __init__(self, ours: Bucket, theirs: Bucket) -> None:
        self.ours = ours
        self.theirs = theirs


class Carrier:
    """Takes from one store to another; what it does is counted in `counts`."""

    def __init__(self, source: Store, target: Store, contents: Contents) -> None:
        self._source = source
        self._target = target
        self._contents = contents
        self.counts = Pass()

    async def _commit(self, buckets: Buckets, *changes: Change) -> None:
        await self._target.commit(Mutation(buckets.theirs, changes))

    async def remove(self, buckets: Buckets, keys: Sequence[bytes]) -> None:
        """Remove objects that are not in the source."""
        await self._commit(buckets, *(DeleteEntry(key) for key in keys))
        self.counts.removed += len(keys)

    # objects

    async def carry_object(self, buckets: Buckets, key: bytes) -> None:
        """Make an object what it is in the source now. Repeatable. Raises Mismatch, Corrupt."""
        async with _opened(await self._source.open(buckets.ours, key)) as opened:
            there = await self._target.entry(buckets.theirs, key)
            if opened is None:  # deleted just now
                if there is not None:
                    await self.remove(buckets, [key])
                return
            if there is not None and is_same_entry(opened.entry, there):
                return
            entry = opened.entry._replace(sequence=0, content=None)
            if there is not None and _has_same_content(entry, there):
                await self._commit(buckets, PutEntry(key, entry, None))
            elif entry.upload_id:
                await self._object_of_parts(buckets, key, entry, opened)
            else:
                content = await self._copy(opened, 0, entry.size, entry.etag, entry.checksum)
                await self._commit(buckets, PutEntry(key, entry, content))

    async def _object_of_parts(self, buckets: Buckets, key: bytes, entry: Entry, opened: Opened) -> None:
        """Make it of the same parts, from an upload of the same id: an unfinished copy of it is gone on with."""
        assert opened.source is not None
        parts = await opened.source.parts()
        check_parts(entry, parts)
        upload_id = entry.upload_id
        have: dict[int, Part] = {}
        if await self._target.upload(buckets.theirs, key, upload_id) is None:
            upload = Upload(key, upload_id, entry.modified_ms, entry.stored, entry.tags)
            await self._commit(buckets, PutUpload(upload))
        else:
            have = {part.number: part for part in await self._target.parts(buckets.theirs, key, upload_id)}
        start = 0
        for part in parts:
            if not _is_same_part(part, have.get(part.number)):
                await self._part(buckets, key, upload_id, part, opened, start)
            start += part.size
        have = {part.number: part for part in await self._target.parts(buckets.theirs, key, upload_id)}
        listed = [have[part.number] for part in parts]
        await self._commit(buckets, CompleteUpload(key, upload_id, entry, listed))

    async def _part(
        self, buckets: Buckets, key: bytes, upload_id: str, part: Part, held: Held, start: int
    ) -> None:
        content = await self._copy(held, start, part.size, part.etag, part.checksum)
        await self._commit(buckets, PutPart(key, upload_id, replace(part, content=None), content))

    async def _copy(self, held: Held, start: int, size: int, etag: str, checksum: Checksum | None) -> object:
        content = await self._contents.copy(held, start, size, Sums(size, etag, checksum))
        self.counts.copied += 1
        self.counts.copied_bytes += size
        return content

    # uploads

    async def carry_upload(
        self, buckets: Buckets, key: bytes, upload_id: str, ours: Upload | None, theirs: Upload | None
    ) -> None:
        """Make an unfinished upload what it is in the source. Raises Mismatch, Corrupt."""
        if ours is None:
            if not await self._is_completed(buckets, key, upload_id):
                await self._abort(buckets, key, upload_id)
            return
        try:
            parts = await self._source.parts(buckets.ours, key, upload_id)
        except NoSuchUpload:  # ended just now
            self.counts.changes += 1
            return
        self.counts.uploads += 1
        self.counts.parts += len(parts)
        wanted = replace(ours, entry_sequence=await self._base(buckets, ours))
        have = await self._parts_there(buckets, wanted, theirs, {part.number for part in parts})
        for part in parts:
            if not _is_same_part(part, have.get(part.number)):
                self.counts.changes += 1
                await self._part_of_upload(buckets, key, upload_id, part.number)

    async def _parts_there(
        self, buckets: Buckets, wanted: Upload, theirs: Upload | None, numbers: set[int]
    ) -> dict[int, Part]:
        """Return the parts that the target has of an upload, which is begun there, or anew, if it must be."""
        key, upload_id = wanted.key, wanted.upload_id
        if theirs is not None:
            have = {part.number: part for part in await self._target.parts(buckets.theirs, key, upload_id)}
            if theirs == wanted and have.keys() <= numbers:
                return have
            await self._abort(buckets, key, upload_id)
        self.counts.changes += 1
        await self._commit(buckets, PutUpload(wanted))
        return {}

    async def _part_of_upload(self, buckets: Buckets, key: bytes, upload_id: str, number: int) -> None:
        try:
            opened = await self._source.open_part(buckets.ours, key, upload_id, number)
        except NoSuchUpload:  # ended just now
            return
        if opened is None:
            return
        try:
            await self._part(buckets, key, upload_id, opened.part, opened, 0)
        finally:
            if opened.source is not None:
                opened.source.close()

    async def _abort(self, buckets: Buckets, key: bytes, upload_id: str) -> None:
        self.counts.changes += 1
        self.counts.removed += 1
        with contextlib.suppress(NoSuchUpload):
            await self._commit(buckets, AbortUpload(key, upload_id))

    async def _is_completed(self, buckets: Buckets, key: bytes, upload_id: str) -> bool:
        """Tell whether an upload became the key's object just now, which the next pass makes of the same parts."""
        ours = await self._source.entry(buckets.ours, key)
        theirs = await self._target.entry(buckets.theirs, key)
        return (
            ours is not None
            and ours.upload_id == upload_id
            and (theirs is None or theirs.upload_id != upload_id)
        )

    async def _base(self, buckets: Buckets, upload: Upload) -> int:
        """Return what stands in the target for the sequence that the key had when the upload began (CONDW-08)."""
        if not upload.entry_sequence:
            return 0
        ours = await self._source.entry(buckets.ours, upload.key)
        if ours is None or ours.sequence != upload.entry_sequence:
            return _NEVER
        theirs = await self._target.entry(buckets.theirs, upload.key)
        return theirs.sequence if theirs is not None else _NEVER


@contextlib.asynccontextmanager
async def _opened(opened: Opened | None) -> AsyncIterator[Opened | None]:
    try:
        yield opened
    finally:
        if opened is not None and opened.source is not None:
            opened.source.close()


__all__ = ["Buckets", "Carrier", "Mismatch", "is_same_entry"]
