"""Checksums against published check values, and joined over parts."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.model import ChecksumAlgorithm
from anys3.protocol import checksums
from anys3.spec.errors import S3Error

# The check values of the CRC catalogue (reveng.sourceforge.io) and of FIPS 180 for "123456789".
VECTORS: list[tuple[ChecksumAlgorithm, str]] = [
    ("CRC32", "cbf43926"),
    ("CRC32C", "e3069283"),
    ("CRC64NVME", "ae8b14860a799888"),
    ("SHA1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
    ("SHA256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
]
CRCS: tuple[ChecksumAlgorithm, ...] = ("CRC32", "CRC32C", "CRC64NVME")


@pytest.mark.requirement("CK-01", "CK-02", "PAY-12")
@pytest.mark.parametrize(("algorithm", "expected"), VECTORS)
def test_each_algorithm_has_its_published_check_value(algorithm: ChecksumAlgorithm, expected: str) -> None:
    hasher = checksums.hasher(algorithm)
    hasher.update(b"1234")
    hasher.update(memoryview(b"56789"))
    assert hasher.digest().hex() == checksums.digest(algorithm, b"123456789").hex() == expected
    encoded = checksums.encode(hasher.digest())
    assert checksums.decode(encoded.encode(), algorithm).hex() == expected


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_a_digest_in_pieces_is_the_digest_of_the_whole(head: bytes, tail: bytes) -> None:
    for algorithm in checksums.ALGORITHMS:
        hasher = checksums.hasher(algorithm)
        hasher.update(head)
        hasher.update(tail)
        assert hasher.digest() == checksums.digest(algorithm, head + tail)
    assert checksums.digest("CRC32", head) == zlib.crc32(head).to_bytes(4, "big")


@pytest.mark.requirement("CK-06")
@given(st.lists(st.binary(max_size=100), min_size=1, max_size=6))
def test_a_full_object_checksum_is_that_of_the_joined_parts(parts: list[bytes]) -> None:
    for algorithm in CRCS:
        values = [(checksums.encode(checksums.digest(algorithm, part)), len(part)) for part in parts]
        whole = checksums.encode(checksums.digest(algorithm, b"".join(parts)))
        assert checksums.full_object(algorithm, values) == whole


@pytest.mark.requirement("CK-07")
def test_a_composite_checksum_is_the_digest_of_the_digests_and_their_number() -> None:
    digests = [hashlib.sha256(part).digest() for part in (b"one", b"two", b"three")]
    expected = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode() + "-3"
    assert checksums.composite("SHA256", [checksums.encode(each) for each in digests]) == expected


@pytest.mark.requirement("CK-06")
@pytest.mark.parametrize(
    ("algorithm", "kind", "expected"),
    [
        ("CRC32", None, "COMPOSITE"),
        ("CRC32C", None, "COMPOSITE"),
        ("SHA1", None, "COMPOSITE"),
        ("SHA256", None, "COMPOSITE"),
        ("CRC64NVME", None, "FULL_OBJECT"),
        ("CRC32", "FULL_OBJECT", "FULL_OBJECT"),
        ("CRC32C", "FULL_OBJECT", "FULL_OBJECT"),
        ("CRC64NVME", "FULL_OBJECT", "FULL_OBJECT"),
        ("SHA256", "COMPOSITE", "COMPOSITE"),
    ],
)
def test_each_algorithm_has_its_types_and_its_default(
    algorithm: ChecksumAlgorithm, kind: str | None, expected: str
) -> None:
    assert checksums.resolve_type(algorithm, kind) == expected


@pytest.mark.requirement("CK-06")
@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("CRC32", "HALF")],
)
def test_types_that_an_algorithm_lacks_are_refused(algorithm: ChecksumAlgorithm, kind: str) -> None:
    with pytest.raises(S3Error, match="InvalidRequest"):
        checksums.resolve_type(algorithm, kind)


@pytest.mark.requirement("CK-06")
def test_digests_of_sha_cannot_be_combined() -> None:
    with pytest.raises(S3Error, match="InvalidRequest"):
        checksums.full_object("SHA256", [])


@pytest.mark.requirement("PAY-12")
@pytest.mark.parametrize(
    "value", [b"", b"AAAA", b"AAAAAA", b"AAAAAAA=", b"AAAAA*==", b"AAAAAA==\n", b"\xff" * 8]
)
def test_a_value_of_bad_syntax_is_refused(value: bytes) -> None:
    with pytest.raises(S3Error, match="InvalidRequest"):
        checksums.decode(value, "CRC32")
