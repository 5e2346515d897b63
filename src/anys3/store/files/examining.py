"""What can be seen of a shared directory with blobs, for `anys3 doctor --blobs file:DIR`."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from anys3.store.errors import StoreError
from anys3.store.files.blobs import FileBlobs, directory_named
from anys3.store.files.layout import is_marked
from anys3.store.findings import Finding, of_probe, of_room
from anys3.store.places import MEMORY, NETWORK, file_system

_FEW_INODES = 10_000


def examine(url: str, clock: Callable[[], float]) -> Iterator[Finding]:  # noqa: ARG001 (as of all engines)
    """Yield what there is to say of it. Blocks. Raises ValueError."""
    root = directory_named(url).absolute()
    try:
        marked = is_marked(root)
    except (OSError, StoreError) as error:
        yield Finding("blobs", "problem", f"{root} can't be used: {error}", "check mount, owner and mode")
        return
    if not marked and not root.parent.is_dir():
        yield Finding(
            "blobs",
            "problem",
            f"{root} doesn't exist, nor does what it is in",
            "mount it, or correct the URL",
        )
        return
    if not marked:
        yield Finding(
            "blobs",
            "note",
            f"{root} holds no blobs yet",
            "nothing, if it is new; else it is not mounted: mount it",
        )
    else:
        yield Finding("blobs", "ok", f"{root} holds blobs")
    there = root if root.is_dir() else root.parent
    yield of_kind(file_system(there))
    now = os.statvfs(there)
    yield of_room("room", now.f_bavail * now.f_frsize, now.f_blocks * now.f_frsize)
    if now.f_files and now.f_favail < _FEW_INODES:
        yield Finding(
            "inodes",
            "warning",
            f"{now.f_favail} more files can be made",
            "each blob is a file: make room for them",
        )
    yield of_mode(there)
    if marked:
        yield of_probe(FileBlobs(root))


def of_kind(kind: str) -> Finding:
    """Tell what a kind of file system means for blobs of several servers."""
    if kind in MEMORY:
        return Finding(
            "file-system", "problem", f"{kind}: everything is lost when this machine stops", "use a disk"
        )
    if kind in NETWORK:
        return Finding(
            "file-system",
            "ok",
            f"{kind}: other machines can mount it; a 200 says what its server says of a sync",
        )
    if kind == "overlay":
        return Finding(
            "file-system",
            "warning",
            "overlay: this is the layer of a container, and goes with it",
            "mount a volume",
        )
    return Finding(
        "file-system", "note", f"{kind or 'not known'}: a file system of this machine",
        "nothing, if all servers run here, or it is mounted by all of them; a lost disk is a lost store: have a mirror",
    )  # fmt: skip


def of_mode(root: Path) -> Finding:
    """Tell who else can read the blobs."""
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & 0o077:
        return Finding("mode", "warning", f"others can enter {root} (mode {mode:04o})", f"chmod 700 {root}")
    return Finding("mode", "ok", "only its owner can enter the directory")
