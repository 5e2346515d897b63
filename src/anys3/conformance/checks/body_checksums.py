"""Content-MD5 and x-amz-checksum-* of request bodies: PAY-12 to PAY-15, PAY-19."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from anys3.client.signing import STREAMING_UNSIGNED_TRAILER
from anys3.conformance.digests import md5_base64
from anys3.conformance.kit.checksummed import sent_with
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply
from anys3.model import ChecksumAlgorithm
from anys3.protocol import checksums

_OTHER = b"other bytes"
_BAD_DIGEST = "400 BadDigest"
_INVALID = "400 InvalidRequest"
_SDK_ALGORITHM = "x-amz-sdk-checksum-algorithm"
_UNKNOWN = "x-amz-checksum-a3unknown"
_NO_VALUES = ("AAAA", "!!!!!!==")


def _name(algorithm: ChecksumAlgorithm) -> str:
    return checksums.HEADERS[algorithm].decode()


def _value(algorithm: ChecksumAlgorithm, data: bytes = CONTENT) -> str:
    return checksums.encode(checksums.digest(algorithm, data))


def _header(algorithm: ChecksumAlgorithm, data: bytes = CONTENT) -> dict[str, str]:
    """Return the checksum header of some bytes."""
    return {_name(algorithm): _value(algorithm, data)}


def _put_with_trailer(
    probe: Probe, name: str, value: str, headers: Mapping[str, str] | None = None, key: str = "object"
) -> Reply:
    """PUT CONTENT as a stream with that trailer."""
    return probe.put_chunked(
        probe.key(key), [CONTENT], mode=STREAMING_UNSIGNED_TRAILER, trailers=[(name, value)],
        headers=headers or {},
    )  # fmt: skip


def _expect_header_is_verified(probe: Probe, algorithm: ChecksumAlgorithm) -> None:
    """Raise Failed unless the header is verified and a right one accepted."""
    about = f"PUT with a {_name(algorithm)} of "
    probe.put(probe.key(), headers=_header(algorithm)).expect("200", about=f"{about}its bytes")
    wrong = probe.put(probe.key(), _OTHER, headers=_header(algorithm))
    wrong.expect(_BAD_DIGEST, about=f"{about}other bytes")
    probe.expect_content(probe.key(), CONTENT, about="the object after a PUT with a wrong checksum")


def _expect_trailer_is_verified(probe: Probe, algorithm: ChecksumAlgorithm) -> None:
    """Raise Failed unless the trailer is verified and a right one accepted."""
    about = f"a stream with a trailer {_name(algorithm)} of "
    wrong = _put_with_trailer(probe, _name(algorithm), _value(algorithm, _OTHER))
    wrong.expect(_BAD_DIGEST, about=f"{about}other bytes")
    probe.expect_no_object(probe.key(), about="the object of a wrong checksum")
    right = _put_with_trailer(probe, _name(algorithm), _value(algorithm))
    right.expect("200", about=f"{about}its bytes")
    probe.expect_content(probe.key(), CONTENT)


@check("PAY-12", operation="PutObject")
def crc32_header(probe: Probe) -> None:
    """A CRC32 in a header, the default of current SDKs, is verified before an object is visible."""
    _expect_header_is_verified(probe, "CRC32")


@check("PAY-12", operation="PutObject")
def crc32_trailer(probe: Probe) -> None:
    """A CRC32 in a trailer, the default of current SDKs, is verified before an object is visible."""
    _expect_trailer_is_verified(probe, "CRC32")


@check("PAY-12", operation="PutObject")
def crc64nvme_header(probe: Probe) -> None:
    """A CRC64NVME in a header, the default of the AWS CLI, is verified before an object is visible."""
    _expect_header_is_verified(probe, "CRC64NVME")


@check("PAY-12", operation="PutObject")
def crc64nvme_trailer(probe: Probe) -> None:
    """A CRC64NVME in a trailer, the default of the AWS CLI, is verified before an object is visible."""
    _expect_trailer_is_verified(probe, "CRC64NVME")


def _expect_verified_if_known(probe: Probe, where: str) -> None:
    """Raise Failed if a checksum of an optional algorithm is accepted and not compared."""
    others: tuple[ChecksumAlgorithm, ...] = ("CRC32C", "SHA1", "SHA256")
    for algorithm in others:
        name = _name(algorithm)
        _, right = sent_with(probe, algorithm, where)
        right.expect("200", _INVALID, "501", about=f"PUT with a right {name} in a {where}")
        key, wrong = sent_with(probe, algorithm, where, value=_value(algorithm, _OTHER))
        about = f"PUT with a {name} of other bytes in a {where}"
        if right.status == 200:
            wrong.expect(_BAD_DIGEST, about=about)
        else:
            probe.report(f"{name} in a {where} is refused with {right.said}; it should be verified")
            wrong.expect("400", "501", about=about)
    probe.expect_no_object(key, about="the object of a wrong checksum")


@check("PAY-12", operation="PutObject")
def other_algorithms(probe: Probe) -> None:
    """A CRC32C, SHA1 or SHA256 in a header is verified, or refused by a server that does not compute it."""
    _expect_verified_if_known(probe, "header")


@check("PAY-12", operation="PutObject")
def other_algorithms_in_trailers(probe: Probe) -> None:
    """A CRC32C, SHA1 or SHA256 in a trailer is verified, or refused by a server that does not compute it."""
    _expect_verified_if_known(probe, "trailer")


@check("PAY-12", operation="PutObject")
def checksum_syntax(probe: Probe) -> None:
    """A checksum that is not base64 of the right length is refused, in a header and in a trailer."""
    mandatory: tuple[ChecksumAlgorithm, ...] = ("CRC32", "CRC64NVME")
    for algorithm, value in (
        (mandatory[0], "x"),
        *((one, value) for one in mandatory for value in _NO_VALUES),
    ):
        reply = probe.put(probe.key(), headers={_name(algorithm): value})
        reply.expect(_INVALID, about=f"PUT with {_name(algorithm)}: {value}")
    reply = _put_with_trailer(probe, _name("CRC32"), "x")
    reply.expect(_INVALID, about=f"a stream with the trailer {_name('CRC32')}:x")
    probe.expect_no_object(probe.key(), about="the object of a checksum that is none")


@check("PAY-12", operation="PutObject")
def wrong_checksum_replaces_nothing(probe: Probe) -> None:
    """A PUT with a wrong checksum leaves the object that was there as it was."""
    key = probe.given_object()
    reply = probe.put(key, b"changed", headers=_header("CRC32", _OTHER))
    reply.expect("400", about="PUT over an object, with a wrong checksum")
    reply = _put_with_trailer(probe, _name("CRC32"), _value("CRC32", _OTHER))
    reply.expect("400", about="a stream over an object, with a wrong checksum")
    probe.expect_content(key, CONTENT, about="the object that was there")


@check("PAY-13", operation="PutObject")
def unknown_algorithms(probe: Probe) -> None:
    """A checksum of an algorithm that the server can't compute is refused, and nothing is stored."""
    header = probe.put(probe.key(), headers={_UNKNOWN: "AAAAAA=="})
    header.expect(_INVALID, "501", about=f"PUT with {_UNKNOWN}")
    trailer = _put_with_trailer(probe, _UNKNOWN, "AAAAAA==")
    trailer.expect(_INVALID, "501", about=f"a stream with the trailer {_UNKNOWN}")
    probe.expect_no_object(probe.key(), about="the object of an unknown checksum")


@check("PAY-13", operation="GetObject")
def checksums_without_a_body(probe: Probe) -> None:
    """Checksum headers of a request without a body are ignored, whatever they say."""
    there, missing = probe.path(probe.shared_object()), probe.path(probe.key())
    for method, path, name, status in (
        ("GET", there, _name("CRC32"), "200"),
        ("GET", there, _UNKNOWN, "200"),
        ("HEAD", there, _name("CRC32"), "200"),
        ("DELETE", missing, _name("CRC32"), "204"),
        ("DELETE", missing, _UNKNOWN, "204"),
    ):
        reply = probe.request(method, path, headers={name: "AAAAAA=="})
        reply.expect(status, about=f"{method} with {name}: AAAAAA==")


@check("PAY-14", operation="PutObject")
def content_md5_is_verified(probe: Probe) -> None:
    """A body that is not that of its Content-MD5 is refused, and nothing is stored or replaced."""
    there = probe.given_object("there")
    for name, body in (("new", CONTENT), ("new", b""), ("there", b"changed")):
        reply = probe.put(probe.key(name), body, headers={"content-md5": md5_base64(_OTHER)})
        reply.expect(_BAD_DIGEST, about=f"PUT of {len(body)} bytes with the Content-MD5 of others")
    probe.expect_no_object(probe.key("new"), about="the object of a wrong Content-MD5")
    probe.expect_content(there, CONTENT, about="the object that was there")
    probe.put(probe.key("new"), headers={"content-md5": md5_base64(CONTENT)}).expect(
        "200", about="PUT with its Content-MD5"
    )


@check("PAY-14", operation="PutObject")
def content_md5_syntax(probe: Probe) -> None:
    """A Content-MD5 that is empty or not base64 of 16 bytes is refused, and nothing is stored."""
    for value in ("", "x", "AAAA", hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(), "!" * 22 + "=="):
        reply = probe.put(probe.key(), headers={"content-md5": value})
        reply.expect("400 InvalidDigest", about=f"PUT with Content-MD5: {value}")
    probe.expect_no_object(probe.key(), about="the object of a Content-MD5 that is none")


@check("PAY-15", operation="PutObject")
def announced_algorithm_must_come(probe: Probe) -> None:
    """`x-amz-sdk-checksum-algorithm` without a checksum in header or trailer is refused."""
    for algorithm in ("CRC32", "SHA256"):
        reply = probe.put(probe.key(), headers={_SDK_ALGORITHM: algorithm})
        reply.expect(_INVALID, about=f"PUT with {_SDK_ALGORITHM}: {algorithm} and no checksum")
    probe.expect_no_object(probe.key(), about="the object of a checksum that was announced")


@check("PAY-15", operation="PutObject")
def announced_algorithm_must_fit(probe: Probe) -> None:
    """`x-amz-sdk-checksum-algorithm` that names another algorithm than the checksum's is refused."""
    reply = probe.put(probe.key(), headers={_SDK_ALGORITHM: "CRC64NVME", **_header("CRC32")})
    reply.expect(_INVALID, _BAD_DIGEST, about=f"PUT with {_SDK_ALGORITHM}: CRC64NVME and a CRC32")
    headers = {_SDK_ALGORITHM: "CRC64NVME"}
    reply = _put_with_trailer(probe, _name("CRC32"), _value("CRC32"), headers)
    reply.expect(_INVALID, _BAD_DIGEST, about=f"a stream with {_SDK_ALGORITHM}: CRC64NVME and a CRC32")
    probe.expect_no_object(probe.key(), about="the object of another checksum than was announced")


@check("PAY-15", operation="PutObject")
def announced_algorithm_that_comes(probe: Probe) -> None:
    """`x-amz-sdk-checksum-algorithm` with its checksum is accepted, as SDKs send it."""
    headers = {_SDK_ALGORITHM: "CRC32"}
    reply = probe.put(probe.key(), headers={**headers, **_header("CRC32")})
    reply.expect("200", about=f"PUT with {_SDK_ALGORITHM}: CRC32 and a CRC32")
    reply = _put_with_trailer(probe, _name("CRC32"), _value("CRC32"), headers)
    reply.expect("200", about=f"a stream with {_SDK_ALGORITHM}: CRC32 and a CRC32")
    reply = probe.put(probe.key(), headers={"x-amz-checksum-algorithm": "SHA256"})
    reply.expect("200", about="PUT with x-amz-checksum-algorithm, which has no effect there")


@check("PAY-15", operation="PutObject")
def algorithm_in_a_url(probe: Probe) -> None:
    """`x-amz-sdk-checksum-algorithm` as a parameter of a presigned URL is ignored."""
    path = probe.path(probe.key())
    plain = probe.open("PUT", probe.presign("PUT", path), body=CONTENT)
    if plain.status != 200:
        probe.report(f"presigned URLs are not accepted ({plain.said}): {_SDK_ALGORITHM} was not tried in one")
        return
    url = probe.presign("PUT", path, [(_SDK_ALGORITHM, "CRC32")])
    probe.open("PUT", url, body=CONTENT).expect("200", about=f"PUT by a URL with {_SDK_ALGORITHM}")


@check("PAY-19", operation="PutObject")
def two_checksums(probe: Probe) -> None:
    """Two checksum headers in one request are refused, though both are right."""
    reply = probe.put(probe.key(), headers={**_header("CRC32"), **_header("CRC64NVME")})
    reply.expect(_INVALID, about="PUT with a CRC32 and a CRC64NVME")
    probe.expect_no_object(probe.key(), about="the object of two checksums")


@check("PAY-19", operation="PutObject")
def header_and_trailer(probe: Probe) -> None:
    """A checksum header together with a checksum trailer is refused, though both are right."""
    both: tuple[ChecksumAlgorithm, ...] = ("CRC32", "CRC64NVME")
    for algorithm in both:
        reply = _put_with_trailer(probe, _name("CRC32"), _value("CRC32"), _header(algorithm))
        reply.expect(_INVALID, about=f"a stream with a CRC32 behind it and a {algorithm} header")
    probe.expect_no_object(probe.key(), about="the object of two checksums")
