"""Servers broken for the checks of TLS."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import anys3
from anys3.client.endpoint import Endpoint
from anys3.conformance.checks import transport
from anys3.server import tls
from tests.broken_servers import BreakableServer, Breakage, breaks


@contextlib.contextmanager
def speaking_tls_1_0(server: BreakableServer) -> Iterator[None]:
    """The server takes part in handshakes of old clients."""
    context = server.context
    assert context is not None
    before = context.minimum_version
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    try:
        yield
    finally:
        context.minimum_version = before
        context.set_ciphers("DEFAULT")


@contextlib.contextmanager
def with_another_certificate(server: BreakableServer) -> Iterator[None]:
    """The server shows the certificate of another host."""
    assert server.context is not None
    with tempfile.TemporaryDirectory() as folder:
        chain, key = tls.self_signed_files(Path(folder), ["elsewhere.example"], datetime.now(UTC))
        other = tls.server_context(chain, key)

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        connection.context = other

    server.context.sni_callback = choose
    try:
        yield
    finally:
        server.context.sni_callback = None


@contextlib.contextmanager
def with_plain_http(_: BreakableServer) -> Iterator[None]:
    """The whole of S3 is there over plain HTTP, and the endpoint is not a loopback one.

    Port 80 of this machine is not the test's to listen on, so that the check is told of another.
    """
    with (
        anys3.Server() as plain,
        mock.patch.object(transport, "PLAIN_PORT", urlsplit(plain.endpoint_url).port),
        mock.patch.object(Endpoint, "is_loopback", False),
    ):
        yield


breaks("HTTP-01/old-versions-fail", Breakage("TLS 1.0 and 1.1 are spoken", speaking_tls_1_0))
breaks("HTTP-01/verified-handshake", Breakage("the certificate is another host's", with_another_certificate))
breaks("HTTP-02/no-plain-http", Breakage("S3 over plain HTTP", with_plain_http))
