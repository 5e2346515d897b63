"""Servers broken for the checks of Content-MD5 and checksums: PAY-12 to PAY-15, PAY-19."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anys3.model import Checksum, ChecksumAlgorithm
from anys3.protocol import claims_v4, payload
from anys3.protocol.claims import Proof
from anys3.spec.errors import S3Error
from tests.breakages.authorization_header import refusing
from tests.breakages.aws_chunked import PLAN, UNVERIFIED, unverified
from tests.broken_servers import Breakage, accepting, all_of, breaks, patched, saying

checked = payload._checked
plan = payload.plan
CHECKED = "anys3.protocol.payload._checked"
ALL = (
    "PAY-12/crc32-header",
    "PAY-12/crc32-trailer",
    "PAY-12/crc64nvme-header",
    "PAY-12/crc64nvme-trailer",
    "PAY-12/other-algorithms",
    "PAY-12/other-algorithms-in-trailers",
    "PAY-12/wrong-checksum-replaces-nothing",
)


def verifying_but(*algorithms: ChecksumAlgorithm) -> Breakage:
    """A server that does not compare the checksums of some algorithms."""

    def broken(what: Any, algorithm: ChecksumAlgorithm, computed: bytes, trailer: bytes | None) -> Checksum:
        verify = unverified if algorithm in algorithms else checked
        return verify(what, algorithm, computed, trailer)

    return patched(f"{' and '.join(algorithms)} are not compared", CHECKED, broken)


def headers_alone(
    what: Any, algorithm: ChecksumAlgorithm, computed: bytes, trailer: bytes | None
) -> Checksum:
    """Compare the checksums of headers, and not those of trailers."""
    return (
        checked(what, algorithm, computed, None) if trailer is None else unverified(what, algorithm, computed)
    )


def planned(sentence: str, change: Callable[[dict[bytes, bytes]], None]) -> Breakage:
    """A server that sees other headers about the body than were sent."""

    def broken(headers: Mapping[bytes, bytes], proof: Proof, is_body_expected: bool) -> payload.Plan:
        seen = dict(headers)
        if is_body_expected:
            change(seen)
        return plan(seen, proof, is_body_expected)

    return patched(sentence, PLAN, broken)


def without(*names: bytes) -> Callable[[dict[bytes, bytes]], None]:
    """Forget some headers."""

    def change(headers: dict[bytes, bytes]) -> None:
        for name in names:
            headers.pop(name, None)

    return change


breaks(ALL, UNVERIFIED)
breaks(ALL[:-1], saying("InvalidRequest", instead_of="BadDigest"))
breaks(("PAY-12/crc64nvme-header", "PAY-12/crc64nvme-trailer"), verifying_but("CRC64NVME"))
breaks(("PAY-12/other-algorithms", "PAY-12/other-algorithms-in-trailers"), verifying_but("SHA1", "SHA256"))
breaks(
    (
        "PAY-12/crc32-trailer",
        "PAY-12/crc64nvme-trailer",
        "PAY-12/other-algorithms-in-trailers",
        "PAY-12/wrong-checksum-replaces-nothing",
    ),
    patched("the checksums of trailers are not compared", CHECKED, headers_alone),
)
breaks("PAY-12/checksum-syntax", accepting("InvalidRequest"))
breaks("PAY-12/checksum-syntax", saying("BadDigest", instead_of="InvalidRequest"))


def plan_without_unknown(headers: Any, proof: Proof, is_body_expected: bool) -> payload.Plan:
    """Forget a checksum of an unknown algorithm, here and for the operation."""
    headers.pop(b"x-amz-checksum-a3unknown", None)
    return plan(headers, proof, is_body_expected)


def any_algorithm(name: bytes) -> ChecksumAlgorithm:
    """Take an unknown algorithm for one that is known."""
    return payload.checksums.ALGORITHM_OF_HEADER.get(name, "CRC32")


breaks(
    "PAY-13/unknown-algorithms",
    patched("headers with unknown checksums are ignored", PLAN, plan_without_unknown),
)
breaks(
    "PAY-13/unknown-algorithms",
    all_of(
        "trailers with unknown checksums are ignored",
        patched("", "anys3.protocol.payload._algorithm", any_algorithm),
        UNVERIFIED,
    ),
)
breaks(
    "PAY-13/unknown-algorithms",
    saying("InternalError", instead_of="InvalidRequest"),
)
breaks(
    "PAY-13/checksums-without-a-body",
    refusing(
        "checksums are judged where there is no body",
        "InvalidRequest",
        lambda request: request.method != b"PUT" and b"x-amz-checksum-" in b"\n".join(request.headers),
    ),
)
breaks(
    "PAY-13/checksums-without-a-body",
    refusing(
        "unknown checksums are refused where there is no body",
        "InvalidRequest",
        lambda request: b"x-amz-checksum-a3unknown" in request.headers,
    ),
)

breaks(
    "PAY-14/content-md5-is-verified",
    patched("Content-MD5 is not compared", "anys3.protocol.payload._check_md5", lambda *_: None),
)
breaks("PAY-14/content-md5-is-verified", saying("InvalidDigest", instead_of="BadDigest"))


def lenient_md5(headers: dict[bytes, bytes]) -> None:
    """Forget a Content-MD5 that is none."""
    try:
        payload._decode_md5(headers.get(b"content-md5", b""))
    except S3Error:
        headers.pop(b"content-md5", None)


def empty_md5(headers: dict[bytes, bytes]) -> None:
    """Forget an empty Content-MD5."""
    if headers.get(b"content-md5") == b"":
        del headers[b"content-md5"]


breaks("PAY-14/content-md5-syntax", planned("a Content-MD5 that is none is ignored", lenient_md5))
breaks("PAY-14/content-md5-syntax", planned("an empty Content-MD5 is ignored", empty_md5))
breaks("PAY-14/content-md5-syntax", saying("BadDigest", instead_of="InvalidDigest"))

SDK_ALGORITHM = b"x-amz-sdk-checksum-algorithm"
breaks(
    ("PAY-15/announced-algorithm-must-come", "PAY-15/announced-algorithm-must-fit"),
    planned("the announced algorithm is ignored", without(SDK_ALGORITHM)),
)
breaks(
    "PAY-15/announced-algorithm-that-comes",
    refusing("announced algorithms are refused", "InvalidRequest", lambda one: SDK_ALGORITHM in one.headers),
)
breaks(
    "PAY-15/announced-algorithm-that-comes",
    refusing(
        "x-amz-checksum-algorithm is refused at PutObject",
        "InvalidRequest",
        lambda one: b"x-amz-checksum-algorithm" in one.headers,
    ),
)


breaks(
    "PAY-15/algorithm-in-a-url",
    patched(
        "the algorithm in a URL is taken for a header",
        "anys3.protocol.claims_v4._NOT_HEADERS",
        claims_v4.QUERY_PARAMETERS,
    ),
)


def drop_second(headers: dict[bytes, bytes]) -> None:
    """Keep one checksum: the last in the order of the alphabet, or the trailer."""
    names = sorted(name for name in headers if name.startswith(b"x-amz-checksum-crc"))
    kept = 0 if b"x-amz-trailer" in headers else 1
    for name in names[: len(names) - kept]:
        del headers[name]


breaks(
    ("PAY-19/two-checksums", "PAY-19/header-and-trailer"),
    planned("of two checksums one is verified", drop_second),
)
breaks(
    ("PAY-19/two-checksums", "PAY-19/header-and-trailer"),
    saying("BadDigest", instead_of="InvalidRequest"),
)
