"""Blobs are written while their next bytes arrive, or in turn, with the same file at the end."""

from __future__ import annotations

import random
import resource
import signal
import threading
from collections.abc import Iterator

import pytest

from anys3.store.buffers import BUFFER
from anys3.store.embedded.blobs import BLOCK, BlobWriter, Files
from anys3.store.embedded.reading import OpenBlob
from anys3.store.errors import StoreError
from tests.spares import count_of_spares, no_spares

BYTES = random.Random(5).randbytes(5 * BUFFER + 4097)
SIZES = [BLOCK, BUFFER - 1, BUFFER, BUFFER + 1, 2 * BUFFER, 2 * BUFFER + 1, 3 * BUFFER - 1, len(BYTES)]


@pytest.fixture
def _no_spares() -> Iterator[None]:
    with no_spares():
        yield


def write(files: Files, size: int, piece: int, length: int | None) -> bytes:
    """Write a blob in pieces; return what is read from it."""
    writer = BlobWriter(files, length, 0)
    for at in range(0, size, piece):
        writer.write(BYTES[at : min(at + piece, size)])
    writer.finish()
    assert writer._written is not None
    blob = OpenBlob(files, writer._written.reference)
    found = b"".join(bytes(block) for block in blob.blocks(0, size))
    blob.close()
    writer.discard()
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [65_521, BUFFER, 3 * BUFFER])
def test_what_was_written_is_read(files: Files, size: int, piece: int) -> None:
    assert write(files, size, piece, size) == BYTES[:size]


@pytest.mark.parametrize("size", SIZES)
def test_a_blob_of_unknown_length_is_written_too(files: Files, size: int) -> None:
    assert write(files, size, 100_003, None) == BYTES[:size]


@pytest.mark.usefixtures("_no_spares")
@pytest.mark.parametrize("size", SIZES)
def test_without_memory_to_spare_the_same_is_written_in_turn(files: Files, size: int) -> None:
    assert write(files, size, 100_003, size) == BYTES[:size]


def test_a_discarded_writer_leaves_no_file_and_keeps_no_memory(files: Files) -> None:
    before = count_of_spares()
    for _ in range(60):
        writer = BlobWriter(files, len(BYTES), 0)
        writer.write(BYTES)
        writer.discard()
    assert count_of_spares() == before
    assert list(files.incoming.iterdir()) == []


def test_a_disk_that_fails_beside_is_told_at_the_next_write_or_at_the_end(files: Files) -> None:
    before = count_of_spares()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = BlobWriter(files, None, 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BUFFER, limits[1]))
    try:
        with pytest.raises(StoreError):
            write_and_finish(writer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert count_of_spares() == before
    assert list(files.incoming.iterdir()) == []


def write_and_finish(writer: BlobWriter) -> None:
    writer.write(BYTES[: 2 * BUFFER + 1])
    writer.finish()


def test_many_writers_at_once_do_not_mix_their_bytes(files: Files) -> None:
    before = count_of_spares()
    found: dict[int, bytes] = {}

    def work(number: int) -> None:
        found[number] = write(files, len(BYTES) - number, 65_521 + number, None)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(found[number]) for number in range(len(threads))] == [
        len(BYTES) - number for number in range(len(threads))
    ]
    assert all(BYTES.startswith(content) for content in found.values())
    assert count_of_spares() == before
