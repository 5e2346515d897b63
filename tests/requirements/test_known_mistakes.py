"""Mistakes of other servers that no single requirement forbids: secrets, listeners, inputs that cost time."""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import anys3
from tests.exemplars import Scene
from tests.forms import post
from tests.keepalive import KeepAlive
from tests.processes import ServerProcess, serving
from tests.rawclient import RawClient

SOURCES = sorted(Path(anys3.__file__).parent.rglob("*.py"))
ADMIN_PATHS = [
    "/minio/health/cluster",
    "/minio/admin/v3/info",
    "/minio/bootstrap/v1/verify",
    "/rustfs/rpc/read_file",
    "/rustfs/admin/v3/info",
    "/metrics",
    "/_status",
    "/debug/pprof",
    "/health",
    "/-/ready",
    "/admin",
    "/console",
    "/env",
    "/.env",
    "/info",
    "/server-info",
]


@pytest.mark.known_mistake(13)
def test_no_source_compares_a_signature_with_an_operator() -> None:
    """RustFS GHSA-3p3x: secrets were compared until the first difference."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.Eq | ast.NotEq)
        and any(
            re.search(r"signature\b|secret\b", ast.unparse(side)) and not isinstance(side, ast.Constant)
            for side in (node.left, *node.comparators)
            if not re.search(r"len\(|\.code\b|kind|lower\(\)", ast.unparse(side))
        )
    ]
    # `weakness_of` compares a secret with its own id, when the operator sets it.
    assert [place for place in found if not place.startswith("credentials.py:")] == []


@pytest.mark.known_mistake(14, 16)
@pytest.mark.parametrize(
    "secret", ["minioadmin", "rustfsadmin", "password", "", "short", "AKIATESTSOFANYS30000"]
)
def test_a_secret_that_others_can_guess_is_refused_where_others_can_reach_it(
    tmp_path: Path, secret: str
) -> None:
    """CVE-2025-68926, GHSA-r5qv and GHSA-j59h (RustFS), MinIO's minioadmin: everybody knew the key."""
    environment = {
        **os.environ,
        "ANYS3_ACCESS_KEY_ID": "AKIATESTSOFANYS30000",
        "ANYS3_SECRET_ACCESS_KEY": secret,
    }
    command = [
        sys.executable,
        "-m",
        "anys3",
        "serve",
        str(tmp_path / "data"),
        "--listen",
        "0.0.0.0:0",
        "--plain-http",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert ended.returncode not in (0, None)
    assert "secret" in ended.stderr.lower() or "ANYS3_SECRET_ACCESS_KEY" in ended.stderr


@pytest.mark.known_mistake(14, 16)
def test_every_server_makes_a_key_of_its_own() -> None:
    """RustFS's rustfsadmin and MinIO's minioadmin: a default key is everybody's key."""
    with anys3.Server() as one, anys3.Server() as other:
        pairs = {(one.access_key_id, one.secret_access_key), (other.access_key_id, other.secret_access_key)}
    assert len(pairs) == 2
    assert min(len(secret) for _, secret in pairs) >= 40
    assert {key_id for key_id, _ in pairs} & {secret for _, secret in pairs} == set()


@pytest.mark.known_mistake(17, 36, 11)
@pytest.mark.parametrize("path", ADMIN_PATHS)
def test_nothing_inside_is_told_to_strangers(s3: RawClient, path: str) -> None:
    """CVE-2023-28432 (MinIO): an open route told the environment, secrets and all."""
    answers = [s3.open_url(method, path) for method in ("GET", "POST", "HEAD", "PUT", "OPTIONS")]
    told = b"".join(answer.raw_head + answer.body for answer in answers)
    assert {answer.status for answer in answers} <= {400, 403, 405, 412}
    assert (s3.secret_access_key.encode() in told, s3.access_key_id.encode() in told) == (False, False)


@pytest.mark.known_mistake(17)
def test_no_answer_holds_the_secret(s3: RawClient, bucket: str) -> None:
    """CVE-2023-28432 (MinIO), for those who may ask: the secret is in no document and in no error."""
    scene = Scene(s3, bucket)
    scene.prepare()
    with KeepAlive(s3) as wire:
        answers = [wire.exchange(one.render(s3), one.method) for one in scene.exemplars()]
        wrong = RawClient(s3.endpoint, s3.access_key_id, "wrong").request("GET", f"/{bucket}")
    told = [one for one in [*answers, wrong] if s3.secret_access_key.encode() in one.raw_head + one.body]
    assert told == []


HARD_INPUTS = [
    {"accept": "a" * 20000 + "/" + ",;" * 5000},
    {"accept-encoding": "gzip;q=" + "0" * 20000},
    {"range": "bytes=" + "0-1," * 6000},
    {"range": "bytes=" + "9" * 20000 + "-"},
    {"if-none-match": '"' * 20000},
    {"if-match": 'W/"' * 6000},
    {"if-modified-since": "Mon, " * 5000},
    {"content-type": "a/" + "a;" * 9000},
    {"authorization": "AWS4-HMAC-SHA256 " + "Credential=" * 1800},
    {"authorization": "AWS4-HMAC-SHA256 Credential=" + "/" * 20000 + ", SignedHeaders=host, Signature=0"},
    {
        "authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders="
        + "a;" * 9000
        + ", Signature=0"
    },
    {"x-amz-date": "2" * 20000},
    {"host": "a." * 9000 + "b"},
    {"origin": "https://" + "a*" * 9000},
    {"x-amz-copy-source": "/" + "%2e%2e/" * 2500},
    {"x-amz-tagging": "a=b&" * 5000},
    {"content-encoding": "aws-chunked," * 1600},
    {"cookie": "a=" * 9000},
]


@pytest.mark.known_mistake(18)
@pytest.mark.parametrize("headers", HARD_INPUTS, ids=lambda headers: next(iter(headers)))
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_no_header_keeps_the_server_busy(
    s3: RawClient, bucket: str, method: str, headers: dict[str, str]
) -> None:
    """CVE-2026-71190 (Swift): a regular expression ran for minutes. (The client waits for 20 s.)"""
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    unsigned = {
        name: value for name, value in headers.items() if not name.startswith("x-amz") or name == "x-amz-date"
    }
    signed = {name: value for name, value in headers.items() if name not in unsigned}
    response = s3.request(method, f"/{bucket}/k", headers=signed, unsigned_headers=unsigned)
    assert response.status in (200, 206, 304, 400, 403, 404, 412, 416, 431, 501)
    assert s3.request("GET", f"/{bucket}/k").status == 200


@pytest.mark.known_mistake(18, 9)
@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Credential=" + "%2F" * 4000,
        "&" * 15000,
        "=&" * 7000,
        "a=b&" * 3500,
        "prefix=" + "a%2F" * 3000,
        "delimiter=" + "a" * 14000,
    ],
)
def test_no_query_keeps_the_server_busy(s3: RawClient, bucket: str, query: str) -> None:
    """CVE-2026-71190 (Swift), by the query."""
    assert s3.open_url("GET", f"/{bucket}?{query}").status in (400, 403)
    assert s3.request("GET", f"/{bucket}", f"list-type=2&{query}").status in (200, 400)


def listening_ports(pid: int) -> set[int]:
    """Return the TCP ports on which a process and its children listen (Linux)."""
    family = [pid, *(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    inodes = set()
    for member in family:
        for descriptor in Path(f"/proc/{member}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since
                target = str(descriptor.readlink())
                inodes |= {target[8:-1]} if target.startswith("socket:[") else set()
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    listening = "0A"
    return {
        int(fields[1].rpartition(":")[2], 16)
        for fields in lines
        if fields[3] == listening and fields[9] in inodes
    }


@pytest.mark.known_mistake(36, 12)
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's /proc")
def test_a_server_listens_on_its_one_port_only(tmp_path: Path) -> None:
    """CVE-2026-55873 (SeaweedFS): an internal listener without authentication managed the keys."""
    with serving(tmp_path / "data", "--workers", "1") as process:
        assert isinstance(process, ServerProcess)
        assert process._process is not None
        assert listening_ports(process._process.pid) == {process.port}


@pytest.mark.requirement("HTTP-15")
@pytest.mark.known_mistake(37)
@pytest.mark.parametrize(
    "headers",
    [
        {"x-minio-source-mtime": "2001-01-01T00:00:00Z", "x-minio-source-etag": "0" * 32},
        {"x-minio-replication-request": "true"},
        {"x-backend-storage-policy-index": "1"},
        {"x-object-meta-a": "1"},
        {"x-seaweedfs-ttl": "1"},
        {"x-timestamp": "1"},
    ],
)
def test_headers_of_the_inside_of_other_servers_do_nothing(
    s3: RawClient, bucket: str, headers: dict[str, str]
) -> None:
    """CVE-2026-34204 (MinIO), CVE-2026-71192 and CVE-2026-50221 (Swift): clients sent internal headers."""
    s3.request("PUT", f"/{bucket}/plain", body=b"x")
    s3.request("PUT", f"/{bucket}/k", headers=headers, body=b"x")
    exempt = {"date", "x-amz-request-id", "last-modified"}
    plain, sent = (s3.request("HEAD", f"/{bucket}/{key}").headers for key in ("plain", "k"))
    assert {k: v for k, v in sent.items() if k not in exempt} == {
        k: v for k, v in plain.items() if k not in exempt
    }
    assert sent["last-modified"][-17:-13] == plain["last-modified"][-17:-13]


@pytest.mark.known_mistake(40)
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_no_origin_is_believed_unasked(s3: RawClient, bucket: str, origin: str) -> None:
    """RustFS GHSA-v9fg, GHSA-7gcx, GHSA-x5xv: any origin was reflected, with credentials."""
    s3.request("PUT", f"/{bucket}/k", headers={"content-type": "text/html"}, body=b"<script>1</script>")
    answers = [
        s3.request("GET", f"/{bucket}/k", headers={"origin": origin}),
        s3.request("GET", f"/{bucket}/<script>", headers={"origin": origin}),
        s3.open_url("OPTIONS", f"/{bucket}/k", {"origin": origin, "access-control-request-method": "GET"}),
    ]
    assert [name for one in answers for name in one.headers if name.startswith("access-control-")] == []


@pytest.mark.known_mistake(40)
def test_errors_are_no_pages(s3: RawClient, bucket: str) -> None:
    """RustFS GHSA-v9fg: what a stranger put into a URL became a page's script."""
    response = s3.request("GET", f"/{bucket}/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert response.headers["content-type"].split(";")[0] == "application/xml"
    assert b"<script>" not in response.body


@pytest.mark.known_mistake(42)
def test_no_secret_is_logged(
    s3: RawClient, bucket: str, caplog: pytest.LogCaptureFixture, new_name: Callable[[], str]
) -> None:
    """RustFS GHSA-r54g, GHSA-8cm2, GHSA-333v: secrets stood in the logs."""
    caplog.set_level(logging.DEBUG)
    scene = Scene(s3, bucket)
    scene.prepare()
    wrong = RawClient(s3.endpoint, s3.access_key_id, "a-secret-that-was-mistyped")
    target = s3.presign("GET", f"/{bucket}/k")
    with KeepAlive(s3) as wire:
        requests = [(one, client) for one in scene.exemplars() for client in (s3, wrong)]
        answers = [wire.exchange(one.render(client), one.method).status for one, client in requests]
    assert {200, 403} <= set(answers)
    assert (s3.open_url("GET", target).status, s3.open_url("GET", target[:-1]).status) == (200, 403)
    post(s3, bucket, {"key": "k"})
    s3.request("GET", f"/{new_name()}", headers={"x-amz-security-token": "a-token"})
    assert [
        record.getMessage() for record in caplog.records if s3.secret_access_key in record.getMessage()
    ] == []
    assert [record.getMessage() for record in caplog.records if target[-64:] in record.getMessage()] == []
    assert [record.getMessage() for record in caplog.records if "a-token" in record.getMessage()] == []


@pytest.mark.known_mistake(7)
@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 100,
        b"\x16\x03\x01\x02\x00\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"\r\n" * 1000,
        bytes(range(256)),
    ],
)
def test_what_is_not_http_ends_the_connection_only(s3: RawClient, bucket: str, data: bytes) -> None:
    """GHSA-v2ch-c8v8-fgr7 (VersityGW): raw bytes ended the server."""
    with s3.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(1000):
            answer += piece
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert s3.request("HEAD", f"/{bucket}").status == 200


@pytest.mark.requirement("HTTP-15")
@pytest.mark.known_mistake(45)
@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-server-side-encryption": "AES256"},
        {"x-amz-server-side-encryption": "aws:kms"},
        {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
    ],
)
@pytest.mark.parametrize("operation", ["PutObject", "CopyObject", "CreateMultipartUpload"])
def test_encryption_is_never_promised(
    s3: RawClient, bucket: str, operation: str, headers: dict[str, str]
) -> None:
    """RustFS GHSA-xrrf: the answer said encrypted, the disk said it all in the clear."""
    scene = Scene(s3, bucket)
    scene.prepare()
    one = scene.exemplar(operation)
    before = scene.state()
    response = s3.request(one.method, one.path, one.query, {**one.headers, **headers}, one.body)
    assert response.verdict == (501, "NotImplemented")
    assert scene.state() == before


def peak_of_the_workers(process: ServerProcess) -> int:
    """Return the most memory that any process of a server has ever had resident, in KiB (Linux)."""
    assert process._process is not None
    pid = process._process.pid
    family = [pid, *(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    texts = [Path(f"/proc/{member}/status").read_text() for member in family]
    return max(int(re.findall(r"VmHWM:\s+(\d+) kB", text)[0]) for text in texts)


@pytest.mark.known_mistake(51)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_a_download_does_not_take_the_object_into_memory(tmp_path: Path) -> None:
    """rustfs#2763: a server held each object that it sent as a whole."""
    size = 192 << 20
    with serving(tmp_path / "data", "--workers", "1") as process:
        s3 = process.s3
        assert s3.request("PUT", "/bucket").status == 200
        s3.request("PUT", "/bucket/warm", body=bytes(4 << 20))
        s3.request("GET", "/bucket/warm")
        before = peak_of_the_workers(process)
        assert s3.request("PUT", "/bucket/k", body=bytes(size)).status == 200
        assert len(s3.request("GET", "/bucket/k").body) == size
        assert peak_of_the_workers(process) - before < 64 << 10
