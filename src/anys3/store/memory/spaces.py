"""What lies in one bucket, and how a mutation changes it."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field, replace

from anys3.model import Bucket, Entry, Part, Upload
from anys3.store.errors import NoSuchUpload, PartChanged
from anys3.store.memory.contents import MemoryBytes, bytes_of, content_of
from anys3.store.mutations import (
    AbortUpload,
    Absent,
    Change,
    CompleteUpload,
    DeleteEntry,
    Expectation,
    Matches,
    Present,
    PutEntry,
    PutPart,
    PutUpload,
    Unchanged,
)


@dataclass(slots=True)
class Multipart:
    """An unfinished upload and its parts, by number."""

    upload: Upload
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(slots=True)
class Space:
    """What lies in one bucket. `keys` and `upload_keys` are sorted."""

    bucket: Bucket
    entries: dict[bytes, Entry] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)
    uploads: dict[tuple[bytes, str], Multipart] = field(default_factory=dict)
    upload_keys: list[tuple[bytes, str]] = field(default_factory=list)

    def put(self, key: bytes, entry: Entry) -> None:
        """Put an object."""
        if key not in self.entries:
            insort(self.keys, key)
        self.entries[key] = entry

    def delete(self, key: bytes) -> None:
        """Remove an object if it exists."""
        if self.entries.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]

    def multipart(self, key: bytes, upload_id: str) -> Multipart:
        """Return an unfinished upload. Raises NoSuchUpload."""
        found = self.uploads.get((key, upload_id))
        if found is None:
            raise NoSuchUpload(upload_id)
        return found

    def drop_upload(self, key: bytes, upload_id: str) -> None:
        """Forget an unfinished upload."""
        del self.uploads[key, upload_id]
        del self.upload_keys[bisect_left(self.upload_keys, (key, upload_id))]


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


def check(space: Space, change: Change) -> None:
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


def apply(space: Space, change: Change, sequence: int) -> None:
    """Apply a change that `check` let pass."""
    match change:
        case PutEntry(key=key, entry=entry, content=content):
            kept = space.entries[key].content if content is None else content_of(content)
            space.put(key, entry._replace(content=kept, sequence=sequence))
        case DeleteEntry(key=key):
            space.delete(key)
        case PutUpload(upload=upload):
            place = (upload.key, upload.upload_id)
            if place not in space.uploads:
                insort(space.upload_keys, place)
            space.uploads[place] = Multipart(upload)
        case PutPart(part=part, content=content):
            parts = space.multipart(change.key, change.upload_id).parts
            parts[part.number] = replace(part, content=content_of(content))
        case CompleteUpload(key=key, upload_id=upload_id, entry=entry, parts=listed):
            stored = space.multipart(key, upload_id).parts
            parts_now = tuple(stored[part.number] for part in listed)
            made = MemoryBytes(tuple(bytes_of(part) for part in parts_now), parts_now)
            space.put(key, entry._replace(upload_id=upload_id, content=made, sequence=sequence))
            space.drop_upload(key, upload_id)
        case AbortUpload(key=key, upload_id=upload_id):
            space.drop_upload(key, upload_id)
