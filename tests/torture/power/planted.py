"""Bugs planted in the server, to see that the replay finds them; see tests/torture/server.py."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb

from anys3.store.embedded import blobs, checkpoints, committer, device

_LATER_S = 0.02
"""Long enough for an answer to be sent first."""


def often() -> None:
    """No bug: take checkpoints twenty times a second, so that a short recording has some."""
    checkpoints.INTERVAL_S = 0.05


def blob_is_not_synced() -> None:
    """The bytes of a blob are never synced."""
    sync = device.sync_file
    device.sync_file = lambda descriptor: None if _is_blob(descriptor) else sync(descriptor)


def name_of_a_blob_is_not_synced() -> None:
    """The directory that a blob was linked into is not synced."""
    _leave_out(lambda path: path.parent.name == "blobs")


def name_of_the_index_is_not_synced() -> None:
    """The directory of the index is not synced when the store is made."""
    _leave_out(lambda path: path.name == "index")


def names_of_the_directories_are_not_synced() -> None:
    """The directories of a new store are not synced into the directory that holds them."""
    _leave_out(lambda path: (path / "format").exists())


def index_is_not_synced() -> None:
    """A durable index commits without a sync, as a relaxed one does."""
    _open_without_sync()


def index_is_synced_after_the_answer() -> None:
    """A commit is answered first and synced then."""
    _open_without_sync()
    answer = committer._answer
    environments: list[Any] = []
    begin = committer.Committer.__init__

    def start(self: Any, index: Any, *arguments: Any, **options: Any) -> None:
        environments.append(index.env)
        begin(self, index, *arguments, **options)

    def answer_and_sync(outcomes: Any) -> None:
        answer(outcomes)
        time.sleep(_LATER_S)
        with contextlib.suppress(lmdb.Error):  # closed meanwhile
            for environment in environments:
                environment.sync(True)

    committer.Committer.__init__ = start
    committer._answer = answer_and_sync


def blob_is_synced_after_the_commit() -> None:
    """A blob is published, and named by the index, before its bytes are synced; they are before the answer."""
    sync = device.sync_file
    device.sync_file = lambda descriptor: None if _is_blob(descriptor) else sync(descriptor)
    settle = blobs.Written.settle

    def settle_and_sync(self: Any, *, is_named: bool) -> None:
        if is_named:
            descriptor = os.open(self._final, os.O_RDWR)
            sync(descriptor)
            os.close(descriptor)
        settle(self, is_named=is_named)

    blobs.Written.settle = settle_and_sync


def checkpoint_is_written_before_the_sync() -> None:
    """A relaxed store writes its checkpoint first and syncs the file system then."""
    sync, write = device.sync_file_system, checkpoints.write
    late = threading.local()

    def write_and_sync(file: Path, checkpoint: Any) -> None:
        write(file, checkpoint)
        sync(late.path)

    def remember(path: Path) -> None:
        late.path = path

    device.sync_file_system = remember
    checkpoints.write = write_and_sync


def checkpoint_keeps_no_pages() -> None:
    """A relaxed store lets the pages of its checkpoint be used again."""
    take = checkpoints._Held.__init__

    def let_go_at_once(self: Any, *arguments: Any) -> None:
        take(self, *arguments)
        self._snapshot.abort()

    checkpoints._Held.__init__ = let_go_at_once


def checkpoint_keeps_no_blobs() -> None:
    """A relaxed store lets the blobs of its checkpoint be removed."""
    checkpoints.Control.pin = lambda *_: None
    checkpoints.Control.unpin = lambda *_: None


DURABLE: tuple[Callable[[], None], ...] = (
    blob_is_not_synced,
    name_of_a_blob_is_not_synced,
    name_of_the_index_is_not_synced,
    names_of_the_directories_are_not_synced,
    index_is_not_synced,
    index_is_synced_after_the_answer,
    blob_is_synced_after_the_commit,
)
RELAXED: tuple[Callable[[], None], ...] = (
    checkpoint_is_written_before_the_sync,
    checkpoint_keeps_no_pages,
    checkpoint_keeps_no_blobs,
)


def place(bug: Callable[[], None]) -> str:
    """Return what `tests.torture.server --with` is given to plant a bug."""
    return f"{bug.__module__}:{bug.__name__}"


def _is_blob(descriptor: int) -> bool:
    path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    return "/incoming/" in path or "/blobs/" in path


def _leave_out(is_left_out: Callable[[Path], bool]) -> None:
    """Let directories of some kind never be synced."""
    sync = device.sync_directory
    device.sync_directory = lambda path: None if is_left_out(path) else sync(path)


def _open_without_sync() -> None:
    opened = lmdb.open

    def unsynced(*arguments: Any, **options: Any) -> Any:
        return opened(*arguments, **{**options, "sync": False})

    lmdb.open = unsynced
