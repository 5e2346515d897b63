"""Bugs to be planted in a server, each of which this proof must find: see tests.torture.server."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import lmdb

from anys3.server import application, handover, workers
from anys3.spec.errors import S3Error
from anys3.store.embedded import blobs, committer, device, metapages, multipart, reading
from anys3.store.errors import StoreError


def swallowed_write() -> None:
    """An error of the thread that writes a blob is swallowed, and the write acknowledged."""
    write_at = device.write_at

    def careless(descriptor: int, data: memoryview, offset: int) -> None:
        with contextlib.suppress(OSError):
            write_at(descriptor, data, offset)

    device.write_at = careless


def ignored_sync() -> None:
    """A sync of a blob that failed is taken for one that did not."""
    sync_file = device.sync_file

    def careless(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            sync_file(descriptor)

    device.sync_file = careless


def ignored_directory_sync() -> None:
    """A sync of a directory that failed is taken for one that did not."""

    def careless(path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
        os.close(descriptor)

    device.sync_directory = careless


def failed_commit_answered() -> None:
    """A commit that failed is taken for one that was done."""
    end = committer.Committer._end

    def careless(self: committer.Committer, txn: Any) -> None:
        with contextlib.suppress(committer._NotCommitted):
            end(self, txn)

    committer.Committer._end = careless


def unhealthy_server_stays() -> None:
    """A server whose index can't be used any more goes on, and refuses everything for ever."""
    committer.Committer._fail = lambda self, reason: None


def meta_pages_stay() -> None:
    """After a commit that failed the next one is built on meta pages that the device may lack."""
    metapages.write_back = lambda index: None


def incoming_file_stays() -> None:
    """What could not be written is not removed."""
    blobs.Files.remove_unnamed = lambda self, final, incoming: None


def descriptor_stays() -> None:
    """A blob that could not be written keeps its descriptor."""
    discard = blobs.BlobWriter.discard

    def careless(self: blobs.BlobWriter) -> None:
        self._descriptor = -1
        discard(self)

    blobs.BlobWriter.discard = careless


def full_disk_is_the_clients_fault() -> None:
    """A full disk is answered as if the request were wrong."""
    unavailable = application._unavailable

    def careless(failure: StoreError) -> Any:
        if type(failure).__name__ == "StoreFull":
            return application.S3Error("EntityTooLarge")
        return unavailable(failure)

    application._unavailable = careless


def unreadable_is_missing() -> None:
    """An object whose file can't be opened is answered as if there were none."""
    unavailable = application._unavailable

    def careless(failure: StoreError) -> Any:
        if isinstance(failure.__cause__, PermissionError):
            return application.S3Error("NoSuchKey")
        return unavailable(failure)

    application._unavailable = careless


def short_read_is_the_end() -> None:
    """A read that gave less than was asked for is taken for the file's end."""

    def careless(descriptor: int, into: memoryview, offset: int) -> int:
        return os.preadv(descriptor, [into], offset)

    reading.device.read_at = careless


def dead_worker_stays_dead() -> None:
    """A worker that died is not replaced."""

    def careless(self: Any, worker: Any, code: int) -> None:
        worker.pid = 0
        worker.restart_at = float("inf")

    workers._Supervisor._ended = careless
    workers._Supervisor._patience = lambda self: None


def partial_body_is_stored() -> None:
    """A body whose client vanished is stored as far as it came."""
    receive = handover.Transfer.receive

    def careless(self: handover.Transfer, *arguments: Any) -> None:
        with contextlib.suppress(S3Error):
            receive(self, *arguments)

    handover.Transfer.receive = careless


def pin_stays() -> None:
    """A reader of an object of parts that goes away keeps them for ever."""
    multipart.ManifestSource.close = lambda self: None


def walls_clock_for_timeouts() -> None:
    """Timeouts are measured by the clock on the wall, which jumps."""
    import time

    from anys3.server import timeouts

    def tick(self: timeouts.Sweeper) -> None:
        connections = self._connections
        now = connections.now = time.time()
        self._timer = connections.loop.call_later(connections.limits.tick_s, self._tick)
        for connection in tuple(connections.open):
            connection.check(now)

    timeouts.Sweeper._tick = tick


def index_is_not_synced() -> None:
    """Commits of a durable store do not sync."""
    opened = lmdb.open
    lmdb.open = lambda *args, **options: opened(*args, **{**options, "sync": False})
