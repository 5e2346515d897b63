"""ListParts: LP-01 to LP-05, and its part of LMU-08."""

from __future__ import annotations

import re

from anys3.conformance.multipart import UNKNOWN_ID, list_parts
from anys3.conformance.probe import Probe, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_OPERATION = "ListParts"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_MOST_PAGES = 10


def _given_parts(probe: Probe, *numbers: int) -> Upload:
    """Return an upload with small parts of those numbers, sent in that order."""
    upload = probe.given_upload()
    for number in numbers:
        probe.given_part(upload, number, b"part %d" % number)
    return upload


def _numbers(reply: Reply) -> list[str]:
    return reply.texts("Part/PartNumber")


@check("LP-01", operation=_OPERATION, quick=True)
def elements_of_a_page(probe: Probe) -> None:
    """A page names its upload, its limits and where it ends."""
    upload = _given_parts(probe, 7)
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
    numbers = (10, 9, 2)
    upload = probe.given_upload()
    parts = [probe.given_part(upload, number, b"part %d" % number) for number in numbers]
    page = list_parts(probe, upload).expect("200", about="the parts of an upload")
    expected = [str(number) for number in sorted(numbers)]
    equal(_numbers(page), expected, "the parts of an upload that were sent as 10, 9, 2")
    parts.sort(key=lambda part: part.number)
    equal(page.texts("Part/ETag"), [part.etag for part in parts], "the ETags of the parts")
    equal(page.texts("Part/Size"), [str(len(part.body)) for part in parts], "the sizes of the parts")
    times = page.texts("Part/LastModified")
    is_time = len(times) == len(parts) and all(map(_TIME.fullmatch, times))
    require(is_time, f"LastModified of three parts: expected three times in UTC, got {times!r}")


@check("LP-02", operation=_OPERATION)
def at_most_1000_parts(probe: Probe) -> None:
    """A page has at most 1,000 parts, whether max-parts is absent or larger; MaxParts says so."""
    upload = _given_parts(probe, 1)
    default = list_parts(probe, upload).expect("200", about="the parts of an upload")
    equal(default.text("MaxParts"), "1000", "MaxParts where none was asked for")
    more = list_parts(probe, upload, ("max-parts", "5000")).expect(
        "200", about="the parts with max-parts=5000"
    )
    equal(more.text("MaxParts"), "1000", "MaxParts where 5000 was asked for")


@check("LP-02", operation=_OPERATION)
def max_parts_is_kept(probe: Probe) -> None:
    """A page has no more parts than max-parts asks for."""
    upload = _given_parts(probe, 1, 2, 3)
    page = list_parts(probe, upload, ("max-parts", "2")).expect("200", about="the parts with max-parts=2")
    equal(_numbers(page), ["1", "2"], "the first page of two of three parts")


@check("LP-02", operation=_OPERATION)
def marker_is_exclusive(probe: Probe) -> None:
    """A page begins after the part that part-number-marker names, be that there or not."""
    upload = _given_parts(probe, 1, 3, 5)
    for marker, expected in (("3", ["5"]), ("2", ["3", "5"])):
        page = list_parts(probe, upload, ("part-number-marker", marker))
        page.expect("200", about=f"the parts after {marker}")
        equal(_numbers(page), expected, f"the parts after {marker} of 1, 3, 5")


@check("LP-03", operation=_OPERATION)
def pages_are_complete(probe: Probe) -> None:
    """Pages that follow NextPartNumberMarker hold every part once."""
    numbers = (1, 2, 4, 9, 10)
    upload = _given_parts(probe, *numbers)
    found: list[str] = []
    marker: list[tuple[str, str]] = []
    for _ in range(_MOST_PAGES):
        page = list_parts(probe, upload, ("max-parts", "2"), *marker).expect("200", about="a page of parts")
        found += _numbers(page)
        if page.text("IsTruncated") != "true":
            break
        marker = [("part-number-marker", page.need_text("NextPartNumberMarker"))]
    equal(found, [str(number) for number in numbers], "the parts on pages of two")


@check("LP-04", operation=_OPERATION)
def marker_beyond_the_last(probe: Probe) -> None:
    """A marker beyond the last part gives an empty page."""
    upload = _given_parts(probe, 1, 2)
    page = list_parts(probe, upload, ("part-number-marker", "9000")).expect(
        "200", about="the parts after 9000"
    )
    equal(
        (_numbers(page), page.text("IsTruncated")), ([], "false"), "parts and IsTruncated after the last part"
    )


@check("LP-04", operation=_OPERATION)
def empty_parameters(probe: Probe) -> None:
    """Empty values of max-parts and part-number-marker count as absent."""
    upload = _given_parts(probe, 1, 2)
    for name in ("max-parts", "part-number-marker"):
        page = list_parts(probe, upload, (name, "")).expect("200", about=f"the parts with {name} empty")
        equal(_numbers(page), ["1", "2"], f"the parts with {name} empty")


@check("LP-05", operation=_OPERATION)
def unknown_upload(probe: Probe) -> None:
    """The parts of an upload that does not exist are 404 NoSuchUpload."""
    upload = Upload(probe.bucket, probe.key(), UNKNOWN_ID)
    list_parts(probe, upload).expect("404 NoSuchUpload", about="the parts of an unknown upload")


@check("LP-05", operation=_OPERATION)
def wrong_key(probe: Probe) -> None:
    """The parts of an upload under another key than its own are 404 NoSuchUpload."""
    upload = _given_parts(probe, 1)
    other = Upload(probe.bucket, probe.key("other"), upload.id)
    list_parts(probe, other).expect("404 NoSuchUpload", about="the parts of an upload under another key")


def _expect_no_number(probe: Probe, name: str) -> None:
    upload = _given_parts(probe, 1)
    for value in ("-1", "ten"):
        list_parts(probe, upload, (name, value)).expect(
            "400 InvalidArgument", about=f"the parts with {name}={value}"
        )


@check("LMU-08", operation=_OPERATION)
def max_parts_is_no_number(probe: Probe) -> None:
    """A max-parts that is negative or no number is refused with 400 InvalidArgument."""
    _expect_no_number(probe, "max-parts")


@check("LMU-08", operation=_OPERATION)
def part_number_marker_is_no_number(probe: Probe) -> None:
    """A part-number-marker that is negative or no number is refused with 400 InvalidArgument."""
    _expect_no_number(probe, "part-number-marker")
