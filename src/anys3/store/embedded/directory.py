"""The directory of a store: its layout, its format mark, and the lock that one server holds.

DIR/format       "anys3 store, format 1": written first, so that a half-made store is known as ours
DIR/lock         held (flock) by the server
DIR/boot         the run of the kernel in which a server started last: see checkpoints.py
DIR/control      shared memory of all processes: see control.py
DIR/index/       the LMDB environment: see index.py
DIR/blobs/xx/    one file a blob: see blobs.py
DIR/audit.log    who changed keys and buckets: see server/audit.py
DIR/incoming/n/  blobs that no commit has named yet, by the slot of the process that writes them
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path

import lmdb

from anys3.store.embedded import creation, device
from anys3.store.embedded.format import FORMAT
from anys3.store.errors import StoreError, StoreFull, Unavailable
from anys3.store.starting import AlreadyServed, NewerFormat, NotAStore, ReadOnly

_MARK = re.compile(r"anys3 store, format (\d+)\n")
NO_ROOM = ("No space left", "File too large", "quota exceeded")
"""What the system says where there is no room; LMDB passes on only the words."""
# What may lie in a directory that is not a store yet: our own first steps, and a fresh ext4's own.
_HARMLESS = {"lock", "control", "format.new", "lost+found"}


def explain(error: OSError, path: Path) -> StoreError:
    """Return what the store raises for an error of the operating system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreFull(f"no room left for {path}")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return ReadOnly(f"cannot write to {path}: {error.strerror}")
    return Unavailable(f"{path}: {error.strerror}")


def prepare(path: Path) -> None:
    """Make `path` a store unless it is one. Repeatable, also by several processes at once.

    Raises NewerFormat, NotAStore, ReadOnly and leaves the directory as it is then.
    """
    try:
        _make(path)
        if not _is_marked(path):
            foreign = sorted({found.name for found in path.iterdir()} - _HARMLESS)
            if foreign and not _is_marked(path):
                raise NotAStore(f"{path} is not an anys3 store and not empty: it holds {foreign[0]!r}")
            _mark(path)
        if not (path / "index" / creation.FILE).exists():
            lay_out(path)
            creation.make_index(path / "index")
    except lmdb.Error as error:
        if any(words in str(error) for words in NO_ROOM):
            raise StoreFull(f"no room left for {path}: {error}") from error
        raise Unavailable(f"cannot make the index in {path}: {error}") from error
    except OSError as error:
        raise explain(error, path) from error


def _make(path: Path) -> None:
    """Make a directory and those above it, durably but for its own name (see `lay_out`)."""
    missing = [above for above in path.parents if not above.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in missing:
        device.sync_directory(made.parent)


def _is_marked(path: Path) -> bool:
    try:
        text = (path / "format").read_text("ascii", "replace")
    except FileNotFoundError:
        return False
    found = _MARK.match(text)
    if found is None:
        raise NotAStore(f"{path} is not an anys3 store: its file 'format' says {text[:40]!r}")
    check_format(int(found[1]), path)
    return True


def check_format(found: int, path: Path) -> None:
    """Refuse a format that this version does not know."""
    if found > FORMAT:
        raise NewerFormat(f"{path} has store format {found}; this anys3 knows up to {FORMAT}")


def _mark(path: Path) -> None:
    new = path / "format.new"
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"anys3 store, format {FORMAT}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        new.rename(path / "format")
    except FileNotFoundError:
        if not _is_marked(path):  # else another process was faster
            raise
    device.sync_directory(path)


def lay_out(path: Path) -> None:
    """Make the directories of a store, durably. Repeatable: the last time may have been cut short anywhere."""
    blobs = path / "blobs"
    with contextlib.suppress(OSError):  # our own name; the directory above may be closed to us
        device.sync_directory(path.parent)
    # The mark's name, before any other is there: a kill may have come before it was synced.
    device.sync_directory(path)
    for name in ("index", "incoming", "blobs"):
        (path / name).mkdir(mode=0o700, exist_ok=True)
    for number in range(256):
        (blobs / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
    device.sync_directory(blobs)
    device.sync_directory(path)


class DirectoryLock:
    """The right to serve a directory, until `close` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        """Let another server in. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock_directory(path: str | Path) -> DirectoryLock:
    """Take the right to serve `path`, which is made if it is missing; forked workers share it.

    Raises AlreadyServed if another server has it, ReadOnly.
    """
    directory = Path(path)
    try:
        _make(directory)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | device.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explain(error, directory) from error
    if not device.lock_file(descriptor):
        os.close(descriptor)
        raise AlreadyServed(f"another anys3 server serves {directory}")
    return DirectoryLock(descriptor)
