"""HTTP framing, TLS, addressing, XML: HTTP."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.processes import ServerProcess
from tests.rawclient import RawClient, Response, crc32_b64, md5_b64, md5_hex, read_response, render

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
EXEMPT = {"date", "x-amz-request-id"}
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
IMF_FIXDATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
DELETE_K = b"<Delete><Object><Key>k</Key></Object></Delete>"


def keys(s3: RawClient, bucket: str) -> list[str]:
    """Return all keys of a bucket."""
    return s3.request("GET", f"/{bucket}", [("list-type", "2")]).texts("Contents/Key")


def delete(s3: RawClient, bucket: str, document: bytes) -> Response:
    """Send a DeleteObjects document."""
    return s3.request("POST", f"/{bucket}", [("delete", "")], {"content-md5": md5_b64(document)}, document)


def signed_put(s3: RawClient, path: str, headers: dict[str, str], token: str = "UNSIGNED-PAYLOAD") -> bytes:
    """Return the head of a signed PUT; Content-Length and Transfer-Encoding are the caller's."""
    framing = {
        name: value
        for name, value in headers.items()
        if name in ("content-length", "transfer-encoding", "expect")
    }
    others = {name: value for name, value in headers.items() if name not in framing}
    lines = s3.sign("PUT", path, "", {"host": s3.host, **others}, b"", token)
    return render("PUT", path, {**lines, **framing})


def all_that_comes(s3: RawClient, data: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes and return everything until the server closes."""
    with s3.connect() as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


# --- TLS -------------------------------------------------------------------------------------------------


def certificate(directory: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anys3 test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return chain, secret


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    """A client of a server that speaks TLS with a certificate for its address."""
    directory = tmp_path_factory.mktemp("tls")
    chain, key = certificate(directory)
    process = ServerProcess(
        directory / "data", "--tls-cert", str(chain), "--tls-key", str(key), "--workers", "1"
    )
    process.s3 = replace(process.s3, endpoint=f"https://127.0.0.1:{process.port}", ca_file=str(chain))
    try:
        process.start()
        yield process.s3
    finally:
        process.close()


@pytest.mark.requirement("HTTP-01")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken_with_a_valid_certificate(tls: RawClient, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.minimum_version = context.maximum_version = version
    raw = socket.create_connection(("127.0.0.1", int(tls.endpoint.rpartition(":")[2])), 20)
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
        lines = tls.sign("GET", "/", "", {"host": tls.host}, b"")
        connection.sendall(render("GET", "/", lines))
        assert read_response(connection).status == 200
        assert connection.version() == version.name.replace("v1_", "v1.")


@pytest.mark.requirement("HTTP-01")
@pytest.mark.parametrize("minor", [0, 1, 2])
def test_older_versions_fail_in_the_handshake(tls: RawClient, minor: int) -> None:
    """The hello is written by hand, for OpenSSL sends none: 3.0 is SSL 3, 3.1 TLS 1.0, 3.2 TLS 1.1."""
    suites = bytes.fromhex("c009c00ac013c014002f0035")
    body = bytes([3, minor]) + bytes(32) + b"\0" + len(suites).to_bytes(2, "big") + suites + b"\1\0"
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    record = b"\x16\x03" + bytes([min(minor, 1)]) + len(hello).to_bytes(2, "big") + hello
    with socket.create_connection(("127.0.0.1", int(tls.endpoint.rpartition(":")[2])), 20) as connection:
        connection.sendall(record)
        answer = connection.recv(1000)
    alert, fatal = 0x15, 2
    assert answer == b"" or (answer[0], answer[5]) == (alert, fatal)


@pytest.mark.requirement("HTTP-01", "HTTP-07", "HTTP-26", "PAY-05")
def test_objects_go_both_ways_over_tls(tls: RawClient, new_name: Callable[[], str]) -> None:
    name = new_name()
    body = bytes(range(256)) * 20_000
    tls.request("PUT", f"/{name}")
    trailer = ("x-amz-checksum-crc32", crc32_b64(body))
    assert tls.put_streaming(f"/{name}/k", [body], mode=UNSIGNED_TRAILER, trailer=trailer).status == 200
    assert tls.request("GET", f"/{name}/k").body == body
    assert tls.request("PUT", f"/{name}/none", headers={"content-md5": "x"}, body=body).verdict == (
        400,
        "InvalidDigest",
    )


@pytest.mark.requirement("HTTP-02")
@pytest.mark.known_mistake(16)
def test_plain_http_is_not_offered_to_others_by_accident(tmp_path: Path) -> None:
    """RustFS GHSA-j59h: what is easy at home must not be open to all."""
    command = [sys.executable, "-m", "anys3", "serve", str(tmp_path / "data"), "--listen", "0.0.0.0:0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode != 0
    assert "--plain-http" in ended.stderr


# --- addressing ------------------------------------------------------------------------------------------


@pytest.mark.requirement("HTTP-03")
@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("HEAD", ""),
        ("GET", ""),
        ("GET", "list-type=2"),
        ("GET", "location"),
        ("GET", "uploads"),
        ("GET", "versions"),
        ("GET", "cors"),
    ],
)
def test_a_bucket_is_the_same_with_and_without_a_slash(
    s3: RawClient, bucket: str, method: str, query: str
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    one = s3.request(method, f"/{bucket}", query)
    other = s3.request(method, f"/{bucket}/", query)
    without_id = re.compile(rb"<RequestId>.*</RequestId>")
    assert one.status == other.status
    assert without_id.sub(b"", one.body) == without_id.sub(b"", other.body)
    assert {k: v for k, v in one.headers.items() if k not in EXEMPT} == {
        k: v for k, v in other.headers.items() if k not in EXEMPT
    }


@pytest.mark.requirement("HTTP-03")
def test_a_bucket_is_made_and_deleted_with_a_slash_too(s3: RawClient, new_name: Callable[[], str]) -> None:
    name = new_name()
    assert s3.request("PUT", f"/{name}/").status == 200
    assert name in s3.request("GET", "/").texts("Buckets/Bucket/Name")
    assert delete(s3, f"{name}/", DELETE_K).status == 200
    assert s3.request("DELETE", f"/{name}/").status == 204
    assert s3.request("HEAD", f"/{name}").status == 404


@pytest.mark.requirement("HTTP-24")
@pytest.mark.parametrize(
    "name",
    [
        "health",
        "healthz",
        "metrics",
        "minio",
        "console",
        "admin",
        "status",
        "static",
        "favicon.ico",
        "robots.txt",
    ],
)
def test_no_bucket_name_is_taken_by_the_server(s3: RawClient, name: str) -> None:
    assert s3.request("GET", f"/{name}").verdict == (404, "NoSuchBucket")
    assert s3.open_url("GET", f"/{name}").verdict == (403, "AccessDenied")
    assert s3.request("PUT", f"/{name}").status == 200
    assert s3.request("DELETE", f"/{name}").status == 204


# --- answers ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("HTTP-04")
@pytest.mark.parametrize("path", ["k", "none", "k?uploadId=x", "k?partNumber=9"])
def test_no_head_has_a_body(s3: RawClient, bucket: str, path: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x" * 1000)
    target, _, query = f"/{bucket}/{path}".partition("?")
    lines = s3.sign("HEAD", target, query, {"host": s3.host, "connection": "close"}, b"")
    received = all_that_comes(s3, render("HEAD", f"/{bucket}/{path}", lines))
    assert received.partition(b"\r\n\r\n")[2] == b""


@pytest.mark.requirement("HTTP-04")
def test_204_and_304_have_no_body(s3: RawClient, bucket: str) -> None:
    etag = s3.request("PUT", f"/{bucket}/k", body=b"x").headers["etag"]
    lines = s3.sign(
        "GET", f"/{bucket}/k", "", {"host": s3.host, "if-none-match": etag, "connection": "close"}, b""
    )
    unchanged = all_that_comes(s3, render("GET", f"/{bucket}/k", lines))
    lines = s3.sign("DELETE", f"/{bucket}/k", "", {"host": s3.host, "connection": "close"}, b"")
    deleted = all_that_comes(s3, render("DELETE", f"/{bucket}/k", lines))
    assert (unchanged[9:12], unchanged.partition(b"\r\n\r\n")[2]) == (b"304", b"")
    assert (deleted[9:12], deleted.partition(b"\r\n\r\n")[2]) == (b"204", b"")
    assert b"content-length" not in deleted.lower()


@pytest.mark.requirement("HTTP-05", "HTTP-25")
def test_every_answer_has_its_own_request_id_and_a_date(
    s3: RawClient, bucket: str, new_name: Callable[[], str]
) -> None:
    answers = [
        s3.request("GET", "/"),
        s3.request("PUT", f"/{bucket}/k", body=b"x"),
        s3.request("GET", f"/{bucket}/k"),
        s3.request("HEAD", f"/{bucket}/k"),
        s3.request("HEAD", f"/{bucket}/none"),
        s3.request("GET", f"/{bucket}/none"),
        s3.request("GET", f"/{new_name()}"),
        s3.request("GET", f"/{bucket}/k", headers={"if-none-match": f'"{md5_hex(b"x")}"'}),
        s3.open_url("GET", f"/{bucket}/k"),
        s3.open_url("OPTIONS", f"/{bucket}/k"),
        s3.request("PATCH", f"/{bucket}/k"),
        s3.request("PUT", f"/{bucket}/k", "policy"),
        s3.request("DELETE", f"/{bucket}/k"),
    ]
    ids = [answer.headers["x-amz-request-id"] for answer in answers]
    assert (len(set(ids)), "" in ids) == (len(answers), False)
    refused = [answer for answer in answers if answer.status >= 400 and answer.body]
    assert [answer.text("RequestId") for answer in refused] == [
        answer.headers["x-amz-request-id"] for answer in refused
    ]
    assert [
        answer.headers["date"] for answer in answers if not IMF_FIXDATE.fullmatch(answer.headers["date"])
    ] == []
    assert abs(parsedate_to_datetime(answers[-1].headers["date"]) - datetime.now(UTC)) < timedelta(seconds=30)


# --- framing ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("HTTP-06", "ERR-08")
def test_an_upload_without_a_length_is_refused(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"before")
    upload_id = s3.request("POST", f"/{bucket}/m", [("uploads", "")]).text("UploadId") or ""
    part = [("partNumber", "1"), ("uploadId", upload_id)]
    assert s3.request("PUT", f"/{bucket}/k", send_length=False).verdict == (411, "MissingContentLength")
    assert s3.request("PUT", f"/{bucket}/m", part, send_length=False).verdict == (411, "MissingContentLength")
    assert s3.request("GET", f"/{bucket}/k").body == b"before"
    assert s3.request("GET", f"/{bucket}/m", [("uploadId", upload_id)]).texts("Part") == []


@pytest.mark.requirement("HTTP-07", "PAY-09")
@pytest.mark.parametrize("size", [5, 300_000, 2_000_000])
def test_aws_chunked_may_come_in_http_chunks(s3: RawClient, bucket: str, size: int) -> None:
    body = b"x" * size
    trailer = f"x-amz-checksum-crc32:{crc32_b64(body)}"
    framed = f"{size:x}\r\n".encode() + body + f"\r\n0\r\n{trailer}\r\n\r\n".encode()
    pieces = [framed[at : at + 70_000] for at in range(0, len(framed), 70_000)]
    wire = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    headers = {
        "transfer-encoding": "chunked",
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(size),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    head = signed_put(s3, f"/{bucket}/k", headers, UNSIGNED_TRAILER)
    assert s3.send(head + wire, "PUT").status == 200
    assert s3.request("GET", f"/{bucket}/k").body == body


@pytest.mark.requirement("HTTP-08")
@pytest.mark.parametrize("body", [b"", b"hello", b"x" * 300_000], ids=len)
def test_a_plain_payload_may_come_in_http_chunks(s3: RawClient, bucket: str, body: bytes) -> None:
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    wire = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    head = signed_put(s3, f"/{bucket}/k", {"transfer-encoding": "chunked"})
    assert s3.send(head + wire, "PUT").status == 200
    assert s3.request("GET", f"/{bucket}/k").body == body


@pytest.mark.requirement("HTTP-09", "ERR-08")
@pytest.mark.parametrize(
    "order", [("content-length", "transfer-encoding"), ("transfer-encoding", "content-length")]
)
@pytest.mark.parametrize("length", [0, 5, 500])
def test_content_length_and_transfer_encoding_exclude_each_other(
    s3: RawClient, bucket: str, order: tuple[str, str], length: int
) -> None:
    lines = s3.sign("GET", f"/{bucket}", "", {"host": s3.host}, b"")
    smuggled = render("GET", f"/{bucket}", lines)
    values = {"content-length": str(length), "transfer-encoding": "chunked"}
    head = signed_put(s3, f"/{bucket}/k", {name: values[name] for name in order})
    received = all_that_comes(s3, head + b"5\r\nhello\r\n0\r\n\r\n" + smuggled)
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in received.lower()
    assert keys(s3, bucket) == []


@pytest.mark.requirement("HTTP-10", "ERR-08")
@pytest.mark.parametrize("announced", [6, 200_000, 3_000_000])
def test_a_body_that_ends_early_changes_nothing(s3: RawClient, bucket: str, announced: int) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"before")
    head = signed_put(s3, f"/{bucket}/k", {"content-length": str(announced)})
    received = all_that_comes(s3, head + b"hello", half_close=True)
    assert received[9:12] in (b"400", b"")
    assert received == b"" or b"<Code>IncompleteBody</Code>" in received
    assert s3.request("GET", f"/{bucket}/k").body == b"before"


@pytest.mark.requirement("HTTP-10", "ERR-08")
def test_chunks_that_end_early_change_nothing(s3: RawClient, bucket: str) -> None:
    head = signed_put(s3, f"/{bucket}/k", {"transfer-encoding": "chunked"})
    received = all_that_comes(s3, head + b"5\r\nhello\r\n", half_close=True)
    assert received == b"" or b"<Code>IncompleteBody</Code>" in received
    assert keys(s3, bucket) == []


@pytest.mark.requirement("HTTP-11")
@pytest.mark.parametrize("value", ["100-continue", "100-Continue"])
@pytest.mark.parametrize("size", [5, 2_000_000])
def test_continue_is_sent_before_the_body_comes(s3: RawClient, bucket: str, value: str, size: int) -> None:
    with s3.connect() as connection:
        connection.settimeout(10)
        connection.sendall(signed_put(s3, f"/{bucket}/k", {"content-length": str(size), "expect": value}))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"x" * size)
        assert read_response(connection, "PUT").status == 200
    assert s3.request("HEAD", f"/{bucket}/k").headers["content-length"] == str(size)


@pytest.mark.requirement("HTTP-11", "ERR-08")
@pytest.mark.parametrize(
    ("bend", "code"),
    [
        (lambda head: re.sub(rb"Signature=.{64}", b"Signature=" + b"0" * 64, head), "SignatureDoesNotMatch"),
        (lambda head: re.sub(rb"authorization: .*\r\n", b"", head), "AccessDenied"),
    ],
)
def test_what_is_refused_on_its_headers_gets_no_continue(
    s3: RawClient, bucket: str, bend: Callable[[bytes], bytes], code: str
) -> None:
    head = signed_put(s3, f"/{bucket}/k", {"content-length": "100000", "expect": "100-continue"})
    with s3.connect() as connection:
        connection.settimeout(10)
        connection.sendall(bend(head))
        first = connection.recv(12)
    assert first == b"HTTP/1.1 403"
    assert code


@pytest.mark.requirement("HTTP-11")
def test_an_upload_to_a_missing_bucket_gets_no_continue(s3: RawClient, new_name: Callable[[], str]) -> None:
    with s3.connect() as connection:
        connection.settimeout(10)
        connection.sendall(
            signed_put(s3, f"/{new_name()}/k", {"content-length": "9", "expect": "100-continue"})
        )
        assert connection.recv(12) == b"HTTP/1.1 404"


@pytest.mark.requirement("HTTP-12")
def test_an_unknown_expectation_is_ignored(s3: RawClient, bucket: str) -> None:
    head = signed_put(s3, f"/{bucket}/k", {"content-length": "5", "expect": "tea"})
    assert s3.send(head + b"hello", "PUT").status == 200


@pytest.mark.requirement("HTTP-13", "ERR-08")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("DELETE", "/"),
        ("PUT", "/"),
        ("POST", "/{bucket}/k"),
        ("PATCH", "/{bucket}"),
        ("PATCH", "/{bucket}/k"),
    ],
)
def test_a_method_that_means_nothing_here_is_refused(
    s3: RawClient, bucket: str, method: str, path: str
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"before")
    assert s3.request(method, path.format(bucket=bucket), body=b"x").verdict == (405, "MethodNotAllowed")
    assert s3.request("GET", f"/{bucket}/k").body == b"before"


@pytest.mark.requirement("HTTP-13", "ERR-08")
@pytest.mark.parametrize("method", ["COPY", "MOVE", "PROPFIND", "TRACE", "LOCK", "BREW", "get"])
def test_other_methods_are_refused(s3: RawClient, bucket: str, method: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"before")
    assert s3.request(method, f"/{bucket}/k").status in (400, 405, 501)
    assert s3.request("POST", f"/{bucket}", body=b"x").status == 412
    assert s3.request("GET", f"/{bucket}/k").body == b"before"


@pytest.mark.requirement("HTTP-16")
@pytest.mark.parametrize(
    "name",
    [
        "amz-sdk-invocation-id",
        "amz-sdk-request",
        "x-amz-user-agent",
        "x-amz-checksum-mode",
        "x-amz-request-payer",
        "x-amz-te",
        "x-amz-optional-object-attributes",
        "x-amz-cf-id",
        "x-amz-api-version",
    ],
)
@pytest.mark.parametrize(("method", "status"), [("PUT", 200), ("GET", 200), ("HEAD", 200), ("DELETE", 204)])
def test_headers_that_ask_for_nothing_are_ignored(
    s3: RawClient, bucket: str, method: str, status: int, name: str
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    values = {"x-amz-optional-object-attributes": "RestoreStatus", "x-amz-checksum-mode": "ENABLED"}
    headers = {name: values.get(name, "append-md5")}
    assert s3.request(method, f"/{bucket}/k", headers=headers).status == status


@pytest.mark.requirement("HTTP-16")
@pytest.mark.parametrize(
    "query", ["x-id=PutObject", "unknown", "unknown=1&other=2", "X-ID=a", "Acl=1", "sub"]
)
def test_query_names_without_a_meaning_are_ignored(s3: RawClient, bucket: str, query: str) -> None:
    assert s3.request("PUT", f"/{bucket}/k", query, body=b"x").status == 200
    assert s3.request("GET", f"/{bucket}/k", query).body == b"x"
    assert s3.request("GET", f"/{bucket}", query).texts("Contents/Key") == ["k"]
    assert s3.request("DELETE", f"/{bucket}/k", query).status == 204


# --- XML -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("HTTP-17", "ERR-08")
@pytest.mark.known_mistake(38)
@pytest.mark.parametrize(
    "prolog",
    [
        b"<!DOCTYPE Delete>",
        b'<!DOCTYPE Delete [<!ENTITY a "k">]>',
        b'<!DOCTYPE Delete [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE Delete SYSTEM "http://127.0.0.1:9/x.dtd">',
        b'<!DOCTYPE D [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>',
        b'<!DOCTYPE D [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
    ],
)
def test_a_document_with_declarations_is_refused(s3: RawClient, bucket: str, prolog: bytes) -> None:
    """CVE-2022-47950 (Swift): XML external entities read the server's files."""
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    document = b'<?xml version="1.0"?>' + prolog + DELETE_K.replace(b">k<", b">&a;<")
    response = delete(s3, bucket, document)
    assert response.verdict == (400, "MalformedXML")
    assert b"root:" not in response.body
    assert delete(s3, bucket, prolog + DELETE_K).verdict == (400, "MalformedXML")
    assert keys(s3, bucket) == ["k"]


@pytest.mark.requirement("HTTP-18")
@pytest.mark.parametrize(
    "document",
    [
        DELETE_K,
        DELETE_K.replace(b"<Delete>", f'<Delete xmlns="{NAMESPACE}">'.encode()),
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + DELETE_K,
        b"\xef\xbb\xbf" + DELETE_K,
        b'\xef\xbb\xbf<?xml version="1.0"?>' + DELETE_K,
        b"\n  " + DELETE_K + b"\n  ",
        DELETE_K.replace(b"><", b">\r\n\t <"),
        f'<s:Delete xmlns:s="{NAMESPACE}"><s:Object><s:Key>k</s:Key></s:Object></s:Delete>'.encode(),
        b"<Delete><!-- a comment --><Object><Key>k</Key></Object></Delete>",
        b"<Delete><Object><Key><![CDATA[k]]></Key></Object></Delete>",
        b"<Delete><Object><Key>&#107;</Key></Object></Delete>",
        b"<?xml version='1.0' encoding='UTF-8' standalone='yes'?>" + DELETE_K,
    ],
)
def test_a_document_may_be_written_in_any_of_these_ways(s3: RawClient, bucket: str, document: bytes) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    response = delete(s3, bucket, document)
    assert (response.status, response.texts("Deleted/Key")) == (200, ["k"])
    assert keys(s3, bucket) == []


@pytest.mark.requirement("HTTP-19")
@pytest.mark.parametrize(
    ("path", "query", "root"),
    [
        ("/", "", "ListAllMyBucketsResult"),
        ("/{bucket}", "", "ListBucketResult"),
        ("/{bucket}", "list-type=2", "ListBucketResult"),
        ("/{bucket}", "location", "LocationConstraint"),
        ("/{bucket}", "uploads", "ListMultipartUploadsResult"),
        ("/{bucket}", "versions", "ListVersionsResult"),
        ("/{bucket}", "versioning", "VersioningConfiguration"),
        ("/{bucket}", "acl", "AccessControlPolicy"),
        ("/{bucket}/k", "tagging", "Tagging"),
        ("/{bucket}/k", "acl", "AccessControlPolicy"),
    ],
)
def test_documents_are_in_the_namespace_of_s3(
    s3: RawClient, bucket: str, path: str, query: str, root: str
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    response = s3.request("GET", path.format(bucket=bucket), query)
    assert (response.status, response.xml.tag) == (200, root)
    assert response.headers["content-type"].split(";")[0] == "application/xml"
    assert response.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    assert f'<{root} xmlns="{NAMESPACE}"'.encode() in response.body
    response.body.decode()


@pytest.mark.requirement("HTTP-20", "HTTP-21")
def test_times_and_etags_have_one_form_everywhere(s3: RawClient, bucket: str) -> None:
    etag = s3.request("PUT", f"/{bucket}/k", body=b"x").headers["etag"]
    header = s3.request("HEAD", f"/{bucket}/k").headers["last-modified"]
    page = s3.request("GET", f"/{bucket}", [("list-type", "2")])
    listed = page.text("Contents/LastModified") or ""
    copy = s3.request("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": f"/{bucket}/k"})
    assert IMF_FIXDATE.fullmatch(header)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", listed)
    assert parsedate_to_datetime(header) == datetime.fromisoformat(listed).replace(microsecond=0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", copy.text("LastModified") or "")
    assert [etag, page.text("Contents/ETag"), copy.text("ETag")] == [f'"{md5_hex(b"x")}"'] * 3


# --- limits ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("HTTP-22")
def test_a_long_target_and_many_headers_are_accepted(s3: RawClient, bucket: str) -> None:
    query = "list-type=2&unknown=" + "a" * (6000 - len(f"/{bucket}?list-type=2&unknown="))
    assert s3.request("GET", f"/{bucket}", query).status == 200
    headers = {"x-amz-meta-a": "v" * 1990, **{f"x-custom-{number}": "v" * 100 for number in range(36)}}
    assert s3.request("PUT", f"/{bucket}/k", headers=headers, body=b"x").status == 200
    assert s3.request("HEAD", f"/{bucket}/k").headers["x-amz-meta-a"] == "v" * 1990


@pytest.mark.requirement("HTTP-22")
def test_a_document_of_2_mib_is_accepted(s3: RawClient, bucket: str) -> None:
    objects = b"".join(
        b"<Object><Key>%s%03d</Key></Object>" % (b"k" * 1000, number) for number in range(1000)
    )
    document = (
        b"<Delete><Quiet>true</Quiet>" + objects + b" " * (2 * 1024 * 1024 - len(objects) - 36) + b"</Delete>"
    )
    assert len(document) == 2 * 1024 * 1024
    assert delete(s3, bucket, document).status == 200


@pytest.mark.requirement("HTTP-22", "ERR-08")
@pytest.mark.known_mistake(39)
def test_what_is_beyond_the_limits_is_refused(s3: RawClient, bucket: str) -> None:
    """CVE-2018-1000538 (MinIO): a document without bounds filled the memory."""
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    target = s3.request("GET", f"/{bucket}", "unknown=" + "a" * 100_000)
    section = s3.request("GET", f"/{bucket}", headers={"x-custom": "a" * 100_000})
    number = s3.request("GET", f"/{bucket}", headers={f"x-custom-{number}": "" for number in range(1000)})
    document = delete(s3, bucket, DELETE_K.replace(b"<Object>", b" " * 20_000_000 + b"<Object>"))
    assert target.status in (400, 414)
    assert section.verdict in ((400, "RequestHeaderSectionTooLarge"), (431, ""))
    assert number.verdict in ((400, "RequestHeaderSectionTooLarge"), (431, ""))
    assert document.verdict[0] == 400
    assert document.code in ("MaxMessageLengthExceeded", "MalformedXML")
    assert keys(s3, bucket) == ["k"]


@pytest.mark.requirement("HTTP-26", "ERR-08")
@pytest.mark.parametrize("fault", ["signature", "bucket", "header"])
def test_the_refusal_of_a_16_mib_upload_can_be_read(
    s3: RawClient, bucket: str, new_name: Callable[[], str], fault: str
) -> None:
    sender = replace(s3, secret_access_key="wrong") if fault == "signature" else s3
    name = new_name() if fault == "bucket" else bucket
    headers = {"x-amz-server-side-encryption": "AES256"} if fault == "header" else {}
    body = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * (16 * 1024 * 1024 // 26)
    response = sender.request(
        "PUT", f"/{name}/k", headers=headers, body=body, payload_hash="UNSIGNED-PAYLOAD"
    )
    expected = {
        "signature": (403, "SignatureDoesNotMatch"),
        "bucket": (404, "NoSuchBucket"),
        "header": (501, "NotImplemented"),
    }
    assert response.verdict == expected[fault]
    assert keys(s3, bucket) == []


@pytest.mark.requirement("HTTP-26", "HTTP-09")
def test_what_is_left_of_a_refused_body_is_no_request(s3: RawClient, bucket: str) -> None:
    smuggled = render("GET", f"/{bucket}", s3.sign("GET", f"/{bucket}", "", {"host": s3.host}, b""))
    head = signed_put(
        replace(s3, secret_access_key="wrong"), f"/{bucket}/k", {"content-length": str(len(smuggled))}
    )
    with s3.connect() as connection:
        connection.sendall(head + smuggled)
        assert read_response(connection, "PUT").status == 403
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""


# --- what asks for nothing -------------------------------------------------------------------------------

NO_OPS = [
    {"x-amz-acl": "private"},
    {"x-amz-acl": "bucket-owner-full-control"},
    {"x-amz-storage-class": "STANDARD"},
    {"x-amz-object-ownership": "BucketOwnerEnforced"},
    {"x-amz-bucket-object-lock-enabled": "false"},
    {"x-amz-server-side-encryption-bucket-key-enabled": "false"},
    {"x-amz-bypass-governance-retention": "true"},
]


@pytest.mark.requirement("HTTP-27")
@pytest.mark.parametrize("headers", NO_OPS)
def test_values_that_change_nothing_are_accepted(
    s3: RawClient, bucket: str, new_name: Callable[[], str], headers: dict[str, str]
) -> None:
    upload = s3.request("POST", f"/{bucket}/m", [("uploads", "")], headers)
    part = [("partNumber", "1"), ("uploadId", upload.text("UploadId") or "")]
    answers = [
        s3.request("PUT", f"/{new_name()}", headers=headers),
        s3.request("PUT", f"/{bucket}/k", headers=headers, body=b"x"),
        s3.request("PUT", f"/{bucket}/copy", headers={**headers, "x-amz-copy-source": f"/{bucket}/k"}),
        upload,
        s3.request("PUT", f"/{bucket}/m", part, headers, b"x"),
        s3.request("DELETE", f"/{bucket}/m", part[1:], headers),
        s3.request("DELETE", f"/{bucket}/k", headers=headers),
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 200, 204, 204]


@pytest.mark.requirement("HTTP-11", "HTTP-26", "ERR-08")
@pytest.mark.parametrize("condition", [{"if-none-match": "*"}, {"if-match": '"0"'}])
def test_an_upload_whose_condition_is_false_gets_no_continue(
    s3: RawClient, bucket: str, condition: dict[str, str]
) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"before")
    framing = {"content-length": "9000000", "expect": "100-continue"}
    with s3.connect() as connection:
        connection.settimeout(10)
        connection.sendall(signed_put(s3, f"/{bucket}/k", {**condition, **framing}))
        assert connection.recv(12) == b"HTTP/1.1 412"
    assert s3.request("GET", f"/{bucket}/k").body == b"before"
