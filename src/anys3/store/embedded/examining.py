"""What can be seen of a store from outside, without a change to it and beside a server: for `anys3 doctor`."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lmdb

from anys3.store.embedded import checkpoints, control, device, pausing
from anys3.store.embedded import directory as layout
from anys3.store.embedded.destination import WORK
from anys3.store.embedded.format import FORMAT, pack_id
from anys3.store.embedded.index import TIB
from anys3.store.embedded.rows import Rows
from anys3.store.errors import Corrupt, Pause, Unavailable
from anys3.store.starting import NotAStore

if sys.platform != "win32":
    import fcntl

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of 64-bit Linux: type, whence, start, length, process."""
_MARK = re.compile(r"anys3 store, format (\d+)\n")
_READER = re.compile(r"^\s*(\d+)\s+\S+\s+(\d+|-)\s*$", re.MULTILINE)
_TABLES = (b"meta", b"buckets", b"names", b"keys", b"entries", b"inline", b"blobs", b"manifests", b"uploads",
           b"parts", b"freed")  # fmt: skip


@dataclass(slots=True)
class Examination:
    """What was found. Lists of numbers are slots or processes."""

    format: int = 0
    known_format: int = FORMAT
    is_served: bool = False
    workers: list[int] = field(default_factory=list)
    """Processes of the server."""
    commands: int = 0
    """Command lines that have the store open."""
    dead_pins: int = 0
    live_pins: int = 0
    stale_readers: list[int] = field(default_factory=list)
    lag: int = 0
    """How many commits the oldest reader is behind."""
    outbox: int = 0
    entries: int = 0
    uploads: int = 0
    left_incoming: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    looked_at: int = 0
    """In how many of the 256 directories orphans were looked for."""
    used_bytes: int = 0
    free_bytes: int = 0
    map_bytes: int = 0
    checkpoints: list[str] = field(default_factory=list)
    goes_back: bool = False
    has_damaged_checkpoints: bool = False
    changed_s: float = 0.0
    """When the newest change was written, by the clock of then."""
    leftovers: list[str] = field(default_factory=list)
    pause: Pause | None = None
    index_error: str = ""


def examine(path: Path, patience_s: float = 5.0) -> Examination:
    """Look at a store; what takes longer than `patience_s` is cut short. Raises NewerFormat, NotAStore, OSError."""
    found = Examination()
    found.format = _format_of(path)
    found.is_served = _is_served(path / "lock")
    _look_at_slots(path, found)
    _look_at_incoming(path, found)
    found.checkpoints = sorted(file.name for file in path.glob("checkpoint-*"))
    if found.checkpoints and not found.is_served:
        try:
            found.goes_back = checkpoints.must_go_back(path) is not None
        except Unavailable:
            found.has_damaged_checkpoints = True
    found.leftovers = [name for name in (WORK,) if (path / name).exists()]
    data = path / "index" / "data.mdb"
    places = [data, *(path / "blobs").glob("??")]
    found.changed_s = max((place.stat().st_mtime for place in places if place.exists()), default=0.0)
    try:
        with _opened(path) as (env, lock):
            _look_at_index(env, lock, found)
            _look_for_orphans(env, path, found, time.monotonic() + patience_s)
    except lmdb.Error as error:
        found.index_error = str(error)
    return found


def _format_of(path: Path) -> int:
    text = (path / "format").read_text("ascii", "replace")
    number = _MARK.fullmatch(text)
    if number is None:
        raise NotAStore(f"{path} is not an anys3 store: its file 'format' says {text[:40]!r}")
    layout.check_format(int(number[1]), path)
    return int(number[1])


def _is_served(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | device.O_CLOEXEC)
    except OSError:
        return False
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _holder(descriptor: int, position: int) -> int:
    """Return which process has locked a byte, 0 if none has; asks, and locks nothing."""
    if not sys.platform.startswith("linux"):
        return 0
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, position, 1, 0)
    kind, _, _, _, process = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    # From outside of the holder's container the process has no number: -1 stands for it.
    return 0 if kind == fcntl.F_UNLCK else process or -1


def _look_at_slots(path: Path, found: Examination) -> None:
    for slot, holder, pin in _slots(path):
        if holder and slot < control.FIRST_GUEST:
            found.workers.append(holder)
        elif holder:
            found.commands += 1
        if pin:
            found.live_pins += bool(holder)
            found.dead_pins += not holder


def _slots(path: Path) -> Iterator[tuple[int, int, int]]:
    """Yield slot, process and pin, of each slot that has one of the two."""
    try:
        descriptor = os.open(path / "control", os.O_RDONLY | device.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        raw = bytearray(control.PINS + 8 * control.SLOTS)
        device.read_at(descriptor, memoryview(raw), 0)
        for slot in range(control.SLOTS):
            pin = int.from_bytes(raw[control.PINS + 8 * slot :][:8], sys.byteorder)
            holder = _holder(descriptor, slot)
            if pin or holder:
                yield slot, holder, pin
    finally:
        os.close(descriptor)


def _look_at_incoming(path: Path, found: Examination) -> None:
    busy = {slot for slot, holder, _ in _slots(path) if holder}
    for folder in sorted((path / "incoming").glob("*")):
        if not (folder.name.isdecimal() and int(folder.name) in busy):
            found.left_incoming += [f"{folder.name}/{file.name}" for file in folder.iterdir()]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, int]]:
    """Open the index to read only, and its lock file. Raises lmdb.Error, OSError."""
    # Closed last: a process that closes any descriptor of a file loses its locks on it, here LMDB's.
    lock = os.open(path / "index" / "lock.mdb", os.O_RDONLY | device.O_CLOEXEC)
    try:
        env = lmdb.open(
            str(path / "index"), readonly=True, create=False, max_dbs=16, max_readers=1024, map_size=TIB // 16
        )
        try:
            yield env, lock
        finally:
            env.close()
    finally:
        os.close(lock)


def _look_at_index(env: Any, lock: int, found: Examination) -> None:
    info, page = env.info(), env.stat()["psize"]
    found.map_bytes = info["map_size"]
    used = sum(_pages(env.stat()))
    for name in _TABLES:
        table = env.open_db(name, create=False)
        with env.begin() as txn:
            stat = txn.stat(table)
        used += sum(_pages(stat))
        if name in (b"freed", b"entries", b"uploads"):
            field_name = {b"freed": "outbox"}.get(name, name.decode())
            setattr(found, field_name, stat["entries"])
    found.used_bytes = used * page
    found.free_bytes = max((info["last_pgno"] - 1 - used) * page, 0)
    _look_at_readers(env, lock, info["last_txnid"], found)
    rows = Rows("meta", env.open_db(b"meta", create=False))
    rows.allows_old = True
    with env.begin() as txn, contextlib.suppress(Corrupt):  # that is for scrub to tell
        found.pause = pausing.read(rows, txn)


def _pages(stat: dict[str, int]) -> tuple[int, int, int]:
    return stat["branch_pages"], stat["leaf_pages"], stat["overflow_pages"]


def _look_at_readers(env: Any, lock: int, newest: int, found: Examination) -> None:
    """Tell the dead readers from the living: each locks the byte of its process's number."""
    for process, moment in _READER.findall(env.readers()):
        number = int(process)
        if number == os.getpid():
            continue
        if sys.platform.startswith("linux") and not _holder(lock, number):
            found.stale_readers.append(number)
        if moment != "-":
            found.lag = max(found.lag, newest - int(moment))


def _look_for_orphans(env: Any, path: Path, found: Examination, deadline: float) -> None:
    """Look for files that neither a row nor a writer knows."""
    table = env.open_db(b"blobs", create=False)
    for folder in sorted((path / "blobs").glob("??")):
        if time.monotonic() > deadline:
            return
        names = sorted(file.name for file in folder.glob("[0-9a-f]" * 16))
        # A writer's name goes only after its row is there, so it is looked for first.
        waiting = {file.name for file in path.glob("incoming/*/*")}
        with env.begin() as txn:
            for name in names:
                blob_id = int(name, 16)
                if name not in waiting and txn.get(pack_id(blob_id), db=table) is None:
                    found.orphans.append(f"{folder.name}/{name}")
        found.looked_at += 1
