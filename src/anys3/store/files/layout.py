"""The directory that blobs lie in, and what its system says when it fails.

DIR/format          "anys3 blobs, format 1": made last; where it is missing, something else is mounted, or nothing
DIR/blobs/xx/NAME   one file a blob, as it was given
DIR/blobs/xx/NAME.new   one that is being written, or whose writer was killed: where it lies follows from its name
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import zlib
from pathlib import Path

from anys3.store.errors import StoreError, StoreFull, Unavailable

FORMAT = 1
NEW = ".new"
_MARK = re.compile(r"anys3 blobs, format (\d+)\n")
# What may lie in a directory that is not ours yet: another server's first steps, and a fresh ext4's own.
_HARMLESS = re.compile(r"blobs|format\.[0-9a-f]+|lost\+found|\.snap|\.snapshot")


def explain(error: OSError, path: Path) -> StoreError:
    """Return what the store raises for an error of the system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreFull(f"no room left for {path}")
    return Unavailable(f"{path}: {error.strerror}")


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def directory_of(root: Path, name: str) -> Path:
    """Return the directory of a blob; neighbours are spread over 256 of them."""
    return root / "blobs" / f"{zlib.crc32(name.encode()) & 0xFF:02x}"


def is_marked(root: Path) -> bool:
    """Say whether the directory is one of ours. Raises StoreError for a newer format or a foreign mark, OSError."""
    try:
        text = (root / "format").read_text("ascii", "replace")
    except FileNotFoundError:
        return False
    found = _MARK.fullmatch(text)
    if found is None:
        raise StoreError(f"{root} is no directory for anys3's blobs: its file 'format' says {text[:40]!r}")
    if int(found[1]) > FORMAT:
        raise StoreError(f"{root} has format {found[1]} of blobs; this anys3 knows up to {FORMAT}")
    return True


def prepare(root: Path) -> None:
    """Make the directory one of ours unless it is. Repeatable, also by several machines at once.

    Raises OSError, and StoreError where something else lies.
    """
    if is_marked(root):
        return
    _make(root)
    foreign = sorted(found.name for found in root.iterdir() if not _HARMLESS.fullmatch(found.name))
    if foreign:
        if is_marked(root):  # somebody else was faster
            return
        raise StoreError(f"{root} is no directory for anys3's blobs, and not empty: it holds {foreign[0]!r}")
    blobs = root / "blobs"
    for path in (blobs, *(blobs / f"{number:02x}" for number in range(256))):
        path.mkdir(mode=0o700, exist_ok=True)
    sync_directory(blobs)
    new = root / f"format.{secrets.token_hex(8)}"
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(f"anys3 blobs, format {FORMAT}\n")
        file.flush()
        os.fsync(file.fileno())
    new.rename(root / "format")
    sync_directory(root)


def _make(root: Path) -> None:
    missing = [above for above in root.parents if not above.exists()]
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in (*(above.parent for above in missing), root.parent):
        try:
            sync_directory(made)
        except PermissionError:  # one that may be passed, but not read
            continue
