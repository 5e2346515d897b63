"""An open store as all its duties need it: transactions, pauses, keys and buckets, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lmdb

from anys3.model import AccessKey, Bucket
from anys3.store.blobs import Blobs
from anys3.store.embedded import blobs, configuration, device, noting, pausing, recovery, remote
from anys3.store.embedded.changes import Batch
from anys3.store.embedded.checkpoints import Checkpointer
from anys3.store.embedded.committer import Committer
from anys3.store.embedded.control import Control
from anys3.store.embedded.format import pack_id
from anys3.store.embedded.index import Index, translate
from anys3.store.embedded.janitor import Janitor
from anys3.store.embedded.rows import Rows
from anys3.store.errors import NoSuchBucket, Pause
from anys3.store.figures import Figure
from anys3.store.interface import Keys, Noted, Notes

INLINE_MAX = 128 * 1024
_IDS_A_BLOCK = 1024


class OpenedStore:
    """What the engine's parts share; see EmbeddedStore."""

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

    # notes of changed keys

    async def begin_noting(self, lasts_s: float) -> Notes:
        """Let the keys of every mutation be noted, in every process; others' notes end."""
        notes = Notes(uuid.uuid4().hex)
        await self._committer.submit(noting.begin, (notes, lasts_s))
        return notes

    async def keep_noting(self, notes: Notes, lasts_s: float) -> None:
        """Let them end after `lasts_s` from now. Raises NotesEnded."""
        await self._committer.submit(noting.keep, (notes, lasts_s))

    async def noted(self, notes: Notes, limit: int) -> Keys:
        """Return the first `limit` keys. Raises NotesEnded."""
        with self._reading() as txn:
            return noting.first(self.index, txn, notes, limit)

    async def strike_noted(self, notes: Notes, keys: Sequence[Noted]) -> None:
        """Forget these notes. Raises NotesEnded."""
        await self._committer.submit(noting.strike, (notes, keys))

    async def end_noting(self, notes: Notes) -> None:
        """End them."""
        await self._committer.submit(noting.end, notes)

    def figures(self) -> Sequence[Figure]:
        """Return the index's size, what waits to be removed, and the room that is left. Raises Unavailable."""
        with self._reading() as txn:
            index_bytes = (self.index.env.info()["last_pgno"] + 1) * self.index.env.stat()["psize"]
            freed = txn.stat(self.index.freed)["entries"]
        return [
            Figure("anys3_index_bytes", "What the index's file takes.", index_bytes, over="most"),
            Figure(
                "anys3_contents_to_remove",
                "Deleted or replaced contents not yet removed.",
                freed,
                over="most",
            ),
            Figure(
                "anys3_directory_free_bytes",
                "Room left on the device of the store's directory.",
                device.free_bytes(self.path),
                over="least",
            ),
            *self.files.figures(),
        ]

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

    def _check_bucket(self, txn: Any, bucket: Bucket) -> None:
        if self.index.rows.names.get(txn, pack_id(bucket.id)) is None:
            raise NoSuchBucket(bucket.name)


def _reserve_ids(batch: Batch, count: int) -> int:
    first = batch.next_id
    batch.next_id += count
    return first
