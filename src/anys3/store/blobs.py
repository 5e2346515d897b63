"""The contract of the engines that keep the bytes of large contents: RADOS, another S3, a shared directory.

They know nothing of objects. They keep byte strings under names that are given once, never change, and are read in
ranges; `store/contents.py` makes the store's contents of them, with its own checksums. Everything blocks, and may be
called by any number of threads at a time. All of them pass the same suite (tests/store/blobs_suite.py).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from typing import NoReturn, Protocol

from anys3.store.errors import Corrupt, Unavailable
from anys3.store.figures import Figure

NAME = re.compile("[0-9a-z-]{1,64}")


class BlobMissing(Corrupt):
    """The blob does not exist, or not as far as it was asked for. Never raised for what only can't be reached."""


class BlobSink(Protocol):
    """Takes the bytes of one blob, in order."""

    def write(self, data: memoryview | bytes) -> None:
        """Append. The memory may be used again after the call. Raises StoreFull, Unavailable."""

    def finish(self) -> None:
        """Make the blob durable and readable under its name. Raises StoreFull, Unavailable."""

    def discard(self) -> None:
        """Give up; what was written is removed as far as it can be now. Idempotent; nothing after `finish`."""


class BlobReader(Protocol):
    """Reads a range of one blob from its start to its end, ahead of being asked where that is quicker."""

    def read_into(self, view: memoryview) -> None:
        """Fill all of `view` with what comes next. Raises BlobMissing, Unavailable."""

    def close(self) -> None:
        """Let go, whatever was read. Idempotent."""


class Blobs(Protocol):
    """Named byte strings. A name has 1 to 64 of the characters 0-9, a-z, `-`, and is never used a second time."""

    def sink(self, name: str, length: int | None) -> BlobSink:
        """Return what takes the bytes of a new blob, `length` of them (None: not known)."""

    def reader(self, name: str, start: int, length: int) -> BlobReader:
        """Return a reader of `length` bytes from `start` on. May raise BlobMissing, Unavailable, or leave that to it."""

    def remove(self, names: Sequence[str]) -> None:
        """Remove blobs, and what is there of blobs that were never finished; absent ones are no error.

        Raises Unavailable: some may be removed, and it may be called again.
        """

    def names(self) -> Iterator[str]:
        """Yield the names of all blobs, in any order, those that are being written too. Raises Unavailable."""

    def check(self) -> None:
        """Find out whether blobs can be written, read and removed now. Raises Unavailable, which says what to do."""

    def figures(self) -> Sequence[Figure]:
        """Return what there is to see of the engine in this process; what can't be known now is left out."""

    def close(self) -> None:
        """Let go of connections. Idempotent."""


class NoBlobs:
    """What stands for an engine in a process that needs none: everything but `close` and `figures` raises Unavailable."""

    def figures(self) -> Sequence[Figure]:
        """Return nothing."""
        return ()

    def close(self) -> None:
        """Do nothing."""

    def _refuse(self, *_: object) -> NoReturn:
        raise Unavailable("this process was not told where the blobs lie")

    sink = reader = remove = names = check = _refuse


def probe(blobs: Blobs) -> None:
    """Write, read and remove a small blob. Raises StoreFull, Unavailable."""
    name = f"check-{secrets.token_hex(16)}"
    data = name.encode()
    sink = blobs.sink(name, len(data))
    try:
        sink.write(data)
        sink.finish()
        found = bytearray(len(data))
        reader = blobs.reader(name, 0, len(data))
        try:
            reader.read_into(memoryview(found))
        finally:
            reader.close()
    except BlobMissing as error:
        raise Unavailable(f"what was just written can't be read: {error}") from error
    finally:
        sink.discard()
        blobs.remove([name])
    if found != data:
        raise Unavailable(f"what was just written reads {bytes(found)!r}, not {data!r}")
