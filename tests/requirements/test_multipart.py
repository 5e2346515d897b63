"""CreateMultipartUpload, UploadPart, UploadPartCopy, AbortMultipartUpload: CMU, UP, UPC, ABT."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from importlib import import_module

import pytest

from tests.rawclient import RawClient, Response, crc32_b64, key_path, md5_b64, md5_hex, render
from tests.uploads import MIN_PART, Upload, begin, filler, finished

UNKNOWN_ID = "0" * 44
SOURCE = bytes(range(256)) * 4


def put(s3: RawClient, bucket: str, key: str, body: bytes = b"x") -> None:
    """Put an object that must be accepted."""
    assert s3.request("PUT", key_path(bucket, key), body=body).verdict == (200, "")


@pytest.fixture
def upload(s3: RawClient, bucket: str) -> Upload:
    """An upload of key "k" in a fresh bucket."""
    return begin(s3, bucket)


@pytest.fixture
def source(s3: RawClient, bucket: str) -> str:
    """A source of 1,024 bytes, as x-amz-copy-source names it."""
    put(s3, bucket, "source", SOURCE)
    return f"/{bucket}/source"


# --- CreateMultipartUpload ------------------------------------------------------------------------------


@pytest.mark.requirement("CMU-01")
def test_an_upload_is_answered_with_bucket_key_and_an_url_safe_id(s3: RawClient, bucket: str) -> None:
    response = s3.request("POST", f"/{bucket}/a%20b/c", "uploads")
    assert (response.status, response.xml.tag) == (200, "InitiateMultipartUploadResult")
    assert (response.text("Bucket"), response.text("Key")) == (bucket, "a b/c")
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", response.text("UploadId") or "")


@pytest.mark.requirement("CMU-01")
def test_two_uploads_of_one_key_have_their_own_ids_and_parts(s3: RawClient, bucket: str) -> None:
    first, second = begin(s3, bucket), begin(s3, bucket)
    assert first.upload_id != second.upload_id
    first.put(1, b"first")
    etag = second.put(1, b"second")
    assert second.complete([(1, etag)]).status == 200
    assert s3.request("GET", first.path).body == b"second"
    assert first.part_numbers() == ["1"]


@pytest.mark.requirement("CMU-02")
def test_headers_of_the_creation_apply_and_those_of_parts_do_not(s3: RawClient, bucket: str) -> None:
    created = {
        "content-type": "text/x",
        "cache-control": "no-cache",
        "x-amz-meta-a": "1",
        "x-amz-tagging": "t=1",
    }
    upload = begin(s3, bucket, headers=created)
    etag = upload.put(1, b"x", {"content-type": "text/y", "content-language": "de", "x-amz-meta-b": "2"})
    assert upload.complete([(1, etag)]).status == 200
    head = s3.request("HEAD", upload.path).headers
    observed = [
        head.get(name) for name in ("content-type", "cache-control", "x-amz-meta-a", "x-amz-tagging-count")
    ]
    assert observed == ["text/x", "no-cache", "1", "1"]
    assert (head.get("content-language"), head.get("x-amz-meta-b")) == (None, None)


@pytest.mark.requirement("CMU-03")
def test_nothing_is_visible_before_completion(s3: RawClient, bucket: str, upload: Upload) -> None:
    upload.put(1, b"part")
    assert s3.request("GET", upload.path).verdict == (404, "NoSuchKey")
    assert s3.request("HEAD", upload.path).status == 404
    assert s3.request("GET", f"/{bucket}", "list-type=2").texts("Contents/Key") == []


@pytest.mark.requirement("CMU-03")
def test_an_existing_object_stays_readable_while_an_upload_runs(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", b"old")
    begin(s3, bucket).put(1, b"part")
    assert s3.request("GET", f"/{bucket}/k").body == b"old"


@pytest.mark.requirement("CMU-04")
def test_an_upload_into_a_missing_bucket_is_refused(s3: RawClient, new_name: Callable[[], str]) -> None:
    assert s3.request("POST", f"/{new_name()}/k", "uploads").verdict == (404, "NoSuchBucket")


@pytest.mark.requirement("CMU-04")
def test_an_upload_of_a_key_of_1025_bytes_is_refused(s3: RawClient, bucket: str) -> None:
    assert s3.request("POST", f"/{bucket}/{'k' * 1025}", "uploads").verdict == (400, "KeyTooLongError")
    assert s3.request("POST", f"/{bucket}/{'k' * 1024}", "uploads").verdict == (200, "")


@pytest.mark.requirement("CMU-05")
@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("CRC32", None), ("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("CRC64NVME", None)]
    + [("CRC64NVME", "FULL_OBJECT")],
)
def test_the_default_checksum_settings_of_sdks_are_accepted(
    s3: RawClient, bucket: str, algorithm: str, kind: str | None
) -> None:
    lines = {"x-amz-checksum-algorithm": algorithm, **({"x-amz-checksum-type": kind} if kind else {})}
    response = s3.request("POST", f"/{bucket}/k", "uploads", lines)
    assert response.verdict == (200, "")
    assert response.headers["x-amz-checksum-algorithm"] == algorithm


@pytest.mark.requirement("CMU-06")
@pytest.mark.parametrize(
    "lines",
    [
        {"x-amz-checksum-algorithm": "TEST"},
        {"x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "MD5"},
        {"x-amz-checksum-algorithm": "XXHASH64"},
        {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "TEST"},
    ],
)
def test_checksum_settings_that_make_no_sense_begin_no_upload(
    s3: RawClient, bucket: str, lines: dict[str, str]
) -> None:
    assert s3.request("POST", f"/{bucket}/k", "uploads", lines).verdict == (400, "InvalidRequest")
    assert s3.request("GET", f"/{bucket}", "uploads").texts("Upload/Key") == []


# --- UploadPart -----------------------------------------------------------------------------------------


@pytest.mark.requirement("UP-01")
@pytest.mark.parametrize("size", [0, 5, 131_073, 1_100_000])
def test_a_part_is_answered_with_its_quoted_md5(upload: Upload, size: int) -> None:
    body = filler("part", size)
    response = upload.send_part(1, body)
    assert (response.status, response.headers["etag"], response.body) == (200, f'"{md5_hex(body)}"', b"")


@pytest.mark.requirement("UP-02")
@pytest.mark.parametrize("number", ["0", "10001", "-1", "a", "1.5", "", "99999999999999999999"])
def test_a_part_number_outside_1_to_10000_is_refused(upload: Upload, number: str) -> None:
    assert upload.send_part(number).verdict == (400, "InvalidArgument")
    assert upload.part_numbers() == []


@pytest.mark.requirement("UP-02")
def test_parts_1_and_10000_are_accepted(upload: Upload) -> None:
    upload.put(1)
    upload.put(10_000)
    assert upload.part_numbers() == ["1", "10000"]


@pytest.mark.requirement("UP-03")
@pytest.mark.parametrize("upload_id", [UNKNOWN_ID, "x", "..", "%00"])
def test_a_part_of_an_unknown_upload_is_no_such_upload(s3: RawClient, bucket: str, upload_id: str) -> None:
    assert Upload(s3, bucket, "k", upload_id).send_part(1).verdict == (404, "NoSuchUpload")
    assert s3.request("HEAD", f"/{bucket}/k").status == 404


@pytest.mark.requirement("UP-03")
def test_an_upload_id_is_good_for_its_own_key_and_bucket_only(
    s3: RawClient, bucket: str, upload: Upload, new_name: Callable[[], str]
) -> None:
    other = new_name()
    assert s3.request("PUT", f"/{other}").status == 200
    assert Upload(s3, bucket, "other", upload.upload_id).send_part(1).verdict == (404, "NoSuchUpload")
    assert Upload(s3, other, "k", upload.upload_id).send_part(1).verdict == (404, "NoSuchUpload")
    assert upload.part_numbers() == []


@pytest.mark.requirement("UP-03", "ABT-02")
def test_a_part_of_an_aborted_upload_is_no_such_upload(upload: Upload) -> None:
    assert upload.abort().status == 204
    assert upload.send_part(1).verdict == (404, "NoSuchUpload")


@pytest.mark.requirement("UP-03", "CPL-12")
def test_a_part_of_a_completed_upload_is_no_such_upload(s3: RawClient, upload: Upload) -> None:
    assert upload.complete([(1, upload.put(1, b"whole"))]).status == 200
    assert upload.send_part(1, b"late").verdict == (404, "NoSuchUpload")
    assert s3.request("GET", upload.path).body == b"whole"


@pytest.mark.requirement("UP-04")
def test_parts_arrive_in_any_order_and_with_gaps(s3: RawClient, upload: Upload) -> None:
    last = upload.put(9, b"tail")
    first = upload.put(2, filler("2", MIN_PART))
    assert upload.complete([(2, first), (9, last)]).verdict == (200, "")
    assert s3.request("GET", upload.path).body == filler("2", MIN_PART) + b"tail"


@pytest.mark.requirement("UP-04")
def test_parts_arrive_in_parallel(upload: Upload) -> None:
    requests = [part_request(upload, number, filler(str(number), 200_000)) for number in range(1, 9)]
    sockets = [upload.s3.connect() for _ in requests]
    for connection, data in zip(sockets, requests, strict=True):
        connection.sendall(data)
    answers = [read_and_close(connection) for connection in sockets]
    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"200"] * 8
    assert upload.part_numbers() == [str(number) for number in range(1, 9)]


def part_request(upload: Upload, number: int, body: bytes) -> bytes:
    """Return a signed UploadPart as bytes."""
    s3 = upload.s3
    query = f"partNumber={number}&uploadId={upload.upload_id}"
    lines = s3.sign("PUT", upload.path, query, {"host": s3.host}, body)
    lines["content-length"] = str(len(body))
    return render("PUT", f"{upload.path}?{query}", lines) + body


def read_and_close(connection: socket.socket) -> bytes:
    """Return the beginning of the answer."""
    with connection:
        return connection.recv(65536)


@pytest.mark.requirement("UP-05")
@pytest.mark.parametrize("size", [10, 200_000])
def test_a_part_sent_again_replaces_the_former_one(s3: RawClient, upload: Upload, size: int) -> None:
    former = upload.put(1, filler("former", 300_000))
    latter = upload.put(1, filler("latter", size))
    assert upload.complete([(1, former)]).verdict == (400, "InvalidPart")
    assert upload.complete([(1, latter)]).verdict == (200, "")
    assert s3.request("GET", upload.path).body == filler("latter", size)


@pytest.mark.requirement("UP-06", "UP-08")
def test_a_part_that_fails_its_digest_leaves_the_earlier_one(s3: RawClient, upload: Upload) -> None:
    etag = upload.put(1, b"good")
    failed = upload.send_part(1, b"evil", {"content-md5": md5_b64(b"other")})
    assert failed.verdict == (400, "BadDigest")
    assert upload.complete([(1, etag)]).verdict == (200, "")
    assert s3.request("GET", upload.path).body == b"good"


@pytest.mark.requirement("UP-06")
@pytest.mark.parametrize("size", [2_000, 3_000_000])
def test_a_part_that_is_cut_leaves_the_earlier_one(s3: RawClient, upload: Upload, size: int) -> None:
    etag = upload.put(1, b"good")
    data = part_request(upload, 1, filler("cut", size))
    with s3.connect() as connection:
        connection.sendall(data[: len(data) - size // 2])
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert not answer.startswith(b"HTTP/1.1 2")
    assert upload.complete([(1, etag)]).verdict == (200, "")
    assert s3.request("GET", upload.path).body == b"good"


@pytest.mark.requirement("UP-07")
def test_a_part_above_5_gib_is_refused(s3: RawClient, upload: Upload) -> None:
    query = f"partNumber=1&uploadId={upload.upload_id}"
    lines = s3.sign("PUT", upload.path, query, {"host": s3.host}, b"", "UNSIGNED-PAYLOAD")
    lines["content-length"] = str((5 << 30) + 1)
    response = s3.send(render("PUT", f"{upload.path}?{query}", lines), "PUT")
    assert response.verdict == (400, "EntityTooLarge")
    assert upload.part_numbers() == []


@pytest.mark.requirement("UP-07")
def test_a_part_of_exactly_5_gib_is_let_in(s3: RawClient, upload: Upload) -> None:
    query = f"partNumber=1&uploadId={upload.upload_id}"
    lines = {"host": s3.host, "expect": "100-continue"}
    lines = s3.sign("PUT", upload.path, query, lines, b"", "UNSIGNED-PAYLOAD")
    lines["content-length"] = str(5 << 30)
    with s3.connect() as connection:
        connection.sendall(render("PUT", f"{upload.path}?{query}", lines))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")


@pytest.mark.requirement("UP-08")
@pytest.mark.parametrize(
    ("headers", "payload_hash", "verdict"),
    [
        ({}, md5_hex(b"") * 2, (400, "XAmzContentSHA256Mismatch")),
        ({"content-md5": "not base64"}, "UNSIGNED-PAYLOAD", (400, "InvalidDigest")),
        ({"x-amz-checksum-crc32": crc32_b64(b"other")}, "UNSIGNED-PAYLOAD", (400, "BadDigest")),
        ({"x-amz-checksum-crc32": "short"}, "UNSIGNED-PAYLOAD", (400, "InvalidRequest")),
    ],
)
@pytest.mark.parametrize("size", [4, 2_000_000])
def test_parts_obey_the_rules_of_payloads(
    upload: Upload, headers: dict[str, str], payload_hash: str, verdict: tuple[int, str], size: int
) -> None:
    response = upload.send_part(1, b"b" * size, headers, payload_hash=payload_hash)
    assert response.verdict == verdict
    assert upload.part_numbers() == []


@pytest.mark.requirement("UP-08", "UP-10")
def test_an_aws_chunked_part_is_decoded_and_its_trailer_echoed(upload: Upload) -> None:
    body = filler("chunked", 100_000)
    trailer = ("x-amz-checksum-crc32", crc32_b64(body))
    response = send_streaming_part(upload, body, trailer)
    assert (response.status, response.headers["etag"]) == (200, f'"{md5_hex(body)}"')
    assert response.headers["x-amz-checksum-crc32"] == crc32_b64(body)


def send_streaming_part(upload: Upload, body: bytes, trailer: tuple[str, str]) -> Response:
    """Send UploadPart as STREAMING-UNSIGNED-PAYLOAD-TRAILER, as boto3 does over TLS."""
    s3, mode = upload.s3, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    query = f"partNumber=1&uploadId={upload.upload_id}"
    lines = {
        "host": s3.host,
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(body)),
        "x-amz-trailer": trailer[0],
    }
    signed = s3.sign("PUT", upload.path, query, lines, b"", mode)
    wire = s3.chunked([body], signed, mode=mode, trailer=trailer)
    signed["content-length"] = str(len(wire))
    return s3.send(render("PUT", f"{upload.path}?{query}", signed) + wire, "PUT")


@pytest.mark.requirement("UP-09")
@pytest.mark.parametrize(
    "query", ["partNumber=1", "uploadId=ID", "partNumber=1&uploadId=", "partNumber=&uploadId=ID"]
)
def test_half_of_the_two_parameters_is_never_a_put_object(
    s3: RawClient, bucket: str, upload: Upload, query: str
) -> None:
    put(s3, bucket, "k", b"old")
    response = s3.request("PUT", upload.path, query.replace("ID", upload.upload_id), body=b"new")
    assert 400 <= response.status <= 501
    assert s3.request("HEAD", upload.path).headers["etag"] == f'"{md5_hex(b"old")}"'


@pytest.mark.requirement("UP-10")
def test_a_verified_part_checksum_is_echoed(upload: Upload) -> None:
    response = upload.send_part(1, b"body", {"x-amz-checksum-crc32": crc32_b64(b"body")})
    assert (response.status, response.headers["x-amz-checksum-crc32"]) == (200, crc32_b64(b"body"))


# --- UploadPartCopy -------------------------------------------------------------------------------------


@pytest.mark.requirement("UPC-01", "UPC-02")
def test_without_a_range_the_whole_source_becomes_the_part(
    s3: RawClient, upload: Upload, source: str
) -> None:
    response = upload.copy(1, source)
    assert (response.status, response.xml.tag) == (200, "CopyPartResult")
    assert response.text("ETag") == f'"{md5_hex(SOURCE)}"'
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", response.text("LastModified") or "")
    assert upload.complete([(1, f'"{md5_hex(SOURCE)}"')]).verdict == (200, "")
    assert s3.request("GET", upload.path).body == SOURCE


@pytest.mark.requirement("UPC-01")
@pytest.mark.parametrize(
    ("key", "spelling"), [("a b", "a%20b"), ("a+b", "a%2Bb"), ("a%20b", "a%2520b"), ("ü/x", "%C3%BC/x")]
)
def test_a_copy_source_is_decoded_once(
    s3: RawClient, bucket: str, upload: Upload, key: str, spelling: str
) -> None:
    put(s3, bucket, key, key.encode())
    response = upload.copy(1, f"{bucket}/{spelling}")
    assert (response.status, response.text("ETag")) == (200, f'"{md5_hex(key.encode())}"')


@pytest.mark.requirement("UPC-03")
@pytest.mark.parametrize(("first", "last"), [(0, 0), (5, 5), (0, 1023), (1000, 1023), (10, 19)])
def test_a_range_of_the_source_is_inclusive_and_zero_based(
    upload: Upload, source: str, first: int, last: int
) -> None:
    response = upload.copy(1, source, f"bytes={first}-{last}")
    assert (response.status, response.text("ETag")) == (200, f'"{md5_hex(SOURCE[first : last + 1])}"')


@pytest.mark.requirement("UPC-03")
def test_a_range_across_the_parts_of_a_large_source_is_copied(
    s3: RawClient, bucket: str, upload: Upload
) -> None:
    bodies = [filler("1", MIN_PART), filler("2", 300_000)]
    finished(s3, bucket, "large", bodies)
    first, last = MIN_PART - 200_000, MIN_PART + 99_999
    response = upload.copy(1, f"{bucket}/large", f"bytes={first}-{last}")
    assert (response.status, response.text("ETag")) == (
        200,
        f'"{md5_hex(b"".join(bodies)[first : last + 1])}"',
    )


@pytest.mark.requirement("UPC-04")
@pytest.mark.parametrize(
    "span", ["0-8", "bytes=5-", "bytes=-5", "bytes=1-0", "bytes=0-1,3-4", "bytes=a-b", "x=0-1"]
)
def test_any_other_form_of_range_is_refused(upload: Upload, source: str, span: str) -> None:
    assert upload.copy(1, source, span).verdict == (400, "InvalidArgument")
    assert upload.part_numbers() == []


@pytest.mark.requirement("UPC-05")
@pytest.mark.parametrize("span", ["bytes=0-1024", "bytes=1024-1024", "bytes=0-99999999999999999999"])
def test_a_range_beyond_the_end_of_the_source_is_refused(upload: Upload, source: str, span: str) -> None:
    assert upload.copy(1, source, span).verdict == (400, "InvalidArgument")
    assert upload.part_numbers() == []


@pytest.mark.requirement("UPC-06")
def test_a_missing_source_or_upload_is_named(
    s3: RawClient, bucket: str, upload: Upload, source: str, new_name: Callable[[], str]
) -> None:
    assert upload.copy(1, f"/{new_name()}/k").verdict == (404, "NoSuchBucket")
    assert upload.copy(1, f"/{bucket}/missing").verdict == (404, "NoSuchKey")
    assert Upload(s3, bucket, "k", UNKNOWN_ID).copy(1, source).verdict == (404, "NoSuchUpload")


@pytest.mark.requirement("UPC-07")
def test_more_than_5_gib_of_a_source_is_refused(
    s3: RawClient, bucket: str, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The limit is lowered for this server, which runs in this process: 5 GiB would take minutes.
    monkeypatch.setattr(import_module("anys3.operations.upload_part_copy"), "MAX_SINGLE_BYTES", 1000)
    put(s3, bucket, "large", b"x" * 1001)
    assert upload.copy(1, f"{bucket}/large").verdict == (400, "InvalidRequest")
    assert upload.copy(1, f"{bucket}/large", "bytes=0-999").verdict == (200, "")


@pytest.mark.requirement("UP-02")
@pytest.mark.parametrize("number", ["0", "10001", "a"])
def test_a_copied_part_obeys_the_limits_of_part_numbers(upload: Upload, source: str, number: str) -> None:
    query = [("partNumber", number), ("uploadId", upload.upload_id)]
    response = upload.s3.request("PUT", upload.path, query, {"x-amz-copy-source": source})
    assert response.verdict == (400, "InvalidArgument")


# --- AbortMultipartUpload -------------------------------------------------------------------------------


@pytest.mark.requirement("ABT-01")
def test_an_abort_leaves_an_existing_object_of_the_key(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k", b"old")
    upload = begin(s3, bucket)
    upload.put(1, b"part")
    response = upload.abort()
    assert (response.status, response.body) == (204, b"")
    assert s3.request("GET", upload.path).body == b"old"


@pytest.mark.requirement("ABT-01")
@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_part_in_flight_never_becomes_visible_after_an_abort(
    s3: RawClient, bucket: str, upload: Upload, size: int
) -> None:
    data = part_request(upload, 1, filler("flight", size))
    with s3.connect() as connection:
        connection.sendall(data[: -size // 2])
        assert upload.abort().status == 204
        connection.sendall(data[-size // 2 :])
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
    assert s3.request("GET", f"/{bucket}", "uploads").texts("Upload/Key") == []
    assert upload.list_parts().verdict == (404, "NoSuchUpload")


@pytest.mark.requirement("ABT-02")
def test_an_abort_of_an_unknown_or_aborted_upload_is_no_such_upload(
    s3: RawClient, bucket: str, upload: Upload
) -> None:
    assert Upload(s3, bucket, "k", UNKNOWN_ID).abort().verdict == (404, "NoSuchUpload")
    assert Upload(s3, bucket, "other", upload.upload_id).abort().verdict == (404, "NoSuchUpload")
    assert upload.abort().status == 204
    assert upload.abort().verdict == (404, "NoSuchUpload")


@pytest.mark.requirement("ABT-02")
def test_an_aborted_upload_is_unknown_to_every_operation(s3: RawClient, upload: Upload, source: str) -> None:
    etag = upload.put(1)
    assert upload.abort().status == 204
    assert upload.send_part(1).verdict == (404, "NoSuchUpload")
    assert upload.copy(1, source).verdict == (404, "NoSuchUpload")
    assert upload.list_parts().verdict == (404, "NoSuchUpload")
    assert upload.complete([(1, etag)]).verdict == (404, "NoSuchUpload")
    assert s3.request("HEAD", upload.path).status == 404


@pytest.mark.requirement("ABT-03")
@pytest.mark.parametrize("upload_id", ["", UNKNOWN_ID, "x"])
def test_an_abort_without_a_known_id_never_deletes_the_object(
    s3: RawClient, bucket: str, upload_id: str
) -> None:
    put(s3, bucket, "k", b"old")
    response = s3.request("DELETE", f"/{bucket}/k", [("uploadId", upload_id)])
    assert response.verdict == (404, "NoSuchUpload")
    assert s3.request("GET", f"/{bucket}/k").body == b"old"
