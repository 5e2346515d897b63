"""Small servers on real sockets that do to each connection what a test tells them."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from anys3.client.endpoint import Endpoint

Script = Callable[[socket.socket], None]


def read_head(connection: socket.socket) -> bytes:
    """Return the bytes up to the end of a head, and what came with them."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(1 << 16)
        if not piece:
            break
        received += piece
    return received


def answers(*pieces: bytes) -> Script:
    """A script that reads one head, sends the pieces, and closes."""

    def script(connection: socket.socket) -> None:
        read_head(connection)
        for piece in pieces:
            connection.sendall(piece)

    return script


@contextmanager
def scripted(
    scripts: Sequence[Script], context: ssl.SSLContext | None = None
) -> Iterator[tuple[Endpoint, list[int]]]:
    """Serve one connection after another, each by the next script; yields the endpoint and what was accepted.

    A connection is shut down, drained and closed when its script returns, so that what it sent arrives.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[int] = []

    def serve() -> None:
        for number, script in enumerate(scripts):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            accepted.append(number)
            with connection:
                connection.settimeout(20)
                try:
                    inner = context.wrap_socket(connection, server_side=True) if context else connection
                    with inner:
                        script(inner)
                        inner.shutdown(socket.SHUT_WR)
                        while inner.recv(1 << 16):
                            pass
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    scheme = "https" if context else "http"
    try:
        yield Endpoint(scheme, "127.0.0.1", listener.getsockname()[1]), accepted
    finally:
        # A thread in accept() is not woken by close() everywhere; a connection does.
        with socket.socket() as waker:
            waker.settimeout(5)
            waker.connect_ex(listener.getsockname())
        listener.close()
        thread.join(25)
