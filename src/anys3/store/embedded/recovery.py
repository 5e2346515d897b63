"""What a start does about the last end, however abrupt it was (CON-06, known mistakes 43 and 52)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from anys3.store.embedded import blobs, checkpoints, inspecting, remote
from anys3.store.embedded import directory as layout
from anys3.store.embedded.control import Control
from anys3.store.embedded.format import pack_id
from anys3.store.embedded.index import Index
from anys3.store.errors import Corrupt, Unavailable
from anys3.store.starting import AlreadyServed


def prepare(path: str | Path, blobs: str = "") -> None:
    """Make `path` a store unless it is one, with its blobs at that URL if it is not "". Repeatable.

    Raises NewerFormat, NotAStore, ReadOnly, and Unsuitable if it is a store whose blobs lie elsewhere.
    """
    directory = Path(path)
    layout.prepare(directory)
    remote.settle(directory, blobs)


def recover(path: str | Path) -> None:
    """Put the store in `path` in order, or make it, before a server's workers open it. Repeatable.

    Clears readers of dead processes and removes blobs that no commit has named; work that the janitor
    had left is done by the first worker, in the background. No server may be running: hold
    `lock_directory`. The first start after a restart of the kernel looks at the names of all blobs; a relaxed
    store goes back to its newest checkpoint then. Raises NewerFormat, NotAStore, ReadOnly, Unavailable.
    """
    directory = Path(path)
    layout.prepare(directory)
    try:
        went_back = checkpoints.settle(directory)
    except OSError as error:
        raise layout.explain(error, directory) from error
    inspecting.check_at_start(directory)
    is_remote = remote.remembered(directory) is not None
    index = Index(directory)
    try:
        index.env.reader_check()
        control = Control(directory, None)
        try:
            control.oldest_pin()  # pins whose process is gone are cleared by being asked for
            control.tell_generation(index.counters().generation)
            _clean_slots(index, control, directory, is_remote=is_remote)
        finally:
            control.close()
        if (went_back or checkpoints.is_new_boot(directory)) and not is_remote:
            _remove_orphans(index, directory)
        checkpoints.forget(directory)
        checkpoints.note_boot(directory)
        _remove_half_made(directory)
    except OSError as error:
        raise layout.explain(error, directory) from error
    finally:
        index.close()


def _clean_slots(index: Index, control: Control, directory: Path, *, is_remote: bool) -> None:
    """Clean the incoming directories, but for those of slots that a command line is at work in."""
    for incoming in sorted((directory / "incoming").iterdir()):
        slot = int(incoming.name) if incoming.name.isdecimal() else control.slot
        if slot != control.slot and not control.is_left_behind(slot):
            continue
        if is_remote:
            _pass_on(incoming, directory)
        else:
            clean_incoming(index, blobs.Files(directory, control.slot, int), incoming)


def _remove_half_made(directory: Path) -> None:
    """Remove files that were to get their name when they were whole, and whose process was killed before."""
    for left in directory.glob("new-checkpoint-*"):
        left.unlink()
    for left in (directory / "index").glob("new-*"):
        shutil.rmtree(left)


def prepare_guest(path: Path) -> None:
    """Put a store in order before a command line opens it, unless a server has it. Raises as `recover` does."""
    if not checkpoints.are_left(path):
        return
    try:
        lock = layout.lock_directory(path)
    except AlreadyServed:
        if checkpoints.must_go_back(path) is not None:
            raise Unavailable("a server that starts is putting the store in order: try again") from None
        return
    try:
        recover(path)
    finally:
        lock.close()


def _remove_orphans(index: Index, directory: Path) -> None:
    """Remove the blobs that no row names.

    After going back their ids, too, are given again. And a removal that was never synced is undone by power
    loss, though the outbox no longer knows of it: nobody waits for the sync of a removal.
    """
    if index.counters().next_id == 1:
        return  # no blob was ever written
    written = {name.name for name in (directory / "incoming").glob("*/*")}  # by a command line, now
    with index.env.begin() as txn:
        for number in range(256):
            folder = directory / "blobs" / f"{number:02x}"
            with os.scandir(folder) as found:
                names = sorted(one.name for one in found)
            for name in names:
                if name not in written and not _is_named(index, txn, name):
                    blobs.remove(folder / name)


def _is_named(index: Index, txn: Any, name: str) -> bool:
    """Tell whether a row names the blob of that name; what is no blob, or can't be told, is left alone."""
    try:
        return index.rows.blobs.get(txn, pack_id(int(name, 16))) is not None
    except (ValueError, Corrupt):
        return True


def _pass_on(incoming: Path, directory: Path) -> None:
    """Leave the markers of a slot to the first worker, which has the engine for blobs open."""
    first = directory / "incoming" / "0"
    first.mkdir(mode=0o700, exist_ok=True)
    if incoming != first:
        for left in incoming.iterdir():
            left.replace(first / left.name)


def clean_incoming(index: Index, files: blobs.Files, incoming: Path) -> None:
    """Remove a slot's incoming names, and with them the blobs that no row names.

    Only the slot's owner may do this, before it writes.
    """
    for left in incoming.iterdir():
        try:
            blob_id = int(left.name, 16)
        except ValueError:
            continue
        with index.env.begin() as txn:
            is_named = index.rows.blobs.get(txn, pack_id(blob_id)) is not None
        if not is_named:
            if isinstance(files, remote.RemoteFiles):
                files.remove_unnamed(files.path(blob_id), left)
                continue
            blobs.remove(files.path(blob_id))
        left.unlink(missing_ok=True)
