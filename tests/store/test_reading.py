"""Blobs are read through the page cache or past it, and verified either way."""

from __future__ import annotations

import mmap
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anys3.store.buffers import BUFFER
from anys3.store.embedded import device
from anys3.store.embedded.blobs import BLOCK, BlobWriter, Files
from anys3.store.embedded.format import Reference
from anys3.store.embedded.passing import SHORT_MAX, Passage, Recent
from anys3.store.embedded.reading import OpenBlob
from anys3.store.embedded.residency import Residency
from anys3.store.errors import Corrupt
from tests.spares import count_of_spares, no_spares

SIZE = SHORT_MAX + 2 * BUFFER + 12345
BYTES = random.Random(4).randbytes(SIZE)
SLICES = [
    (0, SIZE),
    (1, SIZE - 1),
    (BLOCK - 1, SHORT_MAX + 2),
    (SIZE - 1, 1),
    (SIZE - SHORT_MAX - 1, SHORT_MAX + 1),
    (BUFFER, BUFFER),
    (3 * BLOCK + 7, 2 * BUFFER),
    (5, 0),
]


@pytest.fixture
def reference(files: Files) -> Iterator[Reference]:
    writer = BlobWriter(files, SIZE, 0)
    writer.write(BYTES)
    writer.finish()
    assert writer._written is not None
    yield writer._written.reference
    writer.discard()


def read(files: Files, reference: Reference, start: int, length: int) -> bytes:
    blob = OpenBlob(files, reference)
    try:
        return b"".join(bytes(block) for block in blob.blocks(start, length))
    finally:
        blob.close()


def forget(files: Files, reference: Reference) -> None:
    """Take a blob out of the page cache."""
    descriptor = device.open_to_read(files.path(reference.id))
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def bring(files: Files, reference: Reference) -> None:
    """Bring a blob into the page cache."""
    files.path(reference.id).read_bytes()


def is_cached(files: Files, reference: Reference, offset: int, length: int) -> bool:
    descriptor = device.open_to_read(files.path(reference.id))
    try:
        return Residency(descriptor).is_cached(offset, length)
    finally:
        os.close(descriptor)


@pytest.fixture
def _needs_cachestat(files: Files, reference: Reference) -> None:
    bring(files, reference)
    if not is_cached(files, reference, 0, SIZE):
        pytest.skip("this system does not tell what its page cache holds")
    forget(files, reference)
    if is_cached(files, reference, 0, SIZE):
        pytest.skip("this file system lives in the page cache")


@pytest.mark.requirement("GET-09")
@pytest.mark.parametrize("prepare", [forget, bring])
@pytest.mark.parametrize(("start", "length"), SLICES)
def test_every_slice_is_the_same_from_the_disk_and_from_memory(
    files: Files, reference: Reference, prepare: Callable[[Files, Reference], None], start: int, length: int
) -> None:
    prepare(files, reference)
    assert read(files, reference, start, length) == BYTES[start : start + length]


def test_a_blob_of_which_memory_holds_the_middle_is_read_whole(files: Files, reference: Reference) -> None:
    forget(files, reference)
    assert read(files, reference, 2 * BUFFER, BUFFER) == BYTES[2 * BUFFER : 3 * BUFFER]
    assert read(files, reference, 0, SIZE) == BYTES


def test_a_blob_is_read_again_and_again_while_it_is_open(files: Files, reference: Reference) -> None:
    forget(files, reference)
    blob = OpenBlob(files, reference)
    found = [b"".join(bytes(block) for block in blob.blocks(start, length)) for start, length in SLICES]
    blob.close()
    assert found == [BYTES[start : start + length] for start, length in SLICES]


@pytest.mark.usefixtures("_needs_cachestat")
def test_a_short_slice_stays_in_the_page_cache_and_brings_nothing_else(
    files: Files, reference: Reference
) -> None:
    read(files, reference, BUFFER, BUFFER)
    assert is_cached(files, reference, BUFFER, BUFFER)
    assert not is_cached(files, reference, 2 * BUFFER, BLOCK)


@pytest.mark.usefixtures("_needs_cachestat")
def test_a_long_slice_leaves_the_page_cache_to_others(files: Files, reference: Reference) -> None:
    read(files, reference, 0, SIZE)
    assert not any(is_cached(files, reference, at, BLOCK) for at in range(0, SIZE - BLOCK, BLOCK))


@pytest.mark.usefixtures("_needs_cachestat")
def test_a_long_slice_that_is_read_again_fills_the_page_cache(files: Files, reference: Reference) -> None:
    assert [read(files, reference, 0, SIZE) for _ in range(2)] == [BYTES, BYTES]
    assert is_cached(files, reference, 0, SIZE)
    assert read(files, reference, 0, SIZE) == BYTES


@pytest.mark.usefixtures("_needs_cachestat")
def test_another_long_slice_of_the_same_blob_is_not_the_same_again(
    files: Files, reference: Reference
) -> None:
    read(files, reference, 0, SIZE - BUFFER)
    read(files, reference, BUFFER, SIZE - BUFFER)
    assert not is_cached(files, reference, 2 * BUFFER, BLOCK)


def test_only_so_many_slices_are_remembered() -> None:
    recent = Recent()
    for blob_id in range(10_000):
        recent.has_seen(blob_id, 0)
    assert [recent.has_seen(blob_id, 0) for blob_id in (0, 9_999)] == [False, True]


@pytest.mark.requirement("GET-09")
@pytest.mark.parametrize("prepare", [forget, bring])
@pytest.mark.parametrize("block", [0, 1, 4, 9, SIZE // BLOCK])
def test_no_byte_of_a_damaged_block_is_handed_out(
    files: Files, reference: Reference, prepare: Callable[[Files, Reference], None], block: int
) -> None:
    with files.path(reference.id).open("r+b") as file:
        file.seek(block * BLOCK + 17)
        file.write(bytes([BYTES[block * BLOCK + 17] ^ 1]))
    prepare(files, reference)
    blob = OpenBlob(files, reference)
    found = bytearray()
    with pytest.raises(Corrupt, match="is damaged between"):
        for piece in blob.blocks(0, SIZE):
            found += piece
    blob.close()
    assert len(found) <= block * BLOCK
    assert found == BYTES[: len(found)]


def test_without_memory_to_spare_everything_is_read_all_the_same(files: Files, reference: Reference) -> None:
    forget(files, reference)
    with no_spares():
        assert read(files, reference, 0, SIZE) == BYTES


def test_a_read_that_is_given_up_gives_its_memory_back(files: Files, reference: Reference) -> None:
    forget(files, reference)
    before = count_of_spares()
    for _ in range(100):
        blob = OpenBlob(files, reference)
        blocks = blob.blocks(0, SIZE)
        assert bytes(next(blocks)) == BYTES[:BUFFER]
        blob.close()
    del blocks
    assert count_of_spares() == before


def test_a_closed_blob_is_not_read(files: Files, reference: Reference) -> None:
    forget(files, reference)
    blob = OpenBlob(files, reference)
    blocks = blob.blocks(0, SIZE)
    next(blocks)
    next(blocks)
    blob.close()
    with pytest.raises(Corrupt, match="closed"):
        list(blocks)


def test_a_file_system_that_cannot_by_pass_its_cache_is_read_through_it() -> None:
    path = Path("/proc/version")
    if not path.exists():
        pytest.skip("this system has no /proc")
    descriptor = device.open_to_read(path)
    assert device.set_direct(descriptor, is_direct=True) is False
    passage = Passage(descriptor, 1, Recent())
    passage.begin(0, SIZE)
    with mmap.mmap(-1, BUFFER) as buffer, memoryview(buffer) as view:
        got = passage.read(view, BUFFER, 0)
        assert buffer[:got] == path.read_bytes()
    os.close(descriptor)


def test_a_file_system_that_wants_another_alignment_is_read_through_its_cache(
    files: Files, reference: Reference
) -> None:
    forget(files, reference)
    descriptor = device.open_to_read(files.path(reference.id))
    passage = Passage(descriptor, reference.id, Recent())
    passage.begin(0, SIZE)
    with mmap.mmap(-1, BUFFER) as buffer, memoryview(buffer) as view:
        passage.read(view, BLOCK, 1)
        assert buffer[:BLOCK] == BYTES[1 : BLOCK + 1]
    os.close(descriptor)


def test_an_unreadable_blob_is_corrupt(files: Files, reference: Reference) -> None:
    blob = OpenBlob(files, reference)
    os.truncate(files.path(reference.id), BLOCK)
    with pytest.raises(Corrupt, match="too short"):
        list(blob.blocks(0, SIZE))
    blob.close()
