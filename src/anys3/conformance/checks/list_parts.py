"""ListParts: LP-01 to LP-05, and its part of LMU-08."""

from __future__ import annotations

import re

from anys3.conformance.kit.multipart import UNKNOWN_ID, list_parts, shared_upload
from anys3.conformance.kit.together import together
from anys3.conformance.probe import Probe, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_OPERATION = "ListParts"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_MOST_PAGES = 10
_ALL = ["1", "2", "4", "9", "10"]


def _numbers(reply: Reply) -> list[str]:
    return reply.texts("Part/PartNumber")


@check("LP-01", operation=_OPERATION, quick=True)
def elements_of_a_page(probe: Probe) -> None:
    """A page names its upload, its limits and where it ends."""
    upload, _ = shared_upload(probe)
    page = list_parts(probe, upload).expect("200", about="the parts of an upload")
    equal(page.xml.tag, "ListPartsResult", "the root of a page of parts")
    found = page.text("Bucket"), page.text("Key"), page.text("UploadId")
    equal(found, (upload.bucket, upload.key, upload.id), "Bucket, Key and UploadId of a page of parts")
    for name in ("PartNumberMarker", "NextPartNumberMarker", "MaxParts"):
        require(page.need_text(name).isdigit(), f"{name} of a page of parts: expected a number, got "
                f"{page.text(name)!r}")  # fmt: skip
    equal(page.text("IsTruncated"), "false", "IsTruncated of the only page of parts")
    page.need_text("StorageClass")


@check("LP-01", operation=_OPERATION)
def elements_of_a_part(probe: Probe) -> None:
    """Each part has its number, ETag, size and time; parts come in ascending order."""
    upload, sent = shared_upload(probe)
    page = list_parts(probe, upload).expect("200", about="the parts of an upload")
    equal(_numbers(page), _ALL, "the parts of an upload that were sent as 10, 9, 4, 2, 1")
    parts = sorted(sent, key=lambda part: part.number)
    equal(page.texts("Part/ETag"), [part.etag for part in parts], "the ETags of the parts")
    equal(page.texts("Part/Size"), [str(len(part.body)) for part in parts], "the sizes of the parts")
    times = page.texts("Part/LastModified")
    is_time = len(times) == len(parts) and all(map(_TIME.fullmatch, times))
    require(is_time, f"LastModified of five parts: expected five times in UTC, got {times!r}")


@check("LP-02", operation=_OPERATION)
def at_most_1000_parts(probe: Probe) -> None:
    """A page has at most 1,000 parts, whether max-parts is absent or larger; MaxParts says so."""
    upload, _ = shared_upload(probe)
    default = list_parts(probe, upload).expect("200", about="the parts of an upload")
    equal(default.text("MaxParts"), "1000", "MaxParts where none was asked for")
    more = list_parts(probe, upload, ("max-parts", "5000")).expect(
        "200", about="the parts with max-parts=5000"
    )
    equal(more.text("MaxParts"), "1000", "MaxParts where 5000 was asked for")


@check("LP-02", operation=_OPERATION)
def max_parts_is_kept(probe: Probe) -> None:
    """A page has no more parts than max-parts asks for."""
    upload, _ = shared_upload(probe)
    page = list_parts(probe, upload, ("max-parts", "2")).expect("200", about="the parts with max-parts=2")
    equal(_numbers(page), _ALL[:2], "the first page of two of five parts")


@check("LP-02", operation=_OPERATION)
def marker_is_exclusive(probe: Probe) -> None:
    """A page begins after the part that part-number-marker names, be that there or not."""
    upload, _ = shared_upload(probe)
    for marker, expected in (("4", _ALL[3:]), ("3", _ALL[2:])):
        page = list_parts(probe, upload, ("part-number-marker", marker))
        page.expect("200", about=f"the parts after {marker}")
        equal(_numbers(page), expected, f"the parts after {marker} of {', '.join(_ALL)}")


@check("LP-03", operation=_OPERATION)
def pages_are_complete(probe: Probe) -> None:
    """Pages that follow NextPartNumberMarker hold every part once."""
    upload, _ = shared_upload(probe)
    found: list[str] = []
    marker: list[tuple[str, str]] = []
    for _ in range(_MOST_PAGES):
        page = list_parts(probe, upload, ("max-parts", "2"), *marker).expect("200", about="a page of parts")
        found += _numbers(page)
        if page.text("IsTruncated") != "true":
            break
        marker = [("part-number-marker", page.need_text("NextPartNumberMarker"))]
    equal(found, _ALL, "the parts on pages of two")


@check("LP-04", operation=_OPERATION)
def marker_beyond_the_last(probe: Probe) -> None:
    """A marker beyond the last part gives an empty page."""
    upload, _ = shared_upload(probe)
    page = list_parts(probe, upload, ("part-number-marker", "9000")).expect(
        "200", about="the parts after 9000"
    )
    equal(
        (_numbers(page), page.text("IsTruncated")), ([], "false"), "parts and IsTruncated after the last part"
    )


@check("LP-04", operation=_OPERATION)
def empty_parameters(probe: Probe) -> None:
    """Empty values of max-parts and part-number-marker count as absent."""
    upload, _ = shared_upload(probe)
    for name in ("max-parts", "part-number-marker"):
        page = list_parts(probe, upload, (name, "")).expect("200", about=f"the parts with {name} empty")
        equal(_numbers(page), _ALL, f"the parts with {name} empty")


@check("LP-05", operation=_OPERATION)
def unknown_upload(probe: Probe) -> None:
    """The parts of an upload that does not exist are 404 NoSuchUpload."""
    upload = Upload(probe.bucket, probe.key(), UNKNOWN_ID)
    list_parts(probe, upload).expect("404 NoSuchUpload", about="the parts of an unknown upload")


@check("LP-05", operation=_OPERATION)
def wrong_key(probe: Probe) -> None:
    """The parts of an upload under another key than its own are 404 NoSuchUpload."""
    upload, _ = shared_upload(probe)
    other = Upload(probe.bucket, probe.key("other"), upload.id)
    list_parts(probe, other).expect("404 NoSuchUpload", about="the parts of an upload under another key")


@check("LMU-08", operation=_OPERATION)
def limits_are_no_numbers(probe: Probe) -> None:
    """A max-parts or part-number-marker that is negative or no number is refused with 400 InvalidArgument."""
    upload, _ = shared_upload(probe)
    with together() as each:
        for name in ("max-parts", "part-number-marker"):
            for value in ("-1", "ten"):
                with each():
                    reply = list_parts(probe, upload, (name, value))
                    reply.expect("400 InvalidArgument", about=f"the parts with {name}={value}")
