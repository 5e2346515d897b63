"""Servers broken for the checks of ranges."""

from __future__ import annotations

import re
from collections.abc import Callable

from anys3.conformance.kit.multipart import MIN_PART
from anys3.protocol import conditions, ranges
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from tests.broken_servers import (
    Breakage,
    answering,
    breaks,
    drop_header,
    overlooking,
    patched,
    set_header,
    without_header,
)

Span = tuple[int, int] | None
_parse = ranges.parse


def ranged(sentence: str, parse: Callable[[bytes, int], Span]) -> Breakage:
    """Reads ranges in another way."""
    return patched(sentence, "anys3.protocol.ranges.parse", parse)


def exclusive(value: bytes, size: int) -> Span:
    span = _parse(value, size)
    return (span[0], max(1, span[1] - 1)) if span and not value.endswith(b"-") else span


def refused_beyond(value: bytes, size: int) -> Span:
    _, _, last = value.partition(b"-")
    if last.isdigit() and int(last) >= size:
        raise S3Error("InvalidRange")
    return _parse(value, size)


def closed_only(value: bytes, size: int) -> Span:
    return _parse(value, size) if re.fullmatch(rb"bytes=\d+-\d+", value) else None


def suffixes_from_the_start(value: bytes, size: int) -> Span:
    return _parse(value.replace(b"=-", b"=0-"), size)


def never_refused(value: bytes, size: int) -> Span:
    try:
        return _parse(value, size)
    except S3Error:
        return None


def last_none_is_all(value: bytes, size: int) -> Span:
    return None if value == b"bytes=-0" else _parse(value, size)


def strict(value: bytes, size: int) -> Span:
    span = _parse(value, size)
    if span is None:
        raise S3Error("InvalidRange")
    return span


def first_of_several(value: bytes, size: int) -> Span:
    return _parse(value.partition(b",")[0], size)


def any_unit(value: bytes, size: int) -> Span:
    return _parse(value.replace(b"lines", b"bytes"), size)


def shifted(value: bytes, size: int) -> Span:
    span = _parse(value, size)
    return (span[0] - 1, span[1]) if span and 0 < span[0] < size - span[1] else span


def lost_in_part_two(value: bytes, size: int) -> Span:
    span = _parse(value, size)
    return (span[0] + 1, span[1]) if span and span[0] >= MIN_PART else span


def stopping_at_the_boundary(value: bytes, size: int) -> Span:
    span = _parse(value, size)
    if span and span[0] < MIN_PART < span[0] + span[1]:
        return span[0], MIN_PART - span[0]
    return span


def in_206(change: Callable[[Answer], Answer]) -> Callable[[Request, Answer], Answer | None]:
    """Return what changes answers with a range."""
    return lambda _, answer: change(answer) if answer.status == 206 else None


breaks(
    ("RNG-01/first-to-last", "RNG-01/head-of-a-range"), ranged("the end of a range is exclusive", exclusive)
)
breaks("RNG-01/first-to-last", without_header("Content-Range", method="GET"))
breaks("RNG-01/head-of-a-range", overlooking("HeadObject", "range"))
breaks("RNG-01/head-of-a-range", without_header("Content-Range", method="HEAD"))
breaks("RNG-02/open-or-clipped-end", ranged("an end behind the object is refused", refused_beyond))
breaks(("RNG-02/open-or-clipped-end", "RNG-03/last-bytes"), ranged("only first-last is known", closed_only))
breaks("RNG-03/last-bytes", ranged("the last bytes are the first", suffixes_from_the_start))
breaks("RNG-03/last-bytes", ranged("more than there are is refused", refused_beyond))
breaks(
    ("RNG-04/behind-the-end", "RNG-04/of-an-empty-object"), ranged("no range is ever refused", never_refused)
)
breaks("RNG-04/behind-the-end", ranged("the last no bytes are all", last_none_is_all))
breaks("RNG-04/behind-the-end", overlooking("HeadObject", "range"))
breaks("RNG-05/ignored-ranges", ranged("what is no range is refused", strict))
breaks("RNG-05/ignored-ranges", ranged("the first of several is sent", first_of_several))
breaks("RNG-05/ignored-ranges", ranged("every unit is bytes", any_unit))
for _name in ("ETag", "Last-Modified", "Content-Type", "Cache-Control", "x-amz-meta-a3"):
    breaks(
        "RNG-06/same-object",
        answering(f"a 206 lacks {_name}", in_206(lambda answer, name=_name: drop_header(answer, name))),
    )
breaks("RNG-06/same-object", ranged("ranges begin a byte early", shifted))
breaks("RNG-07/if-range", overlooking("GetObject", "if_range"))
breaks(
    "RNG-07/if-range",
    patched("If-Range never holds", "anys3.protocol.conditions.if_range_holds", lambda *_: False),
)
breaks(
    "RNG-07/if-range",
    patched(
        "If-Range knows no dates",
        "anys3.protocol.conditions.if_range_holds",
        lambda value, etag, _: conditions.etags.unquote(value) == etag,
    ),
)
breaks("RNG-08/safe-resume", overlooking("GetObject", "if_match"))
breaks("RNG-08/safe-resume", overlooking("GetObject", "range"))
breaks("RNG-09/over-part-boundaries", ranged("the second part is read a byte too far", lost_in_part_two))
breaks("RNG-09/over-part-boundaries", ranged("a range ends with its part", stopping_at_the_boundary))
breaks(
    "RNG-10/no-checksum-of-the-whole",
    answering(
        "a range carries the checksum of the whole",
        in_206(lambda answer: set_header(answer, "x-amz-checksum-crc32", "y/Q5Jg==")),
    ),
)
