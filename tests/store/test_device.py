"""What file systems do differently is told apart by trying."""

from __future__ import annotations

import errno
import mmap
import os
import resource
from pathlib import Path

import pytest

from anys3.store.embedded import device


def test_a_descriptor_that_goes_through_the_cache_takes_any_offset_and_length(tmp_path: Path) -> None:
    descriptor, is_direct = device.create(tmp_path / "file")
    assert device.drop_direct(descriptor) is is_direct
    assert device.drop_direct(descriptor) is False
    device.write_at(descriptor, memoryview(b"abc"), 1)
    os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"\0abc"


def test_whole_pages_of_aligned_memory_may_always_be_written(tmp_path: Path) -> None:
    descriptor, _ = device.create(tmp_path / "file")
    device.reserve(descriptor, 3 * device.PAGE)
    with mmap.mmap(-1, 2 * device.PAGE) as buffer:
        buffer[:3] = b"abc"
        device.write_at(descriptor, memoryview(buffer), device.PAGE)
    os.close(descriptor)
    written = (tmp_path / "file").read_bytes()
    assert written == bytes(device.PAGE) + b"abc" + bytes(2 * device.PAGE - 3)


def test_a_file_is_never_created_over_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        device.create(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"precious"


def test_reading_past_the_end_tells_how_much_there_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    descriptor = device.open_to_read(tmp_path / "file")
    into = bytearray(10)
    assert device.read_at(descriptor, memoryview(into), 1) == 2
    assert into[:2] == b"bc"
    os.close(descriptor)


def test_more_than_the_device_has_is_refused_before_anything_is_taken(tmp_path: Path) -> None:
    descriptor, _ = device.create(tmp_path / "file")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Should `reserve` ask the file system all the same, this keeps it from filling the device: EFBIG.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError, match="space") as caught:
            device.reserve(descriptor, 1 << 43)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.ENOSPC
    assert os.fstat(descriptor).st_blocks == 0
    os.close(descriptor)
