"""ListParts and ListMultipartUploads: LP, LMU."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

import pytest

from tests.rawclient import RawClient, Response, md5_hex
from tests.uploads import Upload, begin

UNKNOWN_ID = "0" * 44
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def upload(s3: RawClient, bucket: str) -> Upload:
    """An upload of key "k" in a fresh bucket."""
    return begin(s3, bucket)


def list_uploads(s3: RawClient, bucket: str, *query: tuple[str, str]) -> Response:
    """Send ListMultipartUploads."""
    return s3.request("GET", f"/{bucket}", [("uploads", ""), *query])


def pairs(response: Response) -> list[tuple[str, str]]:
    """Return (key, upload id) of every upload of a page."""
    return list(zip(response.texts("Upload/Key"), response.texts("Upload/UploadId"), strict=True))


def walk(s3: RawClient, bucket: str, *query: tuple[str, str]) -> list[tuple[str, str]]:
    """Return what all pages show, following both markers."""
    page = list_uploads(s3, bucket, *query)
    found = pairs(page)
    while page.text("IsTruncated") == "true":
        assert len(found) <= 1000, "the pages have no end"
        markers = (
            ("key-marker", page.text("NextKeyMarker") or ""),
            (
                "upload-id-marker",
                page.text("NextUploadIdMarker") or "",
            ),
        )
        page = list_uploads(s3, bucket, *query, *markers)
        found += pairs(page)
    return found


# --- ListParts ------------------------------------------------------------------------------------------


@pytest.mark.requirement("LP-01")
def test_a_page_of_parts_has_every_element(bucket: str, upload: Upload) -> None:
    upload.put(7, b"seven!!")
    upload.put(3, b"three")
    response = upload.list_parts()
    names = (
        "Bucket",
        "Key",
        "UploadId",
        "PartNumberMarker",
        "NextPartNumberMarker",
        "MaxParts",
        "IsTruncated",
    )
    observed = [response.text(name) for name in (*names, "StorageClass")]
    assert observed == [bucket, "k", upload.upload_id, "0", "7", "1000", "false", "STANDARD"]
    assert response.texts("Part/PartNumber") == ["3", "7"]
    assert response.texts("Part/ETag") == [f'"{md5_hex(b"three")}"', f'"{md5_hex(b"seven!!")}"']
    assert response.texts("Part/Size") == ["5", "7"]
    assert [bool(re.fullmatch(TIME, text)) for text in response.texts("Part/LastModified")] == [True, True]


@pytest.mark.requirement("LP-01")
def test_an_upload_without_parts_has_an_empty_page(upload: Upload) -> None:
    response = upload.list_parts()
    assert (response.status, response.text("IsTruncated"), response.texts("Part")) == (200, "false", [])


@pytest.mark.requirement("LP-02")
@pytest.mark.parametrize(
    ("sent", "used"), [("1", "1"), ("1000", "1000"), ("1001", "1000"), ("999999", "1000")]
)
def test_max_parts_is_capped_at_1000(upload: Upload, sent: str, used: str) -> None:
    assert upload.list_parts(("max-parts", sent)).text("MaxParts") == used


@pytest.mark.requirement("LP-02")
@pytest.mark.parametrize(
    ("marker", "numbers"), [("0", ["1", "3", "5"]), ("1", ["3", "5"]), ("2", ["3", "5"])]
)
def test_the_part_number_marker_is_exclusive(upload: Upload, marker: str, numbers: list[str]) -> None:
    for number in (1, 3, 5):
        upload.put(number)
    response = upload.list_parts(("part-number-marker", marker))
    assert response.texts("Part/PartNumber") == numbers
    assert response.text("PartNumberMarker") == marker


@pytest.mark.requirement("LP-03")
@pytest.mark.known_mistake(48)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_pages_of_parts_have_no_gap_and_no_repeat(upload: Upload, size: int) -> None:
    """seaweedfs #10652, #10656: pages that lose, repeat or loop."""
    numbers = [1, 2, 4, 8, 9, 10_000]
    for number in numbers:
        upload.put(number)
    found, marker, is_truncated = [], "0", "true"
    while is_truncated == "true" and len(found) <= len(numbers):
        page = upload.list_parts(("max-parts", str(size)), ("part-number-marker", marker))
        found += page.texts("Part/PartNumber")
        marker, is_truncated = page.text("NextPartNumberMarker") or "", page.text("IsTruncated") or ""
    assert found == [str(number) for number in numbers]


@pytest.mark.requirement("LP-04")
def test_a_marker_beyond_the_last_part_gives_an_empty_page(upload: Upload) -> None:
    upload.put(1)
    response = upload.list_parts(("part-number-marker", "1"))
    assert (response.status, response.text("IsTruncated"), response.texts("Part")) == (200, "false", [])


@pytest.mark.requirement("LP-04")
def test_empty_values_of_both_parameters_count_as_absent(upload: Upload) -> None:
    upload.put(1)
    response = upload.list_parts(("max-parts", ""), ("part-number-marker", ""))
    assert (response.status, response.text("MaxParts"), response.texts("Part/PartNumber")) == (
        200,
        "1000",
        ["1"],
    )


@pytest.mark.requirement("LP-05")
def test_parts_of_an_unknown_upload_or_another_key_are_no_such_upload(
    s3: RawClient, bucket: str, upload: Upload
) -> None:
    assert Upload(s3, bucket, "k", UNKNOWN_ID).list_parts().verdict == (404, "NoSuchUpload")
    assert Upload(s3, bucket, "other", upload.upload_id).list_parts().verdict == (404, "NoSuchUpload")
    assert Upload(s3, bucket, "k", "").list_parts().verdict == (404, "NoSuchUpload")


@pytest.mark.requirement("LMU-08")
@pytest.mark.parametrize("name", ["max-parts", "part-number-marker"])
@pytest.mark.parametrize("value", ["-1", "a", "1.5"])
def test_a_number_of_list_parts_that_is_none_is_refused(upload: Upload, name: str, value: str) -> None:
    assert upload.list_parts((name, value)).verdict == (400, "InvalidArgument")


# --- ListMultipartUploads -------------------------------------------------------------------------------


@pytest.mark.requirement("LMU-01")
def test_uploads_come_by_key_and_then_by_initiation(s3: RawClient, bucket: str) -> None:
    made = [begin(s3, bucket, key) for key in ("b", "a", "ä", "b", "a", "b")]
    response = list_uploads(s3, bucket)
    by_key = sorted(enumerate(made), key=lambda pair: (pair[1].key.encode(), pair[0]))
    assert pairs(response) == [(upload.key, upload.upload_id) for _, upload in by_key]
    assert response.texts("Upload/StorageClass") == ["STANDARD"] * 6
    assert {bool(re.fullmatch(TIME, text)) for text in response.texts("Upload/Initiated")} == {True}


@pytest.mark.requirement("LMU-02", "LMU-01")
@pytest.mark.known_mistake(54)
def test_uploads_begun_within_one_millisecond_come_in_their_order(s3: RawClient, bucket: str) -> None:
    """Garage's Jepsen report: what came first isn't told by a clock alone."""
    made = [begin(s3, bucket).upload_id for _ in range(30)]
    assert list_uploads(s3, bucket).texts("Upload/UploadId") == made


@pytest.mark.requirement("LMU-02")
@pytest.mark.parametrize(("sent", "used"), [(None, "1000"), ("1", "1"), ("1001", "1000")])
def test_max_uploads_is_capped_at_1000(s3: RawClient, bucket: str, sent: str | None, used: str) -> None:
    query = [("max-uploads", sent)] if sent else []
    assert list_uploads(s3, bucket, *query).text("MaxUploads") == used


@pytest.mark.requirement("LMU-02")
def test_a_key_marker_alone_resumes_after_all_uploads_of_that_key(s3: RawClient, bucket: str) -> None:
    made = [begin(s3, bucket, key) for key in ("a", "b", "b", "c")]
    response = list_uploads(s3, bucket, ("key-marker", "b"))
    assert pairs(response) == [("c", made[3].upload_id)]
    assert response.text("KeyMarker") == "b"


@pytest.mark.requirement("LMU-02")
def test_both_markers_resume_strictly_after_the_pair(s3: RawClient, bucket: str) -> None:
    made = [begin(s3, bucket, key) for key in ("a", "b", "b", "b", "c")]
    response = list_uploads(s3, bucket, ("key-marker", "b"), ("upload-id-marker", made[2].upload_id))
    assert pairs(response) == [("b", made[3].upload_id), ("c", made[4].upload_id)]
    assert response.text("UploadIdMarker") == made[2].upload_id


@pytest.mark.requirement("LMU-02", "LMU-03")
@pytest.mark.parametrize("is_completed", [True, False])
def test_a_marker_works_when_its_upload_has_ended(s3: RawClient, bucket: str, is_completed: bool) -> None:
    made = [begin(s3, bucket, "b") for _ in range(3)]
    ended = made[1].complete([(1, made[1].put(1))]) if is_completed else made[1].abort()
    assert ended.status in (200, 204)
    response = list_uploads(s3, bucket, ("key-marker", "b"), ("upload-id-marker", made[1].upload_id))
    assert (response.status, pairs(response)) == (200, [("b", made[2].upload_id)])


@pytest.mark.requirement("LMU-02")
def test_an_upload_id_marker_alone_is_ignored(s3: RawClient, bucket: str) -> None:
    made = begin(s3, bucket, "b")
    assert pairs(list_uploads(s3, bucket, ("upload-id-marker", made.upload_id))) == [("b", made.upload_id)]
    assert pairs(list_uploads(s3, bucket, ("upload-id-marker", "junk"))) == [("b", made.upload_id)]


@pytest.mark.requirement("LMU-03")
def test_an_upload_id_marker_of_another_key_or_none_at_all_is_refused(s3: RawClient, bucket: str) -> None:
    other = begin(s3, bucket, "a")
    begin(s3, bucket, "b")
    for marker in (other.upload_id, "junk"):
        response = list_uploads(s3, bucket, ("key-marker", "b"), ("upload-id-marker", marker))
        assert response.verdict == (400, "InvalidArgument")


@pytest.mark.requirement("LMU-04")
def test_prefix_and_delimiter_group_uploads(s3: RawClient, bucket: str) -> None:
    for key in ("p/a", "p/b/1", "p/b/2", "p/c", "q"):
        begin(s3, bucket, key)
    response = list_uploads(s3, bucket, ("prefix", "p/"), ("delimiter", "/"))
    assert response.texts("Upload/Key") == ["p/a", "p/c"]
    assert response.texts("CommonPrefixes/Prefix") == ["p/b/"]
    assert (response.text("Prefix"), response.text("Delimiter")) == ("p/", "/")


@pytest.mark.requirement("LMU-04")
def test_encoding_type_url_encodes_keys_markers_prefix_and_delimiter(s3: RawClient, bucket: str) -> None:
    for key in ("ü a+b", "ü b", "ü c"):
        begin(s3, bucket, key)
    query = ("encoding-type", "url"), ("prefix", "ü "), ("delimiter", "ü+"), ("max-uploads", "1")
    response = list_uploads(s3, bucket, *query, ("key-marker", "ü A"))
    names = ("Prefix", "Delimiter", "KeyMarker", "NextKeyMarker", "Upload/Key")
    texts = [response.text(name) or "" for name in names]
    assert [text.isascii() for text in texts] == [True] * 5
    assert [unquote(text) for text in texts] == ["ü ", "ü+", "ü A", "ü a+b", "ü a+b"]
    assert response.text("EncodingType") == "url"


@pytest.mark.requirement("LMU-04")
@pytest.mark.known_mistake(48)
@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_truncated_pages_with_a_delimiter_resume_after_the_last_common_prefix(
    s3: RawClient, bucket: str, size: int
) -> None:
    """seaweedfs PR#7705, #7703, #7850: pages that lose, repeat or loop."""
    for key in ("a/1", "a/2", "b", "b", "c/1", "c/2", "d"):
        begin(s3, bucket, key)
    keys: list[str] = []
    prefixes: list[str] = []
    query = ("delimiter", "/"), ("max-uploads", str(size))
    page = list_uploads(s3, bucket, *query)
    for _ in range(10):
        keys += page.texts("Upload/Key")
        prefixes += page.texts("CommonPrefixes/Prefix")
        if page.text("IsTruncated") == "false":
            break
        markers = ("NextKeyMarker", "key-marker"), ("NextUploadIdMarker", "upload-id-marker")
        resume = [(name, page.text(element) or "") for element, name in markers]
        page = list_uploads(s3, bucket, *query, *resume)
    assert (keys, prefixes) == (["b", "b", "d"], ["a/", "c/"])


@pytest.mark.requirement("LMU-05")
def test_completed_and_aborted_uploads_are_absent_at_once(s3: RawClient, bucket: str) -> None:
    made = [begin(s3, bucket) for _ in range(3)]
    assert made[0].complete([(1, made[0].put(1))]).status == 200
    assert pairs(list_uploads(s3, bucket)) == [("k", made[1].upload_id), ("k", made[2].upload_id)]
    assert made[2].abort().status == 204
    assert pairs(list_uploads(s3, bucket)) == [("k", made[1].upload_id)]


@pytest.mark.requirement("LMU-06")
def test_uploads_of_a_missing_bucket_are_no_such_bucket(s3: RawClient, new_name: Callable[[], str]) -> None:
    assert list_uploads(s3, new_name()).verdict == (404, "NoSuchBucket")


@pytest.mark.requirement("LMU-07")
@pytest.mark.known_mistake(48)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8])
def test_pages_of_uploads_have_no_gap_and_no_repeat(s3: RawClient, bucket: str, size: int) -> None:
    """seaweedfs #10652, #10656: pages that lose, repeat or loop."""
    made = [begin(s3, bucket, key) for key in ("a", "a/", "a/", "a/", "a/", "b", "b\u00fc")]
    expected = [(upload.key, upload.upload_id) for upload in made]
    assert walk(s3, bucket, ("max-uploads", str(size))) == expected


@pytest.mark.requirement("LMU-07")
def test_a_truncated_page_carries_both_next_markers(s3: RawClient, bucket: str) -> None:
    made = [begin(s3, bucket, "k") for _ in range(3)]
    response = list_uploads(s3, bucket, ("max-uploads", "2"))
    observed = [response.text(name) for name in ("IsTruncated", "NextKeyMarker", "NextUploadIdMarker")]
    assert observed == ["true", "k", made[1].upload_id]


@pytest.mark.requirement("LMU-08")
@pytest.mark.parametrize("value", ["-1", "a", "1.5"])
def test_a_max_uploads_that_is_no_number_is_refused(s3: RawClient, bucket: str, value: str) -> None:
    assert list_uploads(s3, bucket, ("max-uploads", value)).verdict == (400, "InvalidArgument")
