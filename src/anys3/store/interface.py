"""The store's contract. All engines pass the same suite (tests/store/suite.py).

**Awaitable throughout.** The embedded engine's reads complete without suspending; a remote engine's wait
for the network. No caller may tell the difference.

**A mutation is a value**: one bucket, expectations and changes, decided and applied in one atomic step,
durable before `commit` returns. Order is the order of commits of a key, never of wall clocks.

**Nobody knows what a lost connection has done.** A commit that raises Unavailable may have happened, or may
still happen; what the engine can find out, it finds out before it raises.

**Contents are immutable.** A content is written once, by `ContentWriter`, and belongs to exactly one entry
or part from the commit that names it. What a commit un-names is freed by the engine; readers that hold it
open are not disturbed. A content that no commit ever names is discarded by the engine.

**A store can be paused**: then every change is refused, in every process, but what the object does that has
paused it. So a store is moved, and what is half made is kept from being used (moving.py).

**Configuration is data.** Buckets and keys lie in the store; `generation()` rises with every change of them,
made by this process or by any other, so that caches know when to look again. A change of configuration that
takes something away (a key, a right, a bucket, a setting) is in force in every process when its method returns.
"""

# ruff: noqa: N818 (errors are named after what happened, as S3 names its codes)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from anys3.model import AccessKey, Bucket, Entry, Part, Upload
from anys3.protocol.http import Content


class StoreError(Exception):
    """Base of what an engine raises; S3 errors are made of these by the operations."""


class NoSuchBucket(StoreError):
    """The bucket does not exist (any more), or was made anew since its row was read."""


class BucketExists(StoreError):
    """A bucket of that name exists; `bucket` is its row."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket.name)
        self.bucket = bucket


class BucketChanged(StoreError):
    """The bucket's row is not (any more) the one that a change was made from."""


class BucketNotEmpty(StoreError):
    """The bucket holds objects."""


class NoSuchUpload(StoreError):
    """The upload is unknown, belongs to another key or bucket, or was completed or aborted."""


class ExpectationFailed(StoreError):
    """An expectation of a mutation did not hold; nothing was changed.

    `expectation` is the one that failed, `current` the key's entry at that moment (None: absent).
    """

    def __init__(self, expectation: Expectation, current: Entry | None) -> None:
        super().__init__(repr(expectation))
        self.expectation = expectation
        self.current = current


class Corrupt(StoreError):
    """Stored bytes do not match their checksum. What they belong to is told by the first who knows it."""

    bucket: str | None = None
    key: bytes | None = None

    def about(self, bucket: str, key: bytes | None = None) -> Corrupt:
        """Return the error with the bucket and the key that it concerns, unless it has them."""
        if self.bucket is None:
            self.bucket, self.key = bucket, key
        return self

    def __str__(self) -> str:
        reason = super().__str__()
        if self.bucket is None:
            return reason
        if self.key is None:
            return f"bucket {self.bucket!r}: {reason}"
        return f"bucket {self.bucket!r}, key {self.key.decode('utf-8', 'backslashreplace')!r}: {reason}"


class StoreFull(StoreError):
    """There is no room left on the device or in the index; nothing was changed."""


class Unavailable(StoreError):
    """The engine can't answer now (I/O error, read-only device, lost connection, too few replicas)."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a store takes no changes, but from the object that has paused it.

    `reason` is for people, `holder` names that object; `ends_ms` is when the pause ends by itself, by the engine's
    clock (None: it does not).
    """

    reason: str
    holder: str
    ends_ms: int | None = None


class Paused(Unavailable):
    """The store takes no changes now; nothing was changed. `pause` is None for a holder whose pause has ended."""

    def __init__(self, pause: Pause | None) -> None:
        super().__init__(pause.reason if pause else "the pause under which this was to be done has ended")
        self.pause = pause


class PauseChanged(StoreError):
    """The pause is not (any more) the one that was expected; `pause` is the one in force, None if there is none."""

    def __init__(self, pause: Pause | None) -> None:
        super().__init__(pause.reason if pause else "the pause has ended")
        self.pause = pause


# --- expectations -------------------------------------------------------------------------------------


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

# --- changes ------------------------------------------------------------------------------------------


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


class PartChanged(StoreError):
    """A part was replaced between reading and completing; nothing was changed."""


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


class Committed(NamedTuple):
    """A durable mutation. Of two commits of one key the later has the higher sequence; none is given twice."""

    sequence: int


Parts = list[Part]
Entries = list[tuple[bytes, Entry]]
"""Inside the classes below, `list` is the method."""

# --- listings -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listing:
    r"""One page of keys, in UTF-8 byte order (LIST-02).

    `rows` are (key, `Entry.listing`) pairs, `prefixes` the common prefixes; both ascend, and the page is
    their merge. `is_truncated`: there is more behind `last`, the last key or common prefix of the page.
    Resuming after a key is `after=key`; resuming after a common prefix `p` is `after=p + b"\xff"`.
    """

    rows: list[tuple[bytes, bytes]]
    prefixes: list[bytes]
    is_truncated: bool
    last: bytes
    is_last_prefix: bool


@dataclass(frozen=True, slots=True)
class UploadListing:
    """One page of uploads, ascending by key, then by upload id, which is by initiation."""

    uploads: list[Upload]
    prefixes: list[bytes]
    is_truncated: bool


class Opened(NamedTuple):
    """An object held open at one moment: its row, and its bytes if they are inline, else a way to them.

    Exactly one of `inline` and `source` is set. Objects made of parts always come with a `source`.
    Inline bytes were verified against their checksum.
    """

    entry: Entry
    inline: bytes | None
    source: Source | None


class OpenedPart(NamedTuple):
    """A part of an unfinished upload, held open; as `Opened`. Inline bytes were verified."""

    part: Part
    inline: bytes | None
    source: Source | None


class Source(Protocol):
    """The bytes of an opened object that are not inline. Holds them until `close`, whatever is deleted."""

    def slice(self, start: int, length: int) -> Content:
        """Return `length` bytes from `start` on (both within the object). One slice at a time.

        Closing the slice closes the source.
        """

    async def parts(self) -> Sequence[Part]:
        """Return the parts, in order; empty for an object put in one piece. Raises Corrupt, Unavailable."""

    def close(self) -> None:
        """Let go. Idempotent."""


class ContentWriter(Protocol):
    """Takes the bytes of one content, in order. Blocking: called from worker threads."""

    def write(self, data: memoryview | bytes) -> None:
        """Append. The view may be re-used after the call."""

    def finish(self) -> object:
        """Make the bytes durable and return the content for PutEntry or PutPart."""

    def discard(self) -> None:
        """Forget the bytes. Idempotent; does nothing after a commit that has named the content, or may have."""


class Store(Protocol):
    """A store. Every method may be called at any time from the event loop."""

    inline_max: int
    """Contents up to this many bytes are handed over as `bytes`."""

    def generation(self) -> int:
        """Return the number of the configuration; cheap enough for every request.

        Raises Unavailable while the engine can't know whether it has changed.
        """

    async def paused(self) -> Pause | None:
        """Return the pause that is in force."""

    async def pause(self, reason: str, *, was: Pause | None = None, lasts_s: float | None = None) -> Pause:
        """Refuse all changes, of data and configuration, with Paused: in force in every process at the return.

        Changes through this object go on, but only for as long as this pause is in force. It takes the place of
        `was`, what `paused` returned. It survives crashes; after `lasts_s` it ends by itself. Housekeeping goes on.
        Raises PauseChanged.
        """

    async def resume(self, was: Pause) -> None:
        """End that pause, whoever began it. Raises PauseChanged."""

    # configuration: keys and buckets. All changes raise Paused, here and below.

    async def key(self, access_key_id: str) -> AccessKey | None:
        """Return a key, None if unknown."""

    async def keys(self) -> list[AccessKey]:
        """Return all keys, by access key id."""

    async def put_key(self, key: AccessKey) -> None:
        """Create or replace a key."""

    async def claim_root(self, key: AccessKey) -> AccessKey:
        """Make `key` the root key unless there is one, and return the one that there is then, in one step.

        Of several servers that start at once all get the same.
        """

    async def delete_key(self, access_key_id: str) -> bool:
        """Delete a key; False if it did not exist."""

    async def bucket(self, name: str) -> Bucket | None:
        """Return a bucket's row, None if it does not exist."""

    async def buckets(self, after: str = "", prefix: str = "", limit: int = 10_000) -> list[Bucket]:
        """Return the first `limit` buckets after that name and with that prefix, by name."""

    async def create_bucket(self, bucket: Bucket) -> Bucket:
        """Create an empty bucket and return its row with its new `id`. Raises BucketExists."""

    async def update_bucket(self, bucket: Bucket, *, was: Bucket | None = None) -> None:
        """Replace settings (owner, is_public, cors, operator_cors) of the bucket.

        `was` is the row that the change was made from: if another change came in between, nothing happens
        and BucketChanged is raised. Raises NoSuchBucket.
        """

    async def delete_bucket(self, bucket: Bucket) -> None:
        """Delete the bucket, its unfinished uploads (DB-05), and all grants on it.

        A bucket made later under the name begins without anybody's old grants. Raises NoSuchBucket,
        BucketNotEmpty.
        """

    # objects

    async def entry(self, bucket: Bucket, key: bytes) -> Entry | None:
        """Return an object's row, None if it is absent. Raises NoSuchBucket, as all methods below do."""

    async def open(self, bucket: Bucket, key: bytes) -> Opened | None:
        """Return an object's row and bytes, of one moment (GET-08). Raises NoSuchBucket, Corrupt."""

    async def list(
        self, bucket: Bucket, prefix: bytes, delimiter: bytes, after: bytes, limit: int
    ) -> Listing:
        """Return the first `limit` (>= 1) keys and common prefixes strictly after `after`.

        A common prefix equal to `after` is not listed again. Cost grows with the page, not with the keys
        under a common prefix.
        """

    async def entries(self, bucket: Bucket, after: bytes, limit: int) -> Entries:
        """Return the first `limit` (>= 1) keys after `after` with their rows. Raises NoSuchBucket, Corrupt."""

    async def commit(self, mutation: Mutation) -> Committed:
        """Apply a mutation, durably.

        Raises NoSuchBucket, ExpectationFailed, NoSuchUpload, PartChanged, StoreFull, Paused: nothing was changed
        then, and the contents may be committed again. After Unavailable they may not: an engine in this process says
        so only when nothing was changed, a remote one also when it can't know. If the caller stops waiting, the
        mutation may still happen. An entry's size must be its content's.
        """

    # contents

    def writer(self, length: int | None) -> ContentWriter:
        """Return a writer for one content of `length` bytes (None: not known)."""

    async def copy_content(self, opened: Opened) -> object | None:
        """Return a content with the same bytes without moving them, or None where that can't be done."""

    def discard_content(self, content: object) -> None:
        """Forget what `copy_content` returned. Idempotent; does nothing after a commit has named it."""

    # uploads

    async def upload(self, bucket: Bucket, key: bytes, upload_id: str) -> Upload | None:
        """Return an unfinished upload of that key, else None."""

    async def uploads(
        self,
        bucket: Bucket,
        prefix: bytes,
        delimiter: bytes,
        after_key: bytes,
        after_upload_id: str | None,
        limit: int,
    ) -> UploadListing:
        """Return the first `limit` uploads (and common prefixes) after a position.

        `after_upload_id` None: after all uploads of `after_key`; else after that upload id of `after_key`,
        whether or not it still exists (LMU-02).
        """

    async def parts(
        self, bucket: Bucket, key: bytes, upload_id: str, after: int = 0, limit: int = 10_000
    ) -> Parts:
        """Return the parts with numbers above `after`, ascending. Raises NoSuchUpload."""

    async def open_part(self, bucket: Bucket, key: bytes, upload_id: str, number: int) -> OpenedPart | None:
        """Return a part's row and bytes, of one moment; None if there is no such part. Raises NoSuchUpload, Corrupt."""

    async def completed(self, bucket: Bucket, key: bytes, upload_id: str) -> tuple[Entry, Parts] | None:
        """Return the current entry and its parts if that upload made it, else None (CPL-13, CPL-18)."""

    async def close(self) -> None:
        """Finish what is being committed, and let go of everything."""
