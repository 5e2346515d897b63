"""The five checksums of S3: computed, compared, and joined over parts (CK-01, CK-02, CK-06, CK-07).

Values on the wire are base64 of the big-endian digest.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Protocol

from awscrt import checksums as crt
from isal import isal_zlib

from anys3.model import ChecksumAlgorithm, ChecksumType
from anys3.spec.errors import S3Error

ALGORITHMS: tuple[ChecksumAlgorithm, ...] = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")

HEADERS: dict[ChecksumAlgorithm, bytes] = {
    algorithm: b"x-amz-checksum-" + algorithm.lower().encode() for algorithm in ALGORITHMS
}
"""The header and trailer name of each algorithm."""

ALGORITHM_OF_HEADER: dict[bytes, ChecksumAlgorithm] = {name: each for each, name in HEADERS.items()}

# awscrt's CRC32 is an order of magnitude slower than isal's.
_CRCS: dict[ChecksumAlgorithm, tuple[Callable[..., int], Callable[[int, int, int], int], int]] = {
    "CRC32": (isal_zlib.crc32, crt.combine_crc32, 4),
    "CRC32C": (crt.crc32c, crt.combine_crc32c, 4),
    "CRC64NVME": (crt.crc64nvme, crt.combine_crc64nvme, 8),
}
_LENGTHS: dict[ChecksumAlgorithm, int] = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}


class Hasher(Protocol):
    """Computes one checksum, piece by piece."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take the next bytes."""

    def digest(self) -> bytes:
        """Return the digest of the bytes so far, big-endian."""


class _Crc:
    __slots__ = ("_compute", "_length", "_value")

    def __init__(self, algorithm: ChecksumAlgorithm) -> None:
        self._compute, _, self._length = _CRCS[algorithm]
        self._value = 0

    def update(self, data: bytes | memoryview, /) -> None:
        self._value = self._compute(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._length, "big")


def hasher(algorithm: ChecksumAlgorithm) -> Hasher:
    """Return a new hasher of an algorithm."""
    if algorithm in _CRCS:
        return _Crc(algorithm)
    if algorithm == "SHA256":
        return hashlib.sha256(usedforsecurity=False)
    return hashlib.sha1(usedforsecurity=False)


def digest(algorithm: ChecksumAlgorithm, data: bytes | memoryview) -> bytes:
    """Return the digest of bytes that lie in memory.

    >>> encode(digest("CRC32", b"123456789"))
    'y/Q5Jg=='
    """
    crc = _CRCS.get(algorithm)
    if crc is not None:
        return crc[0](data).to_bytes(crc[2], "big")
    computed = hasher(algorithm)
    computed.update(data)
    return computed.digest()


def encode(value: bytes) -> str:
    """Return a digest as it goes over the wire."""
    return b64encode(value).decode()


def decode(value: bytes, algorithm: ChecksumAlgorithm) -> bytes:
    """Return the digest that a header or trailer gives.

    Raises S3Error InvalidRequest if it is not base64 of the right length (PAY-12).
    """
    try:
        decoded = binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        decoded = b""
    if len(decoded) != _LENGTHS[algorithm]:
        raise S3Error("InvalidRequest", f"Value for {HEADERS[algorithm].decode()} header is invalid.")
    return decoded


def composite(algorithm: ChecksumAlgorithm, part_values: Sequence[str]) -> str:
    """Return the COMPOSITE checksum of parts: the digest of their digests, and their number (CK-07)."""
    joined = b"".join([decode(value.encode(), algorithm) for value in part_values])
    return f"{encode(digest(algorithm, joined))}-{len(part_values)}"


def full_object(algorithm: ChecksumAlgorithm, parts: Sequence[tuple[str, int]]) -> str:
    """Return the FULL_OBJECT checksum of parts given as (value, size), without reading their bytes (CK-06).

    Raises S3Error InvalidRequest for SHA1 and SHA256, which cannot be combined.
    """
    if algorithm not in _CRCS:
        raise _no_such_type(algorithm, "FULL_OBJECT")
    _, combine, length = _CRCS[algorithm]
    total = 0
    for value, size in parts:
        total = combine(total, int.from_bytes(decode(value.encode(), algorithm), "big"), size)
    return encode(total.to_bytes(length, "big"))


def resolve_type(algorithm: ChecksumAlgorithm, kind: str | None) -> ChecksumType:
    """Return the type of a multipart upload's checksum, `kind` as asked for or the default (CK-06).

    Raises S3Error InvalidRequest for a type that the algorithm does not have, or that does not exist.
    """
    if kind is None:
        return "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE"
    if kind == "FULL_OBJECT" and algorithm in _CRCS:
        return "FULL_OBJECT"
    if kind == "COMPOSITE" and algorithm != "CRC64NVME":
        return "COMPOSITE"
    raise _no_such_type(algorithm, kind)


def _no_such_type(algorithm: ChecksumAlgorithm, kind: str) -> S3Error:
    return S3Error(
        "InvalidRequest",
        f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
    )
