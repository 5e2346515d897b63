"""A store in memory, for tests and fixtures: the contract's plainest fulfilment, nothing survives."""

from __future__ import annotations

import time
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from anys3.model import AccessKey, Bucket, Entry, Upload
from anys3.store import interface, paging
from anys3.store.errors import (
    BucketChanged,
    BucketExists,
    BucketNotEmpty,
    ExpectationFailed,
    NoSuchBucket,
    Pause,
    PauseChanged,
    Paused,
)
from anys3.store.figures import Figure
from anys3.store.interface import (
    Entries,
    Keys,
    Listing,
    Noted,
    Notes,
    Opened,
    OpenedPart,
    Parts,
    UploadListing,
)
from anys3.store.memory.contents import MemoryBytes, MemorySource, MemoryWriter, bytes_of
from anys3.store.memory.noting import Noting
from anys3.store.memory.spaces import Space, apply, check, holds
from anys3.store.mutations import (
    Committed,
    Mutation,
)

INLINE_MAX = 128 * 1024


@dataclass(slots=True)
class _Kept:
    """All that there is in one store."""

    keys: dict[str, AccessKey] = field(default_factory=dict)
    spaces: dict[str, Space] = field(default_factory=dict)
    sequence: int = 0
    generation: int = 1
    last_id: int = 0
    pause: Pause | None = None
    noting: Noting = field(default_factory=Noting)


class MemoryStore:
    """Everything in dictionaries of one process: the contract's promises but durability.

    To be used from one event loop; writers may be filled in other threads.
    """

    inline_max = INLINE_MAX

    def __init__(self, beside: MemoryStore | None = None) -> None:
        """Make an empty store, or another way to that of `beside`, as another process has to a real one."""
        self.kept: _Kept = beside.kept if beside else _Kept()
        self._holder = ""

    def generation(self) -> int:
        """Return the number of the configuration."""
        return self.kept.generation

    def figures(self) -> Sequence[Figure]:
        """Return nothing."""
        return ()

    # pauses

    async def paused(self) -> Pause | None:
        """Return the pause that is in force."""
        pause = self.kept.pause
        if pause is not None and pause.ends_ms is not None and pause.ends_ms <= _now_ms():
            self.kept.pause = pause = None
        return pause

    async def pause(self, reason: str, *, was: Pause | None = None, lasts_s: float | None = None) -> Pause:
        """Refuse all changes but those through this object. Raises PauseChanged."""
        await self._check_pause(was)
        ends_ms = None if lasts_s is None else _now_ms() + round(1000 * lasts_s)
        self.kept.pause = pause = Pause(reason, uuid.uuid4().hex, ends_ms)
        self._holder = pause.holder
        return pause

    async def resume(self, was: Pause) -> None:
        """End that pause. Raises PauseChanged."""
        await self._check_pause(was)
        self.kept.pause = None
        if self._holder == was.holder:
            self._holder = ""

    async def _check_pause(self, was: Pause | None) -> None:
        now = await self.paused()
        if now != was:
            raise PauseChanged(now)

    async def _check_open(self) -> None:
        pause = await self.paused()
        if (pause.holder if pause else "") != self._holder:
            raise Paused(pause)

    # notes of changed keys

    async def begin_noting(self, lasts_s: float) -> Notes:
        """Let the keys of every mutation be noted; others' notes end."""
        return self.kept.noting.begin(lasts_s)

    async def keep_noting(self, notes: Notes, lasts_s: float) -> None:
        """Let them end after `lasts_s` from now. Raises NotesEnded."""
        self.kept.noting.keep(notes, lasts_s)

    async def noted(self, notes: Notes, limit: int) -> Keys:
        """Return the first `limit` keys. Raises NotesEnded."""
        return self.kept.noting.first(notes, limit)

    async def strike_noted(self, notes: Notes, keys: Sequence[Noted]) -> None:
        """Forget these notes. Raises NotesEnded."""
        self.kept.noting.strike(notes, keys)

    async def end_noting(self, notes: Notes) -> None:
        """End them."""
        self.kept.noting.end(notes)

    # configuration: keys and buckets

    async def key(self, access_key_id: str) -> AccessKey | None:
        """Return a key, None if unknown."""
        return self.kept.keys.get(access_key_id)

    async def keys(self) -> list[AccessKey]:
        """Return all keys, by access key id."""
        return [self.kept.keys[name] for name in sorted(self.kept.keys)]

    async def put_key(self, key: AccessKey) -> None:
        """Create or replace a key."""
        await self._check_open()
        self.kept.keys[key.access_key_id] = key
        self.kept.generation += 1

    async def claim_root(self, key: AccessKey) -> AccessKey:
        """Make `key` the root key unless there is one, and return the one that there is then."""
        for other in self.kept.keys.values():
            if other.is_root:
                return other
        await self.put_key(key)
        return key

    async def delete_key(self, access_key_id: str) -> bool:
        """Delete a key; False if it did not exist."""
        await self._check_open()
        self.kept.generation += 1
        return self.kept.keys.pop(access_key_id, None) is not None

    async def bucket(self, name: str) -> Bucket | None:
        """Return a bucket's row."""
        space = self.kept.spaces.get(name)
        return space.bucket if space else None

    async def buckets(self, after: str = "", prefix: str = "", limit: int = 10_000) -> list[Bucket]:
        """Return the first `limit` buckets after that name and with that prefix, by name."""
        names = sorted(name for name in self.kept.spaces if name > after and name.startswith(prefix))
        return [self.kept.spaces[name].bucket for name in names[:limit]]

    async def create_bucket(self, bucket: Bucket) -> Bucket:
        """Create an empty bucket and return its row with its new `id`. Raises BucketExists."""
        await self._check_open()
        existing = self.kept.spaces.get(bucket.name)
        if existing is not None:
            raise BucketExists(existing.bucket)
        self.kept.last_id += 1
        made = replace(bucket, id=self.kept.last_id)
        self.kept.spaces[bucket.name] = Space(made)
        self.kept.generation += 1
        return made

    async def update_bucket(self, bucket: Bucket, *, was: Bucket | None = None) -> None:
        """Replace settings of the bucket. Raises NoSuchBucket, BucketChanged."""
        await self._check_open()
        space = self._space(bucket)
        if was is not None and space.bucket != was:
            raise BucketChanged(bucket.name)
        space.bucket = replace(bucket, created_ms=space.bucket.created_ms)
        self.kept.generation += 1

    async def delete_bucket(self, bucket: Bucket) -> None:
        """Delete the bucket and its unfinished uploads. Raises NoSuchBucket, BucketNotEmpty."""
        await self._check_open()
        if self._space(bucket).entries:
            raise BucketNotEmpty(bucket.name)
        del self.kept.spaces[bucket.name]
        self.kept.keys = {name: key.without_grant(bucket.name) for name, key in self.kept.keys.items()}
        self.kept.generation += 1

    def _space(self, bucket: Bucket) -> Space:
        space = self.kept.spaces.get(bucket.name)
        if space is None or space.bucket.id != bucket.id:
            raise NoSuchBucket(bucket.name)
        return space

    # objects

    async def entry(self, bucket: Bucket, key: bytes) -> Entry | None:
        """Return an object's row."""
        return self._space(bucket).entries.get(key)

    async def open(self, bucket: Bucket, key: bytes) -> Opened | None:
        """Return an object's row and bytes."""
        entry = self._space(bucket).entries.get(key)
        if entry is None:
            return None
        content = entry.content
        assert isinstance(content, MemoryBytes)
        if entry.size <= self.inline_max and not content.parts:
            return Opened(entry, content.pieces[0], None)
        return Opened(entry, None, MemorySource(content))

    async def list(
        self, bucket: Bucket, prefix: bytes, delimiter: bytes, after: bytes, limit: int
    ) -> Listing:
        """Return the first `limit` keys and common prefixes strictly after `after`."""
        space = self._space(bucket)

        def scan(key: bytes, is_after: bool) -> Iterator[tuple[bytes, bytes]]:
            find = bisect_right if is_after else bisect_left
            for at in range(find(space.keys, key), len(space.keys)):
                yield space.keys[at], space.entries[space.keys[at]].listing

        rows, prefixes, is_truncated = paging.page(scan, prefix, delimiter, after, limit)
        last, is_last_prefix = paging.last_of(rows, prefixes)
        return Listing(rows, prefixes, is_truncated, last, is_last_prefix)

    async def entries(self, bucket: Bucket, after: bytes, limit: int) -> Entries:
        """Return the first `limit` keys after `after` with their rows."""
        space = self._space(bucket)
        at = bisect_right(space.keys, after)
        return [(key, space.entries[key]) for key in space.keys[at : at + limit]]

    async def commit(self, mutation: Mutation) -> Committed:
        """Apply a mutation. Raises NoSuchBucket, ExpectationFailed, NoSuchUpload, PartChanged."""
        await self._check_open()
        space = self._space(mutation.bucket)
        for expectation in mutation.expect:
            current = space.entries.get(expectation.key)
            if not holds(expectation, current):
                raise ExpectationFailed(expectation, current)
        for change in mutation.changes:
            check(space, change)
        self.kept.sequence += 1
        for change in mutation.changes:
            apply(space, change, self.kept.sequence)
        self.kept.noting.note(mutation)
        return Committed(self.kept.sequence)

    # contents

    def writer(self, length: int | None) -> interface.ContentWriter:  # noqa: ARG002 (nothing to reserve)
        """Return a writer for one content."""
        return MemoryWriter()

    async def copy_content(self, opened: Opened) -> object | None:
        """Return a content with the same bytes; None for one that is made of parts."""
        if opened.inline is not None:
            return opened.inline
        content = opened.entry.content
        assert isinstance(content, MemoryBytes)
        return None if content.parts else MemoryBytes(content.pieces)

    def discard_content(self, content: object) -> None:
        """Do nothing: what nobody refers to is gone."""

    # uploads

    async def upload(self, bucket: Bucket, key: bytes, upload_id: str) -> Upload | None:
        """Return an unfinished upload of that key, else None."""
        found = self._space(bucket).uploads.get((key, upload_id))
        return found.upload if found else None

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
        space = self._space(bucket)

        def scan(key: bytes, is_after: bool) -> Iterator[tuple[bytes, Upload]]:
            if is_after:
                at = bisect_left(space.upload_keys, (key + b"\0", ""))
            elif after_upload_id is not None and key == after_key:
                at = bisect_right(space.upload_keys, (key, after_upload_id))
            else:
                at = bisect_left(space.upload_keys, (key, ""))
            for position in range(at, len(space.upload_keys)):
                place = space.upload_keys[position]
                yield place[0], space.uploads[place].upload

        is_after = after_upload_id is None
        rows, prefixes, is_truncated = paging.page(
            scan, prefix, delimiter, after_key, limit, is_after=is_after
        )
        return UploadListing([upload for _, upload in rows], prefixes, is_truncated)

    async def parts(
        self, bucket: Bucket, key: bytes, upload_id: str, after: int = 0, limit: int = 10_000
    ) -> Parts:
        """Return the parts with numbers above `after`, ascending. Raises NoSuchUpload."""
        parts = self._space(bucket).multipart(key, upload_id).parts
        return [parts[number] for number in sorted(parts) if number > after][:limit]

    async def open_part(self, bucket: Bucket, key: bytes, upload_id: str, number: int) -> OpenedPart | None:
        """Return a part's row and bytes, None if there is no such part. Raises NoSuchUpload."""
        part = self._space(bucket).multipart(key, upload_id).parts.get(number)
        if part is None:
            return None
        if part.size <= self.inline_max:
            return OpenedPart(part, bytes_of(part), None)
        assert isinstance(part.content, MemoryBytes)
        return OpenedPart(part, None, MemorySource(part.content))

    async def completed(self, bucket: Bucket, key: bytes, upload_id: str) -> tuple[Entry, Parts] | None:
        """Return the current entry and its parts if that upload made it, else None."""
        entry = self._space(bucket).entries.get(key)
        if entry is None or not upload_id or entry.upload_id != upload_id:
            return None
        content = entry.content
        assert isinstance(content, MemoryBytes)
        return entry, list(content.parts)

    async def close(self) -> None:
        """Let go of everything."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
