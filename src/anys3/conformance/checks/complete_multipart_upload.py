"""CompleteMultipartUpload, what becomes of the parts: CPL-01 to CPL-10."""

from __future__ import annotations

from dataclasses import dataclass

from anys3.conformance.digests import md5_etag
from anys3.conformance.kit.multipart import (
    MIN_PART,
    UNKNOWN_ID,
    expect_completes,
    filler,
    given_upload_of,
    multipart_etag,
    of_one_part,
)
from anys3.conformance.kit.together import together
from anys3.conformance.probe import Probe, SentPart, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal

_OPERATION = "CompleteMultipartUpload"
_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@check("CPL-01", operation=_OPERATION, quick=True)
def answer_of_a_completion(probe: Probe) -> None:
    """The answer names Location, Bucket, Key and ETag of the object, which is there."""
    key, part, reply = of_one_part(probe)
    reply.expect("200", about="completion of an upload of one part")
    equal(reply.xml.tag, "CompleteMultipartUploadResult", "the root of the answer")
    equal((reply.text("Bucket"), reply.text("Key")), (probe.bucket, key), "Bucket and Key")
    reply.need_text("Location")
    reply.need_text("ETag")
    probe.expect_content(key, part.body, about="the object after its upload was completed")


@dataclass(frozen=True, slots=True)
class _OfTwo:
    """An upload that was completed with two of its three parts, and the answer to that."""

    key: str
    listed: tuple[SentPart, SentPart]
    reply: Reply

    @property
    def body(self) -> bytes:
        """What the object must be."""
        return self.listed[0].body + self.listed[1].body


def _of_two(probe: Probe) -> _OfTwo:
    """Complete an upload with the parts 3 and 10000, not with its part 7; once for all checks that look at it.

    The answer is what it is: each check judges it. Each attempt of a check that fails has another.
    """
    key = f"{probe.ground.prefix}shared/of-two-{probe.attempt}"

    def make() -> _OfTwo:
        upload = given_upload_of(probe, key)
        last = probe.given_part(upload, 10_000, b"the last part")
        probe.given_part(upload, 7, b"not listed")
        first = probe.given_part(upload, 3, filler("CPL-02"))
        return _OfTwo(key, (first, last), probe.complete(upload, (first, last)))

    return probe.asked_once(key, make)


@check("CPL-02", operation=_OPERATION)
def object_is_the_listed_parts(probe: Probe) -> None:
    """The object is the listed parts in the order of their numbers; a part that is not listed is dropped."""
    made = _of_two(probe)
    made.reply.expect("200", about="completion with the parts 3 and 10000 of 3, 7, 10000")
    probe.expect_content(made.key, made.body, about="an object of the parts 3 and 10000 of 3, 7, 10000")


@check("CPL-03", operation=_OPERATION)
def etag_of_one_part(probe: Probe) -> None:
    """The ETag of an object of one part is the MD5 of that part's MD5, with -1 behind it."""
    key, part, reply = of_one_part(probe)
    _expect_etag(probe, key, reply.expect("200", about="completion of one part"), part.body)


@check("CPL-03", operation=_OPERATION)
def etag_of_two_parts(probe: Probe) -> None:
    """The ETag of an object of two parts is the MD5 of both MD5s, with -2 behind it."""
    made = _of_two(probe)
    reply = made.reply.expect("200", about="completion of two parts")
    _expect_etag(probe, made.key, reply, *(part.body for part in made.listed))


def _expect_etag(probe: Probe, key: str, reply: Reply, *bodies: bytes) -> None:
    expected = multipart_etag(*bodies)
    equal(reply.need_text("ETag"), expected, "the ETag in the answer to the completion")
    equal(probe.head(key).expect("200").etag, expected, "the ETag that HEAD shows afterwards")


@check("CPL-04", operation=_OPERATION)
def numbers_with_gaps(probe: Probe) -> None:
    """Part numbers may have gaps, and go up to 10,000."""
    made = _of_two(probe)
    made.reply.expect("200", about="completion with the parts 3 and 10000")
    read = probe.head(made.key).expect("200", about="HEAD of an object of the parts 3 and 10000")
    equal(
        read.header("content-length"), str(len(made.body)), "the length of an object of the parts 3 and 10000"
    )


@check("CPL-05", operation=_OPERATION)
def parts_out_of_order(probe: Probe) -> None:
    """Parts that are not in ascending order, or listed twice, are refused with 400 InvalidPartOrder."""
    upload = probe.given_upload()
    # The one listed first has 5 MiB: nothing but the order is wrong.
    small, large = probe.given_part(upload, 1, b"small"), probe.given_part(upload, 2, filler("CPL-05"))
    with together() as each:
        for parts in ((large, small), (large, large)):
            with each():
                about = f"completion with the parts {parts[0].number}, {parts[1].number}"
                probe.complete(upload, parts).expect("400 InvalidPartOrder", about=about)
    probe.expect_no_object(upload.key, about="HEAD after completions with parts out of order")


@check("CPL-06", operation=_OPERATION)
def part_it_does_not_have(probe: Probe) -> None:
    """A part that was not uploaded, or with another ETag than its own, is refused with 400 InvalidPart."""
    upload = probe.given_upload()
    probe.given_part(upload, 1, b"body")
    trials = (
        (2, md5_etag(b"body"), "completion with a part that was not uploaded"),
        (1, md5_etag(b"other"), "completion with another ETag than the part's"),
    )
    with together() as each:
        for number, etag, about in trials:
            with each():
                probe.complete(upload, [SentPart(number, etag, b"")]).expect("400 InvalidPart", about=about)
    probe.expect_no_object(upload.key, about="HEAD after completions with parts that are not there")


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
    """A part before the last of 5 MiB less a byte is EntityTooSmall; the upload can be completed afterwards."""
    upload = probe.given_upload()
    parts = [
        probe.given_part(upload, 1, filler("CPL-07", MIN_PART - 1)),
        probe.given_part(upload, 2, b"last"),
    ]
    about = "completion with a first part of 5 MiB less one byte"
    probe.complete(upload, parts).expect("400 EntityTooSmall", about=about)
    probe.expect_no_object(upload.key, about=f"HEAD after {about}")
    expect_completes(probe, upload, parts[1], "completion with the last part alone after a refusal")


@check("CPL-08", operation=_OPERATION)
def one_small_part(probe: Probe) -> None:
    """An upload of one part of a few bytes is completed."""
    key, part, reply = of_one_part(probe)
    reply.expect("200", about="completion with one part of a few bytes")
    probe.expect_content(key, part.body, about="the object of one part of a few bytes")


@check("CPL-08", operation=_OPERATION)
def one_empty_part(probe: Probe) -> None:
    """An upload of one part of zero bytes is completed: the object is empty."""
    upload = probe.given_upload()
    expect_completes(probe, upload, probe.given_part(upload, 1, b""), "completion with one empty part")


@check("CPL-09", operation=_OPERATION)
def wrong_document(probe: Probe) -> None:
    """A body without parts is refused; one that is not well-formed or another document is MalformedXML."""
    upload = probe.given_upload()
    probe.given_part(upload)
    open_tag = f"<CompleteMultipartUpload {_NAMESPACE}>"
    no_parts = ("400 InvalidRequest", "400 MalformedXML")
    trials = (
        ("", "without a body", no_parts),
        (f"{open_tag}</CompleteMultipartUpload>", "with a document without parts", no_parts),
        (f"{open_tag}<Part><PartNumber>1</PartNumber>", "with a document that is cut", no_parts[1:]),
        (
            f"<Delete {_NAMESPACE}><Object><Key>key</Key></Object></Delete>",
            "with a Delete document",
            no_parts[1:],
        ),
    )
    with together() as each:
        for document, how, expected in trials:
            with each():
                reply = probe.request("POST", upload.path, [("uploadId", upload.id)], body=document.encode())
                reply.expect(*expected, about=f"completion {how}")
    probe.expect_no_object(upload.key, about="HEAD after completions with wrong documents")


def _expect_no_upload(probe: Probe, upload: Upload, about: str) -> None:
    part = SentPart(1, md5_etag(b"body"), b"body")
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
