"""Servers broken for the checks of aws-chunked bodies: PAY-05 to PAY-09, PAY-16, PAY-17."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anys3.model import Checksum
from anys3.protocol import aws_chunked, checksums, payload
from anys3.protocol.aws_chunked import Decoder
from anys3.protocol.claims import Proof
from anys3.protocol.http import Answer, Request
from anys3.protocol.sigv4 import Seal
from tests.broken_servers import (
    Breakage,
    accepting,
    all_of,
    answering,
    breaks,
    patched,
    saying,
    set_header,
    when,
)

DECODER = "anys3.protocol.aws_chunked.Decoder"
PLAN = "anys3.protocol.payload.plan"
plan = payload.plan
start_chunk = Decoder._start_chunk
read_line = Decoder._read_line
check_signature = Decoder._check_signature

ENDS_ANYWHERE = patched("a stream may end anywhere", f"{DECODER}.finish", lambda _: None)
RAW = all_of(
    "the framing is stored",
    patched("", f"{DECODER}.feed", lambda _, data: [memoryview(data)]),
    ENDS_ANYWHERE,
)


def unverified(_: Any, algorithm: Any, computed: bytes, *__: Any) -> Checksum:
    """Return a checksum as if it were the one that was sent."""
    return Checksum(algorithm, "FULL_OBJECT", checksums.encode(computed))


UNVERIFIED = patched("checksums are not compared", "anys3.protocol.payload._checked", unverified)


def refusing_token(token: bytes) -> Breakage:
    """A server that does not know a payload token."""
    others = payload._STREAMING - {token}
    return patched(f"{token.decode()} is not known", "anys3.protocol.payload._STREAMING", others)


breaks(
    (
        "PAY-05/unsigned-stream-with-trailer",
        "PAY-06/signed-chunks",
        "PAY-07/signed-trailer",
        "PAY-08/bytes-without-framing",
        "PAY-09/bytes-etag-and-size",
        "PAY-09/streams-of-any-length",
        "PAY-09/part-in-a-stream",
        "PAY-17/token-decides-about-framing",
    ),
    RAW,
)
breaks("PAY-05/unsigned-stream-with-trailer", refusing_token(payload.STREAMING_UNSIGNED_TRAILER))
breaks("PAY-06/signed-chunks", refusing_token(payload.STREAMING_SIGNED))
breaks("PAY-07/signed-trailer", refusing_token(payload.STREAMING_SIGNED_TRAILER))
breaks("PAY-05/trailer-is-verified", UNVERIFIED)
breaks("PAY-05/trailer-is-verified", accepting("BadDigest"))


def check_none(self: Decoder, seal: Seal) -> None:
    """Believe any signature of a chunk; the chain goes on with the right one."""
    seal.chunk(self._chunk_hash.hexdigest())


def check_but_last(self: Decoder, seal: Seal) -> None:
    """Believe the signature of the empty chunk."""
    if self._state == aws_chunked._HEADER:
        check_none(self, seal)
    else:
        check_signature(self, seal)


def start_unsigned(self: Decoder, line: bytes) -> None:
    """Take a chunk without a signature for one that needs none."""
    if b"chunk-signature" not in line:
        self._seal = None
    start_chunk(self, line)


def start_huge(self: Decoder, line: bytes) -> None:
    """Take a chunk that can't be whole as far as it goes, unverified."""
    if int(line.partition(b";")[0], 16) > self._decoded_left:
        self._seal = None
        line = b"%x" % self._decoded_left
    start_chunk(self, line)


CHUNK_SIGNATURES = f"{DECODER}._check_signature"
breaks(
    ("PAY-06/every-chunk-is-verified", "PAY-07/chunks-before-a-trailer-are-verified"),
    patched("the signatures of chunks are not compared", CHUNK_SIGNATURES, check_none),
)
breaks(
    ("PAY-06/every-chunk-is-verified", "PAY-07/chunks-before-a-trailer-are-verified"),
    patched("the signature of the empty chunk is not compared", CHUNK_SIGNATURES, check_but_last),
)
breaks("PAY-06/every-chunk-is-verified", saying("BadDigest", instead_of="SignatureDoesNotMatch"))
breaks(
    "PAY-06/chunks-without-signatures",
    patched("chunks need no signature", f"{DECODER}._start_chunk", start_unsigned),
)
breaks(
    "PAY-06/false-chunk-size",
    all_of(
        "a chunk that is said to be huge is not verified (CVE-2021-21390)",
        patched("", f"{DECODER}._start_chunk", start_huge),
        ENDS_ANYWHERE,
    ),
)


def keep_signature(self: Decoder, _: Seal, signature: bytes) -> None:
    """Believe the signature of a trailer."""
    self._trailer_signature = signature


breaks(
    "PAY-07/trailer-signature",
    patched(
        "the signature of a trailer is not compared", f"{DECODER}._check_trailer_signature", keep_signature
    ),
)
breaks(
    "PAY-07/trailer-signature",
    patched("a trailer needs no signature", f"{DECODER}._needs_signature", lambda _: False),
)


def start_whatever_was_announced(self: Decoder, line: bytes) -> None:
    """Take the empty chunk for the end, however many bytes there were."""
    if int(line.partition(b";")[0], 16) == 0:
        self._decoded_left = 0
    start_chunk(self, line)


breaks(
    ("PAY-08/decoded-length-is-required", "PAY-08/decoded-length-must-be-true"),
    all_of(
        "the decoded length is not looked at",
        patched("", "anys3.protocol.payload._decoded_length", lambda _: 1 << 30),
        patched("", f"{DECODER}._start_chunk", start_whatever_was_announced),
    ),
)
breaks("PAY-08/decoded-length-is-required", saying("InvalidRequest", instead_of="MissingContentLength"))
breaks("PAY-08/decoded-length-must-be-true", accepting("IncompleteBody"))
breaks(("PAY-08/empty-chunk-is-required", "PAY-08/early-end", "PAY-08/bytes-without-framing"), ENDS_ANYWHERE)


def read_without_line_end(self: Decoder, view: memoryview, position: int) -> int:
    """Go on with the next chunk where the CRLF after one is missing."""
    if self._state == aws_chunked._AFTER_DATA and view[position] != ord("\r"):
        self._state = aws_chunked._HEADER
    return read_line(self, view, position)


breaks(
    "PAY-08/line-ends-are-required",
    patched("chunks need no line end", f"{DECODER}._read_line", read_without_line_end),
)


def etag_of_frame(request: Request, answer: Answer) -> Answer | None:
    """Answer to a stream with another ETag than that of its bytes."""
    is_stream = request.headers.get(b"x-amz-content-sha256", b"").startswith(b"STREAMING")
    return set_header(answer, "ETag", f'"{"0" * 32}"') if is_stream and when(request, "PUT") else None


breaks(
    ("PAY-09/bytes-etag-and-size", "PAY-09/part-in-a-stream"),
    answering("the ETag of a stream is that of its frame", etag_of_frame),
)
breaks(
    "PAY-16/small-signed-chunks",
    patched("chunks of any size are accepted", "anys3.protocol.aws_chunked.MIN_SIGNED_CHUNK", 0),
)


def plan_by_encoding(headers: Mapping[bytes, bytes], proof: Proof, is_body_expected: bool) -> payload.Plan:
    """Decode a stream only if Content-Encoding says that it is one."""
    is_stream = proof.payload_hash.startswith(b"STREAMING")
    if is_stream and b"aws-chunked" not in headers.get(b"content-encoding", b""):
        others = {name: value for name, value in headers.items() if name != b"x-amz-trailer"}
        return plan(others, Proof(b"UNSIGNED-PAYLOAD"), is_body_expected)
    return plan(headers, proof, is_body_expected)


def plan_encoded(headers: Mapping[bytes, bytes], proof: Proof, is_body_expected: bool) -> payload.Plan:
    """Decode whatever Content-Encoding calls a stream."""
    found = plan(headers, proof, is_body_expected)
    if is_body_expected and b"aws-chunked" in headers.get(b"content-encoding", b"") and not found.is_chunked:
        return payload.Plan(is_chunked=True, decoded_length=len(b"hello"))
    return found


breaks(
    "PAY-17/token-decides-about-framing",
    patched("Content-Encoding decides whether a body is decoded", PLAN, plan_by_encoding),
)
breaks(
    "PAY-17/encoding-alone-frames-nothing",
    patched("Content-Encoding alone has a body decoded", PLAN, plan_encoded),
)
breaks(
    "PAY-17/encoding-alone-frames-nothing",
    patched(
        "aws-chunked is stored", "anys3.protocol.metadata.without_aws_chunked", lambda encoding: encoding
    ),
)
