"""CompleteMultipartUpload, that it happens once and as a whole: CPL-11 to CPL-18."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from anys3.conformance.digests import crc32_base64, md5_etag
from anys3.conformance.kit.multipart import (
    expect_completes,
    filler,
    list_parts,
    list_uploads,
    uploads_of,
)
from anys3.conformance.kit.together import together
from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import Probe, SentPart, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_OPERATION = "CompleteMultipartUpload"
_MOST_READS = 40


def _given_parts(probe: Probe, body: bytes = b"body") -> tuple[Upload, list[SentPart]]:
    """Return an upload with one part."""
    upload = probe.given_upload()
    return upload, [probe.given_part(upload, 1, body)]


def _given_completed(probe: Probe, body: bytes = b"body") -> tuple[Upload, list[SentPart]]:
    """Return an upload that was completed with its one part, or block the check."""
    upload, parts = _given_parts(probe, body)
    with probe.setting_up("a multipart upload could not be completed"):
        probe.complete(upload, parts).expect("200")
    return upload, parts


@check("CPL-11", operation=_OPERATION)
def switch_is_atomic(probe: Probe) -> None:
    """Whoever reads during a completion gets the old object or the new one, whole."""
    old, new = b"old" * 2000, b"new, and longer" * 2000
    probe.given_object(body=old)
    upload, parts = _given_parts(probe, new)
    is_over = threading.Event()

    def complete() -> None:
        try:
            probe.complete(upload, parts).expect("200", about="completion while the object is being read")
        finally:
            is_over.set()

    def read() -> None:
        for _ in range(_MOST_READS):
            was_over = is_over.is_set()
            reply = probe.get(upload.key)
            is_whole = reply.status == 200 and reply.body in (old, new)
            got = f"{reply.said} with {len(reply.body)} bytes"
            require(is_whole, f"GET during a completion: expected the old or the new object, got {got}")
            if was_over:
                return

    probe.race(read, read, complete)
    probe.expect_content(upload.key, new, about="the object after the completion")


@check("CPL-11", operation=_OPERATION)
def failure_changes_nothing(probe: Probe) -> None:
    """A completion that is refused leaves the object as it was, and the upload usable."""
    probe.given_object(body=b"old")
    upload, parts = _given_parts(probe, b"new")
    wrong = SentPart(1, md5_etag(b"other"), b"")
    reply = probe.complete(upload, [wrong])
    require(reply.status >= 400, f"completion with a wrong ETag: expected a refusal, got {reply.said}")
    probe.expect_content(upload.key, b"old", about="the object after a completion that was refused")
    expect_completes(probe, upload, parts[0], "completion after one that was refused")


@check("CPL-12", "UP-03", operation=_OPERATION)
def upload_is_no_longer_there(probe: Probe) -> None:
    """A completed upload is not listed any more; UploadPart and ListParts of it answer 404 NoSuchUpload."""
    upload, _ = _given_completed(probe)
    with together() as each:
        with each():
            page = list_uploads(probe, ("prefix", upload.key))
            page.expect("200", about="the uploads after a completion")
            equal(uploads_of(page), [], "the uploads of a key after its only one was completed")
        with each():
            late = probe.put_part(upload, 2)
            late.expect("404 NoSuchUpload", about="a part of a completed upload")
        with each():
            parts = list_parts(probe, upload)
            parts.expect("404 NoSuchUpload", about="the parts of a completed upload")
    probe.expect_content(upload.key, b"body", about="the object after a late part")


def _expect_same_result(probe: Probe, headers: dict[str, str]) -> None:
    """Complete twice. The second answer may be 404, as the first was given."""
    upload, parts = _given_parts(probe)
    first = probe.complete(upload, parts, headers)
    if headers and first.is_one_of("501"):
        probe.report("conditions on completions are not there (501)")
        return
    first.expect("200", about="a completion")
    again = probe.complete(upload, parts, headers)
    again.expect("200", "404 NoSuchUpload", about="the same completion, repeated")
    if again.status == 404:
        probe.report(
            "a repeated completion answers 404: whoever lost the first answer must look for the object"
        )
        return
    equal(again.need_text("ETag"), first.need_text("ETag"), "the ETag in the answer to a repeated completion")


@check("CPL-13", operation=_OPERATION)
def repeated(probe: Probe) -> None:
    """A completion that is repeated gives the same result, or 404."""
    _expect_same_result(probe, {})


@check("CPL-13", operation=_OPERATION)
def repeated_with_condition(probe: Probe) -> None:
    """A completion with If-None-Match: * that is repeated is not refused because of its own object."""
    _expect_same_result(probe, {"if-none-match": "*"})


@check("CPL-13", operation=_OPERATION)
def repeated_with_other_parts(probe: Probe) -> None:
    """A completion that is repeated with other parts is refused, and changes nothing."""
    upload = probe.given_upload()
    parts = [probe.given_part(upload, 1, b"one"), probe.given_part(upload, 2, b"two")]
    with probe.setting_up("a multipart upload could not be completed"):
        probe.complete(upload, parts[:1]).expect("200")
    probe.complete(upload, parts[1:]).expect(
        "404 NoSuchUpload", "400 InvalidPart", about="a completion repeated with another part"
    )
    probe.expect_content(upload.key, b"one", about="the object after a completion repeated with another part")


@check("CPL-14", operation=_OPERATION)
def two_at_once(probe: Probe) -> None:
    """Of two identical completions at the same time one succeeds, and the object is the concatenation."""
    upload = probe.given_upload()
    bodies = filler("CPL-14"), b"the last part"
    parts = [probe.given_part(upload, number, body) for number, body in enumerate(bodies, 1)]
    replies = probe.race(lambda: probe.complete(upload, parts), lambda: probe.complete(upload, parts))
    for reply in replies:
        reply.expect("200", "404 NoSuchUpload", "409", "503", about="one of two completions at the same time")
    statuses = [reply.status for reply in replies]
    require(200 in statuses, f"two completions at the same time: expected a 200, got {statuses}")
    etags = {reply.need_text("ETag") for reply in replies if reply.status == 200}
    equal(len(etags), 1, "the number of ETags in the answers to two completions at the same time")
    probe.expect_content(upload.key, b"".join(bodies), about="the object after two completions at once")


def _complete_with(
    probe: Probe, upload: Upload, *elements: tuple[str, str], headers: Mapping[str, str] | None = None
) -> Reply:
    """Complete with one part, made of those elements in that order."""
    row = "".join(f"<{name}>{value}</{name}>" for name, value in elements)
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    document = f'<CompleteMultipartUpload xmlns="{namespace}"><Part>{row}</Part></CompleteMultipartUpload>'
    query = [("uploadId", upload.id)]
    return probe.request("POST", upload.path, query, headers or {}, document.encode())


def _expect_checksum_judged(probe: Probe, settings: dict[str, str]) -> None:
    """Complete with a wrong checksum of the whole object, then with the right one."""
    upload = probe.given_upload(headers=settings)
    part = probe.given_part(upload, 1, b"body", {"x-amz-checksum-crc32": crc32_base64(b"body")})
    elements = ("PartNumber", "1"), ("ETag", part.etag), ("ChecksumCRC32", crc32_base64(b"body"))

    def complete(value: str) -> Reply:
        headers = {"x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-crc32": value}
        return _complete_with(probe, upload, *elements, headers=headers)

    about = "completion with a wrong CRC32 of the whole object"
    reply = complete(crc32_base64(b"other"))
    if not reply.is_one_of("400 BadDigest", "400 InvalidRequest", "501"):
        raise Failed(f"{about}: expected 400 BadDigest, 400 InvalidRequest or 501, got {reply.said}")
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")
    if not settings:
        return
    about = "completion with the right CRC32 of the whole object"
    right = complete(crc32_base64(b"body"))
    if right.is_one_of("400 InvalidRequest", "501"):
        probe.report(f"a checksum of the whole object is refused at completion: {right.said}")
        return
    right.expect("200", about=about)
    probe.expect_content(upload.key, b"body", about=f"the object after {about}")


@check("CPL-15", operation=_OPERATION)
def checksum_of_the_whole(probe: Probe) -> None:
    """A wrong checksum of the whole object is refused and makes no object; the right one is not BadDigest."""
    algorithm = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
    _expect_checksum_judged(probe, algorithm)


@check("CPL-15", operation=_OPERATION)
def undeclared_checksum_of_the_whole(probe: Probe) -> None:
    """A wrong checksum of the whole object is not ignored either if the upload declared no algorithm."""
    _expect_checksum_judged(probe, {})


def _given_crc32_part(probe: Probe) -> tuple[Upload, Reply]:
    """Return an upload that declares CRC32, and the answer to its part, or block the check."""
    upload = probe.given_upload(headers={"x-amz-checksum-algorithm": "CRC32"})
    with probe.setting_up("a part with its CRC32 could not be uploaded"):
        reply = probe.put_part(upload, 1, b"body", {"x-amz-checksum-crc32": crc32_base64(b"body")}).expect(
            "200"
        )
    return upload, reply


@check("CPL-16", operation=_OPERATION)
def part_checksum_in_any_order(probe: Probe) -> None:
    """A part may be listed with its checksum, and with its elements in any order."""
    upload, sent = _given_crc32_part(probe)
    # The number last: as the number first and no checksum are what the other completions have.
    row = ("ChecksumCRC32", crc32_base64(b"body")), ("ETag", sent.etag), ("PartNumber", "1")
    about = "completion with a part of ChecksumCRC32, ETag and PartNumber, in that order"
    _complete_with(probe, upload, *row).expect("200", about=about)
    probe.expect_content(upload.key, b"body", about=f"the object after {about}")


@check("CPL-16", operation=_OPERATION)
def wrong_part_checksum(probe: Probe) -> None:
    """A part listed with another checksum than it was verified with is refused."""
    upload, sent = _given_crc32_part(probe)
    wrong = ("ChecksumCRC32", crc32_base64(b"other"))
    reply = _complete_with(probe, upload, ("PartNumber", "1"), ("ETag", sent.etag), wrong)
    if reply.status == 200 and sent.header("x-amz-checksum-crc32") is None:
        probe.report("checksums of parts at completion are ignored: the parts were verified on upload")
        return
    about = "completion with a wrong CRC32 of a part"
    reply.expect("400 InvalidPart", "400 BadDigest", about=about)
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")


@check("CPL-17", operation=_OPERATION)
def size_of_the_object(probe: Probe) -> None:
    """x-amz-mp-object-size is compared: a wrong size changes nothing, and with the right one it succeeds."""
    upload, parts = _given_parts(probe)
    about = "completion with a wrong x-amz-mp-object-size"
    probe.complete(upload, parts, {"x-amz-mp-object-size": "5"}).expect("400 InvalidRequest", about=about)
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")
    about = "completion with the right x-amz-mp-object-size after a wrong one"
    probe.complete(upload, parts, {"x-amz-mp-object-size": "4"}).expect("200", about=about)
    probe.expect_content(upload.key, b"body", about=f"the object after {about}")


@check("CPL-18", operation=_OPERATION)
def later_writes_stay(probe: Probe) -> None:
    """A repeated completion changes no object that was written later, nor brings back a deleted one."""
    upload, parts = _given_completed(probe)
    probe.given_object(body=b"later")
    about = "a completion repeated after the object was written anew"
    probe.complete(upload, parts).expect("200", "404 NoSuchUpload", about=about)
    probe.expect_content(upload.key, b"later", about=f"the object after {about}")
    with probe.setting_up("the object could not be deleted"):
        probe.delete(upload.key).expect("204", "200")
    about = "a completion repeated after the object was deleted"
    probe.complete(upload, parts).expect("200", "404 NoSuchUpload", about=about)
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")
