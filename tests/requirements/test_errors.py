"""Error answers: ERR."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import anys3
from tests.rawclient import RawClient, md5_b64

ON_A_BUCKET = [
    ("HEAD", "", ""),
    ("GET", "", ""),
    ("GET", "", "list-type=2"),
    ("GET", "", "location="),
    ("GET", "", "uploads="),
    ("GET", "", "versions="),
    ("GET", "", "cors="),
    ("GET", "", "acl="),
    ("DELETE", "", ""),
    ("DELETE", "", "cors="),
    ("GET", "/k", ""),
    ("HEAD", "/k", ""),
    ("PUT", "/k", ""),
    ("DELETE", "/k", ""),
    ("GET", "/k", "tagging="),
    ("DELETE", "/k", "tagging="),
    ("POST", "/k", "uploads="),
    ("PUT", "/k", "partNumber=1&uploadId=x"),
    ("GET", "/k", "uploadId=x"),
    ("DELETE", "/k", "uploadId=x"),
]
DOCUMENTS = [
    ("POST", "", "delete="),
    ("PUT", "", "cors="),
    ("PUT", "/k", "tagging="),
    ("POST", "/k", "uploadId={upload_id}"),
]


def codes(method: str, code: str) -> str:
    """Return the code that an answer can carry: none after HEAD."""
    return "" if method == "HEAD" else code


@pytest.mark.requirement("ERR-01", "HTTP-05", "HTTP-19")
def test_an_error_document_has_code_message_and_request_id(s3: RawClient, bucket: str) -> None:
    response = s3.request("GET", f"/{bucket}/none")
    assert response.xml.tag == "Error"
    assert response.body.find(b"xmlns") == -1
    assert response.text("Code") == "NoSuchKey"
    assert response.text("Message")
    assert response.text("RequestId") == response.headers["x-amz-request-id"]
    assert response.headers["content-type"].split(";")[0] == "application/xml"
    assert response.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')


@pytest.mark.requirement("ERR-01")
@pytest.mark.parametrize("key", ["%3Ca%3E%26%22", "%01", "%EF%BF%BE"])
def test_an_error_document_is_well_formed_whatever_it_quotes(s3: RawClient, bucket: str, key: str) -> None:
    assert s3.request("GET", f"/{bucket}/{key}").verdict == (404, "NoSuchKey")


@pytest.mark.requirement("ERR-02")
@pytest.mark.parametrize(("method", "key", "query"), ON_A_BUCKET)
def test_whatever_is_asked_of_a_missing_bucket_it_is_missing(
    s3: RawClient, new_name: Callable[[], str], method: str, key: str, query: str
) -> None:
    response = s3.request(method, f"/{new_name()}{key}", query)
    assert response.verdict == (404, codes(method, "NoSuchBucket"))


@pytest.mark.requirement("ERR-02", "ERR-09")
@pytest.mark.parametrize(("method", "key", "query"), DOCUMENTS)
def test_a_missing_bucket_is_told_before_the_document_is_read(
    s3: RawClient, new_name: Callable[[], str], method: str, key: str, query: str
) -> None:
    path = f"/{new_name()}{key}"
    assert s3.request(method, path, query.format(upload_id="x"), body=b"no xml").verdict == (
        404,
        "NoSuchBucket",
    )


@pytest.mark.requirement("ERR-02")
def test_copying_from_or_to_a_missing_bucket_names_it(
    s3: RawClient, bucket: str, new_name: Callable[[], str]
) -> None:
    missing = new_name()
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    to = s3.request("PUT", f"/{missing}/k", headers={"x-amz-copy-source": f"/{bucket}/k"})
    source = s3.request("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": f"/{missing}/k"})
    assert (to.verdict, source.verdict) == ((404, "NoSuchBucket"), (404, "NoSuchBucket"))
    assert (to.text("BucketName"), source.text("BucketName")) == (missing, missing)


@pytest.mark.requirement("ERR-03")
def test_a_missing_key_in_a_bucket_is_told(s3: RawClient, bucket: str) -> None:
    assert s3.request("GET", f"/{bucket}/none").verdict == (404, "NoSuchKey")
    assert s3.request("HEAD", f"/{bucket}/none").status == 404


@pytest.mark.requirement("ERR-04", "AUTH-05", "AUTH-06")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/{bucket}", "/{bucket}/k", "/{bucket}/none", "/{missing}", "/{missing}/k"])
def test_a_stranger_does_not_learn_what_exists(
    s3: RawClient, bucket: str, new_name: Callable[[], str], method: str, path: str
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    path = path.format(bucket=bucket, missing=new_name())
    wrong = replace(s3, secret_access_key="wrong").request(method, path)
    unknown = replace(s3, access_key_id="AKIANOBODYNOBODYNOBO").request(method, path)
    assert wrong.verdict == (403, codes(method, "SignatureDoesNotMatch"))
    assert unknown.verdict == (403, codes(method, "InvalidAccessKeyId"))
    assert s3.request("GET", f"/{bucket}/k").body == b"x"


@pytest.mark.requirement("ERR-04", "AUTH-12")
@pytest.mark.known_mistake(35)
@pytest.mark.parametrize(
    "headers",
    [
        {"if-modified-since": "Mon, 01 Jan 2035 00:00:00 GMT"},
        {"if-none-match": "*"},
        {"if-match": '"0"'},
        {"if-unmodified-since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"range": "bytes=100-200"},
    ],
)
@pytest.mark.parametrize("key", ["k", "none"])
def test_a_condition_reveals_nothing_to_a_stranger(
    s3: RawClient, bucket: str, headers: dict[str, str], key: str
) -> None:
    """CVE-2024-36107 (MinIO): If-Modified-Since revealed to anonymous callers whether an object exists."""
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    path = f"/{bucket}/{key}"
    assert s3.open_url("GET", path, headers).verdict == (403, "AccessDenied")
    assert s3.open_url("HEAD", path, headers).status == 403
    wrong = replace(s3, secret_access_key="wrong").request("GET", path, headers=headers)
    assert wrong.verdict == (403, "SignatureDoesNotMatch")


@pytest.mark.requirement("ERR-05", "ERR-08", "HTTP-17")
@pytest.mark.parametrize(
    "document",
    [
        b" ",
        b"text",
        b"{}",
        b"<a>",
        b"<a></b>",
        b"<Other/>",
        b"<Delete/><Delete/>",
        b"\xff\xfe",
        b"<\xff/>",
        b"<a>&unknown;</a>",
        b"<a" + b"><a" * 5000 + b">",
    ],
)
@pytest.mark.parametrize(("method", "key", "query"), DOCUMENTS)
def test_what_is_not_the_expected_document_is_refused(
    s3: RawClient, bucket: str, method: str, key: str, query: str, document: bytes
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    upload_id = s3.request("POST", f"/{bucket}/k", [("uploads", "")]).text("UploadId") or ""
    headers = {"content-md5": md5_b64(document)}
    response = s3.request(method, f"/{bucket}{key}", query.format(upload_id=upload_id), headers, document)
    assert response.verdict == (400, "MalformedXML")
    assert s3.request("GET", f"/{bucket}/k").body == b"x"
    assert s3.request("GET", f"/{bucket}/k", [("uploadId", upload_id)]).status == 200


@pytest.mark.requirement("ERR-05")
@pytest.mark.parametrize("document", [b"text", b"<Other/>", b"<CreateBucketConfiguration>"])
def test_a_bucket_is_not_made_by_a_wrong_document(
    s3: RawClient, new_name: Callable[[], str], document: bytes
) -> None:
    name = new_name()
    assert s3.request("PUT", f"/{name}", body=document).verdict == (400, "MalformedXML")
    assert s3.request("HEAD", f"/{name}").status == 404


@pytest.fixture
def blob_of(server: anys3.Server) -> Callable[[], Path]:
    """A function that returns the file of the last large object. (Only the embedded engine has files.)"""
    directory = server.directory
    if directory is None:
        pytest.skip("the memory engine has no files to lose")
    return lambda: max(
        (path for path in directory.rglob("blobs/*/*") if path.is_file()),
        key=lambda path: path.stat().st_mtime_ns,
    )


@pytest.mark.requirement("ERR-06", "ERR-07", "ERR-08")
@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_bytes(b""), lambda path: os.truncate(path, 1000)]
)
def test_a_failure_of_the_server_is_a_5xx_and_never_less_data(
    s3: RawClient, bucket: str, blob_of: Callable[[], Path], damage: Callable[[Path], object]
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x" * 400_000)
    damage(blob_of())
    copy = s3.request("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": f"/{bucket}/k"})
    assert s3.request("GET", f"/{bucket}/k").verdict == (500, "InternalError")
    assert copy.verdict == (500, "InternalError")
    assert s3.request("GET", f"/{bucket}/copy").verdict == (404, "NoSuchKey")
    assert s3.request("PUT", f"/{bucket}/k", body=b"new").status == 200
    assert s3.request("GET", f"/{bucket}/k").body == b"new"


@pytest.mark.requirement("ERR-07")
def test_a_copy_a_part_copy_and_a_completion_that_fail_do_not_answer_200(s3: RawClient, bucket: str) -> None:
    upload_id = s3.request("POST", f"/{bucket}/k", [("uploads", "")]).text("UploadId") or ""
    copy = s3.request("PUT", f"/{bucket}/k", headers={"x-amz-copy-source": f"/{bucket}/none"})
    part = s3.request(
        "PUT",
        f"/{bucket}/k",
        [("partNumber", "1"), ("uploadId", upload_id)],
        {"x-amz-copy-source": f"/{bucket}/none"},
    )
    part_1 = b"<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>"
    document = b"<CompleteMultipartUpload>%b</CompleteMultipartUpload>" % part_1
    completion = s3.request("POST", f"/{bucket}/k", [("uploadId", upload_id)], body=document)
    assert (copy.verdict, part.verdict) == ((404, "NoSuchKey"), (404, "NoSuchKey"))
    assert completion.verdict == (400, "InvalidPart")


@pytest.mark.requirement("ERR-08")
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-md5": md5_b64(b"other")}, "BadDigest"),
        ({"content-md5": "x"}, "InvalidDigest"),
        ({"x-amz-storage-class": "NONE"}, "InvalidStorageClass"),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
        ({"x-amz-acl": "public-read"}, "AccessControlListNotSupported"),
        ({"x-amz-tagging": "a=b&a=c"}, "InvalidArgument"),
        ({"x-amz-meta-a": "v" * 2100}, "MetadataTooLarge"),
    ],
)
def test_a_refused_write_changes_nothing(
    s3: RawClient, bucket: str, headers: dict[str, str], code: str
) -> None:
    s3.request("PUT", f"/{bucket}/k", headers={"x-amz-meta-a": "1"}, body=b"before")
    before = s3.request("GET", f"/{bucket}/k")
    assert s3.request("PUT", f"/{bucket}/k", headers=headers, body=b"after").verdict == (400, code)
    assert s3.request("PUT", f"/{bucket}/new", headers=headers, body=b"after").verdict == (400, code)
    after = s3.request("GET", f"/{bucket}/k")
    exempt = {"date", "x-amz-request-id"}
    assert {k: v for k, v in after.headers.items() if k not in exempt} == {
        k: v for k, v in before.headers.items() if k not in exempt
    }
    assert after.body == b"before"
    assert s3.request("GET", f"/{bucket}", [("list-type", "2")]).texts("Contents/Key") == ["k"]


@pytest.mark.requirement("ERR-09")
def test_checks_come_in_their_order(s3: RawClient, bucket: str, new_name: Callable[[], str]) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    stranger = replace(s3, secret_access_key="wrong")
    faults = {"x-amz-storage-class": "NONE", "if-match": '"0"', "content-md5": md5_b64(b"other")}
    late = {"if-match": '"0"', "content-md5": md5_b64(b"other")}
    missing = f"/{new_name()}/k"
    assert stranger.request("PUT", missing, headers=faults).verdict == (403, "SignatureDoesNotMatch")
    assert s3.request("PUT", missing, headers=faults).verdict == (404, "NoSuchBucket")
    assert s3.request("PUT", f"/{bucket}/k", headers=faults).verdict == (400, "InvalidStorageClass")
    assert s3.request("PUT", f"/{bucket}/none", headers={"if-match": '"0"'}).verdict == (404, "NoSuchKey")
    assert s3.request("PUT", f"/{bucket}/k", headers={"if-match": '"0"'}).verdict == (
        412,
        "PreconditionFailed",
    )
    assert s3.request("PUT", f"/{bucket}/k", headers=late).verdict == (412, "PreconditionFailed")
