"""The index: one LMDB environment that all processes of a store share.

    meta      b"counters" -> format, last sequence, generation, next id, next inline id
    buckets   name -> bucket, JSON          names     bucket id -> name
    keys      access key id -> key, JSON
    entries   ordered key (strides.py) -> entry
    inline    inline id, ascending -> bytes
    blobs     id of every blob that some row names -> b""
    manifests manifest id + chunk number -> chunk of the parts of a multipart object
    uploads   ordered key + upload id -> upload
    parts     upload row id + part number -> part
    freed     sequence + number -> a content to be removed: the outbox (janitor.py)

An environment must be opened after a fork, once a process.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import lmdb

from anys3.store.embedded import device, directory
from anys3.store.embedded.format import FORMAT, Counters, decode_counters, encode_counters
from anys3.store.interface import StoreError, StoreFull, Unavailable

TIB = 1 << 40
_MAP_SIZES = (4 * TIB, TIB, TIB // 16, TIB // 1024)
_COUNTERS = b"counters"


class Index:
    """An open environment and its tables."""

    def __init__(self, path: Path, map_size: int | None = None, *, is_relaxed: bool = False) -> None:
        self.path = path
        self.env = _open_environment(path / "index", map_size, is_relaxed=is_relaxed)
        try:
            open_db = self.env.open_db
            self.meta = open_db(b"meta")
            self.buckets = open_db(b"buckets")
            self.names = open_db(b"names")
            self.keys = open_db(b"keys")
            self.entries = open_db(b"entries")
            self.inline = open_db(b"inline")
            self.blobs = open_db(b"blobs")
            self.manifests = open_db(b"manifests")
            self.uploads = open_db(b"uploads")
            self.parts = open_db(b"parts")
            self.freed = open_db(b"freed")
            self._begin_counting()
        except BaseException as error:
            self.env.close()
            if isinstance(error, lmdb.Error):
                raise translate(error) from error
            raise

    def _begin_counting(self) -> None:
        with self.env.begin() as txn:
            raw = txn.get(_COUNTERS, db=self.meta)
        if raw is None:
            with self.env.begin(write=True) as txn:
                first = encode_counters(Counters(FORMAT, 0, 1, 1, 1))
                txn.put(_COUNTERS, first, db=self.meta, overwrite=False)
                raw = txn.get(_COUNTERS, db=self.meta)
        # LMDB syncs its file, but not the name of it. (At each start: the first may have been cut short.)
        device.sync_directory(self.path / "index")
        directory.check_format(decode_counters(raw).format, self.path)

    def counters(self, txn: Any | None = None) -> Counters:
        """Return the counters of a transaction, or of now."""
        if txn is not None:
            return decode_counters(txn.get(_COUNTERS, db=self.meta))
        with self.env.begin() as reading:
            return decode_counters(reading.get(_COUNTERS, db=self.meta))

    def put_counters(self, txn: Any, counters: Counters) -> None:
        """Write the counters."""
        txn.put(_COUNTERS, encode_counters(counters), db=self.meta)

    def close(self) -> None:
        """Close the environment; no transaction may be open."""
        self.env.close()


def _open_environment(path: Path, map_size: int | None, *, is_relaxed: bool) -> Any:
    """Open with the largest map that the address space allows: it is sparse, and costs nothing.

    Commits of a relaxed environment do not sync: only checkpoints.py makes that safe.
    """
    sizes = (map_size,) if map_size else _MAP_SIZES
    for size in sizes:
        try:
            return lmdb.open(
                str(path),
                map_size=size,
                max_dbs=16,
                max_readers=1024,
                max_spare_txns=4,
                mode=0o600,
                readahead=False,
                meminit=False,
                sync=not is_relaxed,
            )
        except lmdb.MemoryError as error:
            if size == sizes[-1]:
                raise translate(error) from error
        except lmdb.Error as error:
            raise translate(error) from error
    raise AssertionError


def translate(error: BaseException) -> StoreError:
    """Return what the store raises for an error of LMDB."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, lmdb.MapFullError):
        return StoreFull("the index's map is full")
    text = str(error)
    if any(words in text for words in ("No space left", "File too large", "quota exceeded")):
        return StoreFull(f"no room left for the index: {text}")
    if isinstance(error, lmdb.ReadonlyError) or "Read-only" in text or "Permission denied" in text:
        return directory.ReadOnly(f"cannot write to the index: {text}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"no room left: {text}")
    return Unavailable(f"the index answers: {text}")
