"""What the doctor says of an endpoint."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path

import pytest

from anys3.cli import doctor_endpoint
from anys3.client import endpoint
from anys3.client.connections import Dialer
from anys3.server import tls
from anys3.server.findings import Finding, Level
from tests.backup.conftest import anys3
from tests.processes import ACCESS_KEY_ID, SECRET_ACCESS_KEY, ServerProcess, serving

UNHEALTHY = 13
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY, "HOME": "/nowhere"}
NOBODY = {"HOME": "/nowhere"}
DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    place = tmp_path_factory.mktemp("doctor") / "store"
    with serving(place, "--workers", "1", "--buckets", "photos", "--region", "eu-test-1") as process:
        yield process


def findings(url: str, environment: Mapping[str, str], ca_file: Path | None = None) -> dict[str, Finding]:
    dialer = Dialer(endpoint.parse(url), 10.0, str(ca_file) if ca_file else None)
    patient = doctor_endpoint.Patient(dialer, environment)
    return {finding.id: finding for finding in doctor_endpoint.of_endpoint(patient)}


@contextmanager
def answering(
    status: str = "403 Forbidden",
    body: bytes = DENIED,
    headers: str = "",
    secured: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """Answer every request in the same way, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    _answer(secured.wrap_socket(connection, server_side=True) if secured else connection)
                except OSError:
                    connection.close()

        def _answer(connection: socket.socket) -> None:
            with connection:
                connection.settimeout(5)
                if connection.recv(65536):
                    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
                    connection.sendall(head.encode() + body)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def of(port: int, environment: Mapping[str, str] = NOBODY, scheme: str = "http") -> dict[str, Finding]:
    return findings(f"{scheme}://127.0.0.1:{port}", environment)


# --- a server that is well ----------------------------------------------------------------------------


def test_a_server_is_well(server: ServerProcess) -> None:
    found = of(server.port, KEYS)
    assert {name: finding.level for name, finding in found.items() if name != "latency"} == {
        "reached": "ok", "clock": "ok", "s3": "ok", "path-style": "ok", "credentials": "ok",
    }  # fmt: skip
    assert found["credentials"].found.endswith("is accepted in us-east-1, and sees 1 buckets")


def test_the_command_tells_it_and_what_to_run_next(server: ServerProcess) -> None:
    done = anys3("doctor", f"http://127.0.0.1:{server.port}")
    assert (done.returncode, "anys3 check http://127.0.0.1" in done.stderr) == (0, True)


def test_json_is_of_the_same_shape_as_for_a_directory() -> None:
    done = anys3("doctor", f"http://127.0.0.1:{unused_port()}", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["worst"], [finding["id"] for finding in told["findings"]]) == (
        UNHEALTHY,
        "problem",
        ["reached"],
    )


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# --- reached, HTTP and S3 -----------------------------------------------------------------------------


def test_a_port_that_nobody_listens_on_is_told() -> None:
    found = of(unused_port())["reached"]
    assert (found.level, "start the server" in found.advice) == ("problem", True)


def test_a_name_without_an_address_is_told() -> None:
    assert findings("http://nowhere.invalid", NOBODY)["reached"].level == "problem"


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [("200 OK", b"<html>console</html>", ""), ("302 Found", b"", "Location: https://elsewhere/\r\n")],
)
def test_what_is_no_s3_is_told(status: str, body: bytes, headers: str) -> None:
    with answering(status, body, headers) as port:
        assert of(port)["s3"].level == "problem"


def test_an_answer_that_is_cut_short_is_told() -> None:
    with answering("no status") as port:
        assert of(port)["http"].level == "problem"


@pytest.mark.parametrize(
    ("off_s", "level"), [(0, "ok"), (-120, "warning"), (120, "warning"), (1000, "problem")]
)
def test_a_clock_that_differs_is_told(off_s: int, level: Level) -> None:
    with answering(headers=f"Date: {formatdate(time.time() + off_s, usegmt=True)}\r\n") as port:
        assert of(port)["clock"].level == level


def test_an_answer_without_a_date_is_told() -> None:
    with answering() as port:
        assert of(port)["clock"].level == "warning"


def test_a_slow_endpoint_is_told() -> None:
    assert [doctor_endpoint.of_latency([ms] * 5).level for ms in (20.0, 400.0)] == ["ok", "note"]


def test_a_server_that_does_not_answer_each_time_is_told() -> None:
    assert doctor_endpoint.of_latency([20.0] * 4).level == "problem"


# --- credentials --------------------------------------------------------------------------------------


def test_without_credentials_only_anonymous_looks_are_taken(server: ServerProcess) -> None:
    assert of(server.port)["credentials"].level == "note"


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "check the secret"),
        ({"AWS_ACCESS_KEY_ID": "NOBODY"}, "access key id"),
    ],
)
def test_credentials_that_are_refused_are_told(
    server: ServerProcess, wrong: dict[str, str], advice: str
) -> None:
    found = of(server.port, KEYS | wrong)["credentials"]
    assert (found.level, advice in found.advice) == ("problem", True)


def test_no_secret_is_told(server: ServerProcess) -> None:
    assert SECRET_ACCESS_KEY not in repr(of(server.port, KEYS))


def test_another_region_is_told_and_used(server: ServerProcess) -> None:
    found = of(server.port, KEYS | {"AWS_REGION": "mars-north-1"})
    assert (found["region"].level, found["credentials"].level) == ("warning", "ok")
    assert "--region eu-test-1" in found["region"].advice


# --- TLS ----------------------------------------------------------------------------------------------


Secured = Callable[[int], ssl.SSLContext]


@pytest.fixture
def certificate(tmp_path: Path) -> Secured:
    """Make a certificate for 127.0.0.1 of some age in days, in `tmp_path`/chain.pem."""
    pytest.importorskip("cryptography")

    def make(age_days: int) -> ssl.SSLContext:
        chain, key = tls.self_signed(["127.0.0.1"], datetime.now(UTC) - timedelta(days=age_days))
        (tmp_path / "chain.pem").write_bytes(chain)
        (tmp_path / "key.pem").write_bytes(key)
        return tls.server_context(tmp_path / "chain.pem", tmp_path / "key.pem")

    return make


@pytest.mark.parametrize(("age_days", "level"), [(0, "ok"), (390, "warning")])
def test_a_trusted_certificate_is_told_with_its_life(
    certificate: Secured, tmp_path: Path, age_days: int, level: Level
) -> None:
    with answering(secured=certificate(age_days)) as port:
        found = findings(f"https://127.0.0.1:{port}", NOBODY, tmp_path / "chain.pem")
    assert (found["tls"].found, found["certificate"].level, "trust" in found) == ("TLSv1.3", level, False)


def test_a_certificate_that_is_not_trusted_gets_no_credentials(certificate: Secured) -> None:
    with answering(secured=certificate(0)) as port:
        found = of(port, KEYS, "https")
    assert (found["trust"].level, found["s3"].level, found["credentials"].found) == (
        "problem", "ok", "not tried: the certificate isn't trusted",
    )  # fmt: skip


def test_an_expired_certificate_is_told(certificate: Secured, tmp_path: Path) -> None:
    with answering(secured=certificate(400)) as port:
        found = findings(f"https://127.0.0.1:{port}", NOBODY, tmp_path / "chain.pem")
    assert (found["trust"].level, found["certificate"].level) == ("problem", "problem")


def test_a_port_that_speaks_no_tls_is_told() -> None:
    with answering() as port:
        assert "http://" in of(port, scheme="https")["reached"].advice


@pytest.mark.parametrize(
    ("known", "level"), [("s3.test", "note"), ("anys3-doctor-looks-for-this-bucket.s3.test", "ok")]
)
def test_another_machine_is_looked_at_for_plain_http_and_virtual_hosts(
    server: ServerProcess, known: str, level: Level
) -> None:
    """A name of this machine that is no loopback name stands for another machine."""
    text = (
        "import socket; from anys3.cli import main\n"
        "real = socket.getaddrinfo\n"
        "def resolve(host, *rest, **more):\n"
        f"    return real('127.0.0.1' if host in ('s3.test', {known!r}) else 'nowhere.invalid', *rest, **more)\n"
        "socket.getaddrinfo = resolve\n"
        f"main(['doctor', 'http://s3.test:{server.port}', '--json'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False, env={**os.environ, **KEYS}
    )
    levels = {finding["id"]: finding["level"] for finding in json.loads(done.stdout)["findings"]}
    assert (levels["tls"], levels["virtual-host"]) == ("warning", level)
