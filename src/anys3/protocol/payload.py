"""A request's payload: unframed, hashed while it passes, and compared with all that was said about it.

`plan` reads the headers once; `whole` takes a small body in one go; `Payload` a large one in pieces, in any
thread. Nothing is believed before the end, so whoever stores pieces publishes them only after `finish`.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode
from collections.abc import Mapping
from typing import NamedTuple

from anys3.model import Checksum, ChecksumAlgorithm
from anys3.protocol import checksums
from anys3.protocol.aws_chunked import Decoder
from anys3.protocol.claims import Proof
from anys3.protocol.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD, Seal
from anys3.spec.errors import S3Error

STREAMING_UNSIGNED_TRAILER = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING_SIGNED = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"

_STREAMING = frozenset({STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER})
_PLAIN_TOKENS = frozenset({b"", UNSIGNED_PAYLOAD})
_HEX_DIGITS = b"0123456789abcdefABCDEF"
_SHA256_DIGITS = 64
_MD5_BYTES = 16
_MAX_LENGTH_DIGITS = 19
_BLOCK_BYTES = 128 * 1024
"""Every hash takes a block before the next block is touched: it is still in the processor's cache then."""

_VALUE_PREFIX = b"x-amz-checksum-"
_NOT_VALUES = frozenset({b"x-amz-checksum-algorithm", b"x-amz-checksum-mode", b"x-amz-checksum-type"})


class Plan(NamedTuple):
    """What is to be done with a payload. Read from the headers by `plan`."""

    is_chunked: bool = False
    """Whether the body is aws-chunked (PAY-17)."""
    seal: Seal | None = None
    """What the chunks are signed with, if they are."""
    trailer: bytes | None = None
    """The name of the announced trailer, in lower case."""
    decoded_length: int | None = None
    """Bytes of the payload, as announced; None if it is not framed."""
    sha256: bytes | None = None
    """The SHA-256 that the request was signed with, in lower-case hexadecimal (PAY-02)."""
    md5: bytes | None = None
    """Content-MD5, decoded (PAY-14)."""
    checksum_algorithm: ChecksumAlgorithm | None = None
    """The algorithm of the checksum that was sent, or is announced as trailer."""
    checksum: bytes | None = None
    """The checksum that was sent as a header, decoded."""

    @property
    def is_integrity_checked(self) -> bool:
        """Whether Content-MD5 or a checksum was sent or announced (DELS-05, CORSC-01)."""
        return self.md5 is not None or self.checksum_algorithm is not None


class Received(NamedTuple):
    """What was found out about a payload. `checksum` is the verified one, or the one asked for."""

    size: int
    md5_hex: str
    checksum: Checksum | None


PLAIN = Plan()
"""A payload about which nothing was said."""


def plan(headers: Mapping[bytes, bytes], proof: Proof, is_body_expected: bool) -> Plan:
    """Return what to do with the payload, by x-amz-content-sha256 alone as for its framing (PAY-17).

    Checksums of a request without body are ignored (PAY-13).

    Raises S3Error:
        InvalidArgument: x-amz-content-sha256 is neither a digest nor a known token (PAY-04).
        MissingContentLength: aws-chunked without x-amz-decoded-content-length (PAY-08).
        InvalidRequest: checksums that contradict each other, have bad syntax, or cannot be computed
            (PAY-12, PAY-13, PAY-15, PAY-19).
        InvalidDigest: Content-MD5 is not one (PAY-14).
    """
    payload_hash = proof.payload_hash
    sha256 = None
    is_chunked = False
    if payload_hash not in _PLAIN_TOKENS and payload_hash != EMPTY_SHA256:
        is_chunked = payload_hash in _STREAMING
        if not is_chunked and (
            len(payload_hash) != _SHA256_DIGITS or payload_hash.translate(None, _HEX_DIGITS)
        ):
            raise _neither_digest_nor_token(payload_hash)
    if not is_body_expected:
        return PLAIN
    if not is_chunked and payload_hash not in _PLAIN_TOKENS:
        sha256 = payload_hash.lower()
    md5 = headers.get(b"content-md5")
    algorithm, checksum, trailer = _checksums(headers, payload_hash)
    if not is_chunked:
        decoded = None if md5 is None else _decode_md5(md5)
        return Plan(False, None, None, None, sha256, decoded, algorithm, checksum)
    seal = proof.seal
    if payload_hash == STREAMING_UNSIGNED_TRAILER:
        seal = None
    elif seal is None:
        raise S3Error("InvalidRequest", "Signed chunks need a request that is signed with AWS4-HMAC-SHA256.")
    return Plan(
        is_chunked=True,
        seal=seal,
        trailer=trailer,
        decoded_length=_decoded_length(headers),
        md5=None if md5 is None else _decode_md5(md5),
        checksum_algorithm=algorithm,
        checksum=checksum,
    )


def _neither_digest_nor_token(payload_hash: bytes) -> S3Error:
    return S3Error(
        "InvalidArgument",
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid "
        "sha256 value.",
        ArgumentName="x-amz-content-sha256",
        ArgumentValue=payload_hash[:256].decode("latin-1"),
    )


def _checksums(
    headers: Mapping[bytes, bytes], payload_hash: bytes
) -> tuple[ChecksumAlgorithm | None, bytes | None, bytes | None]:
    """Return algorithm, digest (if sent as header) and trailer name (if announced)."""
    names = b"\n".join(headers)
    if b"x-amz-trailer" not in names and b"-checksum-" not in names:
        return None, None, None
    algorithm: ChecksumAlgorithm | None = None
    digest = None
    sent = [name for name in checksums.ALGORITHM_OF_HEADER if name in headers]
    if names.count(_VALUE_PREFIX) != len(sent):
        sent = [name for name in headers if name.startswith(_VALUE_PREFIX) and name not in _NOT_VALUES]
    if len(sent) > 1:
        raise S3Error("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple found.")
    if sent:
        algorithm = _algorithm(sent[0])
        digest = checksums.decode(headers[sent[0]], algorithm)
    trailer = headers.get(b"x-amz-trailer")
    if trailer is not None:
        trailer = trailer.strip().lower()
        if payload_hash not in (STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED_TRAILER):
            raise S3Error("InvalidRequest", "x-amz-trailer needs an x-amz-content-sha256 ending in -TRAILER.")
        if algorithm is not None:
            raise S3Error("InvalidRequest", "Expecting a single checksum, in a header or in the trailer.")
        algorithm = _algorithm(trailer)
    wanted = headers.get(b"x-amz-sdk-checksum-algorithm")
    if wanted is not None and wanted.decode("latin-1").strip().upper() != algorithm:
        raise S3Error(
            "InvalidRequest",
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
            "headers were found.",
        )
    return algorithm, digest, trailer


def _algorithm(name: bytes) -> ChecksumAlgorithm:
    algorithm = checksums.ALGORITHM_OF_HEADER.get(name)
    if algorithm is None:
        raise S3Error(
            "InvalidRequest",
            f"The checksum {name[:256].decode('latin-1')!r} is not one that can be verified.",
        )
    return algorithm


def _decode_md5(value: bytes) -> bytes:
    try:
        decoded = b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != _MD5_BYTES:
        raise S3Error("InvalidDigest", **{"Content-MD5": value[:256].decode("latin-1")})
    return decoded


def _decoded_length(headers: Mapping[bytes, bytes]) -> int:
    value = headers.get(b"x-amz-decoded-content-length", b"").strip()
    if not value:
        raise S3Error("MissingContentLength")
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise S3Error(
            "InvalidArgument",
            "x-amz-decoded-content-length must be a number of bytes",
            ArgumentName="x-amz-decoded-content-length",
            ArgumentValue=value[:256].decode("latin-1"),
        )
    return int(value)


def whole(plan: Plan, body: bytes, algorithm: ChecksumAlgorithm | None) -> tuple[bytes, Received]:
    """Return the payload of a body that lies in memory, verified, and what was found out about it.

    `algorithm` is computed where no checksum was sent (CK-05). Raises S3Error as `Payload` does.
    """
    trailer = None
    if plan.is_chunked:
        body, trailer = _unframe(plan, body)
    if plan.sha256 is not None:
        _check_sha256(plan.sha256, hashlib.sha256(body, usedforsecurity=False).hexdigest())
    md5 = hashlib.md5(body, usedforsecurity=False)
    if plan.md5 is not None:
        _check_md5(plan.md5, md5.digest())
    chosen = plan.checksum_algorithm or algorithm
    checksum = None
    if chosen is not None:
        checksum = _checked(plan, chosen, checksums.digest(chosen, body), trailer)
    return body, Received(len(body), md5.hexdigest(), checksum)


def _unframe(plan: Plan, body: bytes) -> tuple[bytes, bytes | None]:
    assert plan.decoded_length is not None
    decoder = Decoder(plan.seal, plan.trailer, plan.decoded_length)
    pieces = decoder.feed(body)
    decoder.finish()
    return b"".join(pieces), decoder.trailer


def _check_sha256(expected: bytes, computed: str) -> None:
    if not hmac.compare_digest(computed.encode(), expected):
        raise S3Error(
            "XAmzContentSHA256Mismatch",
            ClientComputedContentSHA256=expected.decode(),
            S3ComputedContentSHA256=computed,
        )


def _check_md5(expected: bytes, computed: bytes) -> None:
    if computed != expected:
        raise S3Error(
            "BadDigest",
            ExpectedDigest=checksums.encode(expected),
            CalculatedDigest=checksums.encode(computed),
        )


def _checked(plan: Plan, algorithm: ChecksumAlgorithm, computed: bytes, trailer: bytes | None) -> Checksum:
    """Return the checksum, if it is the one that was sent (PAY-12)."""
    expected = plan.checksum
    if trailer is not None:
        expected = checksums.decode(trailer, algorithm)
    if expected is not None and computed != expected:
        raise S3Error("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")
    return Checksum(algorithm, "FULL_OBJECT", checksums.encode(computed))


class Payload:
    """Takes one payload in pieces. Not for two threads at once; any number one after the other."""

    __slots__ = ("_algorithm", "_checksum", "_decoder", "_hashers", "_md5", "_plan", "_sha256", "_size")

    def __init__(self, plan: Plan, *, etag: bool = True, algorithm: ChecksumAlgorithm | None = None) -> None:
        """Prepare the hashes that the plan needs, MD5 if there is to be an ETag, and `algorithm` if the
        client sent no checksum (CK-05).
        """
        self._plan = plan
        self._size = 0
        self._decoder = None
        if plan.is_chunked:
            assert plan.decoded_length is not None
            self._decoder = Decoder(plan.seal, plan.trailer, plan.decoded_length)
        self._sha256 = hashlib.sha256(usedforsecurity=False) if plan.sha256 is not None else None
        self._md5 = hashlib.md5(usedforsecurity=False) if etag or plan.md5 is not None else None
        self._algorithm: ChecksumAlgorithm | None = plan.checksum_algorithm or algorithm
        self._checksum: checksums.Hasher | None = None
        if self._algorithm is not None:
            is_shared = self._algorithm == "SHA256" and self._sha256 is not None
            self._checksum = self._sha256 if is_shared else checksums.hasher(self._algorithm)
        hashers = (self._checksum, self._md5, None if self._checksum is self._sha256 else self._sha256)
        self._hashers: list[checksums.Hasher] = [each for each in hashers if each is not None]

    def feed(self, data: bytes | memoryview) -> list[memoryview]:
        """Return the payload among the next bytes of the body, hashed: slices of what was given.

        Raises S3Error as `aws_chunked.Decoder.feed` does.
        """
        if self._decoder is not None:
            pieces = self._decoder.feed(data)
        elif data:
            pieces = [memoryview(data)]
        else:
            return []
        for piece in pieces:
            self._size += len(piece)
            self._hash(piece)
        return pieces

    def _hash(self, piece: memoryview) -> None:
        if len(piece) <= _BLOCK_BYTES or len(self._hashers) == 1:
            for each in self._hashers:
                each.update(piece)
            return
        for start in range(0, len(piece), _BLOCK_BYTES):
            block = piece[start : start + _BLOCK_BYTES]
            for each in self._hashers:
                each.update(block)

    def finish(self) -> Received:
        """Return what was found out, after the last bytes.

        Raises S3Error:
            IncompleteBody, MalformedTrailerError, SignatureDoesNotMatch: as `aws_chunked.Decoder.finish`.
            XAmzContentSHA256Mismatch: other bytes than those that were signed (PAY-02).
            BadDigest: Content-MD5 or the checksum differs (PAY-12, PAY-14).
            InvalidRequest: the trailer is no checksum (PAY-12).
        """
        plan = self._plan
        trailer = None
        if self._decoder is not None:
            self._decoder.finish()
            trailer = self._decoder.trailer
        if plan.sha256 is not None and self._sha256 is not None:
            _check_sha256(plan.sha256, self._sha256.hexdigest())
        if plan.md5 is not None and self._md5 is not None:
            _check_md5(plan.md5, self._md5.digest())
        checksum = None
        if self._algorithm is not None and self._checksum is not None:
            checksum = _checked(plan, self._algorithm, self._checksum.digest(), trailer)
        return Received(self._size, self._md5.hexdigest() if self._md5 else "", checksum)
