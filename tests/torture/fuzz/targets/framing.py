"""The HTTP shell over a transport in memory: the same bytes, cut anywhere, are the same messages."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from typing import Any

from anys3.protocol.http import Answer, Request
from anys3.server.connections import Connections
from anys3.server.limits import Limits
from anys3.server.protocol import HttpProtocol
from anys3.spec.errors import S3Error
from anys3.wire.encoding import encode_error
from tests.torture.fuzz.kit import Finding, cuts, dice, hold, same

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
TURNS = 50
MAX_BYTES = 8_000
"""Below what trailers and chunk extensions may hold: there the bound is the memory of one read, so cuts matter."""
REQUEST_LINE = re.compile(rb"([A-Z-]+) (/[!-~]*) HTTP/1\.1")
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
METHODS = (b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"OPTIONS", b"PATCH")
Message = tuple[bytes, bytes, bytes]


class Echo:
    """An application that reads each body to its end and remembers what it was given."""

    def __init__(self) -> None:
        self.log = logging.getLogger("tests.fuzz.framing")
        self.log.propagate = False
        self.log.setLevel(logging.CRITICAL + 1)
        self.seen: list[tuple[Any, ...]] = []
        self.ids = itertools.count()

    def new_request_id(self) -> str:
        return f"{next(self.ids):016X}"

    async def handle(self, request: Request) -> Answer:
        body = b""
        try:
            while piece := await request.body.chunk():
                body += piece
        except S3Error as error:
            self.seen.append((request.method, request.target, dict(request.headers), error.code))
            return encode_error(error, request)
        self.seen.append((request.method, request.target, dict(request.headers), body))
        return Answer(200, b"", b"ok")


class Pipe:
    """A transport in memory."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_paused = False
        self.is_closed = False
        self.is_eof = False

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("127.0.0.1", 1), "socket": self}.get(name)

    def fileno(self) -> int:
        return -1

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.is_eof = True

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return 0


LOOP = asyncio.new_event_loop()
ECHO = Echo()
CONNECTIONS = Connections(ECHO, Limits(small_body_max=16, target_max=2000, header_section_max=4000), LOOP)


async def converse(pieces: list[bytes]) -> tuple[list[tuple[Any, ...]], list[bytes], bool]:
    """Return what the application was given, the statuses sent, and whether the server closed of itself."""
    ECHO.seen = []
    pipe = Pipe()
    protocol = HttpProtocol(CONNECTIONS)
    protocol.connection_made(pipe)  # type: ignore[arg-type]
    for piece in pieces:
        while piece and not pipe.is_closed:
            for _ in range(TURNS):
                if not pipe.is_paused:
                    break
                await asyncio.sleep(0)
            hold(not pipe.is_paused, "reading is paused for ever")
            buffer = protocol.get_buffer(-1)
            size = min(len(piece), len(buffer))
            buffer[:size] = piece[:size]
            protocol.buffer_updated(size)
            piece = piece[size:]
    for _ in range(6):
        await asyncio.sleep(0)
    is_closed = pipe.is_closed or pipe.is_eof
    if not pipe.is_closed:
        protocol.eof_received()
        for _ in range(6):
            await asyncio.sleep(0)
    protocol.connection_lost(None)
    await asyncio.sleep(0)
    hold(protocol not in CONNECTIONS.open and CONNECTIONS.active == 0, "something is left of the connection")
    statuses = STATUS.findall(bytes(pipe.written))
    # Whether a client waits for 100 is seen by whether its body has come.
    return ECHO.seen, [status for status in statuses if status != b"100"], is_closed


def http_framing(data: bytes) -> None:
    """Compare the server with itself, over several cuts, and with the simple reading below."""
    data = data[:MAX_BYTES]
    first: Any = None
    for pieces in cuts(data, dice(data)):
        told = LOOP.run_until_complete(converse(pieces))
        if first is None:
            first = told
        same(told, first, f"cut into {len(pieces)} pieces")
    seen, statuses, _ = first
    hold(b"500" not in statuses, "an answer is 500")
    taken = [(method, target, body) for method, target, _, body in seen if isinstance(body, bytes)]
    simple, end = read(data)
    both = min(len(taken), len(simple))
    same(taken[:both], simple[:both], "messages")
    if end != "unclear":
        hold(len(taken) <= len(simple), f"after {len(simple)} messages comes {taken[len(simple) :]!r}: {end}")


# --- a simple reading ---------------------------------------------------------------------------------------


class Unclear(Exception):
    """RFC 9112 leaves it to the server, or this reader does."""


def read(data: bytes) -> tuple[list[Message], str]:
    """Return the messages that certainly stand there, and why there are no more."""
    messages: list[Message] = []
    while data:
        try:
            message, data, is_last = one(data)
        except Unclear:
            return messages, "unclear"
        except ValueError as error:
            return messages, str(error)
        messages.append(message)
        if is_last:
            return messages, "closed"
    return messages, "the end"


def one(data: bytes) -> tuple[Message, bytes, bool]:
    """Return a message, what follows it, and whether it is the last. Raises ValueError if it is none."""
    while data.startswith(b"\r\n"):
        data = data[2:]
    if data[:1] in (b"\r", b"\n"):
        raise Unclear
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        raise ValueError("no end of a head")
    first, *lines = head.split(b"\r\n")
    if b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
        raise ValueError("a bare CR or LF")
    match = REQUEST_LINE.fullmatch(first)
    if match is None or match[1] not in METHODS:
        raise Unclear
    headers = [pair(line) for line in lines]
    names = [name for name, _ in headers]
    if names.count(b"host") != 1:
        raise ValueError("not one Host")
    body, rest = content(dict(headers), names, rest)
    connection = b",".join(value for name, value in headers if name == b"connection").lower()
    is_last = b"close" in [word.strip() for word in connection.split(b",")]
    return (match[1], match[2], body), rest, is_last


def pair(line: bytes) -> tuple[bytes, bytes]:
    """Return name and value of a header."""
    if line[:1] in b" \t" or b":" not in line or re.search(rb"[ \t]", line.partition(b":")[0]):
        raise ValueError(f"no header: {line!r}")
    match = HEADER.fullmatch(line)
    if match is None:
        raise Unclear
    return match[1].lower(), match[2]


def content(headers: dict[bytes, bytes], names: list[bytes], rest: bytes) -> tuple[bytes, bytes]:
    """Return the body and what follows it."""
    length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if names.count(b"content-length") > 1 or (length is not None and coding is not None):
        raise ValueError("two lengths")
    if coding is not None:
        if coding.lower() != b"chunked" or names.count(b"transfer-encoding") > 1:
            raise Unclear
        return chunks(rest)
    if length is None:
        return b"", rest
    if not length.isdigit() or len(length) > 15:
        raise ValueError("no length")
    if len(rest) < int(length):
        raise ValueError("no end of a body")
    return rest[: int(length)], rest[int(length) :]


def chunks(rest: bytes) -> tuple[bytes, bytes]:
    """Return a chunked body and what follows it."""
    body = b""
    while True:
        line, end, rest = rest.partition(b"\r\n")
        match = re.fullmatch(rb"([0-9A-Fa-f]{1,15})(;[!-~]*)?", line)
        if match is None or not end:
            if b"\n" in line or re.match(rb"[^0-9A-Fa-f]", line) or not end:
                raise ValueError("no chunk")
            raise Unclear
        size = int(match[1], 16)
        if not size:
            break
        if rest[size : size + 2] != b"\r\n":
            raise ValueError("no end of a chunk")
        body, rest = body + rest[:size], rest[size + 2 :]
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            raise ValueError("no end of the trailers")
        if not line:
            return body, rest
        if not HEADER.fullmatch(line):
            raise Unclear


__all__ = ["Finding", "http_framing"]
