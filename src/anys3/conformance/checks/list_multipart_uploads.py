"""ListMultipartUploads: LMU-01 to LMU-08; and ST-04, which rests on it."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from urllib.parse import unquote_plus

from anys3.conformance.kit.multipart import (
    abort,
    filler,
    given_end,
    given_upload_of,
    list_parts,
    list_uploads,
    uploads_of,
)
from anys3.conformance.probe import Probe, SentPart, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_OPERATION = "ListMultipartUploads"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_MOST_PAGES = 12
_SHARED = ("c", "b", "b", "b", "b", "a", "d/1", "d/2", "e/1")
_SECOND_S = 1.1
"""Initiated may have a resolution of a second."""


def _given_uploads(probe: Probe, *names: str) -> list[Upload]:
    return [probe.given_upload(name) for name in names]


def _shared(probe: Probe) -> tuple[str, list[tuple[str, str]]]:
    """Return a prefix and the uploads below it, which all checks may list and none may change; or block.

    Keys are in the order of _SHARED, not in theirs. Each attempt of a check that fails has others.
    """
    prefix = f"{probe.ground.prefix}shared/uploads-{probe.attempt}/"

    def make() -> list[tuple[str, str]]:
        made = [given_upload_of(probe, prefix + name) for name in _SHARED]
        return [(upload.key, upload.id) for upload in made]

    return prefix, probe.asked_once(prefix, make)


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
    prefix, made = _shared(probe)
    found = uploads_of(_page(probe, "uploads of several keys", ("prefix", prefix)))
    equal([key for key, _ in found], sorted(key for key, _ in made), "the keys of uploads, in order")
    equal(sorted(found), sorted(made), "the uploads of several keys")


@check("LMU-01", operation=_OPERATION)
def order_of_one_key(probe: Probe) -> None:
    """The uploads of one key come in the order of their initiation."""
    earlier = _given_uploads(probe, "object", "object")
    time.sleep(_SECOND_S)
    later = _given_uploads(probe, "object", "object")
    page = _page(probe, "four uploads of a key", _of(later[0]))
    found = uploads_of(page)
    for uploads, of_the_page, which in ((earlier, found[:2], "first"), (later, found[2:], "last")):
        expected = sorted((upload.key, upload.id) for upload in uploads)
        equal(sorted(of_the_page), expected, f"the {which} two of four uploads of a key, by initiation")


@check("LMU-02", operation=_OPERATION)
def at_most_1000_uploads(probe: Probe) -> None:
    """A page has at most 1,000 uploads, whether max-uploads is absent or larger; MaxUploads says so."""
    equal(_page(probe, "uploads").text("MaxUploads"), "1000", "MaxUploads where none was asked for")
    more = _page(probe, "uploads with max-uploads=5000", ("max-uploads", "5000"))
    equal(more.text("MaxUploads"), "1000", "MaxUploads where 5000 was asked for")


@check("LMU-02", operation=_OPERATION)
def both_markers(probe: Probe) -> None:
    """key-marker and upload-id-marker together resume after that very upload."""
    prefix, _ = _shared(probe)
    of_the_key = ("prefix", f"{prefix}b")
    order = _given_order(probe, 4, of_the_key)
    key, upload_id = order[1]
    markers = ("key-marker", key), ("upload-id-marker", upload_id)
    page = _page(probe, "the uploads after the second", of_the_key, *markers)
    equal(uploads_of(page), order[2:], "the uploads after the second of four of a key")


def _after_ended(probe: Probe) -> list[tuple[str, Reply, list[tuple[str, str]]]]:
    """Return how an upload ended, the page that has it as its marker, and what should be on it; or block.

    One of four of a key was aborted and then one completed, for all checks that look at such a page.
    """
    own = replace(probe, check="shared/ended")

    def ask() -> list[tuple[str, Reply, list[tuple[str, str]]]]:
        made = {upload.id: upload for upload in _given_uploads(own, "b", "b", "b", "b")}
        of_the_key = ("prefix", own.key("b"))
        order = _given_order(own, 4, of_the_key)
        pages = []
        for place, what in ((1, "aborted"), (2, "completed")):
            key, upload_id = order[place]
            ended = made[upload_id]
            given_end(own, ended, (own.given_part(ended),) if what == "completed" else ())
            markers = ("key-marker", key), ("upload-id-marker", upload_id)
            pages.append((what, list_uploads(own, of_the_key, *markers), order[place + 1 :]))
        return pages

    return probe.asked_once(own.prefix, ask)


@check("LMU-02", operation=_OPERATION)
def marker_ended_meanwhile(probe: Probe) -> None:
    """A page resumes after its markers, though that upload was aborted or completed since."""
    for what, reply, rest in _after_ended(probe):
        about = f"the uploads after one that was {what}"
        equal(uploads_of(reply.expect("200", about=about)), rest, about)


@check("LMU-02", operation=_OPERATION)
def key_marker_alone(probe: Probe) -> None:
    """key-marker alone resumes after all uploads of that key."""
    prefix, made = _shared(probe)
    order = _given_order(probe, len(made), ("prefix", prefix))
    page = _page(probe, "the uploads after a key", ("prefix", prefix), ("key-marker", f"{prefix}b"))
    equal(uploads_of(page), order[5:], "the uploads after a key that has four")


@check("LMU-02", operation=_OPERATION)
def upload_id_marker_alone(probe: Probe) -> None:
    """upload-id-marker without key-marker is ignored."""
    prefix, made = _shared(probe)
    order = _given_order(probe, len(made), ("prefix", prefix))
    query = ("prefix", prefix), ("upload-id-marker", order[0][1])
    page = _page(probe, "the uploads with upload-id-marker alone", *query)
    equal(uploads_of(page), order, "the uploads with upload-id-marker alone")


@check("LMU-03", operation=_OPERATION)
def marker_is_malformed(probe: Probe) -> None:
    """An upload-id-marker that is no upload id is refused with 400 InvalidArgument."""
    prefix, _ = _shared(probe)
    query = ("prefix", prefix), ("key-marker", f"{prefix}b"), ("upload-id-marker", "no/upload?id")
    list_uploads(probe, *query).expect(
        "400 InvalidArgument", about="an upload-id-marker that is no upload id"
    )


@check("LMU-03", operation=_OPERATION)
def marker_of_another_key(probe: Probe) -> None:
    """An upload-id-marker of another key's upload is refused with 400 InvalidArgument."""
    prefix, made = _shared(probe)
    other = dict(made)[f"{prefix}a"]
    query = ("prefix", prefix), ("key-marker", f"{prefix}b"), ("upload-id-marker", other)
    list_uploads(probe, *query).expect("400 InvalidArgument", about="an upload-id-marker of another key")


@check("LMU-03", operation=_OPERATION)
def marker_has_ended(probe: Probe) -> None:
    """The id of an upload that was aborted or completed is not refused as upload-id-marker."""
    for what, reply, _ in _after_ended(probe):
        reply.expect("200", about=f"the id of an upload that was {what} as upload-id-marker")


@check("LMU-04", operation=_OPERATION)
def prefix_of_uploads(probe: Probe) -> None:
    """A prefix leaves out the uploads of other keys, and need not be a whole key."""
    shared, made = _shared(probe)
    prefix = f"{shared}d"
    page = _page(probe, "uploads with a prefix", ("prefix", prefix))
    expected = [(key, upload_id) for key, upload_id in made if key.startswith(prefix)]
    equal((uploads_of(page), page.text("Prefix")), (expected, prefix), "uploads and Prefix of a page")


@check("LMU-04", operation=_OPERATION)
def delimiter_of_uploads(probe: Probe) -> None:
    """A delimiter groups the uploads below it into CommonPrefixes."""
    prefix, _ = _shared(probe)
    query = ("prefix", prefix), ("delimiter", "/")
    page = _page(probe, "uploads with a delimiter", *query)
    keys = [key.removeprefix(prefix) for key, _ in uploads_of(page)]
    equal(keys, ["a", "b", "b", "b", "b", "c"], "the uploads with delimiter /")
    groups = page.texts("CommonPrefixes/Prefix")
    equal(groups, [f"{prefix}d/", f"{prefix}e/"], "the CommonPrefixes of uploads with delimiter /")
    equal(page.text("Delimiter"), "/", "Delimiter of a page of uploads")
    _report_pages_of_groups(probe, query, sorted(key for key, _ in uploads_of(page)) + groups)


def _report_pages_of_groups(probe: Probe, query: tuple[tuple[str, str], ...], expected: list[str]) -> None:
    """Report whether truncated pages with a delimiter lose or repeat something: only a SHOULD."""
    found: list[str] = []
    markers: list[tuple[str, str]] = []
    for _ in range(_MOST_PAGES):
        page = list_uploads(probe, *query, ("max-uploads", "3"), *markers)
        if page.status != 200:
            break
        found += page.texts("Upload/Key") + page.texts("CommonPrefixes/Prefix")
        if page.text("IsTruncated") != "true":
            break
        markers = _next_markers(page)
    if sorted(found) != expected:
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


def _expect_complete_pages(
    probe: Probe, made: list[tuple[str, str]], size: int, *query: tuple[str, str]
) -> None:
    found: list[tuple[str, str]] = []
    markers: list[tuple[str, str]] = []
    for _ in range(_MOST_PAGES):
        page = _page(probe, "a page of uploads", ("max-uploads", str(size)), *query, *markers)
        require(len(uploads_of(page)) <= size, f"a page with max-uploads={size} holds more uploads than that")
        found += uploads_of(page)
        if page.text("IsTruncated") != "true":
            break
        page.need_text("NextKeyMarker")
        page.need_text("NextUploadIdMarker")
        markers = _next_markers(page)
    equal(sorted(found), sorted(made), f"the uploads on pages of {size}")


@check("LMU-07", operation=_OPERATION)
def pages_are_complete(probe: Probe) -> None:
    """Pages that follow both Next markers hold every upload of several keys once."""
    prefix, made = _shared(probe)
    _expect_complete_pages(probe, made, 3, ("prefix", prefix))


@check("LMU-07", operation=_OPERATION)
def pages_of_one_key(probe: Probe) -> None:
    """Pages that follow both Next markers hold every upload of one key once."""
    prefix, made = _shared(probe)
    of_the_key = [(key, upload_id) for key, upload_id in made if key == f"{prefix}b"]
    _expect_complete_pages(probe, of_the_key, 2, ("prefix", f"{prefix}b"))


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
