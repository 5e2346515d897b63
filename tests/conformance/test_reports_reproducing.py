"""The commands of a report, run by a real shell with a real curl against our own server."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from anys3.conformance.exchanges import Exchange
from anys3.conformance.kit.bent import forge
from anys3.conformance.outcomes import Outcome, Result
from anys3.conformance.probe import Probe
from anys3.conformance.reports.reproducing import check_line, curl, script
from tests.broken_servers import MAIN, BreakableServer

NASTY = 'it\'s $(touch pwned) `touch pwned` "q" ; touch pwned & \\'
SIGNED = (
    ("host", "s3.example.com"),
    ("x-amz-date", "20260101T000000Z"),
    ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("authorization", (
     "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request,"
     " SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=(redacted)")),
)  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BreakableServer]:
    with BreakableServer(tmp_path_factory.mktemp("plain"), is_tls=False) as server:
        yield server


@pytest.fixture
def probe(plain: BreakableServer, tmp_path: Path) -> Iterator[Probe]:
    with plain.ground(tmp_path / "journals") as ground:
        yield Probe(ground, "PUT-03/some-check")


def ran(command: str, folder: Path) -> bytes:
    """Return what a shell prints for a command, run in an empty folder."""
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    keys = {"AWS_ACCESS_KEY_ID": MAIN.access_key_id, "AWS_SECRET_ACCESS_KEY": MAIN.secret_access_key}
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **keys}
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["sh", "-eu", "-c", command], cwd=folder, env=environment, capture_output=True, timeout=30, check=True
    )
    assert [*folder.iterdir()] == []
    return done.stdout


def status_of(printed: bytes) -> int:
    return int(printed.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"plain\ntext",
        NASTY.encode(),
        b"@/etc/passwd",
        "umläut".encode(),
        b"%s\\n\0\xff\r\n\t'",
        b"\\x41'\xff",
    ],
)
def test_a_put_of_any_body_is_sent_again_byte_by_byte(probe: Probe, tmp_path: Path, body: bytes) -> None:
    key = probe.key("again")
    assert probe.put(key, body, {"content-type": "text/x-own", "x-amz-meta-shade": "dark blue"}).status == 200
    command = curl(probe.exchanges[-1], probe.ground.endpoint.url)
    assert probe.delete(key).status == 204
    assert status_of(ran(command, tmp_path / "shell")) == 200
    found = probe.get(key)
    assert (found.body, found.header("content-type"), found.header("x-amz-meta-shade")) == (
        body,
        "text/x-own",
        "dark blue",
    )


@pytest.mark.parametrize("name", ["a b+c", "x~y//z", "../up", "%2F&=;", "quote'$(touch pwned)", "ümläut"])
def test_any_key_is_read_again(probe: Probe, tmp_path: Path, name: str) -> None:
    key = probe.key(name)
    assert probe.put(key, b"content\n").status == 200
    assert probe.get(key).status == 200
    printed = ran(curl(probe.exchanges[-1], probe.ground.endpoint.url), tmp_path / "shell")
    assert status_of(printed) == 200
    assert printed.endswith(b"\r\n\r\ncontent\n")


def test_a_listing_with_a_query_is_asked_again(probe: Probe, tmp_path: Path) -> None:
    assert probe.put(probe.key("one thing"), b"").status == 200
    assert probe.list_keys(("delimiter", "/"), ("encoding-type", "url")).status == 200
    printed = ran(curl(probe.exchanges[-1], probe.ground.endpoint.url), tmp_path / "shell")
    assert status_of(printed) == 200
    assert b"one%20thing" in printed or b"one+thing" in printed


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_methods_without_a_body_are_sent_again(probe: Probe, tmp_path: Path, method: str) -> None:
    assert probe.put(probe.key()).status == 200
    status = probe.request(method, probe.path(probe.key())).status
    assert probe.put(probe.key()).status == 200
    command = curl(probe.exchanges[-2], probe.ground.endpoint.url)
    assert status_of(ran(command, tmp_path / "shell")) == status


def test_what_nobody_asked_is_asked_again_without_a_signature(probe: Probe, tmp_path: Path) -> None:
    assert probe.request("GET", probe.path(probe.key()), identity=None).status == 403
    command = curl(probe.exchanges[-1], probe.ground.endpoint.url)
    assert "--user" not in command
    assert status_of(ran(command, tmp_path / "shell")) == 403


def test_a_script_makes_the_bucket_that_the_run_has_deleted(plain: BreakableServer, tmp_path: Path) -> None:
    with plain.ground(tmp_path / "journals") as ground:
        probe = Probe(ground, "PUT-03/some-check")
        probe.put(probe.key("one"), b"1")
        probe.get(probe.key("one"))
    result = Result("PUT-03/some-check", ("PUT-03",), "MUST", "PutObject", "", Outcome.FAIL, "",
                    (), tuple(probe.exchanges))  # fmt: skip
    printed = ran(script(result, plain.url), tmp_path / "shell")
    assert re.findall(rb"^HTTP/1.1 (\d+)", printed, re.MULTILINE) == [b"200", b"200", b"200"]
    assert printed.endswith(b"\r\n\r\n1")
    with plain.ground(tmp_path / "journals") as ground:
        assert Probe(ground, "end").request("DELETE", f"/{probe.bucket}/{probe.key('one')}").status == 204
        assert Probe(ground, "end").request("DELETE", f"/{probe.bucket}").status == 204


def test_a_bent_signature_is_shown_and_not_run(probe: Probe, tmp_path: Path) -> None:
    probe.request("GET", probe.path(probe.key()), bend=lambda headers: headers.pop("x-amz-date"))
    command = curl(probe.exchanges[-1], probe.ground.endpoint.url)
    assert all(line.startswith("#") for line in command.splitlines())
    assert f"# GET {probe.path(probe.key())} HTTP/1.1" in command.splitlines()
    assert ran(command, tmp_path / "shell") == b""


def test_a_forged_signature_is_never_in_a_command(probe: Probe) -> None:
    probe.request("GET", probe.path(probe.key()), bend=forge)
    assert "0" * 64 not in curl(probe.exchanges[-1], probe.ground.endpoint.url)


UNSENDABLE = [
    ({"request_headers": (*SIGNED, ("transfer-encoding", "chunked"))}, "chunks"),
    ({"request_headers": (*SIGNED, ("x-amz-meta-a", "1\r\nx-evil: 2"))}, "command line"),
    ({"request_headers": (*SIGNED, ("host", "s3.example.com"))}, "twice"),
    ({"request_headers": (*SIGNED[1:], ("host", "elsewhere.example"))}, "another host"),
    ({"target": "/a/b?X-Amz-Signature=(redacted)"}, "query"),
    ({"target": "/a b\n$(touch pwned)"}, "path"),
    ({"target": "*"}, "path"),
    (
        {
            "request_headers": (*SIGNED, ("content-length", "5000000")),
            "request_size": 5_000_000,
            "request_body": "aaa ... (4999997 more bytes)",
        },
        "whole body",
    ),
    ({"request_size": 9, "request_body": "123"}, "Content-Length"),
    ({"method": "PUT"}, "Content-Length"),
    ({"request_headers": SIGNED, "answer_headers": (("Date", "Wed, 21 Jan 2026 00:00:00 GMT"),)}, "dated"),
    ({"identity": "main", "request_headers": (("host", "s3.example.com"),)}, "on purpose"),
]


@pytest.mark.parametrize(("changes", "reason"), UNSENDABLE)
def test_what_curl_would_send_otherwise_is_a_comment_with_the_reason(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    sound = Exchange("GET", "/bucket/key", "main", SIGNED, "", 0, 200)
    assert curl(sound, "https://s3.example.com").startswith("curl ")
    command = curl(dataclasses.replace(sound, **changes), "https://s3.example.com")  # type: ignore[arg-type]
    assert reason in command.splitlines()[0]
    assert all(line.startswith("#") for line in command.splitlines())
    assert ran(command, tmp_path / "shell") == b""


def test_a_session_token_comes_from_the_environment() -> None:
    headers = (*SIGNED[:3], ("x-amz-security-token", "(redacted)"),
               ("authorization", SIGNED[3][1].replace("x-amz-date,", "x-amz-date;x-amz-security-token,")))  # fmt: skip
    command = curl(Exchange("GET", "/b/k", "main", headers, "", 0, 200), "https://s3.example.com")
    assert '"x-amz-security-token: $AWS_SESSION_TOKEN"' in command
    assert "(redacted)" not in command


def test_the_line_of_a_check_is_quoted() -> None:
    assert check_line("https://s3.example.com", "PUT-03/x") == "anys3 check https://s3.example.com PUT-03/x"
    assert check_line("http://a/$(x)", "it's") == """anys3 check 'http://a/$(x)' 'it'"'"'s'"""
