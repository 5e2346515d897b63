"""CompleteMultipartUpload, what becomes of the parts: CPL-01 to CPL-10."""

from __future__ import annotations

from anys3.conformance.multipart import (
    MIN_PART,
    UNKNOWN_ID,
    expect_completes,
    filler,
    multipart_etag,
    part_etag,
)
from anys3.conformance.probe import Probe, SentPart, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal

_OPERATION = "CompleteMultipartUpload"
_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def _send(probe: Probe, upload: Upload, document: str) -> Reply:
    """CompleteMultipartUpload with any body."""
    return probe.request("POST", upload.path, [("uploadId", upload.id)], body=document.encode())


@check("CPL-01", operation=_OPERATION, quick=True)
def answer_of_a_completion(probe: Probe) -> None:
    """The answer names Location, Bucket, Key and ETag of the object, which is there."""
    upload = probe.given_upload("a b/c")
    part = probe.given_part(upload, 1, b"body")
    reply = probe.complete(upload, [part]).expect("200", about="completion of an upload of one part")
    equal(reply.xml.tag, "CompleteMultipartUploadResult", "the root of the answer")
    equal((reply.text("Bucket"), reply.text("Key")), (upload.bucket, upload.key), "Bucket and Key")
    reply.need_text("Location")
    reply.need_text("ETag")
    probe.expect_content(upload.key, b"body", about="the object after its upload was completed")


@check("CPL-02", operation=_OPERATION)
def object_is_the_listed_parts(probe: Probe) -> None:
    """The object is the listed parts in the order of their numbers; a part that is not listed is dropped."""
    upload = probe.given_upload()
    last = probe.given_part(upload, 3, b"the last part")
    probe.given_part(upload, 2, b"not listed")
    first = probe.given_part(upload, 1, filler("CPL-02"))
    probe.complete(upload, [first, last]).expect("200", about="completion with the parts 1 and 3 of 1, 2, 3")
    probe.expect_content(
        upload.key, first.body + last.body, about="an object of the parts 1 and 3 of 1, 2, 3"
    )


def _expect_etag(probe: Probe, *bodies: bytes) -> None:
    upload = probe.given_upload()
    parts = [probe.given_part(upload, number, body) for number, body in enumerate(bodies, 1)]
    reply = probe.complete(upload, parts).expect("200", about=f"completion of {len(bodies)} parts")
    expected = multipart_etag(*bodies)
    equal(reply.need_text("ETag"), expected, "the ETag in the answer to the completion")
    equal(probe.head(upload.key).expect("200").etag, expected, "the ETag that HEAD shows afterwards")


@check("CPL-03", operation=_OPERATION)
def etag_of_one_part(probe: Probe) -> None:
    """The ETag of an object of one part is the MD5 of that part's MD5, with -1 behind it."""
    _expect_etag(probe, b"body")


@check("CPL-03", operation=_OPERATION)
def etag_of_two_parts(probe: Probe) -> None:
    """The ETag of an object of two parts is the MD5 of both MD5s, with -2 behind it."""
    _expect_etag(probe, filler("CPL-03"), b"the last part")


@check("CPL-04", operation=_OPERATION)
def numbers_with_gaps(probe: Probe) -> None:
    """Part numbers may have gaps, and go up to 10,000."""
    upload = probe.given_upload()
    parts = [
        probe.given_part(upload, 3, filler("CPL-04")),
        probe.given_part(upload, 10_000, b"the last part"),
    ]
    probe.complete(upload, parts).expect("200", about="completion with the parts 3 and 10000")
    read = probe.head(upload.key).expect("200", about="HEAD of an object of the parts 3 and 10000")
    equal(
        read.header("content-length"), str(MIN_PART + 13), "the length of an object of the parts 3 and 10000"
    )


def _expect_bad_order(probe: Probe, upload: Upload, *parts: SentPart) -> None:
    about = f"completion with the parts {', '.join(str(part.number) for part in parts)}"
    probe.complete(upload, parts).expect("400 InvalidPartOrder", about=about)
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")


@check("CPL-05", operation=_OPERATION)
def parts_out_of_order(probe: Probe) -> None:
    """Parts that are not listed in ascending order are refused with 400 InvalidPartOrder."""
    upload = probe.given_upload()
    # The one listed first has 5 MiB: nothing but the order is wrong.
    small, large = probe.given_part(upload, 1, b"small"), probe.given_part(upload, 2, filler("CPL-05"))
    _expect_bad_order(probe, upload, large, small)


@check("CPL-05", operation=_OPERATION)
def part_listed_twice(probe: Probe) -> None:
    """A part that is listed twice is refused with 400 InvalidPartOrder."""
    upload = probe.given_upload()
    part = probe.given_part(upload, 1, filler("CPL-05"))
    _expect_bad_order(probe, upload, part, part)


def _expect_bad_part(probe: Probe, number: int, etag: str, about: str) -> None:
    """Complete an upload that has a part 1 with a part that it does not have."""
    upload = probe.given_upload()
    probe.given_part(upload, 1, b"body")
    probe.complete(upload, [SentPart(number, etag, b"")]).expect("400 InvalidPart", about=about)
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")


@check("CPL-06", operation=_OPERATION)
def part_was_not_uploaded(probe: Probe) -> None:
    """A part that was not uploaded is refused with 400 InvalidPart."""
    _expect_bad_part(probe, 2, part_etag(b"body"), "completion with a part that was not uploaded")


@check("CPL-06", operation=_OPERATION)
def etag_of_a_part_differs(probe: Probe) -> None:
    """A part with another ETag than it was uploaded with is refused with 400 InvalidPart."""
    _expect_bad_part(probe, 1, part_etag(b"other"), "completion with another ETag than the part's")


@check("CPL-06", operation=_OPERATION)
def etag_without_quotes(probe: Probe) -> None:
    """The ETag of a part may be listed without its quotes."""
    upload = probe.given_upload()
    part = probe.given_part(upload, 1, b"body")
    bare = SentPart(1, part.etag.strip('"'), part.body)
    expect_completes(probe, upload, bare, "completion with an ETag without quotes")


@check("CPL-06", operation=_OPERATION)
def etag_with_escaped_quotes(probe: Probe) -> None:
    """The quotes of an ETag may be written as &quot; in the document."""
    upload = probe.given_upload()
    part = probe.given_part(upload, 1, b"body")
    escaped = SentPart(1, part.etag.replace('"', "&quot;"), part.body)
    expect_completes(probe, upload, escaped, "completion with an ETag in &quot;")


@check("CPL-07", operation=_OPERATION)
def part_is_too_small(probe: Probe) -> None:
    """A part before the last of one byte less than 5 MiB is refused with 400 EntityTooSmall."""
    upload = probe.given_upload()
    parts = [
        probe.given_part(upload, 1, filler("CPL-07", MIN_PART - 1)),
        probe.given_part(upload, 2, b"last"),
    ]
    about = "completion with a first part of 5 MiB less one byte"
    probe.complete(upload, parts).expect("400 EntityTooSmall", about=about)
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")


@check("CPL-07", operation=_OPERATION)
def usable_after_too_small(probe: Probe) -> None:
    """An upload that was refused for a small part can be completed afterwards."""
    upload = probe.given_upload()
    parts = [probe.given_part(upload, 1, b"small"), probe.given_part(upload, 2, b"last")]
    probe.complete(upload, parts).expect(
        "400 EntityTooSmall", about="completion with a first part of 5 bytes"
    )
    expect_completes(probe, upload, parts[1], "completion with the last part alone after a refusal")


@check("CPL-08", operation=_OPERATION)
def one_small_part(probe: Probe) -> None:
    """An upload of one part of one byte is completed."""
    upload = probe.given_upload()
    expect_completes(probe, upload, probe.given_part(upload, 1, b"x"), "completion with one part of one byte")


@check("CPL-08", operation=_OPERATION)
def one_empty_part(probe: Probe) -> None:
    """An upload of one part of zero bytes is completed: the object is empty."""
    upload = probe.given_upload()
    expect_completes(probe, upload, probe.given_part(upload, 1, b""), "completion with one empty part")


def _expect_bad_document(probe: Probe, document: str, about: str, *expected: str) -> None:
    upload = probe.given_upload()
    probe.given_part(upload)
    _send(probe, upload, document).expect(*expected, about=about)
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")


@check("CPL-09", operation=_OPERATION)
def empty_body(probe: Probe) -> None:
    """A completion without a body is refused with 400 InvalidRequest or MalformedXML."""
    expected = ("400 InvalidRequest", "400 MalformedXML")
    _expect_bad_document(probe, "", "completion without a body", *expected)


@check("CPL-09", operation=_OPERATION)
def document_without_parts(probe: Probe) -> None:
    """A document that lists no parts is refused with 400 InvalidRequest or MalformedXML."""
    document = f"<CompleteMultipartUpload {_NAMESPACE}></CompleteMultipartUpload>"
    expected = ("400 InvalidRequest", "400 MalformedXML")
    _expect_bad_document(probe, document, "completion with a document without parts", *expected)


@check("CPL-09", operation=_OPERATION)
def document_is_cut(probe: Probe) -> None:
    """A body that is not well-formed XML is refused with 400 MalformedXML."""
    document = f"<CompleteMultipartUpload {_NAMESPACE}><Part><PartNumber>1</PartNumber>"
    _expect_bad_document(probe, document, "completion with a document that is cut", "400 MalformedXML")


@check("CPL-09", operation=_OPERATION)
def document_is_another(probe: Probe) -> None:
    """Another document than CompleteMultipartUpload is refused with 400 MalformedXML."""
    document = f"<Delete {_NAMESPACE}><Object><Key>key</Key></Object></Delete>"
    _expect_bad_document(probe, document, "completion with a Delete document", "400 MalformedXML")


def _expect_no_upload(probe: Probe, upload: Upload, about: str) -> None:
    part = SentPart(1, part_etag(b"body"), b"body")
    probe.complete(upload, [part]).expect("404 NoSuchUpload", about=about)
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")


@check("CPL-10", operation=_OPERATION)
def unknown_upload(probe: Probe) -> None:
    """Completing an upload that does not exist is 404 NoSuchUpload."""
    upload = Upload(probe.bucket, probe.key(), UNKNOWN_ID)
    _expect_no_upload(probe, upload, "completion of an unknown upload")


@check("CPL-10", operation=_OPERATION)
def wrong_key(probe: Probe) -> None:
    """Completing an upload under another key than its own is 404 NoSuchUpload."""
    upload = probe.given_upload()
    probe.given_part(upload, 1, b"body")
    other = Upload(probe.bucket, probe.key("other"), upload.id)
    _expect_no_upload(probe, other, "completion under another key than the upload's")
