"""The files of blobs, seen from outside of a store: for copies of them (backup.py)."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path

from anys3.store.embedded import device
from anys3.store.embedded.blobs import BLOCK, FOOTER, MAGIC, VERSION
from anys3.store.embedded.format import BLOB, Reference, crc32


def path(store: Path, blob_id: int) -> Path:
    """Return where a store keeps a blob."""
    return store / "blobs" / f"{blob_id & 0xFF:02x}" / f"{blob_id:016x}"


def summary(file: Path) -> tuple[int, int] | None:
    """Return size and checksum of what a blob's trailer describes; None for none, or a damaged one."""
    try:
        descriptor = device.open_to_read(file)
    except FileNotFoundError:
        return None
    try:
        length = os.fstat(descriptor).st_size
        footer = bytearray(FOOTER.size)
        if length < FOOTER.size or device.read_at(descriptor, memoryview(footer), length - FOOTER.size) < 1:
            return None
        magic, _, _, _, size, crc = FOOTER.unpack(footer)
        table = bytearray(4 * -(-size // BLOCK)) if magic == MAGIC and size < length else b""
        if not table or size + len(table) + FOOTER.size != length:
            return None
        device.read_at(descriptor, memoryview(table), size)
        return (size, crc) if crc32(table) == crc else None
    finally:
        os.close(descriptor)


def judge(reference: Reference, sums: list[int], trailer: bytes) -> str:
    """Return what is wrong with a blob of these blocks and this trailer, "" if nothing is."""
    table = b"".join(one.to_bytes(4, "big") for one in sums)
    expected = FOOTER.pack(MAGIC, VERSION, 0, BLOCK, reference.size, reference.crc)
    if len(trailer) != len(table) + len(expected):
        return f"blob {reference.id} has another size than its row says"
    if trailer[len(table) :] != expected or crc32(trailer[: len(table)]) != reference.crc:
        return f"blob {reference.id} has a damaged trailer"
    wrong = [n for n in range(len(sums)) if table[4 * n : 4 * n + 4] != trailer[4 * n : 4 * n + 4]]
    if wrong:
        return f"blob {reference.id} is damaged between {wrong[0] * BLOCK} and {(wrong[0] + 1) * BLOCK}"
    return ""


def size_of_blobs(path: Path) -> int:
    """Return how many bytes the files of a store's blobs have."""
    size = 0
    for directory in (path / "blobs").iterdir():
        with os.scandir(directory) as files:
            for file in files:
                try:
                    size += file.stat().st_size
                except FileNotFoundError:  # deleted since
                    continue
    return size


class Wanted:
    """The blobs that are to be copied, in 20 bytes each."""

    def __init__(self) -> None:
        self.ids = array("Q")
        self.sizes = array("Q")
        self.sums = array("I")

    def add(self, reference: Reference) -> None:
        """Add one."""
        self.ids.append(reference.id)
        self.sizes.append(reference.size)
        self.sums.append(reference.crc)

    def references(self) -> Iterator[Reference]:
        """Yield them in the order in which they were added."""
        for blob_id, size, crc in zip(self.ids, self.sizes, self.sums, strict=True):
            yield Reference(BLOB, blob_id, size, crc)
