"""Checksums that objects keep: CK-01 to CK-05, CK-10, CK-11. Those of uploads are in upload_checksums."""

from __future__ import annotations

from collections.abc import Mapping

from anys3.client.signing import STREAMING_UNSIGNED_TRAILER
from anys3.conformance.kit.checksummed import (
    COMPOSITE,
    CRC32,
    DIGITS,
    ENABLED,
    FULL_OBJECT,
    TYPE,
    expect_checksum,
    header_of,
    sent_with,
    shared_parts,
    value_of,
)
from anys3.conformance.kit.multipart import list_parts
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import equal
from anys3.model import ChecksumAlgorithm

_PUBLISHED: Mapping[ChecksumAlgorithm, str] = {
    "CRC32": "y/Q5Jg==",
    "CRC32C": "4waSgw==",
    "CRC64NVME": "rosUhgp5mIg=",
    "SHA1": "98O8HYCOBHMq32eZZczDTKeuNEE=",
    "SHA256": "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
}
"""The check values of `123456789`: base64 of the big-endian digests."""
_WRONG: ChecksumAlgorithm = "SHA256"
"""The one that is tried with a wrong value: PAY-12 does so with each that is accepted."""


def _expect_kept(probe: Probe, where: str) -> None:
    """Store the digits with each checksum, and expect it back; and a wrong one to be refused."""
    with together() as each:
        for algorithm, value in _PUBLISHED.items():
            with each():
                name = header_of(algorithm)
                key, reply = sent_with(probe, algorithm, where)
                reply.expect("200", about=f"PUT with {name} in a {where}")
                head = probe.head(key, ENABLED).expect("200")
                expect_checksum(head, algorithm, value, f"an object put with {name} in a {where}")
        with each():
            _, reply = sent_with(probe, _WRONG, where, value=value_of(_WRONG, b"other bytes"))
            about = f"PUT with {header_of(_WRONG)} of other bytes in a {where}"
            reply.expect("400 BadDigest", about=about)


@check("CK-01", "CK-02", operation="PutObject")
def checksums_in_headers(probe: Probe) -> None:
    """Each of the five checksums in a header is verified, stored and returned, by its published value."""
    _expect_kept(probe, "header")


@check("CK-01", "CK-02", operation="PutObject")
def checksums_in_trailers(probe: Probe) -> None:
    """Each of the five checksums in a trailer is verified, stored and returned, by its published value."""
    _expect_kept(probe, "trailer")


def _simple(probe: Probe) -> str:
    """Return the key of an object that was put with a CRC32, or block the check."""
    return probe.shared_object(DIGITS, {header_of(CRC32): _PUBLISHED[CRC32]})


@check("CK-03", operation="HeadObject")
def only_if_asked(probe: Probe) -> None:
    """GET and HEAD tell checksum and type with x-amz-checksum-mode: ENABLED, and HEAD does not without."""
    key = _simple(probe)
    with together() as each:
        for reply in (probe.get(key, ENABLED), probe.head(key, ENABLED)):
            with each():
                about = f"{reply.exchange.method} with x-amz-checksum-mode: ENABLED"
                reply.expect("200", about=about)
                expect_checksum(reply, CRC32, _PUBLISHED[CRC32], about)
                equal(reply.header(TYPE), FULL_OBJECT, f"{TYPE} of {about}")
        with each():
            plain = probe.head(key).expect("200").header(header_of(CRC32))
            equal(plain, None, f"{header_of(CRC32)} of HEAD without x-amz-checksum-mode")


@check("CK-04", operation="PutObject")
def two_checksums(probe: Probe) -> None:
    """Two checksum headers, or a checksum header and a checksum trailer, are refused; nothing is stored."""
    sha256 = {header_of("SHA256"): _PUBLISHED["SHA256"]}
    crc32 = {header_of(CRC32): _PUBLISHED[CRC32]}
    with together() as each:
        with each():
            reply = probe.put(probe.key(), DIGITS, {**crc32, **sha256})
            reply.expect("400 InvalidRequest", about="PUT with two different checksum headers")
        with each():
            reply = probe.put_chunked(
                probe.key(), [DIGITS], mode=STREAMING_UNSIGNED_TRAILER, trailers=list(crc32.items()),
                headers=sha256,
            )  # fmt: skip
            reply.expect("400 InvalidRequest", about="PUT with a checksum header and a checksum trailer")
        with each():
            probe.expect_no_object(probe.key(), about="the key of PUTs that were refused")


@check("CK-05", operation="PutObject")
def default_checksum(probe: Probe) -> None:
    """An object that was put without a checksum gets a CRC64NVME from the server."""
    head = probe.head(probe.shared_object(), ENABLED).expect("200")
    about = "an object put without a checksum"
    expect_checksum(head, "CRC64NVME", value_of("CRC64NVME", CONTENT), about)
    equal(head.header(TYPE), FULL_OBJECT, f"{TYPE} of {about}")


def _expect_copied(probe: Probe, algorithm: ChecksumAlgorithm, headers: Mapping[str, str]) -> None:
    """Copy an object of two parts with a COMPOSITE CRC32, and expect the copy's checksum."""
    source = shared_parts(probe, COMPOSITE)
    key = probe.key(algorithm)
    lines = {"x-amz-copy-source": probe.path(source.key), **headers}
    reply = probe.request("PUT", probe.path(key), headers=lines)
    about = f"a copy with {headers or 'no checksum headers'} of an object with a COMPOSITE CRC32"
    reply.expect("200", about=about)
    value = value_of(algorithm, source.body)
    equal(reply.text(f"Checksum{algorithm}"), value, f"Checksum{algorithm} in the result of {about}")
    head = probe.head(key, ENABLED).expect("200")
    expect_checksum(head, algorithm, value, about)
    equal(head.header(TYPE), FULL_OBJECT, f"{TYPE} of {about}")


@check("CK-10", operation="CopyObject")
def of_a_copy(probe: Probe) -> None:
    """A copy has a checksum of the source's algorithm, worked out over the copy as a whole."""
    _expect_copied(probe, CRC32, {})


@check("CK-10", operation="CopyObject")
def of_a_copy_by_another_algorithm(probe: Probe) -> None:
    """A copy has a checksum of the algorithm that x-amz-checksum-algorithm names."""
    _expect_copied(probe, "SHA256", {"x-amz-checksum-algorithm": "SHA256"})


@check("CK-11", operation="ListObjectsV2")
def in_listings(probe: Probe) -> None:
    """A listing of keys tells algorithm and type of their checksums."""
    with together() as each:
        for key, kind in ((_simple(probe), FULL_OBJECT), (shared_parts(probe, COMPOSITE).key, COMPOSITE)):
            with each():
                listed = probe.list_keys(("prefix", key)).expect("200")
                about = f"the listing of an object with a {kind} CRC32"
                equal(listed.text("Contents/ChecksumAlgorithm"), CRC32, f"ChecksumAlgorithm in {about}")
                equal(listed.text("Contents/ChecksumType"), kind, f"ChecksumType in {about}")


@check("CK-11", operation="ListParts")
def in_listings_of_parts(probe: Probe) -> None:
    """A listing of parts tells algorithm and type of the upload's checksums, and the values of the parts."""
    upload = probe.given_upload(headers={"x-amz-checksum-algorithm": "SHA256"})
    value = value_of("SHA256", CONTENT)
    probe.given_part(upload, 1, CONTENT, {header_of("SHA256"): value})
    listed = list_parts(probe, upload).expect("200")
    for name, expected in (
        ("ChecksumAlgorithm", "SHA256"),
        ("ChecksumType", COMPOSITE),
        ("Part/ChecksumSHA256", value),
    ):
        equal(listed.text(name), expected, f"{name} in the listing of the parts of an upload with SHA256")
