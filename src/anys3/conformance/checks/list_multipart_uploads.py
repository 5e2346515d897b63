"""ListMultipartUploads: LMU-01 to LMU-08; and ST-04, which rests on it."""

from __future__ import annotations

import re
import time
from urllib.parse import unquote_plus

from anys3.conformance.multipart import abort, filler, given_end, list_parts, list_uploads, uploads_of
from anys3.conformance.probe import Probe, SentPart, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_OPERATION = "ListMultipartUploads"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_MOST_PAGES = 12
_SECOND_S = 1.1
"""Initiated may have a resolution of a second."""


def _given_uploads(probe: Probe, *names: str) -> list[Upload]:
    return [probe.given_upload(name) for name in names]


def _page(probe: Probe, about: str, *query: tuple[str, str]) -> Reply:
    return list_uploads(probe, *query).expect("200", about=about)


def _of(upload: Upload) -> tuple[str, str]:
    """Return the parameter that lists the uploads of one key alone; all servers know whole keys as prefix."""
    return "prefix", upload.key


def _given_order(probe: Probe, count: int, *query: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the uploads of this check in the order in which they are listed, or block."""
    with probe.setting_up("the uploads could not be listed"):
        found = uploads_of(list_uploads(probe, *query).expect("200"))
        equal(len(found), count, "the number of uploads listed")
    return found


@check("LMU-01", operation=_OPERATION, quick=True)
def elements_of_an_upload(probe: Probe) -> None:
    """An unfinished upload is listed with its key, id, time of initiation and storage class."""
    upload = probe.given_upload()
    page = _page(probe, "the uploads of a key", _of(upload))
    equal(page.xml.tag, "ListMultipartUploadsResult", "the root of a page of uploads")
    equal(uploads_of(page), [(upload.key, upload.id)], "the uploads of a key with one")
    initiated = page.need_text("Upload/Initiated")
    require(_TIME.fullmatch(initiated), f"Initiated of an upload: expected UTC time, got {initiated!r}")
    page.need_text("Upload/StorageClass")


@check("LMU-01", operation=_OPERATION)
def order_of_keys(probe: Probe) -> None:
    """Uploads come in the order of their keys."""
    middle, last, first = _given_uploads(probe, "b", "c", "a")
    expected = [(upload.key, upload.id) for upload in (first, middle, last)]
    equal(uploads_of(_page(probe, "uploads of three keys")), expected, "the uploads of three keys, in order")


@check("LMU-01", operation=_OPERATION)
def order_of_one_key(probe: Probe) -> None:
    """The uploads of one key come in the order of their initiation."""
    expected = []
    for number in range(3):
        time.sleep(_SECOND_S if number else 0)
        upload = probe.given_upload()
        expected.append((upload.key, upload.id))
    page = _page(probe, "three uploads of a key", _of(upload))
    equal(uploads_of(page), expected, "three uploads of a key, in order")


@check("LMU-02", operation=_OPERATION)
def at_most_1000_uploads(probe: Probe) -> None:
    """A page has at most 1,000 uploads, whether max-uploads is absent or larger; MaxUploads says so."""
    equal(_page(probe, "uploads").text("MaxUploads"), "1000", "MaxUploads where none was asked for")
    more = _page(probe, "uploads with max-uploads=5000", ("max-uploads", "5000"))
    equal(more.text("MaxUploads"), "1000", "MaxUploads where 5000 was asked for")


@check("LMU-02", operation=_OPERATION)
def both_markers(probe: Probe) -> None:
    """key-marker and upload-id-marker together resume after that very upload."""
    upload = _given_uploads(probe, "b", "b", "b", "b")[0]
    order = _given_order(probe, 4, _of(upload))
    key, upload_id = order[1]
    markers = ("key-marker", key), ("upload-id-marker", upload_id)
    page = _page(probe, "the uploads after the second", _of(upload), *markers)
    equal(uploads_of(page), order[2:], "the uploads after the second of four of a key")


def _expect_resumes(probe: Probe, is_completed: bool) -> None:
    """Resume after an upload that has ended since it was listed."""
    made = {upload.id: upload for upload in _given_uploads(probe, "b", "b", "b")}
    of_the_key = ("prefix", probe.key("b"))
    order = _given_order(probe, 3, of_the_key)
    key, upload_id = order[1]
    ended = made[upload_id]
    given_end(probe, ended, (probe.given_part(ended),) if is_completed else ())
    about = f"the uploads after one that was {'completed' if is_completed else 'aborted'}"
    page = _page(probe, about, of_the_key, ("key-marker", key), ("upload-id-marker", upload_id))
    equal(uploads_of(page), order[2:], about)


@check("LMU-02", operation=_OPERATION)
def marker_was_aborted(probe: Probe) -> None:
    """A page resumes after its markers, though that upload was aborted since."""
    _expect_resumes(probe, False)


@check("LMU-02", operation=_OPERATION)
def marker_was_completed(probe: Probe) -> None:
    """A page resumes after its markers, though that upload was completed since."""
    _expect_resumes(probe, True)


@check("LMU-02", operation=_OPERATION)
def key_marker_alone(probe: Probe) -> None:
    """key-marker alone resumes after all uploads of that key."""
    _given_uploads(probe, "a", "b", "b", "c")
    order = _given_order(probe, 4)
    page = _page(probe, "the uploads after a key", ("key-marker", probe.key("b")))
    equal(uploads_of(page), order[3:], "the uploads after a key that has two")


@check("LMU-02", operation=_OPERATION)
def upload_id_marker_alone(probe: Probe) -> None:
    """upload-id-marker without key-marker is ignored."""
    _given_uploads(probe, "a", "b")
    order = _given_order(probe, 2)
    page = _page(probe, "the uploads with upload-id-marker alone", ("upload-id-marker", order[0][1]))
    equal(uploads_of(page), order, "the uploads with upload-id-marker alone")


@check("LMU-03", operation=_OPERATION)
def marker_is_malformed(probe: Probe) -> None:
    """An upload-id-marker that is no upload id is refused with 400 InvalidArgument."""
    upload = probe.given_upload("b")
    query = ("key-marker", upload.key), ("upload-id-marker", "no/upload?id")
    list_uploads(probe, *query).expect(
        "400 InvalidArgument", about="an upload-id-marker that is no upload id"
    )


@check("LMU-03", operation=_OPERATION)
def marker_of_another_key(probe: Probe) -> None:
    """An upload-id-marker of another key's upload is refused with 400 InvalidArgument."""
    other, upload = _given_uploads(probe, "a", "b")
    query = ("key-marker", upload.key), ("upload-id-marker", other.id)
    list_uploads(probe, *query).expect("400 InvalidArgument", about="an upload-id-marker of another key")


@check("LMU-03", operation=_OPERATION)
def marker_has_ended(probe: Probe) -> None:
    """The id of an upload that was aborted or completed is not refused as upload-id-marker."""
    aborted, completed = _given_uploads(probe, "b", "b")
    given_end(probe, aborted)
    given_end(probe, completed, (probe.given_part(completed),))
    for upload, what in ((aborted, "an aborted"), (completed, "a completed")):
        query = ("key-marker", upload.key), ("upload-id-marker", upload.id)
        list_uploads(probe, *query).expect("200", about=f"the id of {what} upload as upload-id-marker")


@check("LMU-04", operation=_OPERATION)
def prefix_of_uploads(probe: Probe) -> None:
    """A prefix leaves out the uploads of other keys, and need not be a whole key."""
    made = _given_uploads(probe, "p/ab", "p/ac", "p/b")
    page = _page(probe, "uploads with a prefix", ("prefix", probe.key("p/a")))
    expected = [(upload.key, upload.id) for upload in made[:2]]
    equal(
        (uploads_of(page), page.text("Prefix")), (expected, probe.key("p/a")), "uploads and Prefix of a page"
    )


@check("LMU-04", operation=_OPERATION)
def delimiter_of_uploads(probe: Probe) -> None:
    """A delimiter groups the uploads below it into CommonPrefixes."""
    _given_uploads(probe, "a", "b/1", "b/2", "c", "d/1")
    page = _page(probe, "uploads with a delimiter", ("delimiter", "/"))
    keys = [key for key, _ in uploads_of(page)]
    equal(keys, [probe.key("a"), probe.key("c")], "the uploads with delimiter /")
    groups = page.texts("CommonPrefixes/Prefix")
    equal(groups, [probe.key("b/"), probe.key("d/")], "the CommonPrefixes of uploads with delimiter /")
    equal(page.text("Delimiter"), "/", "Delimiter of a page of uploads")
    _report_pages_of_groups(probe)


def _report_pages_of_groups(probe: Probe) -> None:
    """Report whether truncated pages with a delimiter lose or repeat something: only a SHOULD."""
    found: list[str] = []
    markers: list[tuple[str, str]] = []
    for _ in range(_MOST_PAGES):
        page = list_uploads(probe, ("delimiter", "/"), ("max-uploads", "2"), *markers)
        if page.status != 200:
            break
        found += page.texts("Upload/Key") + page.texts("CommonPrefixes/Prefix")
        if page.text("IsTruncated") != "true":
            break
        markers = _next_markers(page)
    if sorted(found) != [probe.key(name) for name in ("a", "b/", "c", "d/")]:
        probe.report("pages of uploads with a delimiter lose or repeat entries")


def _next_markers(page: Reply) -> list[tuple[str, str]]:
    """Return the parameters that ask for the next page."""
    found = ("key-marker", page.text("NextKeyMarker")), ("upload-id-marker", page.text("NextUploadIdMarker"))
    return [(name, value) for name, value in found if value]


@check("LMU-04", operation=_OPERATION)
def encoding_type_url(probe: Probe) -> None:
    """With encoding-type=url keys, markers, prefix and delimiter are percent-encoded."""
    made = _given_uploads(probe, "ü a+b", "ü b")
    marker, prefix = probe.key("ü A"), probe.key("ü ")
    query = ("encoding-type", "url"), ("prefix", prefix), ("delimiter", "ü+"), ("max-uploads", "1")
    page = _page(probe, "uploads with encoding-type=url", *query, ("key-marker", marker))
    equal(page.text("EncodingType"), "url", "EncodingType of a page of uploads")
    expected = {
        "Upload/Key": made[0].key,
        "NextKeyMarker": made[0].key,
        "KeyMarker": marker,
        "Prefix": prefix,
        "Delimiter": "ü+",
    }
    for name, value in expected.items():
        text = page.need_text(name)
        is_encoded = text.isascii() and " " not in text
        require(is_encoded, f"{name} with encoding-type=url: expected it percent-encoded, got {text!r}")
        equal(unquote_plus(text), value, f"{name} with encoding-type=url, decoded")


@check("LMU-05", operation=_OPERATION)
def ended_uploads_are_absent(probe: Probe) -> None:
    """Uploads that were completed or aborted are absent at once."""
    completed, aborted, running = _given_uploads(probe, "a", "a", "a")
    given_end(probe, completed, (probe.given_part(completed),))
    after = uploads_of(_page(probe, "the uploads after a completion", _of(running)))
    expected = sorted((upload.key, upload.id) for upload in (aborted, running))
    equal(sorted(after), expected, "the uploads of a key after one of three was completed")
    with probe.setting_up("an upload could not be aborted"):
        abort(probe, aborted).expect("204")
    after = uploads_of(_page(probe, "the uploads after an abort", _of(running)))
    equal(after, [(running.key, running.id)], "the uploads of a key after another was aborted")


@check("LMU-06", operation=_OPERATION)
def missing_bucket(probe: Probe) -> None:
    """The uploads of a bucket that does not exist are 404 NoSuchBucket."""
    path = probe.path(bucket=probe.missing_bucket)
    probe.request("GET", path, "uploads").expect("404 NoSuchBucket", about="the uploads of a missing bucket")


def _expect_complete_pages(probe: Probe, made: list[Upload], *query: tuple[str, str]) -> None:
    found: list[tuple[str, str]] = []
    markers: list[tuple[str, str]] = []
    for _ in range(_MOST_PAGES):
        page = _page(probe, "a page of uploads", ("max-uploads", "2"), *query, *markers)
        require(len(uploads_of(page)) <= 2, "a page of uploads with max-uploads=2 holds more than two")
        found += uploads_of(page)
        if page.text("IsTruncated") != "true":
            break
        page.need_text("NextKeyMarker")
        page.need_text("NextUploadIdMarker")
        markers = _next_markers(page)
    expected = sorted((upload.key, upload.id) for upload in made)
    equal(sorted(found), expected, "the uploads on pages of two")


@check("LMU-07", operation=_OPERATION)
def pages_are_complete(probe: Probe) -> None:
    """Pages that follow both Next markers hold every upload of several keys once."""
    _expect_complete_pages(probe, _given_uploads(probe, "a", "b", "b", "b", "c"))


@check("LMU-07", operation=_OPERATION)
def pages_of_one_key(probe: Probe) -> None:
    """Pages that follow both Next markers hold every upload of one key once."""
    made = _given_uploads(probe, "b", "b", "b", "b", "b")
    _expect_complete_pages(probe, made, _of(made[0]))


@check("LMU-08", operation=_OPERATION)
def max_uploads_is_no_number(probe: Probe) -> None:
    """A max-uploads that is negative or no number is refused with 400 InvalidArgument."""
    for value in ("-1", "ten"):
        about = f"the uploads with max-uploads={value}"
        list_uploads(probe, ("max-uploads", value)).expect("400 InvalidArgument", about=about)


@check("ST-04", operation=_OPERATION)
def upload_is_resumed(probe: Probe) -> None:
    """Who has forgotten everything finds the upload and its parts, sends what lacks, and completes."""
    key = probe.key()
    first = filler("ST-04")
    probe.given_part(probe.given_upload(), 1, first)
    page = _page(probe, "the unfinished uploads of a key", ("prefix", key))
    found = [upload_id for name, upload_id in uploads_of(page) if name == key]
    equal(len(found), 1, "the unfinished uploads of a key with one")
    upload = Upload(probe.bucket, key, found[0])
    parts = list_parts(probe, upload).expect("200", about="the parts of the upload that was found")
    equal(parts.texts("Part/PartNumber"), ["1"], "the parts of the upload that was found")
    equal(parts.texts("Part/Size"), [str(len(first))], "the sizes of the parts that were found")
    former = SentPart(1, parts.need_text("Part/ETag"), first)
    reply = probe.put_part(upload, 2, b"the rest").expect("200", about="the part that was lacking")
    parts_now = [former, SentPart(2, reply.etag, b"the rest")]
    probe.complete(upload, parts_now).expect("200", about="completion of an upload that was found again")
    probe.expect_content(key, first + b"the rest", about="the object of an upload that was found again")
