"""The store's contract, with `mutations.py` and `errors.py`. All engines pass the same suite (tests/store/suite.py).

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
paused it. So a store is moved, and what is half made is kept from being used (moving/).

**A store can note what is changed in it**: the keys, each once, in the step that changes them. So who follows a store
looks at what was changed, and not at everything, again. Nothing is noted, and nothing costs, while nobody follows.

**Configuration is data.** Buckets and keys lie in the store; `generation()` rises with every change of them,
made by this process or by any other, so that caches know when to look again. A change of configuration that
takes something away (a key, a right, a bucket, a setting) is in force in every process when its method returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from anys3.model import AccessKey, Bucket, Entry, Part, Upload
from anys3.protocol.http import Content
from anys3.store.errors import Pause
from anys3.store.figures import Figure
from anys3.store.mutations import Committed, Mutation

Parts = list[Part]
Entries = list[tuple[bytes, Entry]]
Keys = list[tuple[int, bytes]]
"""Inside the classes below, `list` is the method."""


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


class Notes(NamedTuple):
    """The notes of changed keys that somebody has begun; `id` names them."""

    id: str


Noted = tuple[int, bytes]
"""A key that was changed: the id of its bucket, and the key."""


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

    # notes of changed keys: no pause is in the way of these

    async def begin_noting(self, lasts_s: float) -> Notes:
        """Let the keys of every mutation be noted that is committed from the return on, in whichever process.

        What is changed a thousand times is noted once. Notes end by themselves after `lasts_s`, by the engine's clock,
        and when others begin: there are never two. They survive crashes. What was committed before may be noted, too.
        """

    async def keep_noting(self, notes: Notes, lasts_s: float) -> None:
        """Let them end after `lasts_s` from now instead. Raises NotesEnded: they are never begun again."""

    async def noted(self, notes: Notes, limit: int) -> Keys:
        """Return `limit` of the keys, all if there are no more; the same until they are struck. Raises NotesEnded."""

    async def strike_noted(self, notes: Notes, keys: Sequence[Noted]) -> None:
        """Forget these notes: what changes a key from now on notes it again. Repeatable. Raises NotesEnded.

        The changes that had noted them are seen by all reads that begin after the return.
        """

    async def end_noting(self, notes: Notes) -> None:
        """End them, and forget what was noted. Idempotent."""

    def figures(self) -> Sequence[Figure]:
        """Return what there is to see of the engines in this process. Blocks; for one thread at a time.

        Raises Unavailable.
        """

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
