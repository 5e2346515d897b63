"""What TLS connections cost in memory."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes import ServerProcess

CONNECTIONS = 300
KIB_EACH = 36
"""OpenSSL's own part is about 17."""


class TlsProcess(ServerProcess):
    """A server that speaks TLS."""

    def _answers(self) -> bool:
        try:
            with self.connect() as connection:
                return ask(connection)
        except OSError:
            return False

    def connect(self) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=10))


def ask(connection: ssl.SSLSocket) -> bool:
    connection.sendall(b"GET /photos HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection.recv(4096).startswith(b"HTTP/1.1 403 ")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_an_idle_tls_connection_costs_little_more_than_openssl_takes(tmp_path: Path) -> None:
    process = TlsProcess(tmp_path / "data", "--tls-self-signed", "--workers", "1")
    with ExitStack() as stack:
        stack.callback(process.close)
        process.start()
        for _ in range(20):
            stack.enter_context(process.connect())
        time.sleep(0.1)
        before = process.memory_kib("VmRSS")
        connections = [stack.enter_context(process.connect()) for _ in range(CONNECTIONS)]
        assert all(ask(connection) for connection in connections)
        assert process.memory_kib("VmRSS") - before < CONNECTIONS * KIB_EACH
        assert ask(connections[0])
