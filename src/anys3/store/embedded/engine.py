"""The embedded engine: LMDB for rows and small contents, files for large ones."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb

from anys3.model import AccessKey, Bucket, Entry, Upload
from anys3.store import interface, paging
from anys3.store.blobs import Blobs
from anys3.store.embedded import blobs, changes, configuration, pausing, reading, recovery, remote, strides
from anys3.store.embedded import directory as layout
from anys3.store.embedded import format as records
from anys3.store.embedded.changes import Batch
from anys3.store.embedded.checkpoints import Checkpointer
from anys3.store.embedded.committer import Committer
from anys3.store.embedded.control import Control
from anys3.store.embedded.format import BLOB, INLINE, MANIFEST, Reference, pack_id
from anys3.store.embedded.index import Index, translate
from anys3.store.embedded.janitor import Janitor
from anys3.store.embedded.multipart import ManifestSource, PartSource, inline_content, read_manifest
from anys3.store.embedded.reading import OwnedSource
from anys3.store.embedded.rows import Rows
from anys3.store.interface import (
    Committed,
    Corrupt,
    Entries,
    Listing,
    Mutation,
    NoSuchBucket,
    NoSuchUpload,
    Opened,
    OpenedPart,
    Parts,
    Pause,
    PutUpload,
    StoreError,
    UploadListing,
)
from anys3.store.starting import Unsuitable

INLINE_MAX = 128 * 1024
_IDS_A_BLOCK = 1024
_ATTEMPTS = 100


def open_store(
    path: str | Path,
    *,
    slot: int = 0,
    is_server: bool = True,
    is_relaxed: bool = False,
    map_size: int | None = None,
    blobs: Blobs | None = None,
) -> EmbeddedStore:
    """Open the store in `path`, made if it is missing or empty: once a process, after any fork.

    A server's workers have the slots 0, 1, 2...; a command line (`is_server` False) may work beside them.
    `is_relaxed`: commits do not sync, power loss takes the last seconds (checkpoints.py); `can_be_relaxed`
    says where that is possible. `map_size` bounds the index, for tests. `blobs` is what keeps large contents of
    a store that was prepared for it, and is closed with it; a command line may do without, and then leaves what it
    frees to the server. Raises NewerFormat, NotAStore, ReadOnly, Unavailable, Unsuitable.
    """
    directory = Path(path)
    layout.prepare(directory)
    known = remote.remembered(directory)
    if (known is None) != (blobs is None) and (is_server or known is None):
        raise Unsuitable(
            f"{directory} was {'not ' if known is None else ''}made for blobs that lie elsewhere"
        )
    if not is_server:
        recovery.prepare_guest(directory)
    index = Index(directory, map_size, is_relaxed=is_relaxed)
    control = None
    try:
        index.env.reader_check()  # a killed process keeps its snapshots, and its places in the table, until then
        control = Control(directory, slot if is_server else None)
        checkpointer = Checkpointer(directory, index, control) if is_relaxed else None
        elsewhere = None if blobs is None or known is None else (blobs, known.prefix)
        return EmbeddedStore(
            directory,
            index,
            control,
            checkpointer,
            sweeps=is_server,
            removes=known is None or blobs is not None,
            elsewhere=elsewhere,
        )
    except BaseException as error:
        if control is not None:
            control.close()
        index.close()
        if isinstance(error, OSError):
            raise layout.explain(error, directory) from error
        raise


class EmbeddedStore:
    """A store in a directory, shared by any number of processes; see `open_store`."""

    inline_max = INLINE_MAX

    def __init__(
        self,
        path: Path,
        index: Index,
        control: Control,
        checkpointer: Checkpointer | None = None,
        *,
        sweeps: bool,
        removes: bool = True,
        elsewhere: tuple[Blobs, str] | None = None,
    ) -> None:
        """Use `open_store`."""
        self._checkpointer = checkpointer
        self.path = path
        self.index = index
        self._control = control
        self._ids = range(0)
        self._ids_lock = threading.Lock()
        self.files = (
            blobs.Files(path, control.slot, self._new_blob_id, is_relaxed=checkpointer is not None)
            if elsewhere is None
            else remote.RemoteFiles(path, control.slot, self._new_blob_id, *elsewhere)
        )
        recovery.clean_incoming(index, self.files, self.files.incoming)
        self._committer = Committer(index, self._after_commit, control)
        self._janitor = Janitor(index, self.files, control, self._committer, sweeps=sweeps, removes=removes)
        self._pool = ThreadPoolExecutor(2, "anys3-store")
        self._is_closed = False
        self._generation = -1
        if self.generation() != control.generation():
            self._announce()

    def _begin(self) -> Any:
        try:
            return self.index.env.begin()
        except lmdb.Error as error:
            raise translate(error) from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Any]:
        """Hold a read transaction; where microseconds count, `_begin` and `abort` are used instead."""
        txn = self._begin()
        try:
            yield txn
        except lmdb.Error as error:
            raise translate(error) from error
        finally:
            txn.abort()

    def _after_commit(self, batch: Batch) -> None:
        if batch.written or batch.freed:
            self._janitor.tell(batch)

    def _new_blob_id(self) -> int:
        """Return an id for a blob; ids are reserved in blocks, so that a commit is rarely waited for."""
        with self._ids_lock:
            if not self._ids:
                first = self._committer.run(_reserve_ids, _IDS_A_BLOCK)
                self._ids = range(first, first + _IDS_A_BLOCK)
            taken = self._ids[0]
            self._ids = self._ids[1:]
            return taken

    def tell_failure(self, tell: Callable[[str], None]) -> None:
        """Let `tell(reason)` be called, by any thread, if this process can't use the index any more."""
        self._committer.on_failure = tell

    async def close(self) -> None:
        """Finish what is being committed, and let go of everything. Idempotent."""
        loop = asyncio.get_running_loop()
        self._committer.hand_over(loop)
        await loop.run_in_executor(None, self.shut)

    def shut(self) -> None:
        """Do what `close` does, blocking: for threads and command lines without an event loop."""
        if self._is_closed:
            return
        self._is_closed = True
        self._pool.shutdown()
        self._janitor.close()
        self._committer.close()
        self.files.close()
        if self._checkpointer is not None:
            self._checkpointer.close()
        self._control.close()
        self.index.close()

    # pauses

    async def paused(self) -> Pause | None:
        """Return the pause that is in force."""
        with self._reading() as txn:
            return pausing.read(self.index.others, txn)

    async def pause(self, reason: str, *, was: Pause | None = None, lasts_s: float | None = None) -> Pause:
        """Refuse all changes, in every process, but those through this object. Raises PauseChanged."""
        pause = pausing.new(reason, uuid.uuid4().hex, lasts_s)
        await self._committer.submit(pausing.replace, (pause, was))
        self._committer.holder = pause.holder
        return pause

    async def resume(self, was: Pause) -> None:
        """End that pause, whoever began it. Raises PauseChanged."""
        await self._committer.submit(pausing.replace, (None, was))
        if self._committer.holder == was.holder:
            self._committer.holder = ""

    # configuration: keys and buckets

    def generation(self) -> int:
        """Return the number of the configuration; cheap enough for every request.

        A change is announced before its commit. Until the index has what was announced, it is asked each time: so
        no process answers from what it remembers once another one can see the change, told or not.
        """
        if self._control.generation() != self._generation:
            with self._reading() as txn:
                self._generation = self.index.counters(txn).generation
        return self._generation

    def _announce(self) -> None:
        """Announce the generation that there is, in place of one whose process ended before its commit."""
        try:
            txn = self.index.env.begin(write=True)
        except lmdb.Error as error:
            raise translate(error) from error
        try:
            self._control.tell_generation(self.index.counters(txn).generation)
        finally:
            txn.abort()

    async def key(self, access_key_id: str) -> AccessKey | None:
        """Return a key, None if unknown."""
        name = configuration.row_name(access_key_id)
        raw = self._get(name, self.index.rows.keys) if name else None
        return None if raw is None else configuration.decode_key(access_key_id, raw)

    async def keys(self) -> list[AccessKey]:
        """Return all keys, by access key id."""
        with self._reading() as txn:
            return configuration.keys(self.index, txn)

    async def put_key(self, key: AccessKey) -> None:
        """Create or replace a key."""
        await self._committer.submit(configuration.put_key, key)

    async def claim_root(self, key: AccessKey) -> AccessKey:
        """Make `key` the root key unless there is one, and return the one that there is then, in one step."""
        root: AccessKey = await self._committer.submit(configuration.claim_root, key)
        return root

    async def delete_key(self, access_key_id: str) -> bool:
        """Delete a key; False if it did not exist."""
        is_deleted: bool = await self._committer.submit(configuration.delete_key, access_key_id)
        return is_deleted

    async def bucket(self, name: str) -> Bucket | None:
        """Return a bucket's row."""
        row = configuration.row_name(name)
        raw = self._get(row, self.index.rows.buckets) if row else None
        return None if raw is None else configuration.decode_bucket(name, raw)

    async def buckets(self, after: str = "", prefix: str = "", limit: int = 10_000) -> list[Bucket]:
        """Return the first `limit` buckets after that name and with that prefix, by name."""
        with self._reading() as txn:
            return configuration.buckets(self.index, txn, after, prefix, limit)

    async def create_bucket(self, bucket: Bucket) -> Bucket:
        """Create an empty bucket and return its row with its new `id`. Raises BucketExists."""
        made: Bucket = await self._committer.submit(configuration.create_bucket, bucket)
        return made

    async def update_bucket(self, bucket: Bucket, *, was: Bucket | None = None) -> None:
        """Replace settings of the bucket. Raises NoSuchBucket, BucketChanged."""
        await self._committer.submit(configuration.update_bucket, (bucket, was))

    async def delete_bucket(self, bucket: Bucket) -> None:
        """Delete the bucket and its unfinished uploads (DB-05). Raises NoSuchBucket, BucketNotEmpty."""
        await self._committer.submit(configuration.delete_bucket, bucket)

    def _get(self, place: bytes, rows: Rows) -> bytes | None:
        with self._reading() as txn:
            return rows.get_content(txn, place)

    # objects

    def _entry(self, txn: Any, bucket: Bucket, key: bytes) -> bytes | None:
        """Return an entry's row. Raises NoSuchBucket, Corrupt."""
        place: bytes | None = pack_id(bucket.id) + key
        if len(key) > strides.STRIDE:
            place = strides.find(txn, self.index.rows.entries, pack_id(bucket.id), key)
        raw = None if place is None else self.index.rows.entries.get(txn, place)
        if raw is None:
            self._check_bucket(txn, bucket)
        return raw

    def _check_bucket(self, txn: Any, bucket: Bucket) -> None:
        if self.index.rows.names.get(txn, pack_id(bucket.id)) is None:
            raise NoSuchBucket(bucket.name)

    async def entry(self, bucket: Bucket, key: bytes) -> Entry | None:
        """Return an object's row. Raises NoSuchBucket."""
        txn = self._begin()
        try:
            raw = self._entry(txn, bucket, key)
            return None if raw is None else records.decode_entry(raw)
        except lmdb.Error as error:
            raise _about(translate(error), bucket, key) from error
        except Corrupt as error:
            raise error.about(bucket.name, key) from None
        finally:
            txn.abort()

    async def open(self, bucket: Bucket, key: bytes) -> Opened | None:
        """Return an object's row and bytes, of one moment (GET-08). Raises NoSuchBucket, Corrupt."""
        txn = self._begin()
        try:
            raw = self._entry(txn, bucket, key)
            if raw is None:
                return None
            entry = records.decode_entry(raw)
            reference = entry.content
            assert isinstance(reference, Reference)
            if reference.kind == INLINE:
                return Opened(entry, inline_content(self.index, reference, txn), None)
        except lmdb.Error as error:
            raise _about(translate(error), bucket, key) from error
        except Corrupt as error:
            raise error.about(bucket.name, key) from None
        finally:
            txn.abort()
        with _naming(bucket, key):
            return self._open_files(bucket, key)

    def _open_files(self, bucket: Bucket, key: bytes) -> Opened | None:
        """Open an object that is not inline: under a pin, which only parts need for longer."""
        with self._reading() as txn:
            pin = self.index.counters(txn).sequence
        self._control.pin(pin)
        is_kept = False
        try:
            with self._reading() as txn:
                raw = self._entry(txn, bucket, key)
                if raw is None:
                    return None
                entry = records.decode_entry(raw)
                reference = entry.content
                assert isinstance(reference, Reference)
                if reference.kind == INLINE:
                    return Opened(entry, inline_content(self.index, reference, txn), None)
            if reference.kind == MANIFEST:
                source = ManifestSource(self.index, self.files, reference, self._control, pin)
                is_kept = True
                return Opened(entry, None, OwnedSource(source, bucket.name, key))
            if reference.kind != BLOB:
                raise Corrupt(f"a content of the unknown kind {reference.kind}")
            if isinstance(self.files, remote.RemoteFiles):
                is_kept = True
                return Opened(
                    entry,
                    None,
                    self.files.source(reference, (bucket.name, key), partial(self._control.unpin, pin)),
                )
            blob = reading.OpenBlob(self.files, reference)
            return Opened(entry, None, OwnedSource(reading.BlobSource(blob), bucket.name, key))
        except FileNotFoundError as error:
            raise Corrupt(f"the blob is missing: {error.filename}") from error
        finally:
            if not is_kept:
                self._control.unpin(pin)

    async def list(
        self, bucket: Bucket, prefix: bytes, delimiter: bytes, after: bytes, limit: int
    ) -> Listing:
        """Return the first `limit` keys and common prefixes strictly after `after`."""
        if b"\0" in prefix:
            return Listing([], [], False, b"", False)
        fragment = records.entry_listing
        namespace = pack_id(bucket.id)
        entries = self.index.rows.entries
        with _naming(bucket), self._reading() as txn:
            start, tail = (after, strides.BEHIND) if after and after >= prefix else (prefix, b"")
            flat = strides.flat_page(txn, entries, namespace, start, tail, prefix, delimiter, limit)
            if flat is not None and flat[0]:
                rows = [(place[8:], fragment(raw)) for place, raw in flat[0]]
                return Listing(rows, [], flat[1], rows[-1][0], False)

            def scan(key: bytes, is_after: bool) -> Iterator[tuple[bytes, bytes]]:
                return strides.scan(txn, entries, namespace, key, strides.BEHIND if is_after else b"")

            place = (namespace, start, tail, prefix, delimiter, after, limit)
            rolled = strides.rolled_page(txn, entries, *place) if delimiter else None
            found, prefixes, is_truncated = rolled or paging.page(scan, prefix, delimiter, after, limit)
            if not found and not prefixes:
                self._check_bucket(txn, bucket)
        last, is_last_prefix = paging.last_of(found, prefixes)
        rows = [(key, fragment(raw)) for key, raw in found]
        return Listing(rows, prefixes, is_truncated, last, is_last_prefix)

    async def entries(self, bucket: Bucket, after: bytes, limit: int) -> Entries:
        """Return the first `limit` keys after `after` with their rows. Raises NoSuchBucket, Corrupt."""
        rows, tail = self.index.rows.entries, strides.BEHIND if after else b""
        with _naming(bucket), self._reading() as txn:
            found = islice(strides.scan(txn, rows, pack_id(bucket.id), after, tail), limit)
            page = [(key, records.decode_entry(raw)) for key, raw in found]
            if not page:
                self._check_bucket(txn, bucket)
        return page

    async def commit(self, mutation: Mutation) -> Committed:
        """Apply a mutation, durably.

        Raises NoSuchBucket, ExpectationFailed, NoSuchUpload, PartChanged, Corrupt.
        """
        try:
            committed: Committed = await self._committer.submit(changes.apply, mutation)
        except Corrupt as error:
            touched = {
                change.upload.key if isinstance(change, PutUpload) else change.key
                for change in mutation.changes
            }
            raise error.about(mutation.bucket.name, touched.pop() if len(touched) == 1 else None) from None
        return committed

    # contents

    def writer(self, length: int | None) -> interface.ContentWriter:
        """Return a writer for one content of `length` bytes (None: not known)."""
        if isinstance(self.files, remote.RemoteFiles):
            return self.files.writer(length, self.inline_max)
        return blobs.BlobWriter(self.files, length, self.inline_max)

    async def copy_content(self, opened: Opened) -> object | None:
        """Return a content with the same bytes: inline ones, or a hard link; None if made of parts."""
        if opened.inline is not None:
            return opened.inline
        source = opened.source.source if isinstance(opened.source, OwnedSource) else None
        if not isinstance(source, reading.BlobSource):
            return None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self.files.link, source.blob.reference)

    def discard_content(self, content: object) -> None:
        """Forget what `copy_content` returned, unless a commit has named it."""
        if isinstance(content, blobs.Written):
            content.discard()

    # uploads

    def _upload(self, txn: Any, bucket: Bucket, key: bytes, upload_id: str) -> bytes | None:
        name = upload_id.encode()
        uploads = self.index.rows.uploads
        place = strides.find(txn, uploads, pack_id(bucket.id), key)
        if place is None or len(name) > strides.MAX_UPLOAD_ID:
            return None
        return uploads.get(txn, place + strides.UPLOAD + name)

    async def upload(self, bucket: Bucket, key: bytes, upload_id: str) -> Upload | None:
        """Return an unfinished upload of that key, else None."""
        with _naming(bucket, key), self._reading() as txn:
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
        with _naming(bucket), self._reading() as txn:
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
        with _naming(bucket, key), self._reading() as txn:
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
            with _naming(bucket, key), self._reading() as txn:
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
        with _naming(bucket, key), self._reading() as txn:
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
def _naming(bucket: Bucket, key: bytes | None = None) -> Iterator[None]:
    """Tell what damage that is found meanwhile belongs to."""
    try:
        yield
    except Corrupt as error:
        raise error.about(bucket.name, key) from None


def _about(error: StoreError, bucket: Bucket, key: bytes) -> StoreError:
    return error.about(bucket.name, key) if isinstance(error, Corrupt) else error


def _reserve_ids(batch: Batch, count: int) -> int:
    first = batch.next_id
    batch.next_id += count
    return first
