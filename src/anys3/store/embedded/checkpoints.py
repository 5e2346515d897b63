"""Checkpoints: what a relaxed store goes back to after power loss, since its commits do not sync.

    DIR/checkpoint-<slot>    magic | CRC32 of the rest | boot id | device and inode of the index | page size |
                             LMDB's newest meta page of some moment

A commit without a sync reaches the device in any order, so after power loss LMDB could name pages that were
never written. Each process of a relaxed store therefore takes a checkpoint when it opens the store, and then
each second: it holds a read transaction, and so no page of that moment is used again; syncs the file system;
and then writes LMDB's meta page of that moment into a file, synced. A pin keeps the janitor from removing
what was named at that moment. The transaction and pin before it are let go only then. So the newest
checkpoint file always has its pages, whole, on the device.

A start that finds such files (`settle`) and sees that the kernel has been restarted since writes the meta
page back: the index is then what it was at the newest checkpoint. Under the same kernel nothing is lost,
since it holds all that was written.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
from pathlib import Path
from typing import NamedTuple

import lmdb

from anys3.store.embedded import device
from anys3.store.embedded.control import Control
from anys3.store.embedded.format import crc32
from anys3.store.embedded.index import Index
from anys3.store.errors import Unavailable

_log = logging.getLogger(__name__)

INTERVAL_S = 1.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MAGIC = b"anys3chk"
_HEAD = struct.Struct("=8sI")
_BODY = struct.Struct("=36sQQI")
_PAGE_NUMBER = struct.Struct("=Q")
_META_MAGIC = struct.pack("=I", 0xBEEFC0DE)
_META_MAGIC_AT = 16
_TXNID_AT = 144
"""Where a 64-bit LMDB 0.9 keeps a meta page's transaction: behind the page's header of 16 bytes, magic,
version, address, map size, two database records of 48 bytes, and the last page."""


class Checkpoint(NamedTuple):
    """What one file holds."""

    boot: bytes
    device: int
    inode: int
    page_size: int
    meta: bytes

    @property
    def transaction(self) -> int:
        """LMDB's number of the moment."""
        return _transaction_of(self.meta)


def can_be_relaxed() -> bool:
    """Whether this platform tells a restart of the kernel, without which there is no relaxed mode."""
    return _BOOT.exists()


class Checkpointer:
    """Takes the checkpoints of one process of a relaxed store, the first one before it returns."""

    def __init__(self, path: Path, index: Index, control: Control) -> None:
        self._path = path
        self._index = index
        self._control = control
        self._file = path / f"checkpoint-{control.slot}"
        self._held: _Held | None = None
        """What keeps the checkpoint that the file holds."""
        self._is_closing = threading.Event()
        self.take()
        index.env.reader_check()  # our predecessor in this slot may have been killed; its file is replaced
        self._thread = threading.Thread(target=self._run, name="anys3-checkpointer", daemon=True)
        self._thread.start()

    def take(self) -> None:
        """Take a checkpoint of now. Raises OSError, lmdb.Error, and leaves the last one in place then."""
        held = _Held(self._index, self._control, _data(self._path))
        try:
            found = _data(self._path).stat()
            page_size = self._index.env.stat()["psize"]
            device.sync_file_system(self._path)
            write(self._file, Checkpoint(boot_id(), found.st_dev, found.st_ino, page_size, held.meta))
        except BaseException:
            held.let_go()
            raise
        self._let_go()
        self._held = held

    def close(self) -> None:
        """Put everything on the device, so that no checkpoint is needed any more, and end. Idempotent."""
        if self._is_closing.is_set():
            return
        self._is_closing.set()
        self._thread.join()
        try:
            device.sync_file_system(self._path)
            self._file.unlink(missing_ok=True)
            device.sync_directory(self._path)
        except OSError as error:
            _log.error("the store was closed without a sync: %s", error)
        self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.let_go()

    def _run(self) -> None:
        while not self._is_closing.wait(INTERVAL_S):
            assert self._held is not None
            try:
                if self._index.env.info()["last_txnid"] != self._held.transaction:
                    self.take()
            except (OSError, lmdb.Error, Unavailable) as error:
                _log.error("no checkpoint was taken, the last one stays: %s", error)


class _Held:
    """One moment of the index, of which no page is used again and no content removed until `let_go`."""

    def __init__(self, index: Index, control: Control, data: Path) -> None:
        env = index.env
        self._control = control
        # A write transaction, so that no process commits between one step and the next.
        writing = env.begin(write=True)
        try:
            self.meta = _newest_meta(data, env.stat()["psize"])
            self.transaction = _transaction_of(self.meta)
            if self.transaction != env.info()["last_txnid"]:
                raise Unavailable("the index's meta pages are not what this version knows")
            self._snapshot = env.begin()
            self._pin = index.counters(self._snapshot).sequence
            if self._pin:  # before the first change there is nothing to keep, and 0 is no pin
                control.pin(self._pin)
        finally:
            writing.abort()

    def let_go(self) -> None:
        """Let the pages and contents of the moment go."""
        self._snapshot.abort()
        if self._pin:
            self._control.unpin(self._pin)


def are_left(path: Path) -> bool:
    """Whether a relaxed server serves the store, or was ended before it could close it."""
    return any(path.glob("checkpoint-*"))


def must_go_back(path: Path) -> Checkpoint | None:
    """Return the checkpoint that the index has to go back to, None if it can be trusted. Raises Unavailable."""
    files = sorted(path.glob("checkpoint-*"))
    found = [checkpoint for checkpoint in map(read, files) if checkpoint is not None]
    if files and not found:
        raise Unavailable(f"{files[0]} is damaged: the index may not be what it was; restore a backup")
    newest = max(found, key=lambda one: one.transaction, default=None)
    return None if newest is None or _is_as_it_was(newest, _data(path)) else newest


def settle(path: Path) -> bool:
    """Bring the index of a store that nobody has open to what can be trusted; True if it went back.

    Does nothing for a store that was closed, or never relaxed. Repeatable. Raises OSError, Unavailable.
    """
    files = sorted(path.glob("checkpoint-*"))
    if not files:
        return False
    goal = must_go_back(path)
    if goal is not None:
        _restore(_data(path), goal)
    device.sync_file_system(path)
    return goal is not None


def forget(path: Path) -> None:
    """Remove the checkpoints of a settled store, once all else that depends on them is done."""
    files = sorted(path.glob("checkpoint-*"))
    for file in files:
        file.unlink()
    if files:
        device.sync_directory(path)


def _data(path: Path) -> Path:
    return path / "index" / "data.mdb"


def boot_id() -> bytes:
    """Return what names this run of the kernel."""
    return _BOOT.read_bytes().strip()[:36]


def is_new_boot(path: Path) -> bool:
    """Tell whether the kernel has been restarted since `note_boot`; False where that can't be told."""
    try:
        return can_be_relaxed() and (path / "boot").read_bytes() != boot_id()
    except FileNotFoundError:
        return True


def note_boot(path: Path) -> None:
    """Note that the store is in order since this start of the kernel. Not synced: the next one has another id."""
    if is_new_boot(path):
        (path / "boot").touch(0o600)
        (path / "boot").write_bytes(boot_id())


def write(file: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole and durably, in place of the one before. Raises OSError."""
    body = _BODY.pack(checkpoint.boot, checkpoint.device, checkpoint.inode, checkpoint.page_size)
    body += checkpoint.meta
    new = file.with_name("new-" + file.name)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | device.O_CLOEXEC, 0o600), "wb") as to:
        to.write(_HEAD.pack(_MAGIC, crc32(body)) + body)
        to.flush()
        os.fsync(to.fileno())
    new.replace(file)
    device.sync_directory(file.parent)


def read(file: Path) -> Checkpoint | None:
    """Return what a file holds, None if it is damaged: then it was never a checkpoint."""
    raw = file.read_bytes()
    body = raw[_HEAD.size :]
    if len(body) <= _BODY.size or _HEAD.unpack_from(raw) != (_MAGIC, crc32(body)):
        return None
    boot, device_number, inode, page_size = _BODY.unpack_from(body)
    return Checkpoint(boot, device_number, inode, page_size, body[_BODY.size :])


def _is_as_it_was(checkpoint: Checkpoint, data: Path) -> bool:
    """Tell whether the kernel that wrote the index still has it: no restart, no copy, no snapshot."""
    now = data.stat()
    return (boot_id(), now.st_dev, now.st_ino) == (checkpoint.boot, checkpoint.device, checkpoint.inode)


def _newest_meta(data: Path, page_size: int) -> bytes:
    with data.open("rb") as file:
        raw = file.read(2 * page_size)
    pages = [raw[at : at + page_size] for at in (0, page_size)]
    valid = [page for page in pages if page[_META_MAGIC_AT:].startswith(_META_MAGIC)]
    return max(valid, key=_transaction_of, default=b"")


def _transaction_of(meta: bytes) -> int:
    number: int = _PAGE_NUMBER.unpack_from(meta, _TXNID_AT)[0] if meta else 0
    return number


def _restore(data: Path, checkpoint: Checkpoint) -> None:
    """Make both meta pages the checkpoint's; LMDB takes the newer of the two."""
    descriptor = os.open(data, os.O_WRONLY | device.O_CLOEXEC)
    try:
        for number in (0, 1):
            page = _PAGE_NUMBER.pack(number) + checkpoint.meta[_PAGE_NUMBER.size :]
            device.write_at(descriptor, memoryview(page), number * checkpoint.page_size)
        device.sync_file(descriptor)
    finally:
        os.close(descriptor)
