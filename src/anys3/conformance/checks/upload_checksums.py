"""Checksums of multipart uploads and of their parts: CK-06 to CK-09, CK-12, CK-13."""

from __future__ import annotations

from anys3.conformance.kit.checksummed import (
    ALGORITHM,
    COMPOSITE,
    CRC32,
    ENABLED,
    FULL_OBJECT,
    TYPE,
    complete,
    composite_of,
    expect_checksum,
    header_of,
    put_part,
    shared_parts,
    value_of,
)
from anys3.conformance.kit.multipart import MIN_PART, begun_with, copy_part
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe, SentPart
from anys3.conformance.registry import check
from anys3.conformance.replies import equal
from anys3.model import ChecksumAlgorithm

_CREATE, _COMPLETE = "CreateMultipartUpload", "CompleteMultipartUpload"
_INVALID = "400 InvalidRequest"
_TYPES: tuple[tuple[ChecksumAlgorithm, str, str], ...] = (
    ("CRC32", "", COMPOSITE),
    ("CRC32C", "", COMPOSITE),
    ("SHA1", "", COMPOSITE),
    ("SHA256", "", COMPOSITE),
    ("CRC64NVME", "", FULL_OBJECT),
    ("CRC32C", FULL_OBJECT, FULL_OBJECT),
)
"""Algorithm, the type that is asked for, and the one that the upload must have."""
_WRONG_TYPES = (("SHA1", FULL_OBJECT), ("SHA256", FULL_OBJECT), ("CRC64NVME", COMPOSITE), ("", COMPOSITE))


def _settings(algorithm: str, kind: str) -> dict[str, str]:
    return {name: value for name, value in ((ALGORITHM, algorithm), (TYPE, kind)) if value}


@check("CK-06", operation=_CREATE)
def types_of_uploads(probe: Probe) -> None:
    """An upload has the checksum type that it was asked for, or the default of its algorithm."""
    with together() as each:
        for algorithm, kind, expected in _TYPES:
            with each():
                about = f"an upload with {algorithm} and {kind or 'no'} checksum type"
                reply = begun_with(probe, algorithm, kind)
                found = reply.expect("200", about=about).header(TYPE)
                if found is None:
                    query = [("uploadId", reply.need_text("UploadId"))]
                    path = probe.path(reply.need_text("Key"))
                    found = probe.request("GET", path, query).expect("200").text("ChecksumType")
                equal(found, expected, f"the checksum type of {about}")


@check("CK-06", operation=_CREATE)
def types_that_do_not_fit(probe: Probe) -> None:
    """A type that the algorithm does not have, or without an algorithm, is refused with InvalidRequest."""
    with together() as each:
        for algorithm, kind in _WRONG_TYPES:
            with each():
                settings = _settings(algorithm, kind)
                reply = probe.request("POST", probe.path(probe.key()), "uploads", settings)
                reply.expect(_INVALID, about=f"an upload with {settings}")


@check("CK-06", operation=_COMPLETE)
def value_of_the_whole(probe: Probe) -> None:
    """The FULL_OBJECT checksum of an object of two parts is that of its bytes."""
    made = shared_parts(probe, FULL_OBJECT)
    head = probe.head(made.key, ENABLED).expect("200")
    about = "an object of two parts with a FULL_OBJECT CRC32"
    expect_checksum(head, CRC32, value_of(CRC32, made.body), about)
    equal(head.header(TYPE), FULL_OBJECT, f"{TYPE} of {about}")


@check("CK-07", operation=_COMPLETE)
def value_of_two_parts(probe: Probe) -> None:
    """The COMPOSITE checksum of an object of two parts is that of their digests, with -2 behind it."""
    made = shared_parts(probe, COMPOSITE)
    head = probe.head(made.key, ENABLED).expect("200")
    about = "an object of two parts with a COMPOSITE CRC32"
    expect_checksum(head, CRC32, composite_of(CRC32, *made.bodies), about)
    equal(head.header(TYPE), COMPOSITE, f"{TYPE} of {about}")


@check("CK-08", operation="UploadPart")
def algorithm_of_a_part(probe: Probe) -> None:
    """A part's checksum must be of the upload's algorithm; where there is none, any will do."""
    declared = probe.given_upload("declared", {ALGORITHM: CRC32})
    free = probe.given_upload("free")
    sha256 = {header_of("SHA256"): value_of("SHA256", CONTENT)}
    with together() as each:
        with each():
            reply = probe.put_part(declared, 1, CONTENT, sha256)
            reply.expect(_INVALID, about="a part with SHA256 of an upload with CRC32")
        with each():
            reply = probe.put_part(free, 1, CONTENT, sha256)
            reply.expect("200", about="a part with SHA256 of an upload without checksums")


@check("CK-09", operation=_COMPLETE)
def verified_completion(probe: Probe) -> None:
    """A completion with a wrong checksum of the whole or of a part, or another type, is refused."""
    upload = probe.given_upload(headers=_settings(CRC32, FULL_OBJECT))
    part = put_part(probe, upload, 1, CONTENT, CRC32)
    right, wrong = value_of(CRC32, CONTENT), value_of(CRC32, b"other bytes")
    with together() as each:
        with each():
            headers = {header_of(CRC32): wrong, TYPE: FULL_OBJECT}
            reply = complete(probe, upload, [part], CRC32, headers)
            reply.expect("400 BadDigest", about="completion with a checksum of other bytes")
        with each():
            reply = complete(probe, upload, [part], CRC32, values={1: wrong})
            about = "completion with a part's checksum of other bytes"
            reply.expect("400 InvalidPart", "400 BadDigest", about=about)
        with each():
            reply = complete(probe, upload, [part], CRC32, {TYPE: COMPOSITE})
            reply.expect(_INVALID, about="completion of a FULL_OBJECT upload with the type COMPOSITE")
        with each():
            headers = {header_of(CRC32): right, TYPE: FULL_OBJECT}
            reply = complete(probe, upload, [part], CRC32, headers)
            reply.expect("200", about="completion with the right checksum and type")


@check("CK-12", operation="GetObject")
def of_one_part(probe: Probe) -> None:
    """Reading a part gives that part's checksum if they are COMPOSITE, and none if it is FULL_OBJECT."""
    composite, full = shared_parts(probe, COMPOSITE), shared_parts(probe, FULL_OBJECT)
    with together() as each:
        for method in ("GET", "HEAD"):
            reply = probe.request(method, probe.path(composite.key), [("partNumber", "2")], ENABLED)
            if reply.is_one_of("501"):
                probe.report("reading by part number is not offered (501), so that no part's checksum is")
                return
            with each():
                about = f"{method} of part 2 of an object with a COMPOSITE CRC32"
                expect_checksum(
                    reply.expect("206", about=about), CRC32, value_of(CRC32, composite.bodies[1]), about
                )
        with each():
            reply = probe.get(full.key, ENABLED, [("partNumber", "2")])
            about = "GET of part 2 of an object with a FULL_OBJECT CRC32"
            found = reply.expect("206", about=about).header(header_of(CRC32))
            equal(found, None, f"{header_of(CRC32)} of {about}")


@check("CK-13", operation=_COMPLETE)
def parts_without_checksums(probe: Probe) -> None:
    """A COMPOSITE upload that is completed without the checksums of its parts is refused."""
    upload = probe.given_upload(headers={ALGORITHM: "SHA256"})
    part = put_part(probe, upload, 1, CONTENT, "SHA256")
    about = "completion of a COMPOSITE upload without the checksums of its parts"
    reply = probe.complete(upload, [part]).expect(_INVALID, "200", about=about)
    if reply.status == 200:
        probe.report(f"{about} is made; S3 refuses it with {_INVALID}")


@check("CK-13", operation=_COMPLETE)
def numbers_with_gaps(probe: Probe) -> None:
    """A completion with the checksums of parts whose numbers are not consecutive is refused."""
    source = shared_parts(probe, COMPOSITE)
    upload = probe.given_upload(headers={ALGORITHM: CRC32})
    with probe.setting_up("a part could not be copied"):
        copied = copy_part(probe, upload, probe.path(source.key), f"bytes=0-{MIN_PART - 1}").expect("200")
        first = SentPart(1, copied.need_text("ETag"), source.bodies[0])
    third = put_part(probe, upload, 3, source.bodies[1], CRC32)
    about = "completion of the parts 1 and 3 with their checksums"
    reply = complete(probe, upload, [first, third], CRC32).expect("400 InvalidPartOrder", "200", about=about)
    if reply.status == 200:
        probe.report(f"{about} is made; S3 refuses it with 400 InvalidPartOrder")
