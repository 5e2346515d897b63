"""Small servers on real sockets that do to each connection what a test tells them."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from anys3.client.endpoint import Endpoint

Script = Callable[[socket.socket], None]
_POLL_S = 0.05


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

    A connection is shut down, drained and closed when its script returns, so that what it sent arrives. After
    the last one nobody listens any more.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(_POLL_S)
    port = listener.getsockname()[1]
    accepted: list[int] = []
    is_over = threading.Event()

    def serve() -> None:
        with listener:
            for number, script in enumerate(scripts):
                connection = _next(listener, is_over)
                if connection is None:
                    return
                accepted.append(number)
                with connection:
                    _play(connection, script, context)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Endpoint("https" if context else "http", "127.0.0.1", port), accepted
    finally:
        is_over.set()
        thread.join(30)


def _next(listener: socket.socket, is_over: threading.Event) -> socket.socket | None:
    while not is_over.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        connection.settimeout(20)
        return connection
    return None


def _play(connection: socket.socket, script: Script, context: ssl.SSLContext | None) -> None:
    try:
        with context.wrap_socket(connection, server_side=True) if context else connection as inner:
            script(inner)
            inner.shutdown(socket.SHUT_WR)
            while inner.recv(1 << 16):
                pass
    except OSError:
        return  # the client went away, which is its right
