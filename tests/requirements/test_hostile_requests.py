"""Requests that are signed well and mean harm: what they ask for is refused, and nothing falls over."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

import anys3
from anys3.protocol import listing
from tests.rawclient import RawClient, md5_b64, read_response, render
from tests.uploads import begin, document, filler


def presign_v2(s3: RawClient, method: str, path: str) -> str:
    """Return the query of a URL that is presigned by SigV2, for exactly this method and path."""
    expires = str(int(time.time()) + 300)
    message = f"{method}\n\n\n{expires}\n{path}"
    signature = base64.b64encode(hmac.digest(s3.secret_access_key.encode(), message.encode(), "sha1"))
    return f"AWSAccessKeyId={s3.access_key_id}&Expires={expires}&Signature={quote(signature, safe='')}"


@pytest.mark.known_mistake(8, 15)
@pytest.mark.parametrize("name", ["tagging", "t%61gging", "%74agging", "t%61gging=", "acl", "%61cl"])
def test_a_sigv2_url_holds_for_no_subresource_however_it_is_spelt(
    s3: RawClient, bucket: str, name: str
) -> None:
    """CVE-2026-71191 (Swift): a presigned URL could be made to ask for more than was signed."""
    s3.request("PUT", f"/{bucket}/k", headers={"x-amz-tagging": "a=b"}, body=b"x")
    for method in ("GET", "DELETE"):
        query = presign_v2(s3, method, f"/{bucket}/k")
        assert s3.open_url(method, f"/{bucket}/k?{name}&{query}").verdict == (403, "SignatureDoesNotMatch")
    assert s3.request("GET", f"/{bucket}/k", "tagging").texts("TagSet/Tag/Key") == ["a"]


@pytest.mark.requirement("OVR-01")
@pytest.mark.known_mistake(8, 40)
def test_a_sigv2_url_cannot_be_given_another_content_type(s3: RawClient, bucket: str) -> None:
    """RustFS GHSA-v9fg: whoever has the URL of a text would have made a page of it."""
    s3.request("PUT", f"/{bucket}/k", headers={"content-type": "text/plain"}, body=b"<script>1</script>")
    query = presign_v2(s3, "GET", f"/{bucket}/k")
    assert s3.open_url("GET", f"/{bucket}/k?{query}").headers["content-type"] == "text/plain"
    response = s3.open_url("GET", f"/{bucket}/k?r%65sponse-content-type=text/html&{query}")
    assert response.verdict == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("number", ["9" * 20, "9" * 5000, "0" * 5000 + "1"])
def test_a_part_number_of_thousands_of_digits_is_refused(s3: RawClient, bucket: str, number: str) -> None:
    upload = begin(s3, bucket)
    part = f"<Part><PartNumber>{number}</PartNumber><ETag>{upload.put(1)}</ETag></Part>"
    response = upload.send_completion(f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode())
    assert response.verdict == (400, "InvalidArgument")
    assert upload.part_numbers() == ["1"]


@pytest.mark.requirement("LB-05")
@pytest.mark.parametrize("position", [b"a/\xff", b"\xff", b"\xc3"])
def test_a_token_of_another_listing_lists_no_buckets(s3: RawClient, bucket: str, position: bytes) -> None:
    """A page of keys may end with a token that is no UTF-8."""
    token = listing.encode_token(position)
    assert s3.request("GET", "/", [("continuation-token", token)]).verdict == (400, "InvalidArgument")
    assert s3.request("HEAD", f"/{bucket}").status == 200


@pytest.mark.requirement("DB-06")
@pytest.mark.parametrize("what", ["completion", "tags"])
def test_a_bucket_that_goes_while_a_body_arrives_is_missed_as_a_bucket(
    s3: RawClient, bucket: str, what: str
) -> None:
    """It was a 503, which clients repeat for a while."""
    upload = begin(s3, bucket)
    body = document([(1, upload.put(1))])
    query = f"uploadId={upload.upload_id}" if what == "completion" else "tagging"
    method = "POST" if what == "completion" else "PUT"
    if what == "tags":
        body = b"<Tagging><TagSet/></Tagging>"
    lines = {"host": s3.host, "expect": "100-continue"}
    lines = {**s3.sign(method, upload.path, query, lines, body), "content-length": str(len(body))}
    with s3.connect() as connection:
        connection.sendall(render(method, f"{upload.path}?{query}", lines))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        assert s3.request("DELETE", f"/{bucket}").status == 204
        connection.sendall(body)
        assert read_response(connection).verdict == (404, "NoSuchBucket")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[tuple[RawClient, Path]]:
    """A server of its own with a bucket that holds one object in a file, and where the files lie."""
    with anys3.Server(directory=tmp_path / "data") as running:
        s3 = RawClient(running.endpoint_url, running.access_key_id, running.secret_access_key)
        s3.request("PUT", "/bucket")
        s3.request("PUT", "/bucket/k", body=filler("k", 1 << 20))
        yield s3, tmp_path / "data" / "blobs"


def names(blobs: Path) -> list[str]:
    """Return the names of the files that hold contents."""
    return [file.name for file in blobs.rglob("*") if file.is_file()]


@pytest.mark.requirement("ERR-08")
@pytest.mark.parametrize(
    ("path", "headers", "verdict"),
    [
        ("/bucket/k", {"if-none-match": "*"}, (412, "PreconditionFailed")),
        ("/bucket/new", {"if-match": '"other"'}, (404, "NoSuchKey")),
        (
            "/bucket/k",
            {
                "if-none-match": "*",
                "x-amz-copy-source": "/bucket/k",
                "x-amz-metadata-directive": "REPLACE",
            },
            (412, "PreconditionFailed"),
        ),
        ("/bucket/new", {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, (400, "BadDigest")),
    ],
    ids=["put-absent", "put-matching", "copy-absent", "wrong-digest"],
)
def test_a_refused_write_leaves_no_file_behind(
    directory: tuple[RawClient, Path], path: str, headers: dict[str, str], verdict: tuple[int, str]
) -> None:
    """The link of a refused copy stayed until the next collection of Python's garbage."""
    s3, blobs = directory
    before = names(blobs)
    body = b"" if "x-amz-copy-source" in headers else filler("new", 1 << 20)
    assert s3.request("PUT", path, headers=headers, body=body).verdict == verdict
    assert names(blobs) == before


@pytest.mark.known_mistake(39)
def test_rules_that_would_fill_the_memory_are_refused(s3: RawClient, bucket: str) -> None:
    """CVE-2018-1000538 (MinIO): what a client may send had no bound; S3's is 64 KB for these rules."""
    origins = b"<AllowedOrigin>https://a.example</AllowedOrigin>" * 3000
    rule = b"<CORSRule>" + origins + b"<AllowedMethod>GET</AllowedMethod></CORSRule>"
    body = b"<CORSConfiguration>" + rule + b"</CORSConfiguration>"
    response = s3.request("PUT", f"/{bucket}", "cors", {"content-md5": md5_b64(body)}, body)
    assert response.verdict == (400, "MaxMessageLengthExceeded")
    assert s3.request("GET", f"/{bucket}", "cors").verdict == (404, "NoSuchCORSConfiguration")


@pytest.mark.requirement("HTTP-09")
@pytest.mark.parametrize(
    "second",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["two-hosts", "two-lengths", "no-host"],
)
def test_what_is_refused_behind_an_upgrade_is_refused_as_anywhere(s3: RawClient, second: bytes) -> None:
    """It was a 500, and a traceback in the log for each."""
    first = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with s3.connect() as connection:
        connection.sendall(first + second)
        answer = b""
        while piece := connection.recv(10_000):
            answer += piece
    assert [int(line[:3]) for line in answer.split(b"HTTP/1.1 ")[1:]] == [403, 400]


def test_thousands_of_upgrades_in_one_write_are_answered(s3: RawClient) -> None:
    """Each was read inside of the one before, until Python had enough of it."""
    one = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with s3.connect() as connection:
        connection.sendall(one * 2000 + last)
        answer = b""
        while piece := connection.recv(1 << 20):
            answer += piece
    assert answer.count(b"HTTP/1.1 403 ") == 2001
