"""A store in memory, for tests and fixtures: the contract's plainest fulfilment, nothing survives."""

from __future__ import annotations

import time
import uuid
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from anys3.model import AccessKey, Bucket, Entry, Part, Upload
from anys3.store import interface, paging
from anys3.store.interface import (
    AbortUpload,
    Absent,
    BucketChanged,
    BucketExists,
    BucketNotEmpty,
    Change,
    Committed,
    CompleteUpload,
    DeleteEntry,
    Entries,
    Expectation,
    ExpectationFailed,
    Listing,
    Matches,
    Mutation,
    NoSuchBucket,
    NoSuchUpload,
    Opened,
    OpenedPart,
    PartChanged,
    Parts,
    Pause,
    PauseChanged,
    Paused,
    Present,
    PutEntry,
    PutPart,
    PutUpload,
    Unchanged,
    UploadListing,
)

INLINE_MAX = 128 * 1024
BLOCK = 1024 * 1024


class MemoryContent:
    """Some bytes, as a content that is sent in blocks."""

    def __init__(self, pieces: Sequence[bytes], start: int, length: int) -> None:
        self.length = length
        self._pieces = pieces
        self._start = start

    def blocks(self) -> Iterator[memoryview]:
        """Yield the bytes in blocks of at most 1 MiB."""
        skip, left = self._start, self.length
        for piece in self._pieces:
            taken = piece[skip : skip + left]
            skip = max(0, skip - len(piece))
            left -= len(taken)
            view = memoryview(taken)
            for at in range(0, len(taken), BLOCK):
                yield view[at : at + BLOCK]

    def close(self) -> None:
        """Let go of the bytes."""
        self._pieces = ()


@dataclass(frozen=True, slots=True)
class MemoryBytes:
    """A content: its bytes in pieces, one for each part."""

    pieces: tuple[bytes, ...]
    parts: tuple[Part, ...] = ()


class MemorySource:
    """An opened object's bytes; they stay alive for as long as somebody refers to them."""

    def __init__(self, content: MemoryBytes) -> None:
        self._content = content

    def slice(self, start: int, length: int) -> MemoryContent:
        """Return `length` bytes from `start` on."""
        return MemoryContent(self._content.pieces, start, length)

    async def parts(self) -> Sequence[Part]:
        """Return the parts; empty for an object put in one piece."""
        return self._content.parts

    def close(self) -> None:
        """Let go."""


class MemoryWriter:
    """Collects one content."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: memoryview | bytes) -> None:
        """Append."""
        self._bytes += data

    def finish(self) -> object:
        """Return the content."""
        return MemoryBytes((bytes(self._bytes),))

    def discard(self) -> None:
        """Forget the bytes."""
        self._bytes = bytearray()


@dataclass(slots=True)
class _Multipart:
    upload: Upload
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(slots=True)
class _Space:
    """What lies in one bucket. `keys` and `upload_keys` are sorted."""

    bucket: Bucket
    entries: dict[bytes, Entry] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)
    uploads: dict[tuple[bytes, str], _Multipart] = field(default_factory=dict)
    upload_keys: list[tuple[bytes, str]] = field(default_factory=list)

    def put(self, key: bytes, entry: Entry) -> None:
        if key not in self.entries:
            insort(self.keys, key)
        self.entries[key] = entry

    def delete(self, key: bytes) -> None:
        if self.entries.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]

    def multipart(self, key: bytes, upload_id: str) -> _Multipart:
        found = self.uploads.get((key, upload_id))
        if found is None:
            raise NoSuchUpload(upload_id)
        return found

    def drop_upload(self, key: bytes, upload_id: str) -> None:
        del self.uploads[key, upload_id]
        del self.upload_keys[bisect_left(self.upload_keys, (key, upload_id))]


@dataclass(slots=True)
class _Kept:
    """All that there is in one store."""

    keys: dict[str, AccessKey] = field(default_factory=dict)
    spaces: dict[str, _Space] = field(default_factory=dict)
    sequence: int = 0
    generation: int = 1
    last_id: int = 0
    pause: Pause | None = None


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
        self.kept.spaces[bucket.name] = _Space(made)
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

    def _space(self, bucket: Bucket) -> _Space:
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
            _check(space, change)
        self.kept.sequence += 1
        for change in mutation.changes:
            _apply(space, change, self.kept.sequence)
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
            return OpenedPart(part, _pieces(part), None)
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


def holds(expectation: Expectation, current: Entry | None) -> bool:
    """Tell whether an expectation holds for the key's current entry."""
    match expectation:
        case Absent():
            return current is None
        case Present():
            return current is not None
        case Matches(etag=etag):
            return current is not None and current.etag == etag
        case Unchanged(sequence=sequence):
            return (current.sequence if current else 0) == sequence


def _check(space: _Space, change: Change) -> None:
    """Raise whatever would keep `change` from being applied."""
    match change:
        case PutEntry(key=key, content=None) if key not in space.entries:
            raise ValueError(f"there is no content of {key!r} to keep")
        case PutPart() | AbortUpload():
            space.multipart(change.key, change.upload_id)
        case CompleteUpload():
            stored = space.multipart(change.key, change.upload_id).parts
            for part in change.parts:
                now = stored.get(part.number)
                if now is None or now.content is not part.content:
                    raise PartChanged(part.number)
        case _:
            pass


def _apply(space: _Space, change: Change, sequence: int) -> None:
    match change:
        case PutEntry(key=key, entry=entry, content=content):
            kept = space.entries[key].content if content is None else _content(content)
            space.put(key, entry._replace(content=kept, sequence=sequence))
        case DeleteEntry(key=key):
            space.delete(key)
        case PutUpload(upload=upload):
            place = (upload.key, upload.upload_id)
            if place not in space.uploads:
                insort(space.upload_keys, place)
            space.uploads[place] = _Multipart(upload)
        case PutPart(part=part, content=content):
            parts = space.multipart(change.key, change.upload_id).parts
            parts[part.number] = replace(part, content=_content(content))
        case CompleteUpload(key=key, upload_id=upload_id, entry=entry, parts=listed):
            stored = space.multipart(key, upload_id).parts
            parts_now = tuple(stored[part.number] for part in listed)
            made = MemoryBytes(tuple(_pieces(part) for part in parts_now), parts_now)
            space.put(key, entry._replace(upload_id=upload_id, content=made, sequence=sequence))
            space.drop_upload(key, upload_id)
        case AbortUpload(key=key, upload_id=upload_id):
            space.drop_upload(key, upload_id)


def _content(content: object) -> MemoryBytes:
    if isinstance(content, MemoryBytes):
        return content
    if isinstance(content, (bytes, bytearray, memoryview)):
        return MemoryBytes((bytes(content),))
    raise TypeError(f"not a content of this engine: {content!r}")


def _pieces(part: Part) -> bytes:
    assert isinstance(part.content, MemoryBytes)
    return part.content.pieces[0]
