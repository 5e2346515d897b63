"""What GetObject and HeadObject share: conditions, ranges, parts, overrides and checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from anys3.operations.publishing import checksum_lines
from anys3.operations.unfinished import check_part_number
from anys3.protocol import conditions, metadata, ranges
from anys3.protocol.http import Answer
from anys3.spec.errors import S3Error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anys3.model import Entry, Part
    from anys3.operations.call import Call
    from anys3.wire.shapes import GetObjectInput, HeadObjectInput

    ReadInput = GetObjectInput | HeadObjectInput

OVERRIDES = {
    "response_content_type": b"Content-Type",
    "response_content_language": b"Content-Language",
    "response_expires": b"Expires",
    "response_cache_control": b"Cache-Control",
    "response_content_disposition": b"Content-Disposition",
    "response_content_encoding": b"Content-Encoding",
}


class Reading(NamedTuple):
    """What to answer: status, header lines, and which slice of the object."""

    status: int
    headers: bytes
    start: int
    length: int


def is_conditional(want: ReadInput) -> bool:
    """Return whether any precondition was sent."""
    return not (
        want.if_match is None
        and want.if_none_match is None
        and want.if_modified_since is None
        and want.if_unmodified_since is None
    )


def not_modified(entry: Entry) -> Answer:
    """Return a 304 with ETag, Last-Modified, Cache-Control and Expires (CONDR-07)."""
    kept = (b"etag", b"last-modified", b"cache-control", b"expires", b"vary")
    lines = metadata.parse_lines(entry.headers)
    return Answer(
        304, b"".join(b"%b: %b\r\n" % (name, value) for name, value in lines if name.lower() in kept)
    )


def plan_reading(call: Call, want: ReadInput, entry: Entry, parts: Sequence[Part]) -> Reading | None:
    """Decide what to send; None means 304. Preconditions come before ranges (CONDR-06).

    Raises S3Error PreconditionFailed, InvalidRange (RNG-04), InvalidPartNumber and InvalidRequest (PN-02).
    """
    if not vars(want):
        return Reading(200, entry.headers, 0, entry.size)  # nothing was asked but the object
    if is_conditional(want):
        asked = conditions.Conditions(
            want.if_match, want.if_none_match, want.if_modified_since, want.if_unmodified_since
        )
        if conditions.is_not_modified(asked, entry.etag, entry.modified_ms, call.now_ms):
            return None
    headers = entry.headers
    if call.request.query:
        headers = _override(call, want, headers)
    is_checksum_wanted = want.checksum_mode is not None and want.checksum_mode.upper() == b"ENABLED"
    if want.part_number is not None:
        return _part(want, entry, parts, headers, is_checksum_wanted=is_checksum_wanted)
    chosen = None
    if want.range is not None and _is_range_wanted(want, entry):
        chosen = ranges.parse(want.range, entry.size)
    start, length = chosen or (0, entry.size)
    if is_checksum_wanted and length == entry.size:
        headers += checksum_lines(entry.checksum)
    if chosen is None:
        return Reading(200, headers, 0, entry.size)
    return Reading(206, headers + content_range(start, length, entry.size), start, length)


def content_range(start: int, length: int, size: int) -> bytes:
    """Return the Content-Range line of a 206 (RNG-01)."""
    return b"Content-Range: bytes %d-%d/%d\r\n" % (start, start + length - 1, size)


def _is_range_wanted(want: ReadInput, entry: Entry) -> bool:
    """Return whether `If-Range` lets the range stand (RNG-07)."""
    if_range = want.if_range
    return if_range is None or conditions.if_range_holds(if_range, entry.etag, entry.modified_ms)


def _part(
    want: ReadInput, entry: Entry, parts: Sequence[Part], headers: bytes, *, is_checksum_wanted: bool
) -> Reading:
    """Answer `?partNumber=N` (PN-01, PN-02, CK-12)."""
    if want.range is not None:
        raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    number = check_part_number(want.part_number)
    if not parts:
        return _only_part(entry, number, headers, is_checksum_wanted=is_checksum_wanted)
    start = 0
    for index, part in enumerate(parts, 1):
        if index == number:
            headers += b"x-amz-mp-parts-count: %d\r\n" % len(parts)
            is_composite = entry.checksum is not None and entry.checksum.type == "COMPOSITE"
            if is_checksum_wanted and (is_composite or len(parts) == 1):
                headers += checksum_lines(part.checksum if is_composite else entry.checksum)
            if part.size == 0:
                return Reading(200 if len(parts) == 1 else 206, headers, start, 0)
            return Reading(206, headers + content_range(start, part.size, entry.size), start, part.size)
        start += part.size
    raise S3Error("InvalidPartNumber", PartNumberRequested=str(number), ActualPartCount=str(len(parts)))


def _only_part(entry: Entry, number: int, headers: bytes, *, is_checksum_wanted: bool) -> Reading:
    """Answer for an object that was put in one piece: part 1 is the whole, and there is no part count."""
    if number != 1:
        raise S3Error("InvalidPartNumber", PartNumberRequested=str(number), ActualPartCount="1")
    if is_checksum_wanted:
        headers += checksum_lines(entry.checksum)
    if entry.size == 0:
        return Reading(200, headers, 0, 0)
    return Reading(206, headers + content_range(0, entry.size, entry.size), 0, entry.size)


def _override(call: Call, want: ReadInput, headers: bytes) -> bytes:
    """Apply `response-*` (OVR-01): signed requests only, on 200 and 206 only."""
    chosen = {
        header: value.encode("utf-8")
        for attribute, header in OVERRIDES.items()
        if (value := getattr(want, attribute)) is not None
    }
    if not chosen:
        return headers
    if call.identity.is_anonymous:
        raise S3Error(
            "InvalidRequest", "Request specific response headers cannot be used for anonymous requests"
        )
    return metadata.override(headers, chosen)
