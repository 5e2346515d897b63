"""Answers as they stand on the wire."""

from __future__ import annotations

import hashlib
import re
import resource
import socket
import time
from email.utils import parsedate_to_datetime

import pytest

from anys3.server.limits import MIB, Limits
from tests.server.test_bodies import either, plain, threadless  # noqa: F401  (fixtures)
from tests.server.wire_server import BLOCK, WireServer, read_all, read_reply, serving, split_replies

HOST = b"Host: localhost\r\n"


def get(target: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"%b %b HTTP/1.1\r\n%b%b\r\n" % (method, target, HOST, lines)


@pytest.mark.requirement("HTTP-05", "HTTP-25")
@pytest.mark.parametrize(
    "target", [b"/echo", b"/refuse", b"/bug", b"/status/204", b"/status/304", b"/blocks/9"]
)
def test_every_answer_has_a_date_and_an_id_of_its_own(shell: WireServer, target: bytes) -> None:
    with shell.connect() as sock:
        ids = []
        for _ in range(3):
            sock.sendall(get(target))
            reply = read_reply(sock)
            ids.append(reply.headers["x-amz-request-id"])
            assert abs(parsedate_to_datetime(reply.headers["date"]).timestamp() - time.time()) < 5
            assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", reply.headers["date"])
    assert len(set(ids)) == 3


@pytest.mark.requirement("HTTP-05")
def test_an_error_of_ours_is_an_internal_error_with_the_requests_id(shell: WireServer) -> None:
    with shell.connect() as sock:
        sock.sendall(get(b"/bug"))
        reply = read_reply(sock)
        assert reply.status == 500
        assert b"<Code>InternalError</Code>" in reply.body
        assert f"<RequestId>{reply.headers['x-amz-request-id']}</RequestId>".encode() in reply.body
        sock.sendall(get(b"/echo"))
        assert read_reply(sock).status == 200


@pytest.mark.requirement("HTTP-04")
@pytest.mark.parametrize(
    ("target", "length"), [(b"/echo/a", "13"), (b"/blocks/5000000", "5000000"), (b"/length/77", "77")]
)
def test_an_answer_to_head_has_the_length_and_no_body(shell: WireServer, target: bytes, length: str) -> None:
    with shell.connect() as sock:
        sock.sendall(get(target, method=b"HEAD") + get(b"/echo/b"))
        reply = read_reply(sock, has_body=False)
        assert (reply.status, reply.headers["content-length"]) == (200, length)
        assert read_reply(sock).body == b"GET /echo/b "


@pytest.mark.requirement("HTTP-04")
@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_body_has_none(shell: WireServer, status: int) -> None:
    with shell.connect() as sock:
        sock.sendall(get(b"/status/%d" % status) + get(b"/echo/b"))
        reply = read_reply(sock, has_body=False)
        assert reply.status == status
        assert "content-length" not in reply.headers
        assert reply.headers["etag"] == '"e"'
        assert read_reply(sock).body == b"GET /echo/b "


@pytest.mark.parametrize("length", [0, 1, MIB, MIB + 1, 20 * MIB + 3])
def test_a_content_is_sent_whole(either: WireServer, length: int) -> None:  # noqa: F811
    with either.connect() as sock:
        sock.sendall(get(b"/blocks/%d" % length) + get(b"/echo/after"))
        reply = read_reply(sock)
        expected = (BLOCK * (length // len(BLOCK) + 1))[:length]
        assert reply.headers["x-kind"] == "blocks"
        assert hashlib.sha256(reply.body).digest() == hashlib.sha256(expected).digest()
        assert read_reply(sock).body == b"GET /echo/after "
    assert either.app.contents[-1].is_closed


def test_contents_and_small_answers_keep_their_order(either: WireServer) -> None:  # noqa: F811
    message = b"".join(
        get(b"/large/300000") + get(b"/blocks/3000000") + get(b"/echo/%d" % at) for at in range(4)
    )
    with either.connect() as sock:
        sock.sendall(message)
        lengths = [len(read_reply(sock).body) for _ in range(12)]
    assert lengths == [300_000, 3_000_000, 12] * 4


@pytest.mark.requirement("GET-09")
def test_a_content_that_breaks_breaks_the_connection(either: WireServer) -> None:  # noqa: F811
    with either.connect() as sock:
        sock.sendall(get(b"/breaks") + get(b"/echo/after"))
        received = read_all(sock)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"Content-Length: 8388608\r\n" in received
    assert len(received) < 8 * MIB
    assert b"/echo/after" not in received
    assert either.app.contents[-1].is_closed


def test_a_client_that_goes_away_ends_the_content(either: WireServer) -> None:  # noqa: F811
    seen = len(either.app.contents)
    sock = either.connect()
    sock.sendall(get(b"/blocks/1000000000"))
    assert sock.recv(1000)
    sock.close()
    until = time.monotonic() + 10
    while time.monotonic() < until and not all(each.is_closed for each in either.app.contents[seen:]):
        time.sleep(0.01)
    assert [each.is_closed for each in either.app.contents[seen:]] == [True]


def test_large_contents_take_no_memory(either: WireServer) -> None:  # noqa: F811
    with either.connect() as sock:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sock.sendall(get(b"/blocks/%d" % (256 * MIB)))
        rest = 256 * MIB
        while rest > 0:
            rest -= len(sock.recv(MIB))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 * 1024  # KiB


def test_an_answer_that_must_close_closes(shell: WireServer) -> None:
    received = shell.talk(get(b"/close") + get(b"/echo/after"))
    assert b"\r\nConnection: close\r\n" in received
    assert split_replies(received) == [(200, b"bye")]


def test_http_1_0_closes_unless_asked_to_stay(shell: WireServer) -> None:
    first = b"GET /echo/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    received = shell.talk(first + b"GET /echo/2 HTTP/1.0\r\n\r\n")
    assert split_replies(received) == [(200, b"GET /echo/1 "), (200, b"GET /echo/2 ")]
    assert b"Connection: keep-alive\r\n" in received
    assert b"Connection: close\r\n" in received


@pytest.mark.parametrize("target", [b"/echo", b"/sleep/0.2", b"/blocks/3000000"])
def test_a_half_closed_connection_is_answered(shell: WireServer, target: bytes) -> None:
    with shell.connect() as sock:
        sock.sendall(get(target))
        sock.shutdown(socket.SHUT_WR)
        assert read_reply(sock).status == 200
        assert read_all(sock) == b""


def test_a_client_that_said_its_last_during_a_download_is_closed_at_the_end_of_it() -> None:
    patient = Limits(idle_timeout_s=3600, linger_s=3600, drain_s=0.1)
    with serving(patient) as shell, shell.connect() as sock:
        sock.sendall(get(b"/blocks/3000000"))
        sock.shutdown(socket.SHUT_WR)
        assert read_reply(sock).status == 200
        assert read_all(sock) == b""


def test_a_client_that_reads_nothing_is_not_handled_further() -> None:
    with serving(Limits(drain_s=0.1)) as shell, shell.connect() as sock:
        sock.setblocking(False)
        message = get(b"/large/1000000") * 50
        sent = 0
        until = time.monotonic() + 2
        while time.monotonic() < until:
            try:
                sent += sock.send(message)
            except BlockingIOError:
                time.sleep(0.02)
        assert len(shell.app.handled) < 50  # about what the kernel's buffers hold


@pytest.mark.requirement("HTTP-23")
def test_connections_beyond_the_limit_are_told_to_slow_down() -> None:
    with serving(Limits(connections_max=2)) as shell:
        first, second = shell.connect(), shell.connect()
        for sock in (first, second):
            sock.sendall(get(b"/echo"))
            assert read_reply(sock).status == 200
        with shell.connect() as third:
            third.sendall(get(b"/echo"))
            received = read_all(third)
        assert received.startswith(b"HTTP/1.1 503 ")
        assert b"<Code>SlowDown</Code>" in received
        first.close()
        second.close()
