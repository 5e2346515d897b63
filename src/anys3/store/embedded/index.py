"""The index: one LMDB environment that all processes of a store share.

    meta      b"counters" -> format, last sequence, generation, next id, next inline id; b"pause" -> see pausing.py,
              b"noting" -> see noting.py
    buckets   name -> bucket, JSON          names     bucket id -> name
    keys      access key id -> key, JSON
    entries   ordered key (strides.py) -> entry
    inline    inline id, ascending -> bytes
    blobs     id of every blob that some row names -> b""
    manifests manifest id + chunk number -> chunk of the parts of a multipart object
    uploads   ordered key + upload id -> upload
    parts     upload row id + part number -> part
    freed     sequence + number -> a content to be removed: the outbox (janitor.py)
    noted     keys that were changed since somebody asked (noting.py)

Each row but the inline contents, whose CRC32 stands in the row that names them, is sealed: see rows.py.

An environment must be opened after a fork, once a process.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NamedTuple

import lmdb

from anys3.store.embedded import device, directory, pages
from anys3.store.embedded.format import FORMAT, Counters, decode_counters, encode_counters
from anys3.store.embedded.rows import Rows
from anys3.store.errors import Corrupt, StoreError, StoreFull, Unavailable
from anys3.store.starting import ReadOnly

TIB = 1 << 40
_MAP_SIZES = (4 * TIB, TIB, TIB // 16, TIB // 1024)
_COUNTERS = b"counters"
_MADE = "made"
"""The file beside LMDB's that says that there was an index."""
_ATTEMPTS = 20
_FIRST_PAGES = 64
"""More than an index has before its first counters."""
TABLES = (
    "meta", "buckets", "names", "keys", "entries", "inline", "blobs", "manifests", "uploads", "parts", "freed",
)  # fmt: skip


_DAMAGED = (
    lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.PageFullError, lmdb.InvalidError,
    lmdb.VersionMismatchError, lmdb.IncompatibleError, lmdb.BadTxnError, lmdb.CursorFullError,
)  # fmt: skip
"""What LMDB says when it meets pages that it did not write."""


class Sealed(NamedTuple):
    """The tables whose rows carry checksums."""

    buckets: Rows
    names: Rows
    keys: Rows
    entries: Rows
    blobs: Rows
    manifests: Rows
    uploads: Rows
    parts: Rows
    freed: Rows


class Index:
    """An open environment and its tables."""

    def __init__(self, path: Path, map_size: int | None = None, *, is_relaxed: bool = False) -> None:
        self.path = path
        self.env = open_environment(path / "index", map_size, is_relaxed=is_relaxed)
        try:
            self._check_metas()
            is_new = self._is_new()
            handles = {name: self._open_table(name, is_new=is_new) for name in TABLES}
            self.meta = handles["meta"]
            self.buckets = handles["buckets"]
            self.names = handles["names"]
            self.keys = handles["keys"]
            self.entries = handles["entries"]
            self.inline = handles["inline"]
            self.blobs = handles["blobs"]
            self.manifests = handles["manifests"]
            self.uploads = handles["uploads"]
            self.parts = handles["parts"]
            self.freed = handles["freed"]
            self.rows = Sealed(**{name: Rows(name, handles[name]) for name in Sealed._fields})
            self._counters = Rows("meta", self.meta)
            self.others = Rows("meta", self.meta)
            """The rows of `meta` beside the counters, which format 1 has without a checksum."""
            self.noted = Rows("noted", self._open_table("noted", is_new=True))
            """Made where it is missing: older stores have none, and what it holds is of no use for long."""
            self._begin_counting()
        except BaseException as error:
            self.env.close()
            if isinstance(error, lmdb.Error):
                raise translate(error) from error
            raise

    def _check_metas(self) -> None:
        """Raise Corrupt unless both meta pages are what commits leave: LMDB would take the other one for it."""
        if not pages.IS_KNOWN:
            return
        descriptor = device.open_to_read(self.path / "index" / "data.mdb")
        try:
            for _ in range(_ATTEMPTS):  # another process may commit between one page and the other
                damaged = pages.metas(descriptor, self.env.stat()["psize"])[1]
                if not damaged:
                    return
        finally:
            os.close(descriptor)
        raise Corrupt(f"the index's meta page {damaged[0].page}: {damaged[0].reason}")

    def _is_new(self) -> bool:
        """Tell whether nothing was ever counted here: only then may tables be made. Raises Corrupt."""
        try:
            meta = self.env.open_db(b"meta", create=False)
        except lmdb.NotFoundError:
            raw = None
        else:
            with self.env.begin() as txn:
                raw = txn.get(_COUNTERS, db=meta)
        if raw is None and (self.env.info()["last_pgno"] > _FIRST_PAGES or self._was_used()):
            raise Corrupt("the index lost its counters, or all that it held")
        return raw is None

    def _was_used(self) -> bool:
        """Tell whether an index was made here before: an empty or missing file is not a new store then."""
        return (self.path / "index" / _MADE).exists() or any((self.path / "blobs").glob("??/*"))

    def _open_table(self, name: str, *, is_new: bool) -> Any:
        """Open a table. Only a new index gets one: what is missing from another one was damaged."""
        try:
            return self.env.open_db(name.encode(), create=is_new)
        except lmdb.NotFoundError as error:
            raise Corrupt(f"the index has no table {name}") from error

    def _begin_counting(self) -> None:
        with self.env.begin() as txn:
            raw = txn.get(_COUNTERS, db=self.meta)
        if raw is None:
            with self.env.begin(write=True) as txn:
                raw = txn.get(_COUNTERS, db=self.meta)
                if raw is None:
                    self.put_counters(txn, Counters(FORMAT, 0, 1, 1, 1, FORMAT))
                    raw = txn.get(_COUNTERS, db=self.meta)
        (self.path / "index" / _MADE).touch(0o600)
        # LMDB syncs its file, but not the name of it. (At each start: the first may have been cut short.)
        device.sync_directory(self.path / "index")
        oldest = self._verified_counters(raw).oldest
        for rows in (*self.rows, self.others):
            rows.allows_old = oldest == 1

    def counters(self, txn: Any | None = None) -> Counters:
        """Return the counters of a transaction, or of now. Raises Corrupt."""
        if txn is not None:
            return self._verified_counters(txn.get(_COUNTERS, db=self.meta))
        with self.env.begin() as reading:
            return self._verified_counters(reading.get(_COUNTERS, db=self.meta))

    def has_only_counters(self, txn: Any) -> bool:
        """Tell whether `meta` has no row behind the verified counters: no pause is in force, and there are no notes."""
        with txn.cursor(db=self.meta) as cursor:
            return bool(cursor.last()) and cursor.key() == _COUNTERS

    def _verified_counters(self, raw: bytes | None) -> Counters:
        if raw is None:
            raise Corrupt("the index's counters are missing")
        counters = decode_counters(raw)
        directory.check_format(counters.format, self.path)
        if counters.format != 1:
            self._counters.check(_COUNTERS, raw)
        return counters

    def put_counters(self, txn: Any, counters: Counters) -> None:
        """Write the counters."""
        txn.put(_COUNTERS, self._counters.seal(_COUNTERS, encode_counters(counters)), db=self.meta)

    def close(self) -> None:
        """Close the environment; no transaction may be open."""
        self.env.close()


def open_environment(path: Path, map_size: int | None = None, *, is_relaxed: bool = False) -> Any:
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
    if isinstance(error, _DAMAGED):
        return Corrupt(f"the index is damaged: {error}")
    text = str(error)
    if any(words in text for words in directory.NO_ROOM):
        return StoreFull(f"no room left for the index: {text}")
    if isinstance(error, lmdb.ReadonlyError) or "Read-only" in text or "Permission denied" in text:
        return ReadOnly(f"cannot write to the index: {text}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"no room left: {text}")
    return Unavailable(f"the index answers: {text}")
