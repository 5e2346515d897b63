"""Byte ranges against slices of real bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import ranges
from anys3.spec.errors import S3Error

GIB = 1024**3

sizes = st.integers(0, 40)
positions = st.integers(0, 60)


def taken(value: str, size: int) -> bytes | str | None:
    """Return the bytes that a range takes from `size` different ones, None if ignored, or an error's code."""
    content = bytes(range(size))
    try:
        found = ranges.parse(value.encode(), size)
    except S3Error as error:
        return error.code
    return None if found is None else content[found[0] : found[0] + found[1]]


@pytest.mark.requirement("RNG-01", "RNG-02", "RNG-04", "RNG-05")
@given(positions, positions, sizes)
def test_a_range_takes_the_bytes_from_first_to_last(first: int, last: int, size: int) -> None:
    expected = bytes(range(size))[first : last + 1] or "InvalidRange"
    assert taken(f"bytes={first}-{last}", size) == (expected if first <= last else None)


@pytest.mark.requirement("RNG-02", "RNG-04")
@given(positions, sizes)
def test_an_open_range_takes_the_rest(first: int, size: int) -> None:
    assert taken(f"bytes={first}-", size) == (bytes(range(size))[first:] or "InvalidRange")


@pytest.mark.requirement("RNG-03", "RNG-04")
@given(positions, sizes)
def test_a_suffix_range_takes_the_end(length: int, size: int) -> None:
    expected = bytes(range(size))[max(0, size - length) :]
    assert taken(f"bytes=-{length}", size) == (expected or "InvalidRange")


@pytest.mark.requirement("RNG-05")
@pytest.mark.parametrize(
    "value",
    ["", "bytes", "bytes=", "bytes=-", "bytes=2-1", "bytes=0-1,3-4", "lines=0-1", "0-1", "bytes=a-b"]
    + [
        "bytes=0-1-2",
        "bytes= 0-1",
        "bytes=0x1-2",
        "bytes=-1-2",
        "bytes=+1-2",
        "bytes=١-٢",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_what_is_no_single_byte_range_is_ignored(value: str) -> None:
    assert taken(value, 10) is None


@pytest.mark.requirement("RNG-04")
def test_an_invalid_range_tells_the_size() -> None:
    with pytest.raises(S3Error) as caught:
        ranges.parse(b"bytes=10-", 10)
    assert caught.value.status == 416
    assert caught.value.details == {"ActualObjectSize": "10", "RangeRequested": "bytes=10-"}
    assert caught.value.headers == b"Content-Range: bytes */10\r\n"


@pytest.mark.requirement("RNG-09")
def test_ranges_reach_beyond_4_gib() -> None:
    assert ranges.parse(b"bytes=5368709119-", 5 * GIB) == (5 * GIB - 1, 1)
    assert ranges.parse(b"bytes=0-99999999999999999999", 5 * GIB) == (0, 5 * GIB)


@pytest.mark.requirement("UPC-03")
@given(positions, positions, st.integers(1, 40))
def test_a_copy_range_lies_within_the_source(first: int, last: int, size: int) -> None:
    value = f"bytes={first}-{last}".encode()
    if first <= last < size:
        assert ranges.parse_copy_range(value, size) == (first, last - first + 1)
    else:
        with pytest.raises(S3Error, match="InvalidArgument"):
            ranges.parse_copy_range(value, size)


@pytest.mark.requirement("UPC-04", "UPC-05")
@pytest.mark.parametrize(
    "value",
    [
        "0-8",
        "bytes=0-",
        "bytes=-3",
        "bytes=1-0",
        "bytes=0-1,3-4",
        "bytes=0-10",
        "bytes=10-11",
        "",
        "bytes=a-b",
    ],
)
def test_any_other_copy_range_is_refused(value: str) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        ranges.parse_copy_range(value.encode(), 10)


@pytest.mark.requirement("UPC-07")
def test_at_most_5_gib_are_copied_as_one_part() -> None:
    assert ranges.parse_copy_range(b"bytes=1-5368709120", 6 * GIB) == (1, 5 * GIB)
    with pytest.raises(S3Error, match="InvalidRequest"):
        ranges.parse_copy_range(b"bytes=0-5368709120", 6 * GIB)
