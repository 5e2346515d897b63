"""Who keeps us waiting is cut off. Timeouts are short here; nothing depends on how exact they are."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from anys3.server.limits import MIB, Limits
from tests.server.wire_server import WireServer, read_all, read_reply, serving

HOST = b"Host: localhost\r\n"
SHORT = {
    "header_timeout_s": 0.3,
    "idle_timeout_s": 0.4,
    "body_timeout_s": 0.3,
    "send_timeout_s": 0.3,
    "linger_s": 0.3,
    "tick_s": 0.05,
    "drain_s": 2,
}


@pytest.fixture(scope="module", params=[16, 0], ids=["threads", "threadless"])
def hasty(request: pytest.FixtureRequest) -> Iterator[WireServer]:
    with serving(Limits(**SHORT, transfers_max=request.param)) as running:
        yield running


@pytest.mark.requirement("HTTP-23")
@pytest.mark.parametrize("part", [b"G", b"GET /echo HTT", b"GET /echo HTTP/1.1\r\nHost: loc"])
def test_a_head_that_does_not_end_is_cut(hasty: WireServer, part: bytes) -> None:
    with hasty.connect() as sock:
        sock.sendall(part)
        received = read_all(sock)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>RequestTimeout</Code>" in received


def test_a_head_that_drips_is_cut(hasty: WireServer) -> None:
    with hasty.connect() as sock:
        sock.sendall(b"GET /echo HTTP/1.1\r\nA: ")
        sock.settimeout(0.05)
        received = b""
        for _ in range(200):
            try:
                sock.sendall(b"a")
                received += sock.recv(1 << 16)
            except TimeoutError:
                continue
            break
    assert b"<Code>RequestTimeout</Code>" in received


@pytest.mark.requirement("HTTP-23")
@pytest.mark.parametrize("action", [b"echo", b"chunks", b"pump", b"first-then-pump"])
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5", b"Content-Length: 4000000", b"Transfer-Encoding: chunked"]
)
def test_a_body_that_stalls_is_a_timeout(hasty: WireServer, action: bytes, framing: bytes) -> None:
    with hasty.connect() as sock:
        sock.sendall(b"PUT /" + action + b" HTTP/1.1\r\n" + HOST + framing + b"\r\n\r\n1\r\n")
        received = read_all(sock)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>RequestTimeout</Code>" in received
    assert b"Connection: close\r\n" in received


def test_a_body_that_drips_is_no_stall() -> None:
    with serving(Limits(body_timeout_s=1, tick_s=0.05)) as server, server.connect() as sock:
        sock.sendall(b"PUT /pump HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (2 * MIB))
        sock.sendall(b"a" * (2 * MIB - 6))
        for _ in range(6):
            time.sleep(0.25)
            sock.sendall(b"a")
        assert read_reply(sock).status == 200


@pytest.mark.parametrize("first", [b"", b"\r\n", b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n"])
def test_an_idle_connection_is_closed(hasty: WireServer, first: bytes) -> None:
    with hasty.connect() as sock:
        sock.sendall(first)
        assert read_all(sock)[:15] == (b"HTTP/1.1 200 OK" if len(first) > 2 else b"")


def test_a_slow_handler_is_no_timeout(hasty: WireServer) -> None:
    with hasty.connect() as sock:
        sock.sendall(b"GET /sleep/1 HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_reply(sock).body == b"slept"


def test_a_refused_upload_that_never_ends_is_cut(hasty: WireServer) -> None:
    with hasty.connect() as sock:
        sock.sendall(b"PUT /refuse HTTP/1.1\r\n" + HOST + b"Content-Length: 9000000\r\n\r\n")
        assert read_reply(sock).status == 403
        assert read_all(sock) == b""


@pytest.mark.parametrize("target", [b"/blocks/400000000", b"/large/60000000"])
def test_a_client_that_takes_nothing_is_cut(hasty: WireServer, target: bytes) -> None:
    contents = len(hasty.app.contents)
    with hasty.connect() as sock:
        sock.sendall(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        with hasty.connect() as other:  # when this one is idle too long, the first has stalled longer
            read_all(other)
        with hasty.connect() as other:
            read_all(other)
        received = 0
        try:
            while piece := sock.recv(MIB):
                received += len(piece)
        except ConnectionResetError:
            pass
    assert received < int(target.rpartition(b"/")[2])
    assert all(content.is_closed for content in hasty.app.contents[contents:])


def test_requests_in_flight_are_answered_when_the_server_stops() -> None:
    with serving() as server:
        idle, busy = server.connect(), server.connect()
        idle.sendall(b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_reply(idle).status == 200
        busy.sendall(b"GET /gate HTTP/1.1\r\n" + HOST + b"\r\n")
        busy.sendall(b"GET /echo/next HTTP/1.1\r\n" + HOST + b"\r\n")
        while b"/gate" not in server.app.handled:
            pass
    with idle, busy:
        assert read_all(idle) == b""
        assert read_reply(busy).body == b"open"
        last = read_reply(busy)
        assert (last.body, last.headers["connection"]) == (b"GET /echo/next ", "close")
        assert read_all(busy) == b""


@pytest.mark.parametrize(
    "message",
    [
        b"GET /sleep/100 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"PUT /pump HTTP/1.1\r\n" + HOST + b"Content-Length: 9000000\r\n\r\nabc",
        b"PUT /chunks HTTP/1.1\r\n" + HOST + b"Content-Length: 9000000\r\n\r\nabc",
        b"GET /blocks/900000000 HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
    ids=["handler", "thread", "loop", "content"],
)
def test_what_does_not_end_is_broken_when_the_server_stops(message: bytes) -> None:
    with serving(Limits(drain_s=0.2)) as server, server.connect() as sock:
        sock.sendall(message)
        while not server.app.handled:
            pass
    assert all(content.is_closed for content in server.app.contents)
