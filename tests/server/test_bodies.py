"""Bodies: small, large, chunked, expected, refused, cut short."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from anys3.server.limits import MIB, Limits
from tests.server.wire_server import WireServer, read_all, read_reply, serving, split_replies

HOST = b"Host: localhost\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PATTERN = bytes(range(251)) * 4177  # 1,048,427 bytes: no power of two


@pytest.fixture(scope="module")
def threadless() -> Iterator[WireServer]:
    """A server that hands no socket to a thread."""
    with serving(Limits(transfers_max=0)) as running:
        yield running


@pytest.fixture(scope="module")
def plain() -> Iterator[WireServer]:
    """A server on asyncio's own event loop."""
    with serving(run=asyncio.run) as running:
        yield running


@pytest.fixture(params=["shell", "threadless", "plain"])
def either(request: pytest.FixtureRequest) -> WireServer:
    """A server with threads for large transfers, one without, and one without uvloop."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, WireServer)
    return found


def head(action: bytes, length: int, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"PUT /%b HTTP/1.1\r\n%bContent-Length: %d\r\n%b\r\n" % (action, HOST, length, lines)


def put_and_ask_again(server: WireServer, message: bytes, body: bytes, step: int = 1 << 20) -> None:
    """Send a message whose answer is the body's SHA-256, then another on the same connection."""
    with server.connect() as sock:
        sock.sendall(message)
        for start in range(0, len(body), step):
            sock.sendall(body[start : start + step])
        reply = read_reply(sock)
        assert (reply.status, reply.body.decode()) == (200, hashlib.sha256(body).hexdigest())
        sock.sendall(b"GET /echo/again HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_reply(sock).body == b"GET /echo/again "


@pytest.mark.parametrize("action", [b"chunks", b"pump", b"first-then-pump"])
@pytest.mark.parametrize("length", [0, 1, 65_537, MIB, MIB + 1, 2 * MIB, 9 * MIB + 17])
def test_a_body_of_any_length_arrives_whole(either: WireServer, action: bytes, length: int) -> None:
    body = (PATTERN * 10)[:length]
    put_and_ask_again(either, head(action, length), body)


@pytest.mark.requirement("HTTP-08")
@pytest.mark.parametrize("action", [b"chunks", b"pump", b"first-then-pump"])
@pytest.mark.parametrize("size", [1000, 70_000, 3 * MIB])
def test_a_chunked_body_arrives_whole(either: WireServer, action: bytes, size: int) -> None:
    body = PATTERN * 8
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    with either.connect() as sock:
        sock.sendall(b"PUT /%b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n" % (action, HOST) + framed)
        reply = read_reply(sock)
        assert (reply.status, reply.body.decode()) == (200, hashlib.sha256(body).hexdigest())
        sock.sendall(b"GET /echo/again HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_reply(sock).body == b"GET /echo/again "


def test_messages_behind_a_large_body_are_answered(either: WireServer) -> None:
    body = PATTERN * 3
    message = head(b"pump", len(body)) + body + b"GET /echo/1 HTTP/1.1\r\n" + HOST + b"\r\n"
    with either.connect() as sock:
        sender = threading.Thread(target=sock.sendall, args=(message * 3,))
        sender.start()
        replies = [read_reply(sock).body for _ in range(6)]
        sender.join()
    digest = hashlib.sha256(body).hexdigest().encode()
    assert replies == [digest, b"GET /echo/1 "] * 3


@pytest.mark.requirement("HTTP-11")
@pytest.mark.parametrize("action", [b"chunks", b"pump", b"first-then-pump"])
@pytest.mark.parametrize("length", [5, 3 * MIB])
def test_an_expected_body_is_asked_for(either: WireServer, action: bytes, length: int) -> None:
    body = (PATTERN * 4)[:length]
    with either.connect() as sock:
        sock.sendall(head(action, length, b"Expect: 100-Continue"))
        assert sock.recv(1000) == CONTINUE
        sock.sendall(body)
        assert read_reply(sock).body.decode() == hashlib.sha256(body).hexdigest()


@pytest.mark.requirement("HTTP-11")
def test_a_body_that_did_not_wait_is_not_asked_for(shell: WireServer) -> None:
    with shell.connect() as sock:
        sock.sendall(head(b"echo", 3, b"Expect: 100-continue") + b"abc")
        assert read_reply(sock).body == b"PUT /echo abc"


@pytest.mark.requirement("HTTP-11", "HTTP-26")
def test_a_request_refused_on_its_head_is_told_so_at_once(shell: WireServer) -> None:
    with shell.connect() as sock:
        sock.sendall(head(b"refuse", 3, b"Expect: 100-continue"))
        reply = read_reply(sock)
        assert (reply.status, reply.headers["connection"]) == (403, "close")
        sock.sendall(b"GET")  # the body; it must not begin a message
        sock.sendall(b" /echo/smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_all(sock) == b""
    assert b"/echo/smuggled" not in shell.app.handled


@pytest.mark.requirement("HTTP-12")
@pytest.mark.parametrize("value", [b"200-ok", b"100-continue, x", b""])
def test_an_unknown_expectation_is_ignored(shell: WireServer, value: bytes) -> None:
    with shell.connect() as sock:
        sock.sendall(head(b"echo", 3, b"Expect: " + value) + b"abc")
        assert read_reply(sock).body == b"PUT /echo abc"


def test_http_1_0_is_never_sent_an_interim_answer(shell: WireServer) -> None:
    message = b"PUT /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    assert split_replies(shell.talk(message, b"abc")) == [(200, b"PUT /echo abc")]


@pytest.mark.requirement("HTTP-26")
@pytest.mark.parametrize("framing", [b"Content-Length: 16777216", b"Transfer-Encoding: chunked"])
def test_the_refusal_of_a_large_upload_can_be_read_after_sending_it(
    shell: WireServer, framing: bytes
) -> None:
    seen = len(shell.app.handled)
    body = b"G" * (16 * MIB)
    if framing.startswith(b"T"):
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with shell.connect() as sock:
        sock.sendall(b"PUT /refuse HTTP/1.1\r\n" + HOST + framing + b"\r\n\r\n")
        sock.sendall(body)
        reply = read_reply(sock)
        assert (reply.status, reply.headers["connection"]) == (403, "close")
        assert read_all(sock) == b""
    assert shell.app.handled[seen:] == [b"/refuse"]


def test_a_body_of_which_a_part_was_taken_is_dropped(either: WireServer) -> None:
    body = b"a" * (9 * MIB)
    with either.connect() as sock:
        sock.sendall(head(b"choke", len(body)) + body)
        assert b"<Code>BadDigest</Code>" in read_reply(sock).body
        assert read_all(sock) == b""


@pytest.mark.requirement("HTTP-10")
@pytest.mark.parametrize("action", [b"echo", b"chunks", b"pump", b"first-then-pump"])
@pytest.mark.parametrize(("length", "sent"), [(5, 4), (3 * MIB, 0), (3 * MIB, 5000), (3 * MIB, 3 * MIB - 1)])
def test_a_body_that_ends_early_is_incomplete(
    either: WireServer, action: bytes, length: int, sent: int
) -> None:
    with either.connect() as sock:
        sock.sendall(head(action, length) + b"a" * sent)
        sock.shutdown(socket.SHUT_WR)
        received = read_all(sock)
    assert [status for status, _ in split_replies(received)] == [400]
    assert b"<Code>IncompleteBody</Code>" in received


@pytest.mark.requirement("HTTP-10")
def test_a_chunked_body_that_ends_early_is_incomplete(either: WireServer) -> None:
    with either.connect() as sock:
        sock.sendall(b"PUT /pump HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert b"<Code>IncompleteBody</Code>" in read_all(sock)


@pytest.mark.requirement("HTTP-10")
@pytest.mark.parametrize("action", [b"chunks", b"pump"])
def test_a_connection_that_breaks_ends_the_body_of_its_handler(either: WireServer, action: bytes) -> None:
    seen = len(either.app.ends)
    sock = either.connect()
    sock.sendall(head(action, 50 * MIB) + b"a" * 2 * MIB)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    until = time.monotonic() + 10
    while len(either.app.ends) == seen and time.monotonic() < until:
        time.sleep(0.01)
    assert either.app.ends[seen:] == ["IncompleteBody"]


def test_a_body_beyond_what_the_handler_takes_is_refused_before_it_comes(shell: WireServer) -> None:
    with shell.connect() as sock:
        sock.sendall(head(b"echo", 9 * MIB, b"Expect: 100-continue"))
        assert b"<Code>MaxMessageLengthExceeded</Code>" in read_reply(sock).body


def test_a_chunked_body_beyond_what_the_handler_takes_is_refused(shell: WireServer) -> None:
    chunk = b"%x\r\n%b\r\n" % (MIB, b"a" * MIB)
    with shell.connect() as sock:
        sock.sendall(b"PUT /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 9)
        assert b"<Code>MaxMessageLengthExceeded</Code>" in read_reply(sock).body


def test_large_bodies_take_no_memory(either: WireServer) -> None:
    put_and_ask_again(either, head(b"pump", 8 * MIB), b"a" * 8 * MIB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block = b"a" * MIB
    expected = hashlib.sha256()
    with either.connect() as sock:
        sock.sendall(head(b"pump", 192 * MIB))
        for _ in range(192):
            sock.sendall(block)
            expected.update(block)
        assert read_reply(sock).body.decode() == expected.hexdigest()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 * 1024  # KiB
