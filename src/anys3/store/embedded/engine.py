"""The embedded engine: LMDB for rows and small contents, files for large ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import lmdb

from anys3.model import Bucket, Entry
from anys3.store import interface, paging
from anys3.store.blobs import Blobs
from anys3.store.embedded import blobs, changes, reading, recovery, remote, strides
from anys3.store.embedded import directory as layout
from anys3.store.embedded import format as records
from anys3.store.embedded.checkpoints import Checkpointer
from anys3.store.embedded.control import Control
from anys3.store.embedded.format import BLOB, INLINE, MANIFEST, Reference, pack_id
from anys3.store.embedded.index import Index, translate
from anys3.store.embedded.multipart import ManifestSource, inline_content
from anys3.store.embedded.reading import OwnedSource
from anys3.store.embedded.uploads import Uploads, naming
from anys3.store.errors import Corrupt, StoreError
from anys3.store.interface import Entries, Listing, Opened
from anys3.store.mutations import Committed, Mutation, keys_of
from anys3.store.starting import Unsuitable


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


class EmbeddedStore(Uploads):
    """A store in a directory, shared by any number of processes; see `open_store`."""

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
        with naming(bucket, key):
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
        with naming(bucket), self._reading() as txn:
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
        with naming(bucket), self._reading() as txn:
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
            touched = set(keys_of(mutation))
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


def _about(error: StoreError, bucket: Bucket, key: bytes) -> StoreError:
    return error.about(bucket.name, key) if isinstance(error, Corrupt) else error
