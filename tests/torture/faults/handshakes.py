"""Clients that stall, vanish or speak no TLS while the server waits for their handshake."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import ServerProcess
from tests.rawclient import RawClient
from tests.torture.faults.matrix import descriptors
from tests.torture.server import entry

PATIENCE_S = 30.0
HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(32)
"""The beginning of a ClientHello of 512 bytes."""
BEGINNINGS = {"nothing": b"", "half a hello": HELLO, "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"}


@contextmanager
def serving_tls(directory: Path) -> Iterator[ServerProcess]:
    """Run a server that speaks TLS and waits a second for a handshake."""
    patient = entry("tests.torture.faults.shortened:timeouts")
    server = ServerProcess(directory, "--workers", "1", "--tls-self-signed", entry=patient)
    plain = server.s3
    chain = str(directory / "tls-self-signed.pem")
    endpoint = plain.endpoint.replace("http:", "https:")
    server.s3 = RawClient(endpoint, plain.access_key_id, plain.secret_access_key, ca_file=chain)
    try:
        server.start()
        yield server
    finally:
        server.close()


def run(server: ServerProcess) -> list[str]:
    """Let clients begin a handshake and stop; return what was wrong."""
    found: list[str] = []
    server.s3.request("GET", "/")
    baseline = descriptors(server)
    stalled = {name: socket.create_connection(("127.0.0.1", server.port)) for name in BEGINNINGS}
    for name, connection in stalled.items():
        connection.sendall(BEGINNINGS[name])
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            gone.sendall(BEGINNINGS[name])
    if server.s3.request("GET", "/").status != 200:
        found.append("others were not served meanwhile")
    for name, connection in stalled.items():
        with connection:
            connection.settimeout(PATIENCE_S)
            try:
                while connection.recv(4096):
                    pass
            except ConnectionError:
                pass
            except TimeoutError:
                found.append(f"a client that sent {name} was waited for")
    limit = time.monotonic() + PATIENCE_S
    while descriptors(server) > baseline:
        if time.monotonic() > limit:
            found.append(f"{descriptors(server)} descriptors for {baseline}")
            break
        time.sleep(0.05)
    return found
