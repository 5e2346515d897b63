"""How bodies are framed, announced, cut short and refused: HTTP-06 to HTTP-12 and HTTP-26."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from anys3.client.connections import Connection
from anys3.client.signing import STREAMING_SIGNED, STREAMING_UNSIGNED_TRAILER, Credentials
from anys3.conformance.digests import crc32_base64
from anys3.conformance.drafting import Draft
from anys3.conformance.ground import Identity
from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, require

_MIB = 1 << 20
_CONTINUE_S = 1.0
_CLOSE_S = 5.0
_CHUNKED = {"transfer-encoding": "chunked"}


def _length(body: bytes) -> dict[str, str]:
    return {"content-length": str(len(body))}


def _in_http_chunks(body: bytes, size: int) -> bytes:
    """Return a body in chunks of HTTP/1.1 of that size, the last one empty."""
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _stranger(probe: Probe) -> Identity:
    """Return the identity of the run with a secret that is wrong."""
    known = probe.main.credentials
    wrong = Credentials(known.access_key_id, "not/the/secret+of/this/key", known.session_token)
    return replace(probe.main, credentials=wrong)


# --- length ----------------------------------------------------------------------------------------------


@check("HTTP-06", operation="PutObject")
def object_without_length(probe: Probe) -> None:
    """PUT of an object with neither Content-Length nor Transfer-Encoding is refused."""
    key = probe.given_object()
    reply = probe.send(probe.draft("PUT", probe.path(key)))
    reply.expect("411 MissingContentLength", about="PUT without a length")
    probe.expect_content(key, CONTENT, about="the object after that PUT")


@check("HTTP-06", operation="UploadPart")
def part_without_length(probe: Probe) -> None:
    """A part with neither Content-Length nor Transfer-Encoding is refused."""
    path = probe.path(probe.key())
    begun = probe.request("POST", path, "uploads")
    if begun.is_one_of("501", "405"):
        probe.report("There are no multipart uploads, so no part was tried.")
        return
    with probe.setting_up("a multipart upload could not be started"):
        query = [("partNumber", "1"), ("uploadId", begun.expect("200").need_text("UploadId"))]
    reply = probe.send(probe.draft("PUT", path, query))
    reply.expect("411 MissingContentLength", about="a part without a length")


@check("HTTP-07", operation="PutObject")
def aws_chunks_in_http_chunks(probe: Probe) -> None:
    """An aws-chunked body may come in HTTP chunks that are cut anywhere, as boto3 sends it by default."""
    body = bytes(range(256)) * 300
    checksum = crc32_base64(body)
    is_tls = probe.ground.endpoint.is_tls  # without it SDKs sign every chunk
    reply = probe.put_chunked(
        probe.key(), [body[:65536], body[65536:]],
        mode=STREAMING_UNSIGNED_TRAILER if is_tls else STREAMING_SIGNED,
        trailers=[("x-amz-checksum-crc32", checksum)] if is_tls else [], headers=_CHUNKED,
        bend=lambda wire: _in_http_chunks(wire, 10_007),
    )  # fmt: skip
    reply.expect("200", about="an aws-chunked body with Transfer-Encoding: chunked")
    probe.expect_content(probe.key(), body, about="the object that came in both kinds of chunks")


@check("HTTP-08", operation="PutObject")
def plain_body_in_http_chunks(probe: Probe) -> None:
    """A plain body in HTTP chunks is stored whole, or refused with 411 or 501."""
    draft = probe.draft("PUT", probe.path(probe.key()), (), _CHUNKED, CONTENT)
    reply = probe.send(draft, _in_http_chunks(CONTENT, 10))
    reply.expect("200", "411 MissingContentLength", "501 NotImplemented", about="a body in HTTP chunks")
    if reply.status == 200:
        probe.expect_content(probe.key(), CONTENT, about="the object that came in HTTP chunks")
    else:
        probe.report(f"A plain body with Transfer-Encoding: chunked is refused with {reply.said}.")
        probe.expect_no_object(probe.key(), about="the object that was refused")


# --- two lengths -----------------------------------------------------------------------------------------


@check("HTTP-09", operation="PutObject")
def two_lengths(probe: Probe) -> None:
    """With Content-Length and Transfer-Encoding both, the connection ends after the answer."""
    _send_two_lengths(probe, "end", is_long=False)


@check("HTTP-09", operation="PutObject")
def nothing_smuggled(probe: Probe) -> None:
    """A request behind the last chunk, which Content-Length takes for body, is never answered."""
    _send_two_lengths(probe, "smuggled", is_long=True)


def _send_two_lengths(probe: Probe, name: str, *, is_long: bool) -> None:
    """PUT with both lengths, and a second request right behind; `is_long` counts it in Content-Length."""
    key = probe.key(name)
    framed = _in_http_chunks(CONTENT, len(CONTENT))
    second = probe.draft("GET", probe.path(probe.key("none"))).head
    length = len(framed) + (len(second) if is_long else 0)
    lines = {"content-length": str(length), **_CHUNKED}
    draft = probe.draft("PUT", probe.path(key), (), (), CONTENT, unsigned=lines)
    with probe.connect() as connection:
        reply = _answer_or_close(probe, draft, framed + second, connection)
        _expect_end(connection, "a request with Content-Length and Transfer-Encoding")
    if reply is None or reply.status >= 400:
        if reply is not None:
            reply.expect("4xx", "501", about="Content-Length and Transfer-Encoding together")
        probe.expect_no_object(key, about="the object that was refused")
    else:
        reply.expect("200", about="Content-Length and Transfer-Encoding together")
        probe.expect_content(key, CONTENT, about="the object decoded by Transfer-Encoding")


def _answer_or_close(probe: Probe, draft: Draft, body: bytes, connection: Connection) -> Reply | None:
    """Return the answer, None if the connection was closed in place of one."""
    try:
        return probe.send(draft, body, on=connection)
    except Failed:
        if connection.read_more(0.1) != b"":
            raise
        probe.report("The connection is closed without an answer.")
        return None


def _expect_end(connection: Connection, about: str) -> None:
    """Raise Failed unless the server closes the connection and answers no more."""
    more = connection.read_more(_CLOSE_S)
    require(more is not None, f"{about}: expected the connection to be closed, it stays open")
    require(
        b"HTTP/1." not in (more or b""),
        f"{about}: expected no second answer, got {(more or b'')[:60]!r}",
    )


# --- too few bytes ---------------------------------------------------------------------------------------


@check("HTTP-10", operation="PutObject")
def body_cut_short(probe: Probe) -> None:
    """A body that ends before its Content-Length does changes nothing."""
    key = probe.given_object()
    sent = b"only the beginning"
    # The hash is that of what is sent, so that only the length tells that something is missing.
    lines = {"content-length": str(len(sent) + 1000)}
    draft = probe.draft("PUT", probe.path(key), (), (), sent, unsigned=lines)
    _cut_short(probe, draft, sent)
    _expect_still(probe, key, CONTENT, "the object after a PUT that was cut short")


@check("HTTP-10", operation="PutObject")
def chunks_cut_short(probe: Probe) -> None:
    """A chunked body without its last chunk stores nothing."""
    key = probe.given_object()
    sent = b"only the beginning"
    draft = probe.draft("PUT", probe.path(key), (), _CHUNKED, sent)
    _cut_short(probe, draft, _in_http_chunks(sent, 100).removesuffix(b"0\r\n\r\n"))
    _expect_still(probe, key, CONTENT, "the object after chunks that were cut short")


def _cut_short(probe: Probe, draft: Draft, body: bytes) -> None:
    """Send the beginning of a body, end it, and raise Failed if a success is answered."""
    reply = probe.send_short(draft, body, 0.2 if probe.ground.endpoint.is_tls else _CLOSE_S)
    said = reply.said if reply else ""
    require(not said.startswith("2"), f"a body cut short: expected a refusal or a close, got {said}")


def _expect_still(probe: Probe, key: str, body: bytes, about: str) -> None:
    """Raise Failed unless the object is as it was; looked at twice, as the server may need a moment."""
    for pause_s in (0.3, 0.3):
        time.sleep(pause_s)
        probe.expect_content(key, body, about=about)


# --- Expect ----------------------------------------------------------------------------------------------


@check("HTTP-11", operation="PutObject")
def continue_without_body(probe: Probe) -> None:
    """Expect: 100-continue is answered within a second, without a byte of the body."""
    lines = {**_length(CONTENT), "expect": "100-continue"}
    draft = probe.draft("PUT", probe.path(probe.key()), (), (), CONTENT, unsigned=lines)
    with probe.connect() as connection:
        began = time.monotonic()
        probe.request("HEAD", probe.path(), on=connection)
        round_trip_s = time.monotonic() - began
    first = probe.send_head(draft, _CONTINUE_S + 2 * round_trip_s)
    if first is None:
        raise Failed("Expect: 100-continue: expected 100 or a final status within 1 s, got nothing")
    first.expect("100", "2xx", about="the head of a PUT with Expect: 100-continue")
    probe.send(draft, CONTENT).expect("200", about="PUT with Expect: 100-continue")
    probe.expect_content(probe.key(), CONTENT, about="the object sent with Expect: 100-continue")


@check("HTTP-11", operation="PutObject")
def refused_without_continue(probe: Probe) -> None:
    """A request that its headers refuse is answered at once; a body that comes after that is no request."""
    body = probe.draft("GET", probe.path(probe.key("none"))).head
    draft = _refusable(probe, body, {"expect": "100-continue"})
    first = probe.send_head(draft, _CLOSE_S)
    if first is None:
        raise Failed("the head of a PUT that is to be refused: expected 100 or a refusal, got nothing")
    first.expect("100", "4xx", about="the head of a PUT that is to be refused")
    if first.status == 100:
        probe.report("A PUT that its headers refuse gets 100 Continue first.")
    with probe.connect() as connection:
        probe.send(draft, body, on=connection).expect("4xx", about="PUT that is to be refused")
        _expect_drained(probe, connection)


def _refusable(probe: Probe, body: bytes, lines: Mapping[str, str] | None = None) -> Draft:
    """Return a PUT that every server refuses: its signature is wrong, and its bucket is not there."""
    path = probe.path(probe.key(), probe.missing_bucket)
    lines = {**_length(body), **(lines or {})}
    return probe.draft("PUT", path, (), (), body, identity=_stranger(probe), unsigned=lines)


def _expect_drained(probe: Probe, connection: Connection) -> None:
    """Raise Failed if what is left of a refused body is answered, or stands before the next answer."""
    more = connection.unread or connection.read_more(0.5)
    require(not more, f"the rest of a refused body: expected no answer to it, got {(more or b'')[:40]!r}")
    if more is None:  # open: the next request is the next
        key = probe.key("next")
        probe.request("HEAD", probe.path(key), on=connection).expect("404", about="the request after that")


@check("HTTP-12", operation="PutObject")
def unknown_expectation(probe: Probe) -> None:
    """An Expect of an unknown value is ignored, or answered 417."""
    lines = {**_length(CONTENT), "expect": "tea"}
    draft = probe.draft("PUT", probe.path(probe.key()), (), (), CONTENT, unsigned=lines)
    reply = probe.send(draft, CONTENT).expect("200", "417", about="PUT with Expect: tea")
    if reply.status == 417:
        probe.report("An unknown Expect is answered 417.")
    else:
        probe.expect_content(probe.key(), CONTENT, about="the object sent with Expect: tea")


# --- refused uploads -------------------------------------------------------------------------------------


@check("HTTP-26", operation="PutObject")
def refusal_of_16_mib(probe: Probe) -> None:
    """The status of a refused upload of 16 MiB can be read."""
    body = bytes(16 * _MIB)
    probe.send(_refusable(probe, body), body).expect("4xx", about="16 MiB that are to be refused")


@check("HTTP-26", operation="PutObject")
def refused_body_is_no_request(probe: Probe) -> None:
    """The bytes of a refused body are never read as the next request."""
    body = probe.draft("GET", probe.path(probe.key("none"))).head * 3
    with probe.connect() as connection:
        draft = _refusable(probe, body)
        probe.send(draft, body, on=connection).expect("4xx", about="PUT that is to be refused")
        _expect_drained(probe, connection)
