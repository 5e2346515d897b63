"""What a device may hold at one moment: images of a model disk, from the kindest to the worst."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.torture.power import trace
from tests.torture.power.filesystem import ALL, BLOCK, DIRECTORY, SECTOR, Cut, Disk, File, NameChange

STALE = b"\xa5"
_SECTORS = BLOCK // SECTOR
_METAS = 2
"""LMDB's meta pages are the first two of its file."""


class Data(NamedTuple):
    """Which of a file's waiting data and lengths are there."""

    cut: Cut
    size_cut: int
    stale: bytes = b""


DataPolicy = Callable[[File, random.Random], Data]
NamePolicy = Callable[[list[NameChange], random.Random], list[NameChange]]


@dataclass(slots=True)
class Image:
    """What the device holds: a store as a start finds it after power loss."""

    policy: str
    names: dict[str, int]
    """Path and number of the file, DIRECTORY for a directory."""
    contents: dict[int, bytes] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    """Of files that nothing waits for: what was certain when the image was made."""

    @property
    def key(self) -> int:
        """What two images share if they are the same."""
        content = {number: hash(data) for number, data in self.contents.items()}
        return hash(tuple((path, content.get(file)) for path, file in sorted(self.names.items())))


# --- data -------------------------------------------------------------------------------------------------


def nothing(_: File, __: random.Random) -> Data:
    return Data(lambda _: -1, -1)


def everything(_: File, __: random.Random) -> Data:
    return Data(lambda _: ALL, ALL)


def lengths(_: File, __: random.Random) -> Data:
    """Lengths without data: it reads as zeroes."""
    return Data(lambda _: -1, ALL)


def stale(_: File, __: random.Random) -> Data:
    """Lengths without data: it reads as what somebody else had there."""
    return Data(lambda _: -1, ALL, STALE)


def data_without_length(_: File, __: random.Random) -> Data:
    return Data(lambda _: ALL, -1)


def newest(file: File, _: random.Random) -> Data:
    """Only what was written last."""
    last = next((one for one in reversed(file.waiting) if isinstance(one, trace.Write)), None)
    if last is None:
        return Data(lambda _: -1, ALL)
    sectors = range(last.offset // SECTOR, -(-(last.offset + len(last.data)) // SECTOR))
    return Data(lambda sector: ALL if sector in sectors else -1, ALL)


def metas(_: File, __: random.Random) -> Data:
    """Only the first two blocks: LMDB's meta pages without the pages that they name."""
    return Data(lambda sector: ALL if sector < _METAS * _SECTORS else -1, ALL)


def all_but_metas(_: File, __: random.Random) -> Data:
    return Data(lambda sector: -1 if sector < _METAS * _SECTORS else ALL, ALL)


def until(file: File, some: random.Random) -> Data:
    """Everything until one moment, in order."""
    place = some.randint(-1, len(file.waiting))
    return Data(lambda _: place, place)


def _versions(file: File) -> dict[int, list[int]]:
    """Return for each block the places of the writes to it that wait."""
    found: dict[int, list[int]] = {}
    for place, operation in enumerate(file.waiting):
        if isinstance(operation, trace.Write):
            end = operation.offset + len(operation.data)
            for block in range(operation.offset // BLOCK, -(-end // BLOCK)):
                found.setdefault(block, [-1]).append(place)
    return found


def _size(file: File, some: random.Random) -> int:
    return some.choice((ALL, ALL, some.randint(-1, len(file.waiting))))


def blocks(file: File, some: random.Random) -> Data:
    """Of each block any version."""
    share = some.random()
    chosen = {
        block: some.choice(places) if some.random() < share else places[-1]
        for block, places in _versions(file).items()
    }
    return Data(lambda sector: chosen[sector // _SECTORS], _size(file, some), some.choice((b"", STALE)))


def one_lost(file: File, some: random.Random) -> Data:
    """Everything but one block."""
    found = _versions(file)
    lost = some.choice(sorted(found)) if found else -1
    return Data(lambda sector: -1 if sector // _SECTORS == lost else ALL, ALL)


def sectors(file: File, some: random.Random) -> Data:
    """Blocks torn between sectors, each with a version of its own."""
    chosen = {
        block * _SECTORS + number: some.choice(places)
        for block, places in _versions(file).items()
        for number in range(_SECTORS)
    }
    return Data(lambda sector: chosen[sector], _size(file, some), some.choice((b"", STALE)))


def mixed(file: File, some: random.Random) -> Data:
    """Another policy for each file."""
    return some.choice((nothing, everything, lengths, stale, newest, blocks, sectors, until))(file, some)


# --- names ------------------------------------------------------------------------------------------------


def no_names(_: list[NameChange], __: random.Random) -> list[NameChange]:
    return []


def all_names(waiting: list[NameChange], _: random.Random) -> list[NameChange]:
    return waiting


def last_name(waiting: list[NameChange], _: random.Random) -> list[NameChange]:
    return [change for change in waiting if change.order == waiting[-1].order]


def first_names(waiting: list[NameChange], some: random.Random) -> list[NameChange]:
    """All until one moment, as a journal keeps them."""
    last = some.choice(waiting).order if waiting else 0
    return [change for change in waiting if change.order <= last]


def some_names(waiting: list[NameChange], some: random.Random) -> list[NameChange]:
    """Any of them; of a rename, now and then, only that the new name is there."""
    orders = sorted({change.order for change in waiting})
    kept = {order for order in orders if some.random() < 0.5}
    half = {order for order in kept if some.random() < 0.2}
    is_rename = {change.order for change in waiting if change.file is not None}
    return [
        change
        for change in waiting
        if change.order in kept
        and not (change.order in half and change.order in is_rename and change.file is None)
    ]


# --- both -------------------------------------------------------------------------------------------------

_FIXED: tuple[tuple[NamePolicy, DataPolicy], ...] = (
    (no_names, nothing), (all_names, everything), (all_names, nothing), (all_names, lengths), (all_names, stale),
    (no_names, everything), (last_name, newest), (all_names, metas), (all_names, all_but_metas),
    (all_names, newest), (all_names, data_without_length),
)  # fmt: skip
_DRAWN: tuple[tuple[NamePolicy, DataPolicy], ...] = (
    (some_names, blocks), (some_names, sectors), (all_names, one_lost), (some_names, mixed), (all_names, blocks),
    (all_names, sectors), (some_names, until), (some_names, everything), (some_names, one_lost),
)  # fmt: skip
_JOURNALED: tuple[tuple[NamePolicy, DataPolicy], ...] = (
    (no_names, nothing), (all_names, everything), (first_names, blocks), (first_names, mixed),
    (no_names, everything), (first_names, nothing), (first_names, sectors), (all_names, mixed),
)  # fmt: skip


def images(disk: Disk, some: random.Random, fixed: int, drawn: int) -> Iterator[Image]:
    """Yield that many images: of the fixed ones in their order, and of those that chance makes."""
    if disk.is_journaled:
        order = [*some.sample(_JOURNALED, min(fixed, len(_JOURNALED)))]
        order += some.choices(_JOURNALED[2:4], k=drawn)
    else:
        order = [*some.sample(_FIXED, min(fixed, len(_FIXED))), *some.choices(_DRAWN, k=drawn)]
    for names, data in order:
        yield image(disk, some, names, data)


def image(disk: Disk, some: random.Random, names: NamePolicy, data: DataPolicy) -> Image:
    """Return what the device holds if it has these of the names and of the data that wait."""
    kind = "journal" if disk.is_journaled else "posix"
    kept = names(disk.waiting, some)
    made = Image(f"{kind}: {names.__name__}, {data.__name__}", disk.tree(kept))
    mapped = {disk.live[path] for path in disk.mapped if path in disk.live}
    for number in set(made.names.values()) - {DIRECTORY}:
        file = disk.files[number]
        chosen = data(file, some)
        content = file.content(chosen.cut, chosen.size_cut, chosen.stale)
        if number in mapped:  # what is in such memory may have come to the device, or not
            content = some.choice((bytes(len(content)), some.randbytes(len(content))))
        made.contents[number] = content
    return made
