"""Byte ranges: of a read, where doubt means the whole object, and of a copy, where it means refusal."""

from __future__ import annotations

import re

from anys3.spec.errors import S3Error

MAX_COPY_BYTES = 5 * 1024**3

# More digits than any size has, fewer than Python refuses to convert.
_RANGE = re.compile(rb"bytes=([0-9]{0,40})-([0-9]{0,40})", re.IGNORECASE)
_COPY_RANGE = re.compile(rb"bytes=([0-9]{1,40})-([0-9]{1,40})")


def parse(value: bytes, size: int) -> tuple[int, int] | None:
    """Return (start, length) of the range of an object of `size` bytes; None: the header is ignored.

    Ignored are several ranges, other units, `a>b` and bad syntax (RNG-05).

        >>> parse(b"bytes=2-4", 10), parse(b"bytes=-3", 10), parse(b"bytes=8-99", 10)
        ((2, 3), (7, 3), (8, 2))

    Raises S3Error:
        InvalidRange: the range begins behind the last byte, or is empty (RNG-04).
    """
    match = _RANGE.fullmatch(value.strip())
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        length = min(int(last), size)
        start = size - length
    else:
        start = int(first)
        end = int(last) + 1 if last else max(size, start + 1)
        if end <= start:
            return None
        length = min(end, size) - start
    if length <= 0:
        raise _invalid_range(value, size)
    return start, length


def _invalid_range(value: bytes, size: int) -> S3Error:
    requested = value.strip().decode("latin-1")
    error = S3Error("InvalidRange", ActualObjectSize=str(size), RangeRequested=requested)
    error.headers = b"Content-Range: bytes */%d\r\n" % size
    return error


def parse_copy_range(value: bytes, size: int) -> tuple[int, int]:
    """Return (start, length) of the range of a source of `size` bytes that UploadPartCopy takes (UPC-03).

    Raises S3Error:
        InvalidArgument: any form but `bytes=a-b` (UPC-04), or beyond the end of the source (UPC-05).
        InvalidRequest: more than 5 GiB (UPC-07).
    """
    match = _COPY_RANGE.fullmatch(value.strip())
    start, last = (int(match[1]), int(match[2])) if match else (1, 0)
    if not start <= last < size:
        raise S3Error(
            "InvalidArgument",
            f"The range of the copy source must be bytes=first-last within its {size} bytes.",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=value.decode("latin-1"),
        )
    length = last - start + 1
    if length > MAX_COPY_BYTES:
        raise S3Error("InvalidRequest", f"At most {MAX_COPY_BYTES} bytes can be copied as one part.")
    return start, length
