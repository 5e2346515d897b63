"""Trailers of aws-chunked bodies, and the Content-Encoding of what is stored: PAY-10, PAY-11, PAY-18."""

from __future__ import annotations

from anys3.client.signing import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    UNSIGNED_PAYLOAD,
)
from anys3.conformance.checks.aws_chunked import BODY, CHUNKS, CRC32, stream
from anys3.conformance.digests import crc32_base64
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal

_MALFORMED = "400 MalformedTrailerError"


def _expect_encoding(probe: Probe, sent: str, stored: str | None) -> None:
    """Raise Failed unless a stream with that Content-Encoding is stored with the other."""
    stream(probe, STREAMING_UNSIGNED_TRAILER, headers={"content-encoding": sent}).expect(
        "200", about=f"a stream with Content-Encoding: {sent}"
    )
    _expect_shown(probe.head(probe.key()), sent, stored)


def _expect_shown(reply: Reply, sent: str, stored: str | None) -> None:
    found = reply.expect("200").header("content-encoding")
    equal(
        found and found.replace(" ", ""), stored,
        f"Content-Encoding at {reply.exchange.method}, sent in a stream as {sent!r}",
    )  # fmt: skip


@check("PAY-10", operation="PutObject")
def framing_is_no_encoding(probe: Probe) -> None:
    """An object that was sent with Content-Encoding: aws-chunked alone has no Content-Encoding."""
    _expect_encoding(probe, "aws-chunked", None)
    _expect_shown(probe.get(probe.key()), "aws-chunked", None)


@check("PAY-10", operation="PutObject")
def other_encodings_stay(probe: Probe) -> None:
    """`aws-chunked` is removed wherever it stands, and the other codings stay in their order."""
    _expect_encoding(probe, "aws-chunked,gzip", "gzip")
    _expect_encoding(probe, "gzip,aws-chunked", "gzip")
    _expect_encoding(probe, "gzip, aws-chunked, br", "gzip,br")


@check("PAY-11", operation="PutObject")
def announced_trailer_must_come(probe: Probe) -> None:
    """A stream without the trailer that `x-amz-trailer` announced is refused, and nothing is stored."""
    # Without its trailer, a signed stream lacks the signature of it, too: either may be told.
    for mode, expected in ((STREAMING_UNSIGNED_TRAILER, _MALFORMED), (STREAMING_SIGNED_TRAILER, "4xx")):
        reply = probe.put_chunked(probe.key(), CHUNKS, mode=mode, headers={"x-amz-trailer": CRC32})
        reply.expect(expected, about=f"{mode} without the trailer that was announced")
    probe.expect_no_object(probe.key(), about="the object of a refused stream")


@check("PAY-11", operation="PutObject")
def misspelt_trailer(probe: Probe) -> None:
    """A stream whose trailer has another name than the announced one is refused, and nothing is stored."""
    wrong = b"x-amz-checksum-crc23"
    reply = stream(probe, STREAMING_UNSIGNED_TRAILER, bend=lambda wire: wire.replace(CRC32.encode(), wrong))
    reply.expect(_MALFORMED, about="a stream with a misspelt trailer")
    probe.expect_no_object(probe.key(), about="the object of a refused stream")


@check("PAY-11", operation="PutObject")
def trailer_must_be_announced(probe: Probe) -> None:
    """A stream with a trailer that no `x-amz-trailer` announced is refused, and nothing is stored."""
    reply = stream(probe, STREAMING_UNSIGNED_TRAILER, headers={"x-amz-trailer": ""})
    reply.expect(_MALFORMED, about="a stream with a trailer that was not announced")
    probe.expect_no_object(probe.key(), about="the object of a refused stream")


@check("PAY-11", operation="PutObject")
def announcement_without_trailer_mode(probe: Probe) -> None:
    """`x-amz-trailer` outside a trailer mode is refused with 400, or ignored: the bytes are stored whole."""
    plain = probe.request(
        "PUT", probe.path(probe.key("plain")), headers={"x-amz-trailer": CRC32}, body=CONTENT,
        payload_hash=UNSIGNED_PAYLOAD,
    )  # fmt: skip
    chunked = stream(probe, STREAMING_SIGNED, key="chunked", headers={"x-amz-trailer": CRC32})
    for reply, name, body in ((plain, "plain", CONTENT), (chunked, "chunked", BODY)):
        reply.expect("200", "400", about="x-amz-trailer outside a trailer mode")
        if reply.status == 200:
            probe.expect_content(probe.key(name), body, about="what was stored beside x-amz-trailer")
        else:
            probe.expect_no_object(probe.key(name), about="the object of a refused PUT")


def _put_with_tail(probe: Probe, tail: bytes, checksum: str) -> Reply:
    """PUT CONTENT in one chunk, with `tail` after it in place of the usual end."""
    wire = b"%x\r\n%b\r\n" % (len(CONTENT), CONTENT) + tail.replace(b"{}", checksum.encode())
    return probe.put_chunked(
        probe.key(), [CONTENT], mode=STREAMING_UNSIGNED_TRAILER, bend=lambda _: wire,
        headers={"x-amz-trailer": CRC32},
    )  # fmt: skip


def _expect_trailer_is_read(probe: Probe, *tails: bytes) -> None:
    """Raise Failed unless the trailer at the end of a stream is read: accepted and verified."""
    for tail in tails:
        _put_with_tail(probe, tail, crc32_base64(b"other")).expect(
            "400", about=f"a stream that ends in {tail!r}, with a wrong checksum"
        )
    for tail in tails:
        _put_with_tail(probe, tail, crc32_base64(CONTENT)).expect(
            "200", about=f"a stream that ends in {tail!r}"
        )
    probe.expect_content(probe.key(), CONTENT)


@check("PAY-18", operation="PutObject")
def line_end_of_a_trailer(probe: Probe) -> None:
    """A trailer line may end in CRLF or in LF alone."""
    _expect_trailer_is_read(
        probe, b"0\r\nx-amz-checksum-crc32:{}\r\n\r\n", b"0\r\nx-amz-checksum-crc32:{}\n\r\n"
    )


@check("PAY-18", operation="PutObject")
def white_space_in_a_trailer(probe: Probe) -> None:
    """There may be white space after the colon of a trailer."""
    _expect_trailer_is_read(probe, b"0\r\nx-amz-checksum-crc32: {}\r\n\r\n")


@check("PAY-18", operation="PutObject")
def capitals_in_a_trailer(probe: Probe) -> None:
    """The name of a trailer may be in any case."""
    _expect_trailer_is_read(probe, b"0\r\nX-Amz-Checksum-CRC32:{}\r\n\r\n")


@check("PAY-18", operation="PutObject")
def empty_line_before_a_trailer(probe: Probe) -> None:
    """There may be an empty line between the last chunk and the trailer."""
    _expect_trailer_is_read(probe, b"0\r\n\r\nx-amz-checksum-crc32:{}\r\n\r\n")
