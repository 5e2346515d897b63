"""What goes over the wire for a vector, byte by byte, and what is made of hostile answers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from anys3.client.endpoint import Endpoint
from anys3.client.signing import Credentials
from anys3.conformance.vectors import running
from anys3.conformance.vectors.results import VectorResult
from anys3.conformance.vectors.target import Target
from tests.client.servers import Script, read_head, scripted

NOW = datetime(2026, 11, 21, 7, tzinfo=UTC)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Notes:
    """Takes note of what is about to be created."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = []

    def will_create_bucket(self, name: str) -> None:
        self.rows.append(("bucket", name))

    def will_create_object(self, bucket: str, key: str) -> None:
        self.rows.append(("object", bucket, key))

    def will_create_upload(self, bucket: str, key: str) -> None:
        self.rows.append(("upload", bucket, key))


def vector(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = {
        "id": "g-0001",
        "group": "g",
        "kind": "api",
        "title": "t",
        "tags": ["tier-1"],
        "steps": list(steps),
    }
    return row | more


def operation(name: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"$operation": {"name": name, "params": parameters, **more}}


def http(method: str, path: str, **more: Any) -> dict[str, Any]:
    return {"$http": {"method": method, "path": path, **more}}


def recorded(answer: bytes, heads: list[bytes]) -> Script:
    """A script that keeps the request, gives an answer and closes."""

    def script(connection: socket.socket) -> None:
        received = read_head(connection)
        head, _, rest = received.partition(b"\r\n\r\n")
        length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        while length and len(rest) < int(length[0].split(b":")[1]):
            rest += connection.recv(1 << 16)
        heads.append(head + b"\r\n\r\n" + rest)
        connection.sendall(answer)

    return script


def run(
    folder: Path, row: dict[str, Any], *answers: bytes, timeout_s: float = 10
) -> tuple[VectorResult, list[bytes]]:
    """Run one vector against a server that gives these answers; return the result and the requests."""
    (folder / "g.json").write_text(json.dumps({"vectors": [row]}), "utf-8")
    requests: list[bytes] = []
    with scripted([recorded(answer, requests) for answer in answers]) as (endpoint, _):
        target = Target(endpoint, Credentials("AK", "SK"), timeout_s=timeout_s)
        [result] = running.run([folder], target, journal=Notes(), run_id="r5un", now=lambda: NOW)
    return result, requests


def header_names(request: bytes) -> set[str]:
    lines = request.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return {line.split(b":")[0].decode().lower() for line in lines}


# What botocore would do of its own accord, and does not do here.


def test_a_put_has_neither_checksum_nor_expect_nor_chunks(tmp_path: Path) -> None:
    step = operation("PutObject", {"Bucket": "UPPER_case..b", "Key": "k ü", "Body": "abc"})
    result, [request] = run(tmp_path, vector(step), OK)
    assert result.outcome == "pass", result.sentence
    assert request.startswith(b"PUT /UPPER_case..b/k%20%C3%BC HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\nabc")
    names = header_names(request)
    assert not [name for name in names if "checksum" in name or name.startswith(("amz-sdk", "x-amz-sdk"))]
    assert (
        names & {"expect", "content-encoding", "content-md5", "transfer-encoding", "x-amz-trailer"} == set()
    )


def test_a_listing_asks_for_no_encoding(tmp_path: Path) -> None:
    _, [request] = run(tmp_path, vector(operation("ListObjectsV2", {"Bucket": "b", "Prefix": "a b"})), OK)
    assert request.startswith(b"GET /b?list-type=2&prefix=a%20b HTTP/1.1\r\n")


def test_a_copy_source_is_sent_as_it_is(tmp_path: Path) -> None:
    step = operation(
        "CopyObject", {"Bucket": "b", "Key": "k", "CopySource": "b/a b?versionId=x%2F"}, expect={}
    )
    body = b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"
    _, [request] = run(tmp_path, vector(step), OK.replace(b": 0", b": %d" % len(body)) + body)
    assert b"x-amz-copy-source: b/a b?versionId=x%2F\r\n" in request


def error(status: int, code: str, headers: bytes = b"") -> bytes:
    body = f"<Error><Code>{code}</Code><Message>m</Message><Region>eu-north-1</Region></Error>".encode()
    head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n%b\r\n" % (
        status,
        len(body),
        headers,
    )
    return head + body


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "InternalError"),
        (503, "SlowDown"),
        (301, "PermanentRedirect"),
        (307, "TemporaryRedirect"),
        (400, "AuthorizationHeaderMalformed"),
        (400, "RequestTimeout"),
    ],
)
def test_an_error_is_neither_asked_again_nor_followed(tmp_path: Path, status: int, code: str) -> None:
    answer = error(status, code, b"x-amz-bucket-region: eu-north-1\r\nLocation: http://127.0.0.1:9/\r\n")
    step = operation("GetObject", {"Bucket": "b", "Key": "k"}, expect={"status": status, "error": code})
    result, requests = run(tmp_path, vector(step), answer, OK, OK)
    assert (result.outcome, result.sentence, len(requests)) == ("pass", "", 1)


def test_an_error_inside_a_success_keeps_its_status(tmp_path: Path) -> None:
    step = operation(
        "CopyObject",
        {"Bucket": "b", "Key": "k", "CopySource": "b/a"},
        expect={"status": 200, "error": {"code": "InternalError", "message": "m"}},
    )
    result, _ = run(tmp_path, vector(step), error(200, "InternalError"))
    assert (result.outcome, result.sentence) == ("pass", "")


@pytest.mark.parametrize(
    "step",
    [
        operation("CopyObject", {"Bucket": "b", "Key": "k", "CopySource": "b/a"}, expect={"status": 200}),
        http("PUT", "/b/k", headers={"x-amz-copy-source": "b/a"}, expect={"status": 200}),
        http("PUT", "/b/k", headers={"x-amz-copy-source": "b/a"}),
    ],
)
def test_an_error_inside_a_success_is_no_success(tmp_path: Path, step: dict[str, Any]) -> None:
    result, _ = run(tmp_path, vector(step), error(200, "InternalError"))
    assert (result.outcome, result.is_runner_error) == ("fail", False)
    assert "expected success, got 200 InternalError (m)" in result.sentence


def test_a_checksum_of_an_answer_is_not_validated(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nx-amz-checksum-crc32: AAAAAA==\r\nConnection: close\r\n\r\nx"
    step = operation(
        "GetObject", {"Bucket": "b", "Key": "k", "ChecksumMode": "ENABLED"}, expect={"body": "x"}
    )
    result, _ = run(tmp_path, vector(step), answer)
    assert (result.outcome, result.sentence) == ("pass", "")


# Raw requests.


def test_a_raw_request_is_sent_byte_by_byte(tmp_path: Path) -> None:
    step = http(
        "PÜT",
        "/b/%zz/../ü",
        query="a&b=+&a",
        headers=[["hOsT", "other"], ["X-Odd", " two  blanks "], ["X-Odd", "ü"], ["Content-Length", "2"]],
        body={"$base64": "AP8="},
        sign=False,
    )
    _, [request] = run(tmp_path, vector(step), OK)
    assert request == (
        "PÜT /b/%zz/../ü?a&b=+&a HTTP/1.1\r\nhOsT: other\r\nX-Odd:  two  blanks \r\nX-Odd: ü\r\nContent-Length: 2\r\n\r\n"
    ).encode() + bytes([0, 255])


def test_a_raw_request_is_signed_without_its_length(tmp_path: Path) -> None:
    _, [request] = run(tmp_path, vector(http("PUT", "/b/./k", headers={"Content-Length": "1"}, body="x")), OK)
    head = request.decode()
    assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date, " in head
    assert "Credential=AK/20261121/us-east-1/s3/aws4_request" in head
    assert head.startswith("PUT /b/./k HTTP/1.1\r\n")
    assert head.lower().count("content-length") == 1


def test_what_a_vector_signs_itself_is_left_alone(tmp_path: Path) -> None:
    own = {
        "Authorization": "mine",
        "x-amz-date": "20000101T000000Z",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    }
    _, [request] = run(tmp_path, vector(http("GET", "/", headers=own)), OK)
    assert header_names(request) == {"host", "authorization", "x-amz-date", "x-amz-content-sha256"}
    assert b"Authorization: mine\r\n" in request


@pytest.mark.parametrize("identity", ["anonymous", "invalid"])
def test_the_other_identities_are_nobodys(tmp_path: Path, identity: str) -> None:
    _, [request] = run(tmp_path, vector(http("GET", "/", identity=identity)), OK)
    assert b"Credential=AK/" not in request
    assert (b"authorization" in request.lower()) == (identity == "invalid")


# Answers that are none.


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 2",
        b"SSH-2.0-zebra\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: application/xml\r\n\r\n<A><",
    ],
    ids=["nothing", "head", "ssh", "cut", "xml"],
)
@pytest.mark.parametrize(
    "step",
    [
        operation("ListObjectsV2", {"Bucket": "b"}, expect={"response": {"KeyCount": 0}}),
        operation(
            "ListObjectsV2", {"Bucket": "b"}, presign={"expiresIn": 5}, expect={"response": {"KeyCount": 0}}
        ),
        http("GET", "/b", expect={"body": "<ListBucketResult/>"}),
    ],
    ids=["operation", "presigned", "http"],
)
def test_a_broken_answer_is_the_endpoints_failure(
    tmp_path: Path, step: dict[str, Any], answer: bytes
) -> None:
    result, _ = run(tmp_path, vector(step), answer)
    assert (result.outcome, result.is_runner_error) == ("fail", False), result.sentence


def test_parameters_that_cannot_be_sent_are_the_vectors_failure(tmp_path: Path) -> None:
    step = operation("GetObject", {"Bucket": "b", "Key": "k", "IfModifiedSince": "zebra"})
    result, requests = run(tmp_path, vector(step))
    assert (result.outcome, result.is_runner_error, requests) == ("fail", True, [])


def test_the_id_of_an_upload_is_remembered_for_the_teardown(tmp_path: Path) -> None:
    upload = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
    listing = b"<L><IsTruncated>false</IsTruncated></L>"
    gone = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

    def with_body(body: bytes) -> bytes:
        return OK.replace(b": 0", b": %d" % len(body)) + body

    row = vector(
        http("POST", "/${res.b.name}/k", query={"uploads": None}),
        prerequisites=[{"$bucket": {"handle": "b"}}],
    )
    answers = [
        OK,
        with_body(upload),
        with_body(listing),
        gone,
        *[with_body(listing)] * 2,
        gone,
        with_body(listing),
        gone,
    ]
    result, requests = run(tmp_path, row, *answers)
    assert (result.outcome, result.warnings) == ("pass", ())
    lines = [request.split(b" HTTP")[0].decode() for request in requests]
    assert lines == [
        "PUT /anys3-r5un-v0-0",
        "POST /anys3-r5un-v0-0/k?uploads",
        "GET /anys3-r5un-v0-0?uploads=&encoding-type=url",
        "DELETE /anys3-r5un-v0-0/k?uploadId=u1",
        "GET /anys3-r5un-v0-0?versions=&encoding-type=url",
        "GET /anys3-r5un-v0-0?list-type=2&encoding-type=url",
        "DELETE /anys3-r5un-v0-0/k",
        "GET /anys3-r5un-v0-0?versions=&encoding-type=url",
        "DELETE /anys3-r5un-v0-0",
    ]


def test_a_teardown_that_fails_is_a_warning(tmp_path: Path) -> None:
    row = vector(http("GET", "/"), prerequisites=[{"$bucket": {"handle": "b"}}])
    result, _ = run(tmp_path, row, OK, OK, *[error(409, "BucketNotEmpty")] * 9)
    assert (result.outcome, result.is_runner_error) == ("pass", False)
    assert result.warnings == ("bucket anys3-r5un-v0-0 is still there: 409 BucketNotEmpty",)


def test_names_are_told_before_anything_is_sent(tmp_path: Path) -> None:
    notes = Notes()
    seen: list[list[tuple[str, ...]]] = []

    def script(connection: socket.socket) -> None:
        read_head(connection)
        seen.append(list(notes.rows))
        connection.sendall(OK)

    row = vector(
        operation("PutObject", {"Bucket": "${res.b.name}", "Key": "k", "Body": ""}),
        prerequisites=[{"$bucket": {"handle": "b"}}],
    )
    (tmp_path / "g.json").write_text(json.dumps({"vectors": [row]}), "utf-8")
    with scripted([script, script]) as (endpoint, _):
        running.run(
            [tmp_path],
            Target(endpoint, Credentials("AK", "SK")),
            journal=notes,
            run_id="r5un",
            now=lambda: NOW,
        )
    made = [("bucket", "anys3-r5un-v0-0"), ("object", "anys3-r5un-v0-0", "k")]
    assert seen == [made[:1], made]


PROGRAM = """
import sys
sys.modules["botocore"] = None
from pathlib import Path
from anys3.client.endpoint import Endpoint
from anys3.client.signing import Credentials
from anys3.conformance.vectors import running, sdk
from anys3.conformance.vectors.target import Target
try:
    running.run([Path(sys.argv[1])], Target(Endpoint("http", "127.0.0.1", 9), Credentials("a", "b")),
                journal=None, run_id="r", now=None)
except sdk.SdkMissing as error:
    print(error)
"""


def test_without_botocore_the_extra_is_named(tmp_path: Path) -> None:
    row = vector(operation("ListBuckets", {}))
    (tmp_path / "g.json").write_text(json.dumps({"vectors": [row]}), "utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "vectors with $operation need botocore: pip install 'anys3[check]'\n"


def test_a_large_body_is_sent_and_taken_by_the_piece(tmp_path: Path) -> None:
    size = 40 << 20
    data = {"d": {"$prng": {"seed": "huge", "size": size}}}
    row = vector(
        http("PUT", "/b/k", headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, body={"$data": "d"},
             expect={"body": {"$data": "d"}}),
        data=data,
    )  # fmt: skip

    def echo(connection: socket.socket) -> None:
        _, _, rest = read_head(connection).partition(b"\r\n\r\n")
        received = [rest]
        while sum(map(len, received)) < size:
            received.append(connection.recv(1 << 20))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"".join(received))

    (tmp_path / "g.json").write_text(json.dumps({"vectors": [row]}), "utf-8")
    with scripted([echo]) as (endpoint, _):
        target = Target(Endpoint("http", "127.0.0.1", endpoint.port), Credentials("AK", "SK"))
        [result] = running.run([tmp_path], target, journal=Notes(), run_id="r5un", now=lambda: NOW)
    assert (result.outcome, result.sentence) == ("pass", "")
