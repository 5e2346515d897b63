"""Bugs to be planted in a backup, to see that its tests find them; and its death at a chosen step."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anys3.store.embedded import device
from anys3.store.embedded.backup import Backup, _Pinned
from anys3.store.embedded.control import Control
from anys3.store.embedded.destination import Destination, Moment
from anys3.store.embedded.format import Reference

Patch = Callable[[Any, str, Any], None]
"""How a test sets an attribute, and gets it back after: monkeypatch.setattr."""


def no_pin(patch: Patch) -> None:
    """Nothing keeps the janitor from removing what the moment names."""
    patch(Control, "pin", lambda *_: None)
    patch(Control, "unpin", lambda *_: None)


def index_copied_last(patch: Patch) -> None:
    """The index that the backup gets is of a later moment than the contents."""
    original = Destination.switch

    def switch(self: Destination, moment: Moment, mark: bytes) -> None:
        (self.work / "index" / "data.mdb").unlink()
        with (
            _Pinned(Path(self._source)) as index,
            (self.work / "index" / "data.mdb").open("wb") as file,
        ):
            index.env.copyfd(file.fileno())
        original(self, moment, mark)

    patch(Destination, "switch", switch)


def a_blob_left_out(patch: Patch) -> None:
    """Every fifth blob is not copied."""
    original = Backup._copy_blob

    def copy(self: Backup, reference: Reference) -> None:
        if reference.id % 5:
            original(self, reference)

    patch(Backup, "_copy_blob", copy)


def blobs_not_synced(patch: Patch) -> None:
    """The index is switched to blobs whose bytes may not be on the device."""
    original = device.sync_file

    def sync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "data.mdb":
            original(descriptor)

    patch(device, "sync_file", sync)


def names_not_synced(patch: Patch) -> None:
    """The index is switched to blobs whose names may not be on the device."""
    patch(Backup, "_sync", lambda _: None)


def format_first() -> None:
    """A first backup gets its file `format` before its contents."""
    take = Destination.take

    def early(self: Destination) -> None:
        take(self)
        self.write("format", (Path(self._source) / "format").read_bytes())

    Destination.take = early  # type: ignore[method-assign]


def removes_first() -> None:
    """What only the last backup names goes before the new index is there, and then the process dies."""

    def sync(self: Backup) -> None:
        kept = {file.name for file in (self._source / "blobs").glob("??/*")}
        for file in (self._destination.path / "blobs").glob("??/*"):
            if file.name not in kept:
                file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

    Backup._sync = sync  # type: ignore[method-assign]


def dies_at(step: str) -> None:
    """Kill this process at its n-th change of a file: a rename, a removal, a sync of a file or a directory."""
    left = [int(step)]

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return call

    for owner, name in (
        (device, "sync_file"), (device, "sync_directory"), (os, "fsync"), (os, "ftruncate"), (os, "unlink"),
        (os, "rename"), (os, "replace"),
    ):  # fmt: skip
        setattr(owner, name, counted(getattr(owner, name)))
