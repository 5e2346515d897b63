"""GetObject and HeadObject: GET-01 to GET-07, HEAD-01 and HEAD-02; races (GET-08) are in consistency."""

from __future__ import annotations

import gzip
from datetime import datetime
from email.utils import parsedate_to_datetime

from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal

_HEADERS = {
    "content-type": "text/plain",
    "cache-control": "max-age=60",
    "content-disposition": "inline",
    "content-language": "de",
    "expires": "Thu, 01 Dec 2044 16:00:00 GMT",
    "x-amz-meta-colour": "blue",
}
_STATED = ("content-length", "etag", "last-modified", "content-encoding", "accept-ranges", *_HEADERS)
_DIGITS = b"0123456789"
_LONG_AGO = "Thu, 01 Jan 1998 00:00:00 GMT"
_OTHER_ETAG = '"00000000000000000000000000000000"'
_OTHER_VERSIONS = ("abc", "UIORUnfndfiufdisojhr398493jfdkjFJjkndnqUifhnw89493jJFJ")


@check("GET-01", operation="GetObject", quick=True)
def success(probe: Probe) -> None:
    """A GET answers with the content, its length, ETag and date, and the headers that were stored."""
    key = probe.key()
    with probe.setting_up("an object could not be stored"):
        etag = probe.put(key, CONTENT, _HEADERS).expect("200").etag
    reply = probe.expect_content(key, CONTENT, about="GET of an object")
    equal(reply.header("content-length"), str(len(CONTENT)), "content-length of GET")
    equal(reply.etag, etag, "the ETag of GET, as the PUT gave it")
    _http_date(reply, "last-modified")
    for name, value in _HEADERS.items():
        equal(reply.header(name), value, f"{name} of GET")


@check("GET-02", operation="GetObject")
def accept_ranges(probe: Probe) -> None:
    """A GET says that ranges are accepted."""
    reply = probe.get(probe.shared_object()).expect("200")
    equal(reply.header("accept-ranges"), "bytes", "accept-ranges of GET")


@check("GET-03", operation="GetObject")
def no_compression(probe: Probe) -> None:
    """Stored bytes are not compressed on their way, whatever Accept-Encoding allows."""
    body = b"the same line again and again\n" * 400
    key = probe.shared_object(body=body, headers={"content-type": "text/html"})
    reply = probe.get(key, {"accept-encoding": "gzip, deflate, br, zstd"}).expect("200")
    equal(reply.header("content-encoding"), None, "content-encoding of an object that has none")
    equal(reply.body, body, "the body of GET with Accept-Encoding: gzip")
    equal(reply.header("content-length"), str(len(body)), "content-length of GET with Accept-Encoding: gzip")


@check("GET-03", operation="GetObject")
def no_decompression(probe: Probe) -> None:
    """An object with Content-Encoding: gzip is sent as it is stored, also to who does not accept gzip."""
    body = gzip.compress(b"the same line again and again\n" * 40, mtime=0)
    key = probe.shared_object(body=body, headers={"content-encoding": "gzip"})
    for headers in ({}, {"accept-encoding": "identity"}, {"accept-encoding": "gzip"}):
        reply = probe.get(key, headers).expect("200")
        equal(reply.body, body, f"the body of GET with {headers or 'no Accept-Encoding'}")


@check("GET-04", operation="GetObject")
def range_is_honoured(probe: Probe) -> None:
    """A range from one byte to another is answered with 206, Content-Range and those bytes alone."""
    key = probe.shared_object(body=_DIGITS)
    reply = _range(probe, key, "bytes=2-4", b"234", "bytes 2-4/10")
    equal(reply.header("content-length"), "3", "content-length of a range of three bytes")


def _state(probe: Probe, key: str) -> tuple[str, str]:
    """Return ETag and Last-Modified of a shared object."""
    head = probe.asked_once(f"HEAD {key}", lambda: probe.head(key).expect("200"))
    return head.etag, head.need("last-modified")


# What GET does with each of the four alone, CONDR-01 to CONDR-04 show.


@check("GET-05", operation="HeadObject")
def if_match(probe: Probe) -> None:
    """If-Match lets HEAD and ranges through for the object's ETag, and stops them with 412 for another."""
    key = probe.shared_object(body=_DIGITS)
    etag, _ = _state(probe, key)
    probe.head(key, {"if-match": etag}).expect("200", about="If-Match with the object's ETag")
    refused = probe.head(key, {"if-match": _OTHER_ETAG})
    refused.expect("412 PreconditionFailed", about="If-Match with another ETag")
    ranged = probe.get(key, {"if-match": etag, "range": "bytes=2-4"})
    equal(ranged.expect("206", about="Range and If-Match with the object's ETag").body, b"234", "that range")
    refused = probe.get(key, {"if-match": _OTHER_ETAG, "range": "bytes=2-4"})
    refused.expect("412 PreconditionFailed", about="Range and If-Match with another ETag")


@check("GET-05", operation="HeadObject")
def if_none_match(probe: Probe) -> None:
    """If-None-Match answers HEAD with 304 for the object's ETag, and lets others through."""
    key = probe.shared_object(body=_DIGITS)
    etag, _ = _state(probe, key)
    probe.head(key, {"if-none-match": etag}).expect("304", about="If-None-Match with the object's ETag")
    other = probe.head(key, {"if-none-match": _OTHER_ETAG})
    other.expect("200", about="If-None-Match with another ETag")


@check("GET-05", operation="HeadObject")
def if_modified_since(probe: Probe) -> None:
    """If-Modified-Since answers HEAD with 304 for the object's date, and lets an older one through."""
    key = probe.shared_object(body=_DIGITS)
    _, date = _state(probe, key)
    same = probe.head(key, {"if-modified-since": date})
    same.expect("304", about="If-Modified-Since with Last-Modified")
    older = probe.head(key, {"if-modified-since": _LONG_AGO})
    older.expect("200", about="If-Modified-Since with a date of 1998")


@check("GET-05", operation="HeadObject")
def if_unmodified_since(probe: Probe) -> None:
    """If-Unmodified-Since lets HEAD through for the object's date, and stops an older one with 412."""
    key = probe.shared_object(body=_DIGITS)
    _, date = _state(probe, key)
    same = probe.head(key, {"if-unmodified-since": date})
    same.expect("200", about="If-Unmodified-Since with Last-Modified")
    older = probe.head(key, {"if-unmodified-since": _LONG_AGO})
    older.expect("412 PreconditionFailed", about="If-Unmodified-Since with a date of 1998")


@check("GET-06", operation="GetObject")
def version_null(probe: Probe) -> None:
    """The versionId `null` reads the object."""
    key = probe.shared_object()
    reply = probe.get(key, query=[("versionId", "null")]).expect("200", about="GET with versionId=null")
    equal(reply.body, CONTENT, "the body of GET with versionId=null")


@check("GET-06", operation="GetObject")
def other_versions(probe: Probe) -> None:
    """A versionId that does not exist is refused; the object is not sent in its place."""
    key = probe.shared_object()
    for version in _OTHER_VERSIONS:
        reply = probe.get(key, query=[("versionId", version)])
        reply.expect("400 InvalidArgument", "404 NoSuchVersion", about=f"GET with versionId={version}")


@check("GET-07", operation="GetObject")
def checksum_mode(probe: Probe) -> None:
    """GET and HEAD accept x-amz-checksum-mode: ENABLED."""
    key = probe.shared_object()
    headers = {"x-amz-checksum-mode": "ENABLED"}
    reply = probe.get(key, headers).expect("200", about="GET with x-amz-checksum-mode: ENABLED")
    equal(reply.body, CONTENT, "the body of GET with x-amz-checksum-mode: ENABLED")
    probe.head(key, headers).expect("200", about="HEAD with x-amz-checksum-mode: ENABLED")


@check("HEAD-01", operation="HeadObject", quick=True)
def headers_of_get(probe: Probe) -> None:
    """A HEAD answers with the headers of a GET, the object's size as Content-Length."""
    key = probe.shared_object(headers=_HEADERS)
    got, headed = probe.get(key).expect("200"), probe.head(key).expect("200", about="HEAD of an object")
    equal(headed.header("content-length"), str(len(CONTENT)), "content-length of HEAD")
    for name in _STATED:
        equal(headed.header(name), got.header(name), f"{name} of HEAD, compared with GET")


@check("HEAD-01", operation="HeadObject")
def no_body(probe: Probe) -> None:
    """A HEAD is answered without a body, so that the next answer on the connection can be read."""
    key = probe.shared_object()
    with probe.connect() as connection:
        headed = probe.request("HEAD", probe.path(key), on=connection).expect("200")
        if headed.answer.closes:
            equal(connection.read_more(5.0), b"", "what follows the answer to a HEAD")
            return
        got = probe.request("GET", probe.path(key), on=connection)
        got.expect("200", about="GET after HEAD on one connection")
        equal(got.body, CONTENT, "the body of GET after HEAD on one connection")


@check("HEAD-02", operation="HeadObject")
def equals_get_and_list(probe: Probe) -> None:
    """HEAD, GET and a listing say the same of an object: ETag, size, date; HEAD and GET also its metadata."""
    key = probe.shared_object(headers={"x-amz-meta-colour": "blue", "x-amz-meta-size": "9"})
    got, headed = probe.get(key).expect("200"), probe.head(key).expect("200")
    for name in ("etag", "content-length", "last-modified"):
        equal(headed.need(name), got.need(name), f"{name} of HEAD, compared with GET")
    equal(_metadata(headed), _metadata(got), "the metadata of HEAD, compared with GET")
    listed = probe.list_keys(("prefix", key)).expect("200")
    equal(listed.need_text("Contents/ETag"), headed.etag, "the listed ETag, compared with HEAD")
    equal(listed.need_text("Contents/Size"), headed.need("content-length"), "the listed Size")
    text = listed.need_text("Contents/LastModified")
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise Failed(f"the listed LastModified: expected an ISO 8601 time, got {text!r}") from None
    equal(date.replace(microsecond=0), _http_date(headed, "last-modified"), "the listed LastModified")


def _http_date(reply: Reply, name: str) -> datetime:
    """Return a date of a reply. Raises Failed: absent, or no HTTP date."""
    text = reply.need(name)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        date = None
    if date is None or not text.endswith("GMT"):
        raise Failed(f"{name} of {reply.exchange.method}: expected an HTTP date in GMT, got {text!r}")
    return date


def _range(probe: Probe, key: str, value: str, body: bytes, content_range: str) -> Reply:
    reply = probe.get(key, {"range": value})
    reply.expect("206", about=f"GET of {len(_DIGITS)} bytes with Range: {value}")
    equal(reply.header("content-range"), content_range, f"content-range of Range: {value}")
    equal(reply.body, body, f"the body of Range: {value}")
    return reply


def _metadata(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.answer.headers if name.startswith("x-amz-meta-")}
