"""Payloads: what their headers announce, and that the bytes are just that."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.model import ChecksumAlgorithm
from anys3.protocol import checksums, payload
from anys3.protocol.claims import Proof
from anys3.protocol.payload import Payload, Plan
from anys3.protocol.sigv4 import Seal, Signer
from anys3.spec.errors import S3Error

DATA = b"hello world"
SHA256 = hashlib.sha256(DATA).hexdigest().encode()
MD5 = base64.b64encode(hashlib.md5(DATA).digest())
CRC32 = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big"))
UNSIGNED = b"UNSIGNED-PAYLOAD"
TRAILER_MODE = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
LENGTH = {b"x-amz-decoded-content-length": b"11"}


def plan_of(headers: dict[bytes, bytes] | None = None, payload_hash: bytes = UNSIGNED) -> Plan:
    return payload.plan(headers or {}, Proof(payload_hash), is_body_expected=True)


def plan_refusal(headers: dict[bytes, bytes], payload_hash: bytes = UNSIGNED) -> str:
    with pytest.raises(S3Error) as caught:
        plan_of(headers, payload_hash)
    return caught.value.code


def receive(
    plan: Plan, body: bytes, algorithm: ChecksumAlgorithm | None = None, step: int = 7
) -> tuple[bytes, payload.Received]:
    pipeline = Payload(plan, algorithm=algorithm)
    pieces = [
        piece for start in range(0, len(body), step) for piece in pipeline.feed(body[start : start + step])
    ]
    return b"".join(pieces), pipeline.finish()


def refusals(plan: Plan, body: bytes) -> str:
    """Return the one code with which the body is refused, whole and in pieces."""
    with pytest.raises(S3Error) as caught_whole:
        payload.whole(plan, body, None)
    with pytest.raises(S3Error) as caught:
        receive(plan, body)
    assert caught.value.code == caught_whole.value.code
    return caught.value.code


def test_a_payload_in_pieces_comes_out_as_it_does_in_one() -> None:
    received = payload.Received(11, hashlib.md5(DATA).hexdigest(), None)
    assert payload.whole(payload.PLAIN, DATA, None) == receive(payload.PLAIN, DATA) == (DATA, received)


@pytest.mark.requirement("PUT-02", "CK-05")
def test_the_checksum_asked_for_is_computed_where_none_was_sent() -> None:
    _, received = payload.whole(payload.PLAIN, DATA, "CRC64NVME")
    assert received == receive(payload.PLAIN, DATA, "CRC64NVME")[1]
    assert received.checksum is not None
    assert received.checksum.value == checksums.encode(checksums.digest("CRC64NVME", DATA))
    assert (received.checksum.algorithm, received.checksum.type) == ("CRC64NVME", "FULL_OBJECT")
    sent = plan_of({b"x-amz-checksum-crc32": CRC32})
    assert payload.whole(sent, DATA, "CRC64NVME")[1].checksum == receive(sent, DATA, "CRC64NVME")[1].checksum
    assert receive(sent, DATA, "CRC64NVME")[1].checksum == payload.Checksum(
        "CRC32", "FULL_OBJECT", CRC32.decode()
    )


@pytest.mark.requirement("PAY-02")
@pytest.mark.parametrize("digest", [SHA256, SHA256.upper()])
def test_a_signed_digest_of_either_case_is_verified(digest: bytes) -> None:
    plan = plan_of({}, digest)
    assert payload.whole(plan, DATA, None)[0] == receive(plan, DATA)[0] == DATA
    assert refusals(plan, DATA + b"!") == refusals(plan, b"") == "XAmzContentSHA256Mismatch"


@pytest.mark.requirement("PAY-02")
def test_the_digest_of_nothing_is_verified_too() -> None:
    plan = plan_of({}, hashlib.sha256().hexdigest().encode())
    assert receive(plan, b"")[1].size == 0
    assert refusals(plan, b"x") == "XAmzContentSHA256Mismatch"


@pytest.mark.requirement("PAY-02", "CK-01")
def test_a_sha256_that_is_both_signed_and_a_checksum_is_computed_once_and_verified_twice() -> None:
    value = base64.b64encode(hashlib.sha256(DATA).digest())
    plan = plan_of({b"x-amz-checksum-sha256": value}, SHA256)
    assert receive(plan, DATA)[1].checksum == payload.whole(plan, DATA, None)[1].checksum
    assert refusals(plan, b"x") == "XAmzContentSHA256Mismatch"
    wrong = plan_of({b"x-amz-checksum-sha256": base64.b64encode(bytes(32))}, SHA256)
    assert refusals(wrong, DATA) == "BadDigest"


@pytest.mark.requirement("PAY-03", "PAY-17")
def test_an_unsigned_payload_is_not_decoded_whatever_content_encoding_says() -> None:
    plan = plan_of({b"content-encoding": b"aws-chunked", b"x-amz-decoded-content-length": b"1"})
    body = b"1\r\nx\r\n0\r\n\r\n"
    assert payload.whole(plan, body, None)[0] == receive(plan, body)[0] == body


@pytest.mark.requirement("PAY-04")
@pytest.mark.parametrize("is_body_expected", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        b"unsigned-payload",
        b"STREAMING-UNSIGNED-PAYLOAD",
        b"streaming-unsigned-payload-trailer",
        b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILERX",
        SHA256[:-1],
        SHA256 + b"0",
        SHA256[:-1] + b"g",
        b"\xff" * 64,
    ],
)
def test_any_other_payload_hash_is_refused(value: bytes, is_body_expected: bool) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        payload.plan(LENGTH, Proof(value), is_body_expected)


@pytest.mark.requirement("PAY-05", "PAY-09", "PAY-17")
def test_an_unsigned_trailer_is_verified() -> None:
    plan = plan_of(LENGTH | {b"x-amz-trailer": b"x-amz-checksum-crc32"}, TRAILER_MODE)
    body = b"b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:" + CRC32 + b"\r\n\r\n"
    assert plan.decoded_length == 11
    assert plan.is_integrity_checked
    data, received = payload.whole(plan, body, None)
    assert (data, received) == receive(plan, body)
    assert (data, received.size, received.md5_hex) == (DATA, 11, hashlib.md5(DATA).hexdigest())
    assert received.checksum == payload.Checksum("CRC32", "FULL_OBJECT", CRC32.decode())
    assert refusals(plan, body.replace(CRC32, b"AAAAAA==")) == "BadDigest"
    assert refusals(plan, body.replace(CRC32, b"AAAA")) == "InvalidRequest"
    assert refusals(plan, body.replace(b"crc32", b"crc33")) == "MalformedTrailerError"
    assert refusals(plan, DATA) == "IncompleteBody"


@pytest.mark.requirement("PAY-06", "PAY-07")
@pytest.mark.known_mistake(1, 2)
def test_signed_chunks_need_a_signed_request() -> None:
    for mode in (payload.STREAMING_SIGNED, payload.STREAMING_SIGNED_TRAILER):
        assert plan_refusal(LENGTH, mode) == "InvalidRequest"


@pytest.mark.requirement("PAY-06")
def test_signed_chunks_are_verified() -> None:
    def seal() -> Seal:
        return Seal(Signer("secret", b"20261121", "us-east-1", b"host"), b"20261121T000000Z", b"0" * 64)

    writer = seal()
    body = b"b;chunk-signature=%b\r\nhello world\r\n0;chunk-signature=%b\r\n\r\n" % (
        writer.chunk(hashlib.sha256(DATA).hexdigest()),
        writer.chunk(hashlib.sha256().hexdigest()),
    )
    proof = Proof(payload.STREAMING_SIGNED, seal())
    assert payload.whole(payload.plan(LENGTH, proof, is_body_expected=True), body, None)[0] == DATA
    proof = Proof(payload.STREAMING_SIGNED, seal())
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        receive(payload.plan(LENGTH, proof, is_body_expected=True), body.replace(b"world", b"w0rld"))


@pytest.mark.requirement("PAY-08")
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "MissingContentLength"),
        (b"x", "InvalidArgument"),
        (b"-1", "InvalidArgument"),
        (b"1.0", "InvalidArgument"),
        (b"9" * 20, "InvalidArgument"),
    ],
)
def test_streaming_needs_the_decoded_length(value: bytes, code: str) -> None:
    assert plan_refusal({}, TRAILER_MODE) == "MissingContentLength"
    assert plan_refusal({b"x-amz-decoded-content-length": value}, TRAILER_MODE) == code


@pytest.mark.requirement("PAY-12", "CK-01")
@pytest.mark.parametrize("algorithm", checksums.ALGORITHMS)
def test_a_checksum_header_is_verified(algorithm: ChecksumAlgorithm) -> None:
    name = checksums.HEADERS[algorithm]
    value = checksums.encode(checksums.digest(algorithm, DATA))
    plan = plan_of({name: value.encode(), b"x-amz-sdk-checksum-algorithm": algorithm.encode()})
    assert receive(plan, DATA)[1].checksum == payload.Checksum(algorithm, "FULL_OBJECT", value)
    assert (plan.checksum_algorithm, plan.is_integrity_checked) == (algorithm, True)
    assert refusals(plan, b"other") == "BadDigest"
    assert plan_refusal({name: b"no base64!"}) == plan_refusal({name: b""}) == "InvalidRequest"


@pytest.mark.requirement("PAY-13")
def test_a_checksum_that_cannot_be_verified_is_refused_if_there_is_a_body() -> None:
    headers = {b"x-amz-checksum-md5": MD5}
    assert plan_refusal(headers) == "InvalidRequest"
    assert payload.plan(headers, Proof(UNSIGNED), is_body_expected=False) == payload.PLAIN
    assert (
        plan_refusal(LENGTH | {b"x-amz-trailer": b"x-amz-checksum-xxhash64"}, TRAILER_MODE)
        == "InvalidRequest"
    )
    assert plan_refusal(LENGTH | {b"x-amz-trailer": b"x-amz-meta-a"}, TRAILER_MODE) == "InvalidRequest"
    assert plan_refusal({b"x-amz-trailer": b"x-amz-checksum-crc32"}) == "InvalidRequest"


@pytest.mark.requirement("PAY-14")
@pytest.mark.parametrize("value", [b"", b"x", b"AAAA", MD5[:-2], MD5 + b"A", b"****" + MD5[4:]])
def test_a_content_md5_that_is_none_is_refused(value: bytes) -> None:
    assert plan_refusal({b"content-md5": value}) == "InvalidDigest"
    assert plan_refusal(LENGTH | {b"content-md5": value}, TRAILER_MODE) == "InvalidDigest"


@pytest.mark.requirement("PAY-14", "DELS-05", "CORSC-01")
def test_content_md5_is_verified() -> None:
    plan = plan_of({b"content-md5": MD5})
    assert plan.is_integrity_checked
    assert receive(plan, DATA)[0] == DATA
    assert refusals(plan, b"other") == "BadDigest"
    pipeline = Payload(plan, etag=False)
    pipeline.feed(DATA)
    assert pipeline.finish().md5_hex == hashlib.md5(DATA).hexdigest()
    unhashed = Payload(payload.PLAIN, etag=False)
    unhashed.feed(DATA)
    assert unhashed.finish() == payload.Received(11, "", None)


@pytest.mark.requirement("PAY-15")
@pytest.mark.parametrize(
    "headers",
    [
        {b"x-amz-sdk-checksum-algorithm": b"CRC32"},
        {b"x-amz-sdk-checksum-algorithm": b"SHA256", b"x-amz-checksum-crc32": CRC32},
        {b"x-amz-sdk-checksum-algorithm": b"", b"x-amz-checksum-crc32": CRC32},
        {b"x-amz-sdk-checksum-algorithm": b"MD5", b"content-md5": MD5},
    ],
)
def test_a_named_algorithm_needs_its_checksum(headers: dict[bytes, bytes]) -> None:
    assert plan_refusal(headers) == "InvalidRequest"


@pytest.mark.requirement("PAY-19", "CK-04")
def test_one_checksum_is_enough() -> None:
    crc32 = {b"x-amz-checksum-crc32": CRC32}
    assert plan_refusal(crc32 | {b"x-amz-checksum-crc32c": CRC32}) == "InvalidRequest"
    trailer = {b"x-amz-trailer": b"x-amz-checksum-crc32c"}
    assert plan_refusal(LENGTH | crc32 | trailer, TRAILER_MODE) == "InvalidRequest"
    both = {b"x-amz-trailer": b"x-amz-checksum-crc32,x-amz-checksum-crc32c"}
    assert plan_refusal(LENGTH | both, TRAILER_MODE) == "InvalidRequest"
    others = {b"x-amz-checksum-algorithm": b"CRC32", b"x-amz-checksum-mode": b"ENABLED"}
    assert plan_of(crc32 | others).checksum_algorithm == "CRC32"
    assert not plan_of(others).is_integrity_checked


def test_a_large_piece_is_hashed_as_a_small_one_and_not_copied() -> None:
    data = bytes(range(256)) * 2048
    plan = plan_of({}, hashlib.sha256(data).hexdigest().encode())
    pipeline = Payload(plan, algorithm="CRC64NVME")
    (piece,) = pipeline.feed(data)
    assert piece.obj is data
    assert pipeline.finish() == payload.whole(plan, data, "CRC64NVME")[1]


@given(st.binary(max_size=200), st.integers(1, 60), st.sampled_from(checksums.ALGORITHMS))
def test_any_payload_is_received_alike_whole_or_in_pieces(
    data: bytes, step: int, algorithm: ChecksumAlgorithm
) -> None:
    assert payload.whole(payload.PLAIN, data, algorithm) == receive(payload.PLAIN, data, algorithm, step)
