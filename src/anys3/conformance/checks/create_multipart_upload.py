"""CreateMultipartUpload: CMU-01 to CMU-06."""

from __future__ import annotations

import re
from base64 import b64encode

from anys3.conformance.kit.multipart import begun_with, shared_upload
from anys3.conformance.probe import Probe, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_OPERATION = "CreateMultipartUpload"
_URL_SAFE = re.compile(r"[A-Za-z0-9._~-]+")
_DIGEST_BYTES = {"CRC32C": 4, "SHA1": 20, "SHA256": 32, "XXHASH64": 8}


def _create(probe: Probe, key: str = "", **settings: str) -> Reply:
    """CreateMultipartUpload with x-amz-checksum-* settings."""
    headers = {f"x-amz-checksum-{name}": value for name, value in settings.items()}
    return probe.request("POST", probe.path(key or probe.key()), "uploads", headers)


@check("CMU-01", operation=_OPERATION, quick=True)
def starts_an_upload(probe: Probe) -> None:
    """The answer names bucket and key, and gives an upload id that is safe in a URL."""
    key = probe.key("a b/c")
    reply = _create(probe, key).expect("200", about="start of a multipart upload")
    equal(reply.xml.tag, "InitiateMultipartUploadResult", "the root of the answer")
    equal((reply.text("Bucket"), reply.text("Key")), (probe.bucket, key), "Bucket and Key of the answer")
    upload_id = reply.need_text("UploadId")
    require(
        _URL_SAFE.fullmatch(upload_id),
        f"the UploadId: expected letters, digits and -._~ only, got {upload_id!r}",
    )


@check("CMU-01", operation=_OPERATION)
def several_uploads_of_one_key(probe: Probe) -> None:
    """Two uploads of one key run at once, each with an id and parts of its own."""
    first, second = probe.given_upload(), probe.given_upload()
    require(first.id != second.id, f"two uploads of one key: expected two ids, got {first.id!r} twice")
    part_of_first, part_of_second = (
        probe.given_part(first, 1, b"first"),
        probe.given_part(second, 1, b"second"),
    )
    probe.complete(second, [part_of_second]).expect("200", about="completion of the second of two uploads")
    probe.expect_content(first.key, b"second", about="the object after the second upload's completion")
    probe.complete(first, [part_of_first]).expect("200", about="completion of the first of two uploads")
    probe.expect_content(first.key, b"first", about="the object after the first upload's completion")


@check("CMU-02", operation=_OPERATION)
def headers_of_the_creation_apply(probe: Probe) -> None:
    """Content headers and metadata given at the creation are the object's; those sent with a part are not."""
    wanted = {
        "content-type": "text/x-check",
        "cache-control": "no-cache",
        "content-disposition": 'attachment; filename="check.txt"',
        "content-language": "de",
        "x-amz-meta-colour": "blue",
    }
    upload = probe.given_upload(headers=wanted)
    # What is sent with a part is not the object's.
    of_the_part = {
        "content-type": "text/x-part",
        "expires": "Thu, 01 Dec 2044 16:00:00 GMT",
        "x-amz-meta-of-part": "yes",
    }
    part = probe.given_part(upload, 1, b"body", of_the_part)
    with probe.setting_up("a multipart upload could not be completed"):
        probe.complete(upload, [part]).expect("200")
    reply = probe.head(upload.key).expect("200", about="HEAD of an object made of parts")
    for name, value in wanted.items():
        equal(reply.header(name), value, f"{name} of an object whose upload was created with it")
    for name in ("expires", "x-amz-meta-of-part"):
        equal(reply.header(name), None, f"{name} that only a part was sent with")


@check("CMU-02", operation=_OPERATION)
def tags_of_the_creation_apply(probe: Probe) -> None:
    """Tags given at the creation are those of the finished object, where the server has tags."""
    key = probe.key()
    reply = probe.request("POST", probe.path(key), "uploads", {"x-amz-tagging": "colour=blue"})
    if reply.is_one_of("501", "400 InvalidArgument", "400 InvalidRequest"):
        probe.report(f"tags at the start of a multipart upload are refused: {reply.said}")
        return
    upload_id = reply.expect("200", about="start of a multipart upload with tags").need_text("UploadId")
    upload = Upload(probe.bucket, key, upload_id)
    part = probe.given_part(upload)
    with probe.setting_up("a multipart upload could not be completed"):
        probe.complete(upload, [part]).expect("200")
    tags = probe.get(key, query="tagging")
    if tags.is_one_of("501", "405"):
        probe.report("the server has no tags; those at the start of a multipart upload are ignored")
        return
    tags.expect("200", about="the tags of an object made of parts")
    found = list(zip(tags.texts(".//Tag/Key"), tags.texts(".//Tag/Value"), strict=False))
    equal(found, [("colour", "blue")], "the tags of an object whose upload was created with colour=blue")


@check("CMU-03", operation=_OPERATION)
def nothing_is_visible(probe: Probe) -> None:
    """Before completion GET and HEAD find no object, and no listing shows the key."""
    upload, _ = shared_upload(probe)
    probe.get(upload.key).expect("404 NoSuchKey", about="GET of a key that only has an unfinished upload")
    probe.expect_no_object(upload.key, about="HEAD of a key that only has an unfinished upload")
    listing = probe.list_keys(("prefix", upload.key)).expect(
        "200", about="the listing beside an unfinished upload"
    )
    equal(listing.texts("Contents/Key"), [], "the keys listed beside an unfinished upload")


@check("CMU-03", operation=_OPERATION)
def existing_object_stays(probe: Probe) -> None:
    """An object stays readable, unchanged, while an upload of its key runs."""
    key = probe.given_object(body=b"old")
    probe.given_part(probe.given_upload(), 1, b"new")
    probe.expect_content(key, b"old", about="GET of an object while an upload of its key runs")


@check("CMU-04", operation=_OPERATION)
def missing_bucket(probe: Probe) -> None:
    """An upload into a bucket that does not exist is refused with 404 NoSuchBucket."""
    path = probe.path(probe.key(), probe.missing_bucket)
    probe.request("POST", path, "uploads").expect(
        "404 NoSuchBucket", about="start of a multipart upload in a missing bucket"
    )


@check("CMU-04", operation=_OPERATION)
def key_too_long(probe: Probe) -> None:
    """An upload of a key of 1,025 bytes is refused with 400 KeyTooLongError."""
    key = probe.key().ljust(1025, "k")
    _create(probe, key).expect(
        "400 KeyTooLongError", about="start of a multipart upload of a key of 1,025 bytes"
    )


@check("CMU-05", operation=_OPERATION)
def crc32_is_accepted(probe: Probe) -> None:
    """x-amz-checksum-algorithm: CRC32 is accepted, alone and with each type that goes with it."""
    for kind in ("", "COMPOSITE", "FULL_OBJECT"):
        begun_with(probe, "CRC32", kind).expect("200", about=f"start with CRC32 and {kind or 'no type'}")


@check("CMU-05", operation=_OPERATION)
def crc64nvme_is_accepted(probe: Probe) -> None:
    """x-amz-checksum-algorithm: CRC64NVME is accepted, alone and with FULL_OBJECT."""
    for kind in ("", "FULL_OBJECT"):
        begun_with(probe, "CRC64NVME", kind).expect(
            "200", about=f"start with CRC64NVME and {kind or 'no type'}"
        )


@check("CMU-06", operation=_OPERATION)
def unknown_algorithm(probe: Probe) -> None:
    """A checksum algorithm that does not exist is refused with 400 InvalidRequest."""
    _create(probe, algorithm="TEST").expect(
        "400 InvalidRequest", about="start with the checksum algorithm TEST"
    )


@check("CMU-06", operation=_OPERATION)
def type_without_algorithm(probe: Probe) -> None:
    """x-amz-checksum-type without an algorithm is refused with 400 InvalidRequest."""
    _create(probe, type="FULL_OBJECT").expect(
        "400 InvalidRequest", about="start with x-amz-checksum-type and no algorithm"
    )


@check("CMU-06", operation=_OPERATION)
def algorithm_that_it_lacks(probe: Probe) -> None:
    """An algorithm is refused, or it is really there: a part with a wrong checksum of it is refused."""
    for algorithm, size in _DIGEST_BYTES.items():
        reply = begun_with(probe, algorithm).expect(
            "200", "400 InvalidRequest", "501", about=f"start with {algorithm}"
        )
        if reply.status != 200:
            continue
        upload = Upload(probe.bucket, reply.need_text("Key"), reply.need_text("UploadId"))
        wrong = {f"x-amz-checksum-{algorithm.lower()}": b64encode(bytes(size)).decode()}
        probe.put_part(upload, 1, b"body", wrong).expect(
            "400", "501", about=f"a part with a wrong checksum of {algorithm}, which the start accepted"
        )
