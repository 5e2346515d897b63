"""Ranges and resumed downloads: RNG-01 to RNG-10."""

from __future__ import annotations

import time
from collections.abc import Mapping

from anys3.conformance.digests import crc32_base64
from anys3.conformance.kit.multipart import MIN_PART, filler
from anys3.conformance.kit.together import together
from anys3.conformance.probe import Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_OPERATION = "GetObject"
_DIGITS = b"0123456789"
_OTHER_ETAG = '"00000000000000000000000000000000"'
_FAR_BEHIND = (1 << 63) - 2
"""What the SDK for Java asks for as the last byte of a range without an end."""
_HEADERS = {"content-type": "text/x-a3", "cache-control": "no-cache", "x-amz-meta-a3": "1"}
_SAME = ("etag", "last-modified", *_HEADERS)
_IGNORED = ("bytes=0-1,3-4", "lines=0-1", "bytes=5-4", "bytes=a-b")
_RESOLUTION_S = 1.1


def _read(probe: Probe, key: str, span: str, headers: Mapping[str, str] | None = None) -> Reply:
    """GET with a Range."""
    return probe.get(key, {"range": span, **(headers or {})})


def _expect_digits(reply: Reply, span: str, first: int, last: int) -> None:
    """Raise Failed unless an answer is those of the ten digits, and says so."""
    about = f"{reply.exchange.method} of 10 bytes with Range: {span}"
    reply.expect("206", about=about)
    equal(reply.header("content-range"), f"bytes {first}-{last}/10", f"Content-Range of {about}")
    equal(reply.header("content-length"), str(last - first + 1), f"Content-Length of {about}")
    body = b"" if reply.exchange.method == "HEAD" else _DIGITS[first : last + 1]
    equal(reply.body, body, f"the body of {about}")


def _expect_each(probe: Probe, *trials: tuple[str, int, int]) -> None:
    """Read ranges of the ten digits; each trial is the range, and the first and last byte of the answer."""
    key = probe.shared_object(_DIGITS)
    with together() as each:
        for span, first, last in trials:
            with each():
                _expect_digits(_read(probe, key, span), span, first, last)


@check("RNG-01", operation=_OPERATION)
def first_to_last(probe: Probe) -> None:
    """A range from one byte to another includes both."""
    _expect_each(probe, ("bytes=0-0", 0, 0), ("bytes=2-9", 2, 9))


@check("RNG-01", operation="HeadObject")
def head_of_a_range(probe: Probe) -> None:
    """A HEAD with a range has the headers of that range, and no body."""
    key = probe.shared_object(_DIGITS)
    _expect_digits(probe.head(key, {"range": "bytes=2-4"}), "bytes=2-4", 2, 4)


@check("RNG-02", "GET-04", operation=_OPERATION)
def open_or_clipped_end(probe: Probe) -> None:
    """A range without an end, or with one behind the object's, ends with the object."""
    _expect_each(probe, ("bytes=7-", 7, 9), (f"bytes=5-{_FAR_BEHIND}", 5, 9))


@check("RNG-03", "GET-04", operation=_OPERATION)
def last_bytes(probe: Probe) -> None:
    """A range can be the last bytes; more of them than the object has are the whole object."""
    _expect_each(probe, ("bytes=-3", 7, 9), ("bytes=-11", 0, 9))


@check("RNG-04", operation=_OPERATION)
def behind_the_end(probe: Probe) -> None:
    """A range that begins behind the last byte, or of no bytes, is refused with 416 InvalidRange."""
    key = probe.shared_object(_DIGITS)
    with together() as each:
        for span in ("bytes=10-20", "bytes=-0"):
            with each():
                reply = _read(probe, key, span)
                reply.expect("416 InvalidRange", about=f"GET of 10 bytes with Range: {span}")
        with each():
            head = probe.head(key, {"range": "bytes=10-"})
            head.expect("416", about="HEAD of 10 bytes with Range: bytes=10-")


@check("RNG-04", operation=_OPERATION)
def of_an_empty_object(probe: Probe) -> None:
    """A range of an empty object is refused with 416; the last bytes of it may also be a 200."""
    key = probe.shared_object(b"")
    with together() as each:
        with each():
            reply = _read(probe, key, "bytes=0-")
            reply.expect("416 InvalidRange", about="GET of an empty object with Range: bytes=0-")
        with each():
            about = "GET of an empty object with Range: bytes=-5"
            reply = _read(probe, key, "bytes=-5").expect("416 InvalidRange", "200", about=about)
            require(reply.status == 416 or not reply.body, f"{about}: expected no bytes, got {reply.body!r}")


@check("RNG-05", operation=_OPERATION)
def ignored_ranges(probe: Probe) -> None:
    """Several ranges, another unit, an end before the start, and bad syntax give the whole object."""
    key = probe.shared_object(_DIGITS)
    with together() as each:
        for span in _IGNORED:
            with each():
                about = f"GET with Range: {span}"
                reply = _read(probe, key, span).expect("200", about=about)
                equal(reply.body, _DIGITS, f"the body of {about}")
                equal(reply.header("content-range"), None, f"Content-Range of {about}")


@check("RNG-06", operation=_OPERATION)
def same_object(probe: Probe) -> None:
    """A range has the ETag, date, metadata and type of the whole object, and its bytes are a slice of it."""
    body = filler("RNG-06", 20_000)
    key = probe.shared_object(body, _HEADERS)
    whole, part = probe.get(key).expect("200"), _read(probe, key, "bytes=5000-17999")
    part.expect("206", about="GET of a range")
    equal(whole.body, body, "the body of GET")
    equal(part.body, body[5000:18000], "the body of bytes=5000-17999")
    for name in _SAME:
        equal(part.header(name), whole.need(name), f"{name} of a range, compared with the whole")


@check("RNG-07", operation=_OPERATION)
def if_range(probe: Probe) -> None:
    """If-Range gives the range if its ETag or date is the object's, and otherwise the whole object."""
    key = probe.shared_object(_DIGITS)
    head = probe.head(key).expect("200")
    date = head.need("last-modified")
    trials = ((head.etag, "206"), (date, "206"), (_OTHER_ETAG, "200"))
    if head.header("date") == date:
        time.sleep(_RESOLUTION_S)  # a date may not be trusted before its second is over
    with together() as each:
        for value, status in trials:
            with each():
                about = f"GET with Range: bytes=2-4 and If-Range: {value}"
                reply = _read(probe, key, "bytes=2-4", {"if-range": value}).expect(status, about=about)
                equal(reply.body, _DIGITS if status == "200" else b"234", f"the body of {about}")


@check("RNG-08", operation=_OPERATION)
def safe_resume(probe: Probe) -> None:
    """A download is resumed with If-Match if the object is the same, and refused if it was overwritten."""
    key = probe.key()
    with probe.setting_up("an object could not be stored"):
        etag = probe.put(key, _DIGITS).expect("200").etag
    about = "GET with Range: bytes=6- and If-Match"
    reply = _read(probe, key, "bytes=6-", {"if-match": etag}).expect("206", about=f"{about} of the object")
    equal(reply.body, _DIGITS[6:], "the rest of a download")
    probe.given_object(body=_DIGITS[::-1])
    refused = _read(probe, key, "bytes=6-", {"if-match": etag})
    refused.expect("412 PreconditionFailed", about=f"{about} of the object before it was overwritten")


@check("RNG-09", operation=_OPERATION, where="multipart")
def over_part_boundaries(probe: Probe) -> None:
    """Ranges that begin at or cross the boundary of two parts give the right bytes."""
    bodies = filler("RNG-09"), b"the last part"
    key = probe.given_multipart_object(*bodies)
    whole = b"".join(bodies)
    with together() as each:
        for first, last in ((MIN_PART, MIN_PART + 2), (MIN_PART - 3, MIN_PART + 2)):
            with each():
                span = f"bytes={first}-{last}"
                reply = _read(probe, key, span).expect("206", about=f"GET with Range: {span}")
                equal(reply.body, whole[first : last + 1], f"{span}; part 2 begins at {MIN_PART}")
    probe.report("ranges beyond 4 GiB are not tried: no check stores so much")


@check("RNG-10", operation=_OPERATION)
def no_checksum_of_the_whole(probe: Probe) -> None:
    """A range that is shorter than the object is sent without the checksum of the whole object."""
    key = probe.shared_object(_DIGITS, {"x-amz-checksum-crc32": crc32_base64(_DIGITS)})
    reply = _read(probe, key, "bytes=0-8", {"x-amz-checksum-mode": "ENABLED"})
    about = "GET of 9 of 10 bytes with x-amz-checksum-mode: ENABLED"
    found = [name for name, _ in reply.expect("206", about=about).answer.headers]
    found = [name for name in found if name.startswith("x-amz-checksum-")]
    found = [name for name in found if not name.endswith(("-type", "-algorithm"))]
    equal(found, [], f"the checksums in the answer to {about}")
