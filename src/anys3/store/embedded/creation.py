"""The first step of a new index: its file comes into being whole and on the device, under its name last.

LMDB writes the first two pages of its file without a sync. After power loss the name could be there without
them, and LMDB would refuse the file for ever.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import lmdb

from anys3.store.embedded import device

FILE = "data.mdb"


def make_index(directory: Path) -> None:
    """Make an empty index in `directory`, unless there is one. Repeatable, by several processes at once.

    Raises OSError, lmdb.Error.
    """
    made = directory / FILE
    if made.exists():
        return
    new = directory / f"new-{os.getpid()}"
    try:
        new.mkdir(mode=0o700, exist_ok=True)
        lmdb.open(str(new), lock=False, mode=0o600).close()
        descriptor = os.open(new / FILE, os.O_RDWR | device.O_CLOEXEC)
        try:
            device.sync_file(descriptor)
        finally:
            os.close(descriptor)
        _name(new / FILE, made)
    finally:
        (new / FILE).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            new.rmdir()
    device.sync_directory(directory)


def _name(new: Path, made: Path) -> None:
    """Give the file its name, unless another process was faster, and may use its own already."""
    try:
        os.link(new, made)
    except FileExistsError:
        pass
    except FileNotFoundError:  # a start has removed ours, having one
        if not made.exists():
            raise
