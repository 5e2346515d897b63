"""What a device may hold after power loss: a model of a file system, as little as one has to promise.

Data. A write waits in blocks of 4 KiB until its file is synced. Of each block that waits the device has any of the
versions that it has had since, in any mixture over the blocks; a block may be torn between sectors of 512 bytes, a
sector never. A file's length is a thing of its own: it may be there without the data, which then reads as zeroes, or
as what the blocks held before, and the data without the length.

Names. A name that was made, linked, renamed or removed waits until its directory is synced; a file's fsync does
nothing for its name. Of the names that wait any may be there: that is what POSIX leaves open. A file system with a
journal (ext4, XFS) keeps their order: `is_journaled`. There a sync of a directory, or of a file whose length or
names have changed, brings all names before it along.

A write through O_DSYNC is there when it returns, and no other one with it. Syncfs makes everything durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.torture.power import trace
from tests.torture.power.trace import Operation

BLOCK, SECTOR = 4096, 512
ALL = 1 << 60
Cut = Callable[[int], int]
"""Takes a sector's number, returns the place of the last waiting operation that it has: -1 for none, ALL."""


class NameChange(NamedTuple):
    """A name that was given to a file or taken away; a rename is one of each, with the same `order`."""

    order: int
    path: str
    file: int | None


DIRECTORY = 0
"""Stands for a directory where a file's number would: a path that is a directory never becomes another one."""


def parent(path: str) -> str:
    """Return the directory that a name is in."""
    return path.rpartition("/")[0]


@dataclass(slots=True)
class File:
    """One file: what the device certainly has, and what waits."""

    durable: bytearray = field(default_factory=bytearray)
    waiting: list[Operation] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """The length after each operation that waits."""
    floors: dict[int, int] = field(default_factory=dict)
    """The sectors that a synced write has put on the device, and its place."""
    size_floor: int = -1
    is_new: bool = True
    """Whether its existence or length may be unknown to a journal."""
    version: int = 0
    """Raised by everything that changes the file or what is certain of it."""

    @property
    def size(self) -> int:
        """The length as processes see it."""
        return self.sizes[-1] if self.sizes else len(self.durable)

    def add(self, operation: trace.Write | trace.Resize | trace.Allocate) -> None:
        """Do a change of which nothing is certain yet, but for a write that is synced by itself."""
        self.version += 1
        place, before = len(self.waiting), self.size
        self.waiting.append(operation)
        if isinstance(operation, trace.Write):
            self.sizes.append(max(before, operation.offset + len(operation.data)))
        elif isinstance(operation, trace.Allocate):
            self.sizes.append(max(before, operation.size))
        else:
            self.sizes.append(operation.size)
        self.is_new = self.is_new or self.size != before
        if isinstance(operation, trace.Write) and operation.is_synced:
            end = operation.offset + len(operation.data)
            for sector in range(operation.offset // SECTOR, -(-end // SECTOR)):
                self.floors[sector] = place
            if end > len(self.durable):
                self.size_floor = place

    def sync(self) -> bool:
        """Make everything certain; tell whether a journal had to be written for that."""
        was_new, self.is_new = self.is_new, False
        self.durable = bytearray(self.content(lambda _: ALL, ALL))
        self.waiting.clear()
        self.sizes.clear()
        self.floors.clear()
        self.size_floor = -1
        self.version += 1
        return was_new

    def sectors(self) -> list[int]:
        """Return the sectors whose content is not certain."""
        found: set[int] = set()
        for operation in self.waiting:
            if isinstance(operation, trace.Write):
                end = operation.offset + len(operation.data)
                found.update(range(operation.offset // SECTOR, -(-end // SECTOR)))
        return sorted(found)

    def content(self, cut: Cut, size_cut: int, stale: bytes = b"") -> bytes:
        """Return what the device has if it has each sector as of `cut`, and the length as of `size_cut`.

        `stale`: what a sector holds that the file has newly got and nothing was written to.
        """
        size_cut = max(size_cut, self.size_floor)
        made = bytearray(self.durable)
        for place, operation in enumerate(self.waiting):
            if isinstance(operation, trace.Write):
                self._put(made, place, operation, cut, stale)
            elif isinstance(operation, trace.Resize) and place <= size_cut:
                del made[operation.size :]
        size = len(self.durable)
        if self.sizes and size_cut >= 0:
            size = self.sizes[min(size_cut, len(self.sizes) - 1)]
        del made[size:]
        made += bytes(size - len(made))
        return bytes(made)

    def _put(self, made: bytearray, place: int, write: trace.Write, cut: Cut, stale: bytes) -> None:
        at, end = write.offset, write.offset + len(write.data)
        if len(made) < end:
            made += bytes(end - len(made))
        first = len(self.durable)
        while at < end:
            sector = at // SECTOR
            stop = min(end, (sector + 1) * SECTOR)
            if max(cut(sector), self.floors.get(sector, -1)) >= place:
                made[at:stop] = write.data[at - write.offset : stop - write.offset]
            elif stale and at >= first:
                made[at:stop] = (stale * SECTOR)[: stop - at]
            at = stop


class Disk:
    """A file system while operations are done to it."""

    def __init__(self, *, is_journaled: bool = False) -> None:
        self.is_journaled = is_journaled
        self.files: dict[int, File] = {}
        self.names: dict[str, int] = {}
        """The names that are certain, and their files."""
        self.waiting: list[NameChange] = []
        self.live: dict[str, int] = {}
        """The names as processes see them."""
        self.mapped: set[str] = set()
        self._order = 0

    def do(self, operation: Operation) -> None:
        """Do one operation."""
        match operation:
            case trace.Write() | trace.Resize() | trace.Allocate():
                self.files[operation.file].add(operation)
            case trace.Create(path, file):
                self.files[file] = File()
                self._rename((path, file))
            case trace.MakeDirectory(path):
                self._rename((path, DIRECTORY))
            case trace.Link(source, path):
                self.files[self.live[source]].is_new = True
                self._rename((path, self.live[source]))
            case trace.Rename(source, path):
                if parent(source) != parent(path):
                    raise NotImplementedError(f"a rename from one directory to another: {operation}")
                self._rename((path, self.live[source]), (source, None))
            case trace.Remove(path):
                self._rename((path, None))
            case trace.SyncFile(file):
                if self.files[file].sync() and self.is_journaled:
                    self._settle(lambda _: True)
            case trace.SyncNames(directory):
                self._settle(lambda change: self.is_journaled or parent(change.path) == directory)
            case trace.SyncAll():
                self._settle(lambda _: True)
                for one in self.files.values():
                    if one.waiting or one.is_new:
                        one.sync()
            case trace.Mapped(path):
                self.mapped.add(path)
            case trace.Answer():
                pass

    def _rename(self, *changes: tuple[str, int | None]) -> None:
        self._order += 1
        for path, file in changes:
            self.waiting.append(NameChange(self._order, path, file))
            _apply(self.live, path, file)

    def _settle(self, is_synced: Callable[[NameChange], bool]) -> None:
        """Make name changes certain."""
        kept = []
        for change in self.waiting:
            if is_synced(change):
                _apply(self.names, change.path, change.file)
            else:
                kept.append(change)
        self.waiting = kept

    def tree(self, kept: Iterable[NameChange]) -> dict[str, int]:
        """Return the names that there are if of those that wait these are kept, each in a directory that is there."""
        names = dict(self.names)
        for change in kept:
            _apply(names, change.path, change.file)
        for path in sorted(names):
            above = parent(path)
            if above and above not in names:
                del names[path]
        return names

    def uncertain(self) -> list[int]:
        """Return the files with data or a length that is not certain."""
        return [number for number, file in self.files.items() if file.waiting]


def _apply(names: dict[str, int], path: str, file: int | None) -> None:
    if file is None:
        names.pop(path, None)
    else:
        names[path] = file
