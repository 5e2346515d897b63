"""CompleteMultipartUpload: CPL."""

from __future__ import annotations

import hashlib
from importlib import import_module

import pytest

from tests.processes import Connections, signed
from tests.rawclient import RawClient, crc32_b64, key_path, md5_hex, sha256_b64
from tests.uploads import MIN_PART, Upload, begin, document, filler, multipart_etag

UNKNOWN_ID = "0" * 44


@pytest.fixture
def upload(s3: RawClient, bucket: str) -> Upload:
    """An upload of key "k" in a fresh bucket."""
    return begin(s3, bucket)


@pytest.fixture
def no_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the least size of a part for this server, which runs in this process."""
    monkeypatch.setattr(import_module("anys3.operations.complete_multipart_upload"), "MIN_PART_BYTES", 0)


def put(s3: RawClient, bucket: str, key: str, body: bytes) -> None:
    """Put an object that must be accepted."""
    assert s3.request("PUT", key_path(bucket, key), body=body).verdict == (200, "")


def uploads_of(s3: RawClient, bucket: str) -> list[str]:
    """Return the ids that ListMultipartUploads shows."""
    return s3.request("GET", f"/{bucket}", "uploads").texts("Upload/UploadId")


@pytest.mark.requirement("CPL-01", "CPL-03")
def test_a_completion_is_answered_with_location_bucket_key_and_etag(s3: RawClient, bucket: str) -> None:
    upload = begin(s3, bucket, "a b/c")
    response = upload.complete([(1, upload.put(1, b"body"))])
    assert (response.status, response.xml.tag) == (200, "CompleteMultipartUploadResult")
    assert response.text("Location") == f"http://{s3.host}/{bucket}/a%20b/c"
    observed = [response.text(name) for name in ("Bucket", "Key", "ETag")]
    assert observed == [bucket, "a b/c", multipart_etag([b"body"])]


@pytest.mark.requirement("CPL-02", "CPL-03", "CPL-04")
@pytest.mark.known_mistake(50)
def test_the_object_is_the_listed_parts_in_order_and_nothing_else(s3: RawClient, upload: Upload) -> None:
    """minio#18992: an upload that was acknowledged can be read back, byte by byte."""
    bodies = {number: filler(str(number), MIN_PART + number) for number in (1, 3, 5)}
    etags = {number: upload.put(number, body) for number, body in bodies.items()}
    upload.put(2, b"not listed")
    upload.put(9, b"not listed either")
    response = upload.complete([(number, etags[number]) for number in (1, 3, 5)])
    assert (response.status, response.text("ETag")) == (200, multipart_etag(bodies.values()))
    read = s3.request("GET", upload.path)
    assert (read.headers["etag"], md5_hex(read.body)) == (
        multipart_etag(bodies.values()),
        md5_hex(b"".join(bodies.values())),
    )


@pytest.mark.requirement("CPL-04", "LP-02", "LP-03")
@pytest.mark.known_mistake(49)
@pytest.mark.usefixtures("no_minimum")
def test_an_object_may_have_10000_parts(s3: RawClient, upload: Upload) -> None:
    """seaweedfs#11158: a list of parts larger than a value of the database may be."""
    bodies = [b"part %d" % number for number in range(1, 10_001)]
    send_all(upload, bodies)
    page = upload.list_parts()
    listed = page.texts("Part/PartNumber")
    while page.text("IsTruncated") == "true":
        page = upload.list_parts(("part-number-marker", page.text("NextPartNumberMarker") or ""))
        listed += page.texts("Part/PartNumber")
    assert listed == [str(number) for number in range(1, 10_001)]
    response = upload.complete([(number, md5_hex(body)) for number, body in enumerate(bodies, 1)])
    assert (response.status, response.text("ETag")) == (200, multipart_etag(bodies))
    assert (
        hashlib.sha256(s3.request("GET", upload.path).body).digest()
        == hashlib.sha256(b"".join(bodies)).digest()
    )
    last = s3.request("GET", upload.path, "partNumber=10000")
    assert (last.status, last.body, last.headers["x-amz-mp-parts-count"]) == (206, bodies[-1], "10000")


def send_all(upload: Upload, bodies: list[bytes]) -> None:
    """Upload many small parts, 32 at a time."""
    requests = [
        signed(
            upload.s3,
            "PUT",
            upload.path,
            [("partNumber", str(number)), ("uploadId", upload.upload_id)],
            body=body,
        )
        for number, body in enumerate(bodies, 1)
    ]
    with Connections(upload.s3, 32) as connections:
        for start in range(0, len(requests), 32):
            answers = connections.burst(requests[start : start + 32])
            assert {answer.status for answer in answers} == {200}


@pytest.mark.requirement("CPL-05", "CPL-11")
@pytest.mark.parametrize("order", [(2, 1), (1, 1), (1, 2, 1)])
def test_parts_out_of_order_or_twice_are_refused(
    s3: RawClient, upload: Upload, order: tuple[int, ...]
) -> None:
    etags = {1: upload.put(1, filler("1", MIN_PART)), 2: upload.put(2, b"2")}
    refused = upload.complete([(number, etags[number]) for number in order])
    assert refused.verdict == (400, "InvalidPartOrder")
    assert s3.request("HEAD", upload.path).status == 404
    assert upload.complete([(1, etags[1]), (2, etags[2])]).verdict == (200, "")


@pytest.mark.requirement("CPL-06", "CPL-11")
@pytest.mark.parametrize(
    ("number", "etag"), [(2, md5_hex(b"one")), (1, md5_hex(b"other")), (1, "x"), (1, "")]
)
def test_a_part_that_was_not_uploaded_like_this_is_refused(
    s3: RawClient, bucket: str, upload: Upload, number: int, etag: str
) -> None:
    put(s3, bucket, "k", b"old")
    etag_of_1 = upload.put(1, b"one")
    assert upload.complete([(number, etag)]).verdict == (400, "InvalidPart")
    assert s3.request("GET", upload.path).body == b"old"
    assert upload.complete([(1, etag_of_1)]).verdict == (200, "")


@pytest.mark.requirement("CPL-06")
@pytest.mark.parametrize("spelling", ["{}", '"{}"', "&quot;{}&quot;", "&#34;{}&#34;"])
def test_etags_are_accepted_with_and_without_quotes(upload: Upload, spelling: str) -> None:
    upload.put(1, b"one")
    assert upload.complete([(1, spelling.format(md5_hex(b"one")))]).verdict == (200, "")


@pytest.mark.requirement("CPL-07", "CPL-11")
def test_a_small_part_before_the_last_is_refused_and_the_upload_stays(s3: RawClient, upload: Upload) -> None:
    small, last = upload.put(1, filler("1", MIN_PART - 1)), upload.put(2, b"last")
    assert upload.complete([(1, small), (2, last)]).verdict == (400, "EntityTooSmall")
    assert s3.request("HEAD", upload.path).status == 404
    large = upload.put(1, filler("1", MIN_PART))
    assert upload.complete([(1, large), (2, last)]).verdict == (200, "")


@pytest.mark.requirement("CPL-08", "CPL-03")
@pytest.mark.parametrize("size", [0, 1, 200_000])
def test_one_part_of_any_size_is_an_object(s3: RawClient, upload: Upload, size: int) -> None:
    body = filler("only", size)
    assert upload.complete([(7, upload.put(7, body))]).verdict == (200, "")
    read = s3.request("GET", upload.path)
    assert (read.status, read.body, read.headers["etag"]) == (200, body, multipart_etag([body]))


@pytest.mark.requirement("CPL-09")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedXML"),
        (b"<CompleteMultipartUpload/>", "InvalidRequest"),
        (b"<CompleteMultipartUpload></CompleteMultipartUpload>", "InvalidRequest"),
        (b"<CompleteMultipartUpload><Part>", "MalformedXML"),
        (b"no XML", "MalformedXML"),
        (b"<Delete><Object><Key>k</Key></Object></Delete>", "MalformedXML"),
        (
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
            "MalformedXML",
        ),
        (b"<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>", "MalformedXML"),
        (document([(1, "x")]).replace(b">1<", b">one<"), "MalformedXML"),
    ],
)
def test_a_body_that_names_no_parts_completes_nothing(
    s3: RawClient, upload: Upload, body: bytes, code: str
) -> None:
    etag = upload.put(1)
    assert upload.send_completion(body).verdict == (400, code)
    assert s3.request("HEAD", upload.path).status == 404
    assert upload.complete([(1, etag)]).verdict == (200, "")


@pytest.mark.requirement("CPL-10")
def test_an_unknown_upload_or_the_wrong_key_is_no_such_upload(
    s3: RawClient, bucket: str, upload: Upload
) -> None:
    etag = upload.put(1)
    for wrong in (Upload(s3, bucket, "k", UNKNOWN_ID), Upload(s3, bucket, "other", upload.upload_id)):
        assert wrong.complete([(1, etag)]).verdict == (404, "NoSuchUpload")
        assert s3.request("HEAD", wrong.path).status == 404
    assert upload.part_numbers() == ["1"]


@pytest.mark.requirement("CPL-11", "CPL-12")
def test_a_completion_replaces_the_object_and_ends_the_upload(
    s3: RawClient, bucket: str, upload: Upload
) -> None:
    put(s3, bucket, "k", b"old")
    etag = upload.put(1, b"new")
    assert s3.request("GET", upload.path).body == b"old"
    assert upload.complete([(1, etag)]).verdict == (200, "")
    assert s3.request("GET", upload.path).body == b"new"
    assert uploads_of(s3, bucket) == []
    assert upload.list_parts().verdict == (404, "NoSuchUpload")
    assert upload.send_part(2).verdict == (404, "NoSuchUpload")
    assert upload.abort().verdict == (404, "NoSuchUpload")


@pytest.mark.requirement("CPL-12")
def test_a_completion_ends_its_own_upload_only(s3: RawClient, bucket: str, upload: Upload) -> None:
    other = begin(s3, bucket)
    assert upload.complete([(1, upload.put(1))]).verdict == (200, "")
    assert uploads_of(s3, bucket) == [other.upload_id]


@pytest.mark.requirement("CPL-13")
@pytest.mark.parametrize("headers", [{}, {"if-none-match": "*"}])
def test_a_repeated_completion_gives_the_same_result(upload: Upload, headers: dict[str, str]) -> None:
    etag = upload.put(1, b"body")
    first = upload.complete([(1, etag)], headers)
    again = upload.complete([(1, etag)], headers)
    assert (first.status, again.status, again.text("ETag")) == (200, 200, multipart_etag([b"body"]))


@pytest.mark.requirement("CPL-13")
def test_a_completion_repeated_with_other_parts_is_refused(s3: RawClient, upload: Upload) -> None:
    first, second = upload.put(1, filler("1", MIN_PART)), upload.put(2, b"2")
    assert upload.complete([(1, first), (2, second)]).verdict == (200, "")
    assert upload.complete([(2, second)]).verdict == (404, "NoSuchUpload")
    assert s3.request("HEAD", upload.path).headers["content-length"] == str(MIN_PART + 1)


@pytest.mark.requirement("CPL-14")
@pytest.mark.parametrize("headers", [{}, {"if-none-match": "*"}])
@pytest.mark.parametrize("attempt", range(5))
def test_two_concurrent_completions_make_one_object(
    s3: RawClient, bucket: str, upload: Upload, headers: dict[str, str], attempt: int
) -> None:
    body = b"body %d" % attempt
    etag = upload.put(1, body)
    query = [("uploadId", upload.upload_id)]
    request = signed(s3, "POST", upload.path, query, headers, document([(1, etag)]))
    with Connections(s3, 4) as connections:
        answers = connections.burst([request] * 4, "POST")
    assert [answer.verdict for answer in answers] == [(200, "")] * 4
    assert {answer.text("ETag") for answer in answers} == {multipart_etag([body])}
    assert s3.request("GET", upload.path).body == body
    assert uploads_of(s3, bucket) == []


@pytest.mark.requirement("CPL-15", "CK-09")
@pytest.mark.parametrize(
    ("algorithm", "kind"), [("CRC32", "FULL_OBJECT"), ("CRC32", "COMPOSITE"), ("SHA256", "COMPOSITE")]
)
def test_a_wrong_checksum_of_the_whole_object_is_refused(
    s3: RawClient, bucket: str, algorithm: str, kind: str
) -> None:
    upload = begin(s3, bucket, headers={"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind})
    etag = upload.put(1, b"body")
    value = {"CRC32": crc32_b64, "SHA256": sha256_b64}[algorithm](b"other")
    suffix = "-1" if kind == "COMPOSITE" else ""
    sent = {f"x-amz-checksum-{algorithm.lower()}": value + suffix, "x-amz-checksum-type": kind}
    assert upload.complete([(1, etag)], sent).verdict == (400, "BadDigest")
    assert s3.request("HEAD", upload.path).status == 404
    assert upload.complete([(1, etag)]).verdict == (200, "")


@pytest.mark.requirement("CPL-15")
def test_the_right_checksum_of_the_whole_object_is_accepted(s3: RawClient, bucket: str) -> None:
    settings = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
    upload = begin(s3, bucket, headers=settings)
    bodies = [filler("1", MIN_PART), b"tail"]
    parts = [(number, upload.put(number, body)) for number, body in enumerate(bodies, 1)]
    value = crc32_b64(b"".join(bodies))
    sent = {"x-amz-checksum-crc32": value, "x-amz-checksum-type": "FULL_OBJECT"}
    response = upload.complete(parts, sent)
    assert (response.status, response.text("ChecksumCRC32")) == (200, value)


@pytest.mark.requirement("CPL-15")
def test_a_whole_object_checksum_of_an_upload_without_algorithm_is_not_ignored(
    s3: RawClient, upload: Upload
) -> None:
    etag = upload.put(1, b"body")
    sent = {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA=", "x-amz-checksum-type": "FULL_OBJECT"}
    assert upload.complete([(1, etag)], sent).verdict == (400, "BadDigest")
    sent = {"x-amz-checksum-crc32": crc32_b64(b"other"), "x-amz-checksum-type": "FULL_OBJECT"}
    assert upload.complete([(1, etag)], sent).verdict == (400, "InvalidRequest")
    assert s3.request("HEAD", upload.path).status == 404


@pytest.mark.requirement("CPL-16")
@pytest.mark.parametrize(
    "part",
    [
        "<PartNumber>1</PartNumber><ETag>{etag}</ETag><ChecksumCRC32>{crc32}</ChecksumCRC32>",
        "<ChecksumCRC32>{crc32}</ChecksumCRC32><ETag>{etag}</ETag><PartNumber>1</PartNumber>",
        "<ETag>{etag}</ETag><ChecksumSHA256>{sha256}</ChecksumSHA256><PartNumber>1</PartNumber>",
        "<ETag>{etag}</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME><PartNumber>1</PartNumber>",
    ],
)
def test_checksums_of_parts_may_be_listed_in_any_order(s3: RawClient, bucket: str, part: str) -> None:
    upload = begin(s3, bucket, headers={"x-amz-checksum-algorithm": "CRC32"})
    upload.put(1, b"body", {"x-amz-checksum-crc32": crc32_b64(b"body")})
    row = part.format(etag=md5_hex(b"body"), crc32=crc32_b64(b"body"), sha256=sha256_b64(b"body"))
    body = f"<CompleteMultipartUpload><Part>{row}</Part></CompleteMultipartUpload>"
    assert upload.send_completion(body.encode()).verdict == (200, "")


@pytest.mark.requirement("CPL-16", "CK-09")
def test_a_checksum_of_a_part_that_is_known_to_differ_is_refused(s3: RawClient, bucket: str) -> None:
    upload = begin(s3, bucket, headers={"x-amz-checksum-algorithm": "CRC32"})
    etag = upload.put(1, b"body", {"x-amz-checksum-crc32": crc32_b64(b"body")})
    wrong = f"<ChecksumCRC32>{crc32_b64(b'other')}</ChecksumCRC32>"
    assert upload.complete([(1, etag, wrong)]).verdict == (400, "InvalidPart")
    assert s3.request("HEAD", upload.path).status == 404
    assert upload.complete([(1, etag)]).verdict == (200, "")


@pytest.mark.requirement("CPL-17")
def test_the_announced_size_of_the_object_is_verified(s3: RawClient, upload: Upload) -> None:
    etag = upload.put(1, b"body")
    assert upload.complete([(1, etag)], {"x-amz-mp-object-size": "5"}).verdict == (400, "InvalidRequest")
    assert s3.request("HEAD", upload.path).status == 404
    assert upload.complete([(1, etag)], {"x-amz-mp-object-size": "4"}).verdict == (200, "")


@pytest.mark.requirement("CPL-17")
@pytest.mark.parametrize("size", ["-4", "four", ""])
def test_an_announced_size_that_is_no_number_is_not_ignored(s3: RawClient, upload: Upload, size: str) -> None:
    etag = upload.put(1, b"body")
    assert upload.complete([(1, etag)], {"x-amz-mp-object-size": size}).status == 400
    assert s3.request("HEAD", upload.path).status == 404


@pytest.mark.requirement("CPL-18")
def test_a_repeated_completion_never_changes_a_later_object(
    s3: RawClient, bucket: str, upload: Upload
) -> None:
    etag = upload.put(1, b"body")
    assert upload.complete([(1, etag)]).verdict == (200, "")
    put(s3, bucket, "k", b"later")
    assert upload.complete([(1, etag)]).verdict == (404, "NoSuchUpload")
    assert s3.request("GET", upload.path).body == b"later"


@pytest.mark.requirement("CPL-18")
def test_a_repeated_completion_never_revives_a_deleted_object(s3: RawClient, upload: Upload) -> None:
    etag = upload.put(1, b"body")
    assert upload.complete([(1, etag)]).verdict == (200, "")
    assert s3.request("DELETE", upload.path).status == 204
    assert upload.complete([(1, etag)]).verdict == (404, "NoSuchUpload")
    assert s3.request("GET", upload.path).verdict == (404, "NoSuchKey")
