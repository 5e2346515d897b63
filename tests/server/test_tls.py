"""TLS: versions, certificates, and the same messages inside it."""

from __future__ import annotations

import hashlib
import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from anys3.server import tls
from anys3.server.limits import MIB, Limits
from tests.server.wire_server import WireServer, read_all, read_reply, serving

HOST = b"Host: localhost\r\n"
NAMES = ("localhost", "127.0.0.1", "::1")
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tls.self_signed_files(tmp_path_factory.mktemp("tls"), NAMES, NOW)


@pytest.fixture(scope="module")
def secure(files: tuple[Path, Path]) -> Iterator[WireServer]:
    client = ssl.create_default_context(cafile=str(files[0]))
    with serving(tls=(tls.server_context(*files), client)) as running:
        yield running


def handshake(
    server: WireServer, lowest: ssl.TLSVersion, highest: ssl.TLSVersion, ciphers: str
) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the old versions are the point
        context.minimum_version = lowest
        context.maximum_version = highest
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        with context.wrap_socket(sock) as secured:
            return secured.version()


@pytest.mark.requirement("HTTP-01")
@pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)
def test_tls_1_2_and_1_3_are_spoken(secure: WireServer, version: ssl.TLSVersion, name: str) -> None:
    assert handshake(secure, version, version, "DEFAULT") == name


@pytest.mark.requirement("HTTP-01")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused_by_the_server(secure: WireServer, version: ssl.TLSVersion) -> None:
    # SECLEVEL=0: the client must be willing, so that the refusal is the server's: an alert, or its end.
    with pytest.raises(ssl.SSLError, match="ALERT|EOF"):
        handshake(secure, version, version, "DEFAULT:@SECLEVEL=0")


@pytest.mark.requirement("HTTP-01")
def test_the_certificate_is_valid_for_its_names(secure: WireServer) -> None:
    with secure.connect() as sock:
        assert isinstance(sock, ssl.SSLSocket)
        certificate = sock.getpeercert()
        sock.sendall(b"GET /echo/a HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_reply(sock).body == b"GET /echo/a "
    assert certificate is not None
    assert {value for _, value in certificate["subjectAltName"]} >= {"localhost", "127.0.0.1"}


@pytest.mark.parametrize("action", [b"chunks", b"pump", b"first-then-pump"])
def test_large_bodies_come_through_tls(secure: WireServer, action: bytes) -> None:
    body = bytes(range(251)) * 41_000
    with secure.connect() as sock:
        sock.sendall(b"PUT /%b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n" % (action, HOST, len(body)) + body)
        assert read_reply(sock).body.decode() == hashlib.sha256(body).hexdigest()
        sock.sendall(b"GET /echo/a HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_reply(sock).body == b"GET /echo/a "


def test_large_contents_go_through_tls(secure: WireServer) -> None:
    with secure.connect() as sock:
        sock.sendall(b"GET /blocks/%d HTTP/1.1\r\n%b\r\n" % (9 * MIB + 1, HOST))
        reply = read_reply(sock)
    assert reply.body == (bytes(range(256)) * 4096 * 10)[: 9 * MIB + 1]


@pytest.mark.requirement("HTTP-26")
def test_a_refused_upload_can_read_its_answer_through_tls(secure: WireServer) -> None:
    with secure.connect() as sock:
        sock.sendall(b"PUT /refuse HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n" % (HOST, 16 * MIB))
        sock.sendall(b"a" * 16 * MIB)
        assert read_reply(sock).status == 403


def test_plain_http_on_the_tls_port_is_closed_and_logged_as_no_error(
    secure: WireServer, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", secure.port), timeout=10) as sock:
        sock.sendall(b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"200" not in read_all(sock)
    assert [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")] == []


def test_an_idle_client_that_never_says_goodbye_does_not_hold_a_stopping_server(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    contexts = tls.server_context(files[0], files[1]), ssl.create_default_context(cafile=str(files[0]))
    with serving(Limits(goodbye_timeout_s=0.1, drain_s=20), tls=contexts) as server, ExitStack() as held:
        sock = held.enter_context(server.connect())
        sock.sendall(b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_reply(sock).status == 200
        # The connection outlives the server's stop: nobody reads what it sends, or answers it.
        held.pop_all()
    assert "did not finish" not in caplog.text
    sock.close()


def test_a_reload_changes_the_certificate_of_new_connections(tmp_path: Path) -> None:
    chain, key = tls.self_signed_files(tmp_path, ["localhost"], NOW)
    context = tls.server_context(chain, key)
    client = ssl.create_default_context(cafile=str(chain))
    with serving(tls=(context, client)) as server:
        server.connect().close()
        certificate, secret = tls.self_signed(["localhost"], NOW)
        chain.write_bytes(certificate)
        with pytest.raises(ssl.SSLError):
            tls.reload(context, chain, key)  # the key does not fit: the old pair stays
        server.connect().close()
        key.write_bytes(secret)
        tls.reload(context, chain, key)
        with pytest.raises(ssl.SSLCertVerificationError):
            server.connect()
        server.tls = ssl.create_default_context(cafile=str(chain))
        server.connect().close()


def test_a_certificate_of_our_own_is_kept_while_it_serves(tmp_path: Path) -> None:
    chain, key = tls.self_signed_files(tmp_path, NAMES, NOW)
    first = chain.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert tls.self_signed_files(tmp_path, ["localhost"], NOW) == (chain, key)
    assert chain.read_bytes() == first


@pytest.mark.parametrize(
    ("names", "now"), [(("other.test",), NOW), (NAMES, NOW + tls.LIFETIME - timedelta(days=29))]
)
def test_a_certificate_of_our_own_is_renewed(tmp_path: Path, names: tuple[str, ...], now: datetime) -> None:
    chain, _ = tls.self_signed_files(tmp_path, NAMES, NOW)
    first = chain.read_bytes()
    tls.self_signed_files(tmp_path, names, now)
    assert chain.read_bytes() != first
