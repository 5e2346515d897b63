"""UploadPartCopy: UPC-01 to UPC-06."""

from __future__ import annotations

import re

from anys3.conformance.kit.multipart import UNKNOWN_ID, copy_part, expect_completes, scratch_upload
from anys3.conformance.kit.together import together
from anys3.conformance.probe import Probe, SentPart, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import equal, require

_OPERATION = "UploadPartCopy"
_SOURCE = bytes(range(256)) * 4
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _given_source(probe: Probe) -> str:
    """Return a source of 1,024 bytes as x-amz-copy-source has it."""
    return probe.path(probe.shared_object(_SOURCE))


def _expect_copied(probe: Probe, source: str, span: str, body: bytes, about: str) -> None:
    """Copy a part and complete with it alone: the object must be those bytes."""
    upload = probe.given_upload()
    reply = copy_part(probe, upload, source, span).expect("200", about=about)
    expect_completes(probe, upload, SentPart(1, reply.need_text("ETag"), body), about)


@check("UPC-01", operation=_OPERATION, quick=True)
def answer_of_a_copy(probe: Probe) -> None:
    """The answer is a CopyPartResult with ETag and LastModified."""
    source = _given_source(probe)
    reply = copy_part(probe, scratch_upload(probe), source, number=21).expect("200", about="copy of a part")
    equal(reply.xml.tag, "CopyPartResult", "the root of the answer to a copied part")
    modified = reply.need_text("LastModified")
    require(_TIME.fullmatch(modified), f"LastModified of a copied part: expected UTC time, got {modified!r}")
    reply.need_text("ETag")


@check("UPC-01", operation=_OPERATION)
def source_is_decoded_once(probe: Probe) -> None:
    """The source is percent-decoded once: a key with %20, a plus sign and a space in it is found."""
    source = probe.path(probe.given_object("a%20b+c d", _SOURCE))
    _expect_copied(probe, source, "", _SOURCE, "copy of a source whose key is 'a%20b+c d'")


@check("UPC-01", operation=_OPERATION)
def source_without_slash(probe: Probe) -> None:
    """The source may be written without its leading slash, as boto3 does."""
    source = _given_source(probe).removeprefix("/")
    reply = copy_part(probe, scratch_upload(probe), source, number=22)
    reply.expect("200", about="copy of a source written bucket/key")


@check("UPC-02", operation=_OPERATION)
def whole_source(probe: Probe) -> None:
    """Without a range the whole source is the part."""
    _expect_copied(probe, _given_source(probe), "", _SOURCE, "copy without a range")


@check("UPC-03", operation=_OPERATION)
def range_is_inclusive(probe: Probe) -> None:
    """bytes=a-b takes the bytes a to b, b too, counted from zero."""
    source = _given_source(probe)
    _expect_copied(probe, source, "bytes=10-19", _SOURCE[10:20], "copy of bytes=10-19")


@check("UPC-03", operation=_OPERATION)
def range_up_to_the_end(probe: Probe) -> None:
    """A range may end at the last byte of the source."""
    source = _given_source(probe)
    _expect_copied(probe, source, "bytes=1000-1023", _SOURCE[1000:], "copy of bytes=1000-1023 of 1,024")


@check("UPC-03", operation=_OPERATION)
def one_byte(probe: Probe) -> None:
    """A range of one byte, a=b, is allowed."""
    _expect_copied(probe, _given_source(probe), "bytes=5-5", _SOURCE[5:6], "copy of bytes=5-5")


def _expect_refused(probe: Probe, spans: tuple[str, ...], *expected: str) -> None:
    """Copy with ranges that must be refused."""
    source = _given_source(probe)
    upload = scratch_upload(probe)
    with together() as each:
        for span in spans:
            with each():
                about = f"copy of a part with x-amz-copy-source-range: {span} of 1,024 bytes"
                copy_part(probe, upload, source, span, number=23).expect(*expected, about=about)


@check("UPC-04", operation=_OPERATION)
def range_of_another_form(probe: Probe) -> None:
    """A range without unit, first or last byte, one that is reversed, and several are refused."""
    spans = ("0-8", "bytes=5-", "bytes=-5", "bytes=1-0", "bytes=0-1,3-4")
    _expect_refused(probe, spans, "400 InvalidArgument")


@check("UPC-05", operation=_OPERATION)
def range_beyond_the_end(probe: Probe) -> None:
    """A range that goes beyond the end of the source is refused, not shortened."""
    spans = ("bytes=0-1024", "bytes=1024-1024", "bytes=5000-6000")
    _expect_refused(probe, spans, "400 InvalidArgument", "400 InvalidRequest")


@check("UPC-06", operation=_OPERATION)
def missing_source(probe: Probe) -> None:
    """A source bucket that does not exist is 404 NoSuchBucket, a source key 404 NoSuchKey."""
    upload = scratch_upload(probe)
    with together() as each:
        with each():
            reply = copy_part(probe, upload, probe.path("key", probe.missing_bucket), number=24)
            reply.expect("404 NoSuchBucket", about="copy of a part from a missing bucket")
        with each():
            reply = copy_part(probe, upload, probe.path(probe.key("missing")), number=24)
            reply.expect("404 NoSuchKey", about="copy of a part from a missing key")


@check("UPC-06", operation=_OPERATION)
def unknown_upload(probe: Probe) -> None:
    """An upload that does not exist is 404 NoSuchUpload, and no object is made."""
    source = _given_source(probe)
    upload = Upload(probe.bucket, probe.key(), UNKNOWN_ID)
    copy_part(probe, upload, source).expect("404 NoSuchUpload", about="copy of a part into an unknown upload")
    probe.expect_no_object(upload.key, about="the key after a copy into an unknown upload")
