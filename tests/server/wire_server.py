"""A real server with a tiny application, in a thread, and raw sockets to talk to it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from anys3.protocol.http import Answer, Request
from anys3.server import platform
from anys3.server.limits import Limits
from anys3.server.listeners import bind
from anys3.server.serving import serve
from anys3.spec.errors import S3Error
from anys3.wire.encoding import encode_error

BLOCK = bytes(range(256)) * 4096


class Blocks:
    """A content made of one block, again and again."""

    def __init__(self, length: int, *, breaks_after: int | None = None) -> None:
        self.length = length
        self.breaks_after = breaks_after
        self.is_closed = False

    def blocks(self) -> Iterator[memoryview]:
        block = memoryview(BLOCK)
        for start in range(0, self.length, len(block)):
            if self.breaks_after is not None and start >= self.breaks_after:
                raise ValueError("the disk is gone")
            yield block[: self.length - start]

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Workshop:
    """The application: what a request asks for is in its path."""

    log: logging.Logger = field(default_factory=lambda: logging.getLogger("anys3.test.server"))
    ids: Iterator[int] = field(default_factory=itertools.count)
    handled: list[bytes] = field(default_factory=list)
    contents: list[Blocks] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    is_stopping: bool = False

    def stop(self) -> None:
        """Open the gate."""
        self.is_stopping = True

    def new_request_id(self) -> str:
        return f"ID{next(self.ids):06}"

    async def handle(self, request: Request) -> Answer:
        self.handled.append(request.target)
        try:
            return await self.act(request)
        except S3Error as error:
            self.ends.append(error.code)
            return encode_error(error, request)

    async def act(self, request: Request) -> Answer:
        action, _, rest = request.path[1:].partition(b"/")
        match action:
            case b"echo":
                text = b"%b %b %b" % (request.method, request.target, await request.body.whole(8 << 20))
                return Answer(200, b"", text)
            case b"headers":
                lines = b"\n".join(b"%b=%b" % item for item in sorted(request.headers.items()))
                return Answer(200, b"", lines)
            case b"chunks":
                digest = hashlib.sha256()
                while piece := await request.body.chunk():
                    digest.update(piece)
                return Answer(200, b"", digest.hexdigest().encode())
            case b"pump":
                digest = hashlib.sha256()
                await request.body.pump(digest.update)
                return Answer(200, b"", digest.hexdigest().encode())
            case b"first-then-pump":
                digest = hashlib.sha256(await request.body.chunk())
                await request.body.pump(digest.update)
                return Answer(200, b"", digest.hexdigest().encode())
            case b"choke":
                await request.body.pump(self.choke)
                return Answer(200)
            case b"blocks":
                content = Blocks(int(rest))
                self.contents.append(content)
                return Answer(200, b"X-Kind: blocks\r\n", content)
            case b"breaks":
                content = Blocks(8 << 20, breaks_after=2 << 20)
                self.contents.append(content)
                return Answer(200, b"", content)
            case b"large":
                return Answer(200, b"", b"x" * int(rest))
            case b"refuse":
                raise S3Error("AccessDenied")
            case b"close":
                return Answer(200, b"", b"bye", must_close=True)
            case b"status":
                return Answer(int(rest), b'ETag: "e"\r\n', b"body")
            case b"length":
                return Answer(200, b"", b"", length=int(rest))
            case b"sleep":
                await asyncio.sleep(float(rest))
                return Answer(200, b"", b"slept")
            case b"gate":
                while not self.is_stopping:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)
                return Answer(200, b"", b"open")
            case b"turns":
                await asyncio.sleep(0)
                return Answer(200, b"", request.target)
            case b"bug":
                raise KeyError("a bug")
        return Answer(404)

    @staticmethod
    def choke(piece: memoryview) -> None:
        raise S3Error("BadDigest", log=str(len(piece)))


class WireServer:
    """Where a server listens, and what its application saw."""

    def __init__(self, app: Workshop, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.app = app
        self.port = port
        self.tls = tls

    def connect(self, timeout_s: float = 20) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)
        return self.tls.wrap_socket(sock, server_hostname="localhost") if self.tls else sock

    def talk(self, *parts: bytes) -> bytes:
        """Send parts, then read until the server closes."""
        with self.connect() as sock:
            for part in parts:
                sock.sendall(part)
            return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    """Return what comes until the end; a reset ends it too."""
    received = bytearray()
    while True:
        try:
            piece = sock.recv(1 << 16)
        except ConnectionResetError:
            return bytes(received)
        if not piece:
            return bytes(received)
        received += piece


@dataclass(frozen=True)
class Reply:
    """One answer as read from the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


def read_reply(sock: socket.socket, *, has_body: bool = True) -> Reply:
    """Read one answer and not a byte more."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            raise EOFError(bytes(head))
        head += byte
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
    rest = int(headers.get("content-length", "0")) if has_body else 0
    body = bytearray()
    while len(body) < rest:
        piece = sock.recv(min(rest - len(body), 1 << 20))
        if not piece:
            raise EOFError(bytes(head))
        body += piece
    return Reply(int(lines[0].split(" ")[1]), headers, bytes(body))


def split_replies(received: bytes) -> list[tuple[int, bytes]]:
    """Return status and body of each answer in `received`, framed by Content-Length."""
    replies = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line.lower().startswith(b"content-length:"):
                length = int(line[15:])
        replies.append((status, received[:length]))
        received = received[length:]
    return replies


@contextmanager
def serving(
    limits: Limits | None = None,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    app: Workshop | None = None,
    run: Callable[[Coroutine[Any, Any, None]], None] = platform.run,
) -> Iterator[WireServer]:
    """Serve a Workshop until the end of the block. `tls` is the server's and the client's context."""
    app = app or Workshop()
    sockets = bind("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    ready = threading.Event()
    control: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        control.append((asyncio.get_running_loop(), stop))
        await serve(app, sockets, tls[0] if tls else None, stop, limits, on_ready=ready.set)

    thread = threading.Thread(target=lambda: run(main()))
    thread.start()
    try:
        assert ready.wait(10)
        yield WireServer(app, port, tls[1] if tls else None)
    finally:
        loop, stop = control[0]
        # In this order: with `stop` the loop may end before it could take another call.
        loop.call_soon_threadsafe(app.stop)
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        assert not thread.is_alive()
