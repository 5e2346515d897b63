"""Bodies in aws-chunked framing, signed and not: PAY-05 to PAY-09, PAY-16 and PAY-17."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from anys3.client.signing import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    UNSIGNED_PAYLOAD,
)
from anys3.conformance.digests import crc32_base64, md5_etag
from anys3.conformance.outcomes import Blocked
from anys3.conformance.probe import Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_T = TypeVar("_T")
CHUNKS = (b"a" * 8192, b"b" * 8192, b"the end")
BODY = b"".join(CHUNKS)
CRC32 = "x-amz-checksum-crc32"
_MODES = (STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER)
_MISMATCH = "403 SignatureDoesNotMatch"
_INCOMPLETE = "400 IncompleteBody"
_SIGNATURE_MARK = b";chunk-signature="


def stream(
    probe: Probe,
    mode: str,
    chunks: Sequence[bytes] = CHUNKS,
    *,
    key: str = "object",
    bend: Callable[[bytes], bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    path: str | None = None,
) -> Reply:
    """PUT those chunks in a streaming mode, with a trailer of their CRC32 where the mode has one."""
    trailers = [(CRC32, crc32_base64(b"".join(chunks)))] if mode.endswith("TRAILER") else []
    return probe.put_chunked(
        probe.key(key), chunks, mode=mode, trailers=trailers, headers=headers or {}, bend=bend, path=path
    )


def _whole(probe: Probe, mode: str) -> tuple[str, Reply]:
    """Return the key and the answer of a stream that is right in that mode, sent once for all checks."""
    key = f"{probe.ground.prefix}shared/streams/{probe.attempt}/{mode.lower()}"
    return key, probe.asked_once(key, lambda: stream(probe, mode, path=probe.path(key)))


def _modes(probe: Probe) -> list[str]:
    """Return the streaming modes that the server takes; PAY-05 to PAY-07 judge whether it takes all.

    Raises Blocked: it takes none.
    """
    replies = {mode: _whole(probe, mode)[1] for mode in _MODES}
    if any(reply.is_one_of("500", "503", "429") for reply in replies.values()):
        raise Blocked("no stream could be tried: the server is overloaded")
    found = [mode for mode, reply in replies.items() if reply.status == 200]
    if not found:
        raise Blocked("no stream is accepted in any mode")
    if missing := [mode for mode in _MODES if mode not in found]:
        probe.report(f"not tried in modes that the server does not take: {', '.join(missing)}")
    return found


def _in_turn(modes: Sequence[str], faults: Sequence[_T]) -> Iterator[tuple[str, _T]]:
    """Yield each fault with a mode and each mode with a fault, in turn: the frame is the same in all."""
    for number in range(max(len(modes), len(faults))):
        yield modes[number % len(modes)], faults[number % len(faults)]


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda wire: wire.replace(old, new, 1)


def _replaced_by(other: bytes, _: bytes) -> bytes:
    return other


def _cut_behind(mark: bytes, more: int, wire: bytes) -> bytes:
    return wire[: wire.index(mark) + more]


def _refused(probe: Probe, mode: str, bend: Callable[[bytes], bytes], what: str, *expected: str) -> None:
    """Raise Failed unless a damaged stream is refused."""
    stream(probe, mode, bend=bend).expect(*expected, about=f"{mode} with {what}")


def _expect_nothing(probe: Probe) -> None:
    """Raise Failed if one of the refused streams left an object: all were sent to one key."""
    probe.expect_no_object(probe.key(), about="the object of refused streams")


def _expect_refused(
    probe: Probe, mode: str, bend: Callable[[bytes], bytes], what: str, *expected: str
) -> None:
    """Raise Failed unless a damaged stream is refused, and leaves no object."""
    _refused(probe, mode, bend, what, *expected)
    _expect_nothing(probe)


def _read(probe: Probe, mode: str) -> tuple[Reply, Reply]:
    """Return the answers to a stream and to a GET of its object, which must be the bytes that were meant."""
    key, put = _whole(probe, mode)
    put.expect("200", about=f"PUT with {mode}")
    about = f"the object that was sent with {mode}"
    return put, probe.asked_once(f"GET {key}", lambda: probe.expect_content(key, BODY, about))


def _expect_stored(probe: Probe, mode: str) -> None:
    _read(probe, mode)


@check("PAY-05", operation="PutObject")
def unsigned_stream_with_trailer(probe: Probe) -> None:
    """A body in `STREAMING-UNSIGNED-PAYLOAD-TRAILER`, the default of current SDKs over HTTPS, is decoded."""
    _expect_stored(probe, STREAMING_UNSIGNED_TRAILER)


@check("PAY-05", operation="PutObject")
def trailer_is_verified(probe: Probe) -> None:
    """A stream whose trailer is not the checksum of its bytes is refused, and nothing is stored."""
    damaged, wrong = (
        _replaced(b"bbb", b"bxb"),
        _replaced(crc32_base64(BODY).encode(), crc32_base64(b"x").encode()),
    )
    for bend, what in ((damaged, "a changed byte"), (wrong, "the checksum of other bytes")):
        _refused(probe, STREAMING_UNSIGNED_TRAILER, bend, what, "400")
    _expect_nothing(probe)


@check("PAY-06", operation="PutObject")
def signed_chunks(probe: Probe) -> None:
    """A body in `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` is decoded."""
    _expect_stored(probe, STREAMING_SIGNED)


def _zeroed(wire: bytes, at: int) -> bytes:
    """Return a stream with zeros in place of the signature that follows its mark at `at`."""
    start = at + len(_SIGNATURE_MARK)
    return wire[:start] + b"0" * 64 + wire[start + 64 :]


@check("PAY-06", operation="PutObject")
def every_chunk_is_verified(probe: Probe) -> None:
    """A chunk with other bytes or another signature than it should have is refused, whichever it is."""
    for bend, what in (
        (_replaced(b"aaa", b"axa"), "a change in its first chunk"),
        (_replaced(b"bbb", b"bxb"), "a change in its second chunk"),
        (_replaced(b"the end", b"the End"), "a change in its last chunk"),
        (lambda wire: _zeroed(wire, wire.index(_SIGNATURE_MARK)), "a wrong first signature"),
        (lambda wire: _zeroed(wire, wire.rindex(_SIGNATURE_MARK)), "a wrong signature of the empty chunk"),
    ):
        _refused(probe, STREAMING_SIGNED, bend, what, _MISMATCH)
    _expect_nothing(probe)


def _without_signatures(wire: bytes) -> bytes:
    first, *rest = wire.split(_SIGNATURE_MARK)
    return first + b"".join(piece[64:] for piece in rest)


@check("PAY-06", operation="PutObject")
def chunks_without_signatures(probe: Probe) -> None:
    """Chunks without signatures are refused where signed ones were announced."""
    _expect_refused(probe, STREAMING_SIGNED, _without_signatures, "no signatures", _MISMATCH, "400")


@check("PAY-06", operation="PutObject")
def false_chunk_size(probe: Probe) -> None:
    """A chunk that is longer than the body, or ends with it, does not get around its signature."""
    for size in (b"7fffffff", b"ffffffffffffffff", b"%x" % len(BODY)):
        wire = size + _SIGNATURE_MARK + b"0" * 64 + b"\r\n" + BODY
        bend = partial(_replaced_by, wire)
        _refused(
            probe, STREAMING_SIGNED, bend, f"one chunk, of {size.decode()} bytes, and no end", "400", "403"
        )
    _expect_nothing(probe)


@check("PAY-07", operation="PutObject")
def signed_trailer(probe: Probe) -> None:
    """A body in `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER` is decoded."""
    _expect_stored(probe, STREAMING_SIGNED_TRAILER)


@check("PAY-07", operation="PutObject")
def chunks_before_a_trailer_are_verified(probe: Probe) -> None:
    """Before a signed trailer, too, a chunk with other bytes or another signature is refused."""
    changed = BODY.replace(b"aaa", b"axa", 1)

    def bend(wire: bytes) -> bytes:
        return wire.replace(b"aaa", b"axa", 1).replace(
            crc32_base64(BODY).encode(), crc32_base64(changed).encode()
        )

    for one, what in (
        (bend, "a changed chunk and a trailer that fits it"),
        (lambda wire: _zeroed(wire, wire.index(_SIGNATURE_MARK)), "a wrong signature of its first chunk"),
        (lambda wire: _zeroed(wire, wire.rindex(_SIGNATURE_MARK)), "a wrong signature of the empty chunk"),
    ):
        _refused(probe, STREAMING_SIGNED_TRAILER, one, what, _MISMATCH)
    _expect_nothing(probe)


@check("PAY-07", operation="PutObject")
def trailer_signature(probe: Probe) -> None:
    """A trailer whose signature is wrong or missing is refused."""
    mark = b"x-amz-trailer-signature:"

    def forged(wire: bytes) -> bytes:
        head, _, tail = wire.partition(mark)
        return head + mark + b"0" * 64 + tail[64:]

    def missing(wire: bytes) -> bytes:
        return wire.partition(mark)[0] + b"\r\n"

    mode = STREAMING_SIGNED_TRAILER
    _refused(probe, mode, forged, "a wrong trailer signature", _MISMATCH)
    _expect_refused(probe, mode, missing, "no trailer signature", _MISMATCH, "400")


@check("PAY-08", operation="PutObject")
def decoded_length_is_required(probe: Probe) -> None:
    """A stream without `x-amz-decoded-content-length` is refused."""
    for mode in _modes(probe):
        reply = stream(probe, mode, headers={"x-amz-decoded-content-length": ""})
        reply.expect("411 MissingContentLength", about=f"{mode} without its decoded length")
    probe.expect_no_object(probe.key(), about="the object of a refused stream")


@check("PAY-08", operation="PutObject")
def decoded_length_must_be_true(probe: Probe) -> None:
    """A stream of more or fewer bytes than `x-amz-decoded-content-length` says is refused."""
    sizes = (len(BODY) - 1, len(BODY) + 1)
    for mode, size in _in_turn(_modes(probe), sizes):
        reply = stream(probe, mode, headers={"x-amz-decoded-content-length": str(size)})
        reply.expect(_INCOMPLETE, about=f"{mode} of {len(BODY)} bytes, announced as {size}")
    probe.expect_no_object(probe.key(), about="the object of a refused stream")


def _before_empty_chunk(wire: bytes) -> bytes:
    return wire[: wire.index(b"the end\r\n") + len(b"the end\r\n")]


@check("PAY-08", operation="PutObject")
def empty_chunk_is_required(probe: Probe) -> None:
    """A stream without its final chunk of no bytes is refused."""
    for mode in _modes(probe):
        _refused(probe, mode, _before_empty_chunk, "no empty chunk at its end", _INCOMPLETE)
    _expect_nothing(probe)


@check("PAY-08", operation="PutObject")
def line_ends_are_required(probe: Probe) -> None:
    """A stream without the CRLF after a chunk is refused."""
    mode = _modes(probe)[-1]  # the frame is the same in all; a signature may end in some b, too
    _expect_refused(
        probe, mode, _replaced(b"b" * 32 + b"\r\n", b"b" * 32), "no CRLF after a chunk", _INCOMPLETE
    )


@check("PAY-08", operation="PutObject")
def early_end(probe: Probe) -> None:
    """A stream that ends within a chunk or a chunk's line is refused, whichever byte is the last."""
    for mode, (mark, cut) in _in_turn(_modes(probe), ((b"bbb", 100), (b"the end", 3), (b"2000", 2))):
        _refused(probe, mode, partial(_cut_behind, mark, cut), "an early end", _INCOMPLETE)
    _expect_nothing(probe)


@check("PAY-08", operation="PutObject")
def bytes_without_framing(probe: Probe) -> None:
    """A body that is not framed at all is refused where a stream was announced."""
    modes = _modes(probe)
    for mode, raw in ((modes[0], b""), *((mode, BODY) for mode in modes)):
        _refused(probe, mode, partial(_replaced_by, raw), "a body without chunks", "400", "403")
    _expect_nothing(probe)


@check("PAY-09", operation="PutObject")
def bytes_etag_and_size(probe: Probe) -> None:
    """What is stored of a stream, its ETag and its sizes are those of the decoded bytes."""
    for mode in _modes(probe):
        put, got = _read(probe, mode)
        equal(put.etag, md5_etag(BODY), f"the ETag that PUT with {mode} answers")
        equal(got.etag, md5_etag(BODY), f"the ETag of the object that was sent with {mode}")
    prefix = _whole(probe, mode)[0].removesuffix(mode.lower())
    listed = probe.list_keys(("prefix", prefix)).expect("200", about="the list of them")
    equal(set(listed.texts("Contents/Size")), {str(len(BODY))}, "the Size of each in the list")
    equal(set(listed.texts("Contents/ETag")), {md5_etag(BODY)}, "the ETag of each in the list")


@check("PAY-09", operation="PutObject")
def streams_of_any_length(probe: Probe) -> None:
    """A stream of no bytes, and one of many chunks, is stored as the bytes that were meant."""
    for mode in _modes(probe):
        for chunks in ([], [bytes([number]) * 16_384 for number in range(9)] + [b"\r\n0\r\n\r\n"]):
            body = b"".join(chunks)
            about = f"{mode} of {len(body)} bytes"
            reply = stream(probe, mode, chunks).expect("200", about=f"PUT with {about}")
            equal(reply.etag, md5_etag(body), f"the ETag that {about} answers")
    probe.expect_content(probe.key(), body, about=about)


@check("PAY-09", operation="UploadPart", where="multipart")
def part_in_a_stream(probe: Probe) -> None:
    """A part that is sent as a stream is stored decoded."""
    upload = probe.given_upload()
    query = [("partNumber", "1"), ("uploadId", upload.id)]
    reply = probe.put_chunked(
        upload.key,
        CHUNKS,
        mode=STREAMING_UNSIGNED_TRAILER,
        trailers=[(CRC32, crc32_base64(BODY))],
        query=query,
    )
    reply.expect("200", about="UploadPart as a stream")
    equal(reply.etag, md5_etag(BODY), "the ETag of a part that was sent as a stream")


@check("PAY-16", operation="PutObject")
def small_signed_chunks(probe: Probe) -> None:
    """A signed chunk under 8 KiB that is not the last is refused."""
    reply = stream(probe, STREAMING_SIGNED, (b"a" * 100, b"b" * 8192, b"c"))
    reply.expect("403", "400 InvalidChunkSizeError", about="a signed chunk of 100 bytes before others")
    probe.expect_no_object(probe.key(), about="the object of a refused stream")


@check("PAY-17", operation="PutObject")
def token_decides_about_framing(probe: Probe) -> None:
    """A stream is decoded by its `x-amz-content-sha256` alone, without Content-Encoding: aws-chunked."""
    for mode in _modes(probe):
        reply = stream(probe, mode, headers={"content-encoding": ""})
        reply.expect("200", about=f"{mode} without Content-Encoding")
        probe.expect_content(probe.key(), BODY, about=f"the object that was sent with {mode}")


@check("PAY-17", operation="PutObject")
def encoding_alone_frames_nothing(probe: Probe) -> None:
    """Content-Encoding: aws-chunked without a STREAMING token does not make a stream of a body."""
    body = b"5\r\nhello\r\n0\r\n\r\n"
    for token in (UNSIGNED_PAYLOAD, None):
        headers = {"content-encoding": "aws-chunked"}
        path = probe.path(probe.key(token or "hash"))
        reply = probe.request("PUT", path, headers=headers, body=body, payload_hash=token)
        reply.expect("200", "400", about=f"aws-chunked with {token or 'a SHA-256'}")
        if reply.status == 200:
            got = probe.expect_content(probe.key(token or "hash"), body, about="what was sent, as it was")
            require(
                "aws-chunked" not in (got.header("content-encoding") or ""),
                "Content-Encoding of the object: expected no aws-chunked, got it",
            )
