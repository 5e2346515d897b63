"""A mutation as a value: expectations that must hold, and changes that happen together or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from anys3.model import Bucket, Entry, Part, Upload


@dataclass(frozen=True, slots=True)
class Absent:
    """No object of that key exists (`If-None-Match: *`)."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Present:
    """An object of that key exists (`If-Match: *` on DELETE)."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Matches:
    """The object of that key exists and has that ETag (without quotes)."""

    key: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The key's entry still has that sequence; 0 means that it is still absent."""

    key: bytes
    sequence: int


Expectation = Absent | Present | Matches | Unchanged


class PutEntry(NamedTuple):
    """Publish an object. `entry.content` is what a ContentWriter, `copy_content` or bytes gave.

    `content` is inline bytes (at most `Store.inline_max` of them), a finished ContentWriter's result, or
    None to keep the content of the entry that is being replaced (tags changed; needs `Unchanged`).
    """

    key: bytes
    entry: Entry
    content: object


class DeleteEntry(NamedTuple):
    """Remove an object if it exists. Repeatable: removing an absent one is no error."""

    key: bytes


@dataclass(frozen=True, slots=True)
class PutUpload:
    """Begin a multipart upload. Ids of one key ascend with the time of initiation (LMU-01)."""

    upload: Upload


@dataclass(frozen=True, slots=True)
class PutPart:
    """Add or replace a part (UP-05). Raises NoSuchUpload. `content` as in PutEntry."""

    key: bytes
    upload_id: str
    part: Part
    content: object


@dataclass(frozen=True, slots=True)
class CompleteUpload:
    """Publish `entry` as the concatenation of `parts`, drop the others, end the upload, in one step.

    Each of `parts` must be the part stored now under its number (same content), else `PartChanged`.
    The entry keeps the upload id, so that `completed` finds it (CPL-13). Raises NoSuchUpload.
    """

    key: bytes
    upload_id: str
    entry: Entry
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class AbortUpload:
    """Drop the upload and free its parts. Raises NoSuchUpload."""

    key: bytes
    upload_id: str


Change = PutEntry | DeleteEntry | PutUpload | PutPart | CompleteUpload | AbortUpload


class Mutation(NamedTuple):
    """All expectations hold and all changes happen, or nothing happens. The bucket must still exist."""

    bucket: Bucket
    changes: tuple[Change, ...]
    expect: tuple[Expectation, ...] = ()


def keys_of(mutation: Mutation) -> list[bytes]:
    """Return the keys that a mutation changes, in the order of its changes."""
    return [change.upload.key if isinstance(change, PutUpload) else change.key for change in mutation.changes]


class Committed(NamedTuple):
    """A durable mutation. Of two commits of one key the later has the higher sequence; none is given twice."""

    sequence: int
