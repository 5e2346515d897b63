"""What was recorded: the operations on a store's files and the answers to clients, in one order.

Paths are relative to the directory that holds the store: "data/format"; "" is that directory. A file is known by
a number that no other file of the trace has, whatever names it goes by.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Create(NamedTuple):
    """A file came into being, with this name."""

    path: str
    file: int


class MakeDirectory(NamedTuple):
    path: str


class Write(NamedTuple):
    file: int
    offset: int
    data: bytes
    is_synced: bool = False
    """Written through O_DSYNC or O_SYNC: on the device when it returned."""


class Resize(NamedTuple):
    """The file was cut, or made longer by a hole."""

    file: int
    size: int


class Allocate(NamedTuple):
    """Room was reserved that reads as zeroes, and the file made longer if `size` is above its own."""

    file: int
    size: int


class SyncFile(NamedTuple):
    """fsync, fdatasync or msync of a file: its bytes and length, not its name."""

    file: int


class SyncNames(NamedTuple):
    """Fsync of a directory: the names in it, not what they name."""

    path: str


class SyncAll(NamedTuple):
    """Syncfs: everything."""


class Link(NamedTuple):
    source: str
    path: str


class Rename(NamedTuple):
    source: str
    path: str


class Remove(NamedTuple):
    """A file's name or an empty directory went."""

    path: str


class Mapped(NamedTuple):
    """The file was mapped to be written through memory: what it holds from then on is not recorded."""

    path: str


class Answer(NamedTuple):
    """Bytes were about to be sent to a client: `head` if they begin an answer, else b""."""

    connection: str
    head: bytes
    time_ns: int
    """`time.monotonic_ns()`, which all processes share."""

    @property
    def request_id(self) -> str:
        """The answer's x-amz-request-id."""
        for line in self.head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"x-amz-request-id":
                return value.strip().decode()
        return ""


Operation = (
    Create | MakeDirectory | Write | Resize | Allocate | SyncFile | SyncNames | SyncAll | Link | Rename
    | Remove | Mapped | Answer
)  # fmt: skip
SYNCS = (SyncFile, SyncNames, SyncAll)


def read(path: Path) -> list[Operation]:
    """Return the operations of a recording; one that was cut short ends with its last whole one."""
    return list(_each(path))


def _each(path: Path) -> Iterator[Operation]:
    with path.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except (EOFError, pickle.UnpicklingError):
                return


def answered_at(operations: list[Operation]) -> dict[str, int]:
    """Return for each request id where its answer was told: the place of the last send that belongs to it.

    Nothing that comes behind this place can have been needed for the promise that the answer is.
    """
    places: dict[str, int] = {}
    current: dict[str, str] = {}
    for place, operation in enumerate(operations):
        if not isinstance(operation, Answer):
            continue
        if operation.head:
            current[operation.connection] = operation.request_id
        identity = current.get(operation.connection)
        if identity:
            places[identity] = place
    return places
