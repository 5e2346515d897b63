"""What the checks of multipart uploads share: sizes, the ETag, and how an upload is looked at."""

from __future__ import annotations

import hashlib

from anys3.conformance.drafting import Draft
from anys3.conformance.probe import Probe, SentPart, Upload
from anys3.conformance.replies import Reply, equal

MIN_PART = 5 << 20
"""Bytes that each part but the last must have (CPL-07)."""
MAX_PART = 5 << 30
"""The most bytes of a part (UP-07)."""
_SHARED_PARTS = (10, 9, 4, 2, 1)
UNKNOWN_ID = "0" * 44
"""An upload id that no server gives out."""


def filler(seed: str, size: int = MIN_PART) -> bytes:
    """Return `size` bytes that differ for every seed and never repeat."""
    return hashlib.shake_128(seed.encode()).digest(size)


def multipart_etag(*bodies: bytes) -> str:
    """Return the ETag, with its quotes, of an object made of these parts (CPL-03).

    >>> multipart_etag(b"")
    '"59adb24ef3cdbe0297f05b395827453f-1"'
    """
    digests = [hashlib.md5(body, usedforsecurity=False).digest() for body in bodies]
    return f'"{hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"'


def part_draft(probe: Probe, upload: Upload, number: int, size: int, **headers: str) -> Draft:
    """Return a signed UploadPart of `size` bytes whose payload is not signed, to be sent piece by piece."""
    return probe.draft(
        "PUT",
        upload.path,
        [("partNumber", str(number)), ("uploadId", upload.id)],
        payload_hash="UNSIGNED-PAYLOAD",
        unsigned={"content-length": str(size), **headers},
    )


def copy_part(probe: Probe, upload: Upload, source: str, span: str = "", number: int = 1) -> Reply:
    """UploadPartCopy; `source` is a path as the header has it, `span` the range if there is one."""
    headers = {"x-amz-copy-source": source, **({"x-amz-copy-source-range": span} if span else {})}
    query = [("partNumber", str(number)), ("uploadId", upload.id)]
    return probe.request("PUT", upload.path, query, headers)


def abort(probe: Probe, upload: Upload) -> Reply:
    """AbortMultipartUpload."""
    return probe.request("DELETE", upload.path, [("uploadId", upload.id)])


def given_upload_of(probe: Probe, key: str) -> Upload:
    """Start an upload of a whole key, which other checks may look at too, or block the check."""
    with probe.setting_up("a multipart upload could not be started"):
        reply = probe.request("POST", probe.path(key), "uploads").expect("200")
        return Upload(probe.bucket, key, reply.need_text("UploadId"))


def shared_upload(probe: Probe) -> tuple[Upload, list[SentPart]]:
    """Return an unfinished upload and its parts, which all checks may list and none may change; or block.

    The parts were sent in this order: 10, 9, 4, 2, 1. Each attempt of a check that fails has another.
    """
    key = f"{probe.ground.prefix}shared/upload-{probe.attempt}"

    def make() -> tuple[Upload, list[SentPart]]:
        upload = given_upload_of(probe, key)
        return upload, [probe.given_part(upload, number, b"part %d" % number) for number in _SHARED_PARTS]

    return probe.asked_once(key, make)


def of_one_part(probe: Probe) -> tuple[str, SentPart, Reply]:
    """Return the key of an object of one part, that part, and the answer to its completion; or block.

    All checks may read the object and none may change it; whether the completion succeeded, each judges.
    """
    key = f"{probe.ground.prefix}shared/of one part/{probe.attempt}"

    def make() -> tuple[str, SentPart, Reply]:
        upload = given_upload_of(probe, key)
        part = probe.given_part(upload, 1, b"the only part")
        return key, part, probe.complete(upload, [part])

    return probe.asked_once(key, make)


def begun_with(probe: Probe, algorithm: str, kind: str = "") -> Reply:
    """Return the answer to the start of an upload with a checksum algorithm and type, asked once for all checks.

    Whether it succeeded, each judges; none may end it.
    """
    headers = {"x-amz-checksum-algorithm": algorithm, **({"x-amz-checksum-type": kind} if kind else {})}
    path = probe.path(f"{probe.ground.prefix}shared/checksums/{algorithm}-{kind}/{probe.attempt}")
    return probe.asked_once(path, lambda: probe.request("POST", path, "uploads", headers))


def scratch_upload(probe: Probe) -> Upload:
    """Return an upload that any check may send parts to, and none may end or list; or block.

    Checks that see all they need in the answers share it. Each sends numbers of its own.
    """
    key = f"{probe.ground.prefix}shared/scratch-{probe.attempt}"
    return probe.asked_once(key, lambda: given_upload_of(probe, key))


def given_end(probe: Probe, upload: Upload, parts: tuple[SentPart, ...] = ()) -> None:
    """Complete an upload with those parts, abort it without any, or block the check."""
    with probe.setting_up("a multipart upload could not be ended"):
        if parts:
            probe.complete(upload, parts).expect("200")
        else:
            abort(probe, upload).expect("204")


def list_parts(probe: Probe, upload: Upload, *query: tuple[str, str]) -> Reply:
    """ListParts."""
    return probe.request("GET", upload.path, [*query, ("uploadId", upload.id)])


def given_part_numbers(probe: Probe, upload: Upload) -> list[str]:
    """Return the numbers of an upload's parts as ListParts shows them, or block the check."""
    with probe.setting_up("the parts could not be listed"):
        return list_parts(probe, upload).expect("200").texts("Part/PartNumber")


def list_uploads(probe: Probe, *query: tuple[str, str]) -> Reply:
    """ListMultipartUploads; by default the prefix is this attempt's own."""
    names = {name for name, _ in query}
    own = () if "prefix" in names else (("prefix", probe.prefix),)
    return probe.request("GET", probe.path(), [("uploads", ""), *own, *query])


def uploads_of(reply: Reply) -> list[tuple[str, str]]:
    """Return key and upload id of each upload of a page, in the order of the page."""
    return [
        (row.findtext("Key") or "", row.findtext("UploadId") or "") for row in reply.xml.findall("Upload")
    ]


def expect_completes(probe: Probe, upload: Upload, part: SentPart, about: str) -> None:
    """Raise Failed unless the upload can be completed with that one part, and the object is its bytes."""
    probe.complete(upload, [part]).expect("200", about=about)
    equal(probe.get(upload.key).expect("200", about=about).body, part.body, f"the object after {about}")
