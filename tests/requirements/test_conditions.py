"""Conditional reads, copy sources and writes: CONDR, CONDC, CONDW. Races are in test_races.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from tests.processes import Connections, signed
from tests.rawclient import RawClient, Response, crc32_b64, md5_hex
from tests.uploads import begin, finished, multipart_etag

BODY = b"the body"
ETAG = f'"{md5_hex(BODY)}"'
OTHER = f'"{md5_hex(b"other")}"'
FAILED = (412, "PreconditionFailed")
PAST = "Sat, 01 Jan 2000 00:00:00 GMT"
FUTURE = "Fri, 01 Jan 2100 00:00:00 GMT"
Send = Callable[..., Response]


@pytest.fixture
def path(s3: RawClient, bucket: str) -> str:
    """The path of an object with BODY."""
    assert put(s3, f"/{bucket}/k", BODY, cache_control="max-age=5", expires=FUTURE).verdict == (200, "")
    return f"/{bucket}/k"


def put(s3: RawClient, path: str, body: bytes = b"new", **headers: str) -> Response:
    """Send PutObject."""
    return s3.request("PUT", path, headers=lines(headers), body=body)


def get(s3: RawClient, path: str, **headers: str) -> Response:
    """Send GetObject."""
    return s3.request("GET", path, headers=lines(headers))


def lines(headers: dict[str, str]) -> dict[str, str]:
    """Return headers by their real names."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def modified(s3: RawClient, path: str) -> str:
    """Return Last-Modified."""
    return s3.request("HEAD", path).headers["last-modified"]


# --- reads ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("CONDR-01")
@pytest.mark.parametrize(
    ("etag", "verdict"), [(ETAG, (200, "")), (ETAG.strip('"'), (200, "")), (OTHER, FAILED), ("x", FAILED)]
)
def test_if_match_lets_only_the_same_etag_be_read(
    s3: RawClient, path: str, etag: str, verdict: tuple[int, str]
) -> None:
    response = get(s3, path, if_match=etag)
    assert (response.status, "" if response.status == 200 else response.code) == verdict
    assert s3.request("HEAD", path, headers={"if-match": etag}).status == verdict[0]


@pytest.mark.requirement("CONDR-02", "CONDR-07")
@pytest.mark.parametrize(("etag", "status"), [(ETAG, 304), (ETAG.strip('"'), 304), (OTHER, 200)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_none_match_says_304_for_the_same_etag(
    s3: RawClient, path: str, etag: str, status: int, method: str
) -> None:
    response = s3.request(method, path, headers={"if-none-match": etag})
    assert (response.status, response.headers["etag"]) == (status, ETAG)


@pytest.mark.requirement("CONDR-03")
def test_if_modified_since_says_304_unless_the_object_is_newer_or_the_date_in_the_future(
    s3: RawClient, path: str
) -> None:
    assert get(s3, path, if_modified_since=PAST).status == 200
    assert get(s3, path, if_modified_since=modified(s3, path)).status == 304
    assert get(s3, path, if_modified_since=FUTURE).status == 200


@pytest.mark.requirement("CONDR-03")
def test_if_modified_since_later_than_the_object_says_304(s3: RawClient, path: str) -> None:
    later = parsedate_to_datetime(modified(s3, path)) + timedelta(seconds=1)
    time.sleep(max(0.0, later.timestamp() - time.time()))
    assert get(s3, path, if_modified_since=format_datetime(later, usegmt=True)).status == 304


@pytest.mark.requirement("CONDR-04")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_unmodified_since_refuses_a_newer_object(s3: RawClient, path: str, method: str) -> None:
    observed = [
        s3.request(method, path, headers={"if-unmodified-since": since}).status
        for since in (PAST, modified(s3, path), FUTURE)
    ]
    assert observed == [412, 200, 200]
    assert get(s3, path, if_unmodified_since=PAST).verdict == FAILED


@pytest.mark.requirement("CONDR-05")
def test_etags_outweigh_dates(s3: RawClient, path: str) -> None:
    assert get(s3, path, if_match=ETAG, if_unmodified_since=PAST).status == 200
    assert get(s3, path, if_none_match=ETAG, if_modified_since=PAST).status == 304
    assert get(s3, path, if_match=OTHER, if_unmodified_since=FUTURE).verdict == FAILED


@pytest.mark.requirement("CONDR-06")
@pytest.mark.parametrize("span", ["bytes=0-1", "bytes=999-"])
def test_preconditions_come_before_ranges(s3: RawClient, path: str, span: str) -> None:
    assert get(s3, path, range=span, if_none_match=ETAG).status == 304
    assert get(s3, path, range=span, if_match=OTHER).verdict == FAILED
    assert get(s3, path, range=span, if_unmodified_since=PAST).verdict == FAILED


@pytest.mark.requirement("CONDR-07", "HTTP-25")
def test_a_304_carries_what_a_cache_needs_and_no_body(s3: RawClient, path: str) -> None:
    whole, cached = get(s3, path), get(s3, path, if_none_match=ETAG)
    names = ("etag", "last-modified", "cache-control", "expires")
    assert {name: cached.headers[name] for name in names} == {name: whole.headers[name] for name in names}
    assert cached.headers.get("content-length", "0") == "0"


@pytest.mark.requirement("CONDR-07")
def test_a_connection_is_in_step_after_a_304(s3: RawClient, path: str) -> None:
    with Connections(s3, 1) as connection:
        first = connection.burst([signed(s3, "GET", path, headers={"if-none-match": ETAG})], "GET")
        second = connection.burst([signed(s3, "GET", path)], "GET")
    assert [answer.status for answer in first + second] == [304, 200]
    assert second[0].body == BODY


@pytest.mark.requirement("CONDR-08")
@pytest.mark.parametrize("header", ["if_match", "if_none_match", "if_modified_since", "if_unmodified_since"])
def test_a_missing_key_is_missing_whatever_the_condition(s3: RawClient, bucket: str, header: str) -> None:
    value = ETAG if "match" in header else PAST
    assert get(s3, f"/{bucket}/missing", **{header: value}).verdict == (404, "NoSuchKey")


@pytest.mark.requirement("CONDR-09")
@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("if-none-match", "*", 304),
        ("if-none-match", f"{OTHER}, {ETAG}", 304),
        ("if-none-match", f"W/{ETAG}", 304),
        ("if-none-match", f'{OTHER}, "x"', 200),
        ("if-match", "*", 200),
        ("if-match", f"{OTHER},{ETAG}", 200),
        ("if-match", f'{OTHER}, "x"', 412),
    ],
)
def test_stars_lists_and_weak_tags_are_understood(
    s3: RawClient, path: str, header: str, value: str, status: int
) -> None:
    assert s3.request("HEAD", path, headers={header: value}).status == status


@pytest.mark.requirement("CONDR-03")
@pytest.mark.parametrize("value", ["yesterday", "", "Thu, 99 Dec 2044 16:00:00 GMT"])
def test_a_date_that_cannot_be_read_is_ignored(s3: RawClient, path: str, value: str) -> None:
    assert get(s3, path, if_modified_since=value).status == 200
    assert get(s3, path, if_unmodified_since=value).status == 200


@pytest.mark.requirement("CONDR-01", "AUTH-12")
@pytest.mark.known_mistake(35)
@pytest.mark.parametrize(
    ("header", "value"), [("if-none-match", ETAG), ("if-match", OTHER), ("if-modified-since", PAST)]
)
def test_a_condition_reveals_nothing_to_nobody(s3: RawClient, path: str, header: str, value: str) -> None:
    """CVE-2024-36107: no 304 and no 412 before authorization."""
    seen = [s3.open_url("GET", each, {header: value}).verdict for each in (path, f"{path}-missing")]
    assert seen == [(403, "AccessDenied"), (403, "AccessDenied")]


# --- copy sources ---------------------------------------------------------------------------------------


def copy(s3: RawClient, path: str, **conditions: str) -> Response:
    """Copy the object to "copy" in its bucket, on conditions."""
    sent = {f"x-amz-copy-source-{name}": value for name, value in lines(conditions).items()}
    bucket = path.split("/")[1]
    return s3.request("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": path, **sent})


def copy_part(s3: RawClient, path: str, **conditions: str) -> Response:
    """Copy the object into a part, on conditions."""
    sent = {f"x-amz-copy-source-{name}": value for name, value in lines(conditions).items()}
    return begin(s3, path.split("/")[1], "copy").copy(1, path, headers=sent)


COPIES = pytest.mark.parametrize("send", [copy, copy_part])


@pytest.mark.requirement("CONDC-01")
@COPIES
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("if_match", ETAG),
        ("if_match", ETAG.strip('"')),
        ("if_none_match", OTHER),
        ("if_none_match", OTHER.strip('"')),
        ("if_modified_since", PAST),
        ("if_modified_since", FUTURE),
        ("if_unmodified_since", FUTURE),
    ],
)
def test_a_copy_on_a_true_condition_is_made(
    s3: RawClient, path: str, send: Send, header: str, value: str
) -> None:
    response = send(s3, path, **{header: value})
    assert (response.status, response.text("ETag")) == (200, ETAG)


@pytest.mark.requirement("CONDC-01")
@COPIES
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("if_match", OTHER),
        ("if_none_match", ETAG),
        ("if_none_match", ETAG.strip('"')),
        ("if_unmodified_since", PAST),
    ],
)
def test_a_copy_on_a_false_condition_is_not_made(
    s3: RawClient, path: str, send: Send, header: str, value: str
) -> None:
    assert send(s3, path, **{header: value}).verdict == FAILED
    assert s3.request("HEAD", path.replace("/k", "/copy")).status == 404


@pytest.mark.requirement("CONDC-01")
@COPIES
def test_a_copy_of_what_was_not_modified_since_is_not_made(s3: RawClient, path: str, send: Send) -> None:
    assert send(s3, path, if_modified_since=modified(s3, path)).verdict == FAILED


@pytest.mark.requirement("CONDC-02")
@COPIES
def test_etags_outweigh_dates_for_copies_too(s3: RawClient, path: str, send: Send) -> None:
    assert send(s3, path, if_match=ETAG, if_unmodified_since=PAST).status == 200
    assert send(s3, path, if_none_match=ETAG, if_modified_since=PAST).verdict == FAILED


# --- writes ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("CONDW-01")
def test_if_none_match_star_writes_only_a_new_key(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/new"
    assert put(s3, path, BODY, if_none_match="*").verdict == (200, "")
    assert put(s3, path, b"again", if_none_match="*").verdict == FAILED
    assert get(s3, path).body == BODY
    assert s3.request("DELETE", path).status == 204
    assert put(s3, path, b"anew", if_none_match="*").verdict == (200, "")


@pytest.mark.requirement("CONDW-01")
@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_a_large_object_obeys_its_condition(s3: RawClient, path: str, size: int) -> None:
    assert put(s3, path, b"x" * size, if_none_match="*").verdict == FAILED
    assert get(s3, path).body == BODY
    assert put(s3, path, b"x" * size, if_match=ETAG).verdict == (200, "")
    assert len(get(s3, path).body) == size


@pytest.mark.requirement("CONDW-03")
@pytest.mark.parametrize("etag", [ETAG, ETAG.strip('"')])
def test_if_match_writes_only_over_the_same_etag(s3: RawClient, path: str, etag: str) -> None:
    assert put(s3, path, b"wrong", if_match=OTHER).verdict == FAILED
    assert get(s3, path).body == BODY
    assert put(s3, path, b"right", if_match=etag).verdict == (200, "")
    assert get(s3, path).body == b"right"


@pytest.mark.requirement("CONDW-04")
@pytest.mark.parametrize("etag", [ETAG, "x", '"', "a b"])
def test_if_match_on_an_absent_key_is_no_such_key(s3: RawClient, bucket: str, path: str, etag: str) -> None:
    missing = f"/{bucket}/missing"
    assert put(s3, missing, if_match=etag).verdict == (404, "NoSuchKey")
    copied = s3.request("PUT", missing, headers={"x-amz-copy-source": path, "if-match": etag})
    assert copied.verdict == (404, "NoSuchKey")
    upload = begin(s3, bucket, "missing")
    assert upload.complete([(1, upload.put(1))], {"if-match": etag}).verdict == (404, "NoSuchKey")
    assert s3.request("HEAD", missing).status == 404
    assert upload.part_numbers() == ["1"]


def send_put(s3: RawClient, path: str, headers: dict[str, str]) -> Response:
    """Write by PutObject."""
    return s3.request("PUT", path, headers=headers, body=b"new")


def send_copy(s3: RawClient, path: str, headers: dict[str, str]) -> Response:
    """Write by CopyObject."""
    source = f"/{path.split('/')[1]}/source"
    assert put(s3, source, b"new").status == 200
    return s3.request("PUT", path, headers={"x-amz-copy-source": source, **headers})


def send_completion(s3: RawClient, path: str, headers: dict[str, str]) -> Response:
    """Write by CompleteMultipartUpload."""
    bucket, key = path.lstrip("/").split("/", 1)
    upload = begin(s3, bucket, key)
    return upload.complete([(1, upload.put(1, b"new"))], headers)


WRITES = pytest.mark.parametrize("send", [send_put, send_copy, send_completion])


@pytest.mark.requirement("CONDW-06")
@WRITES
@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"if-match": "*"}, "If-Match"),
        ({"if-none-match": ETAG}, "If-None-Match"),
        ({"if-match": ETAG, "if-none-match": "*"}, "If-None-Match"),
    ],
)
def test_conditions_that_writes_do_not_have_are_not_implemented(
    s3: RawClient, path: str, send: Send, headers: dict[str, str], named: str
) -> None:
    response = send(s3, path, headers)
    assert (*response.verdict, response.text("Header")) == (501, "NotImplemented", named)
    assert get(s3, path).body == BODY


@pytest.mark.requirement("CONDW-06")
@pytest.mark.parametrize(
    ("header", "value"),
    [("x-amz-if-match-size", "8"), ("x-amz-if-match-last-modified-time", PAST)],
)
def test_conditions_that_deletes_do_not_have_are_not_implemented(
    s3: RawClient, path: str, header: str, value: str
) -> None:
    response = s3.request("DELETE", path, headers={header: value})
    assert (*response.verdict, response.text("Header")) == (501, "NotImplemented", header)
    assert get(s3, path).body == BODY


@pytest.mark.requirement("CONDW-07")
@WRITES
def test_every_write_obeys_both_conditions(s3: RawClient, path: str, send: Send) -> None:
    assert send(s3, path, {"if-none-match": "*"}).verdict == FAILED
    assert send(s3, path, {"if-match": OTHER}).verdict == FAILED
    assert get(s3, path).body == BODY
    assert send(s3, path, {"if-match": ETAG}).verdict == (200, "")
    assert get(s3, path).body == b"new"
    assert send(s3, f"{path}-2", {"if-none-match": "*"}).verdict == (200, "")


@pytest.mark.requirement("CONDW-07", "CONDW-03")
@WRITES
def test_the_etag_of_an_object_of_parts_is_a_condition_too(s3: RawClient, bucket: str, send: Send) -> None:
    finished(s3, bucket, "parts", [BODY])
    assert send(s3, f"/{bucket}/parts", {"if-match": ETAG}).verdict == FAILED
    assert send(s3, f"/{bucket}/parts", {"if-match": multipart_etag([BODY])}).verdict == (200, "")


@pytest.mark.requirement("CONDW-07")
def test_an_upload_stays_usable_after_a_failed_condition(s3: RawClient, bucket: str, path: str) -> None:
    upload = begin(s3, bucket)
    etag = upload.put(1, b"part")
    assert upload.complete([(1, etag)], {"if-none-match": "*"}).verdict == FAILED
    assert upload.part_numbers() == ["1"]
    assert upload.complete([(1, etag)], {"if-match": ETAG}).verdict == (200, "")
    assert get(s3, path).body == b"part"


def overwrite(s3: RawClient, path: str) -> None:
    """Write the same content anew."""
    assert put(s3, path, BODY).status == 200


def rewrite(s3: RawClient, path: str) -> None:
    """Delete the object and write the same content again."""
    assert s3.request("DELETE", path).status == 204
    overwrite(s3, path)


@pytest.mark.requirement("CONDW-08")
@pytest.mark.parametrize("meddle", [overwrite, rewrite])
def test_a_key_written_since_the_upload_began_is_a_conflict(
    s3: RawClient, bucket: str, path: str, meddle: Callable[[RawClient, str], None]
) -> None:
    upload = begin(s3, bucket)
    etag = upload.put(1, b"part")
    meddle(s3, path)
    conflict = upload.complete([(1, etag)], {"if-match": ETAG})
    assert conflict.verdict == (409, "ConditionalRequestConflict")
    assert get(s3, path).body == BODY
    assert upload.part_numbers() == ["1"]


@pytest.mark.requirement("CONDW-08")
def test_a_key_deleted_since_the_upload_began_is_a_conflict_or_missing(
    s3: RawClient, bucket: str, path: str
) -> None:
    upload = begin(s3, bucket)
    etag = upload.put(1, b"part")
    assert s3.request("DELETE", path).status == 204
    assert upload.complete([(1, etag)], {"if-none-match": "*"}).verdict == (409, "ConditionalRequestConflict")
    assert upload.complete([(1, etag)], {"if-match": ETAG}).verdict == (404, "NoSuchKey")
    assert get(s3, path).verdict == (404, "NoSuchKey")


@pytest.mark.requirement("CONDW-08")
def test_a_condition_that_is_false_now_fails_whatever_was_written(
    s3: RawClient, bucket: str, path: str
) -> None:
    upload = begin(s3, bucket)
    etag = upload.put(1, b"part")
    overwrite(s3, path)
    assert upload.complete([(1, etag)], {"if-none-match": "*"}).verdict == FAILED
    assert upload.complete([(1, etag)], {"if-match": OTHER}).verdict == FAILED


@pytest.mark.requirement("CONDW-09")
@pytest.mark.parametrize("etag", [ETAG, ETAG.strip('"'), "*"])
def test_a_delete_on_a_true_condition_deletes(s3: RawClient, path: str, etag: str) -> None:
    assert s3.request("DELETE", path, headers={"if-match": etag}).verdict == (204, "")
    assert get(s3, path).verdict == (404, "NoSuchKey")


@pytest.mark.requirement("CONDW-09")
def test_a_delete_on_a_false_condition_deletes_nothing(s3: RawClient, path: str) -> None:
    assert s3.request("DELETE", path, headers={"if-match": OTHER}).verdict == FAILED
    assert get(s3, path).body == BODY


@pytest.mark.requirement("CONDW-10")
def test_delete_objects_judges_each_key_by_its_own_etag(s3: RawClient, bucket: str, path: str) -> None:
    assert put(s3, f"{path}-2", b"two").status == 200
    rows = ("k", OTHER), ("k-2", f'"{md5_hex(b"two")}"')
    objects = "".join(f"<Object><Key>{key}</Key><ETag>{etag}</ETag></Object>" for key, etag in rows)
    body = f"<Delete>{objects}</Delete>".encode()
    response = s3.request("POST", f"/{bucket}", "delete", {"x-amz-checksum-crc32": crc32_b64(body)}, body)
    assert response.status == 200
    assert (response.texts("Deleted/Key"), response.texts("Error/Key")) == (["k-2"], ["k"])
    assert response.texts("Error/Code") == ["PreconditionFailed"]
    assert (get(s3, path).body, get(s3, f"{path}-2").status) == (BODY, 404)


@pytest.mark.requirement("CONDW-11")
@pytest.mark.parametrize("etag", [ETAG, "*"])
def test_a_conditional_delete_of_an_absent_key_is_no_success(s3: RawClient, bucket: str, etag: str) -> None:
    response = s3.request("DELETE", f"/{bucket}/missing", headers={"if-match": etag})
    assert response.verdict == (404, "NoSuchKey")
