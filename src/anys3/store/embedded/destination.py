"""The directory that a backup is made in: what may lie there, and how a new moment takes the place of the last.

DEST/backup.json     what makes it a backup: its source, and the moments that its index may be of
DEST/backup.new/     work in progress; removed by the next run if this one was cut short
DEST/format          as in every store. Written last: without it nobody takes DEST for a store

The contents of a new moment are added beside those of the last one. Then, when everything is synced, the new
index is renamed over the old one: that is the moment at which the backup changes, and only then goes what it
does not name any more.
"""

# ruff: noqa: N818 (errors are named after what happened, as S3 names its codes)

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from anys3.store.embedded import device, recovery
from anys3.store.embedded import directory as layout
from anys3.store.embedded.index import Index
from anys3.store.errors import StoreError
from anys3.store.starting import AlreadyServed, NotAStore

RECORD = "backup.json"
WORK = "backup.new"
_HARMLESS = {"lock", "lost+found", f"{RECORD}.new"}


class NotABackup(StoreError):
    """The destination holds something that a backup must not replace."""


class Moment(NamedTuple):
    """One moment of a store: the index's counters, and when it was."""

    sequence: int
    generation: int
    next_id: int
    taken_ms: int


class Destination:
    """A directory to make a backup in; `take` it first, `close` it last."""

    def __init__(self, path: Path, source: Path) -> None:
        self.path = path
        self.work = path / WORK
        self._source = str(source.resolve())
        self._lock: layout.DirectoryLock | None = None
        self._owner = _owner_to_be(source)
        self.moments: list[Moment] = []

    @property
    def is_whole(self) -> bool:
        """Whether it is a backup already."""
        return (self.path / "format").exists()

    def take(self) -> None:
        """Lock it, made if it is missing. Raises NotAStore, NewerFormat, NotABackup, AlreadyServed, ReadOnly."""
        self._examine()
        try:
            self._lock = layout.lock_directory(self.path)
            self._examine()  # another backup may have been made since
            if self.is_whole:
                self._check_unused()
                recovery.recover(self.path)
                self._check_unchanged()
            else:
                self._write_record([])
            with contextlib.suppress(PermissionError):  # the root of a file system may be somebody else's
                self.path.chmod(0o700)
            shutil.rmtree(self.work, ignore_errors=True)
            (self.work / "index").mkdir(mode=0o700, parents=True)
            self.work.chmod(0o700)
            layout.lay_out(self.path)
        except OSError as error:
            raise layout.explain(error, self.path) from error

    def close(self) -> None:
        """Remove what is left of the work, and let others in. Idempotent."""
        if self._lock is not None:
            shutil.rmtree(self.work, ignore_errors=True)
            self._hand_over()
            self._lock.close()
            self._lock = None

    def _examine(self) -> None:
        """Raise unless it is new, empty, or a backup of the same store, whole or not."""
        if not self.path.exists():
            return
        found = {one.name for one in self.path.iterdir()}
        if "format" in found:
            layout.prepare(self.path)
        if RECORD in found:
            self._read_record(is_whole="format" in found)
        elif "format" in found:
            raise NotABackup(f"{self.path} is a store, and no backup of one")
        elif found - _HARMLESS:
            raise NotAStore(f"{self.path} is not empty and no backup: it holds {min(found - _HARMLESS)!r}")

    def _read_record(self, *, is_whole: bool) -> None:
        try:
            record = json.loads((self.path / RECORD).read_text("utf-8"))
            source, self.moments = record["source"], [Moment(*moment) for moment in record["moments"]]
        except (ValueError, KeyError, TypeError):
            raise NotABackup(f"{self.path / RECORD} is damaged") from None
        if is_whole and source != self._source:
            raise NotABackup(f"{self.path} is a backup of another store, {source}")

    def _check_unchanged(self) -> None:
        """Raise NotABackup if somebody has written to the backup, by serving it: it would be lost."""
        index = Index(self.path)
        try:
            now = index.counters()
        finally:
            index.close()
        if (now.sequence, now.generation, now.next_id) not in [moment[:3] for moment in self.moments]:
            raise NotABackup(f"{self.path} was served and written to since the last backup")

    def check_later(self, moment: Moment) -> None:
        """Raise NotABackup if the backup is of a later moment than the one that is to replace it."""
        if self.is_whole and any(
            moment.sequence < old.sequence or moment.generation < old.generation for old in self.moments
        ):
            raise NotABackup(f"{self.path} is of a later moment of the store than the store itself is")

    def _check_unused(self) -> None:
        descriptor = self._lock_index()
        os.close(descriptor)

    def _lock_index(self) -> int:
        """Return a descriptor that keeps others from opening the index. Raises AlreadyServed.

        LMDB holds a lock on this byte while an environment is open, and waits for it before it opens one.
        """
        file = self.path / "index" / "lock.mdb"
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | device.O_CLOEXEC, 0o600)
        if not device.lock_byte(descriptor, 0):
            os.close(descriptor)
            raise AlreadyServed(f"another command uses {self.path}")
        return descriptor

    def _write_record(self, moments: list[Moment]) -> None:
        record = {"anys3": "backup", "source": self._source, "moments": moments}
        self.write(RECORD, json.dumps(record, indent=1).encode())
        self.moments = moments

    def write(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file, whole and durably, in place of the one before."""
        new = self.path / f"{name}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(self.create(new, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path / name)
        device.sync_directory(self.path)

    def create(self, path: Path, mode: int = 0o600) -> int:
        """Create a file that belongs to the store's owner, and return its descriptor."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | device.O_CLOEXEC, mode)
        if self._owner is not None:
            os.fchown(descriptor, *self._owner)
        return descriptor

    def _hand_over(self) -> None:
        """Give all but the blobs to the store's owner, if root makes the backup of another's store."""
        if self._owner is not None:
            for pattern in ("*", "index/*", "incoming/*", "blobs/*"):
                for one in self.path.glob(pattern):
                    os.chown(one, *self._owner)
            os.chown(self.path, *self._owner)

    def switch(self, moment: Moment, mark: bytes) -> None:
        """Make the new index the backup's: everything that it names must be on the device. Atomic.

        `mark` is the store's file `format`.
        """
        self._write_record([*self.moments, moment])
        descriptor = self._lock_index()
        try:
            # Who waits for the lock finds an empty file, and fails, rather than another index's readers.
            os.ftruncate(descriptor, 0)
            (self.work / "index" / "data.mdb").replace(self.path / "index" / "data.mdb")
            (self.path / "index" / "lock.mdb").unlink()
        finally:
            os.close(descriptor)
        device.sync_directory(self.path / "index")
        self.write("format", mark)
        self._write_record([moment])


def _owner_to_be(source: Path) -> tuple[int, int] | None:
    """Return whom the backup must belong to so that the store's user can serve it; None if it is ourselves."""
    found = source.stat()
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or found.st_uid == 0:
        return None
    return found.st_uid, found.st_gid
