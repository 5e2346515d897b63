"""What is a message, and where it ends: nothing that two parsers could read differently is accepted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anys3.server.limits import Limits
from tests.server.wire_server import WireServer, read_all, read_reply, split_replies

HOST = b"Host: localhost\r\n"
CLOSE = b"Connection: close\r\n\r\n"
SMUGGLED = b"GET /echo/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

MALFORMED = {
    "a method that is none": b"GE@T /echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case": b"get /echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unregistered method": b"BREW /echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /echo\r\n\r\n",
    "version 2.0": b"GET /echo HTTP/2.0\r\n" + HOST + b"\r\n",
    "version 1.2": b"GET /echo HTTP/1.2\r\n" + HOST + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a space in the target": b"GET /echo a HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab after the method": b"GET\t/echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "a raw byte in the target": b"GET /ech\xc3\xb6 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a control byte in the target": b"GET /echo\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without slash": b"GET echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a strange scheme": b"GET ftp://localhost/echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "bare LF": b"GET /echo HTTP/1.1\nHost: localhost\n\n",
    "bare LF after a header": b"GET /echo HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n",
    "bare LF at the end": b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\n",
    "bare CR in a value": b"GET /echo HTTP/1.1\r\nHost: localhost\r\nA: b\rC: d\r\n\r\n",
    "an obsolete fold": b"GET /echo HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n",
    "a fold before any header": b"GET /echo HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "a space before the colon": b"GET /echo HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "a space in a name": b"GET /echo HTTP/1.1\r\nHost: localhost\r\nA b: c\r\n\r\n",
    "no name": b"GET /echo HTTP/1.1\r\nHost: localhost\r\n: c\r\n\r\n",
    "no colon": b"GET /echo HTTP/1.1\r\nHost: localhost\r\nabc\r\n\r\n",
    "a NUL in a value": b"GET /echo HTTP/1.1\r\nHost: localhost\r\nA: b\x00c\r\n\r\n",
    "a vertical tab in a value": b"GET /echo HTTP/1.1\r\nHost: localhost\r\nA: b\x0b\r\n\r\n",
    "no Host": b"GET /echo HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /echo HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "a Host with a path": b"GET /echo HTTP/1.1\r\nHost: localhost/a\r\n\r\n",
    "two authorities in a Host": b"GET /echo HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "two lengths": b"PUT /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "one length twice": b"PUT /echo HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": b"PUT /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": b"PUT /echo HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": b"PUT /echo HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": b"PUT /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 0x3\r\n\r\nabc",
    "an empty length": b"PUT /echo HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\nabc",
    "an endless length": b"PUT /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 9" + b"9" * 30 + b"\r\n\r\nabc",
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "chunked in HTTP/1.0": b"PUT /echo HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.requirement("HTTP-09", "HTTP-22")
@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_message_is_refused_and_what_follows_is_not_read(
    shell: WireServer, message: bytes
) -> None:
    seen = len(shell.app.handled)
    replies = split_replies(shell.talk(message + SMUGGLED))
    assert [status for status, _ in replies] in ([400], [405])
    assert shell.app.handled[seen:] == []


BOTH = {
    "length first": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "encoding first": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "no length": b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    "another case": b"content-length: 5\r\nTRANSFER-ENCODING: Chunked\r\n",
}


@pytest.mark.requirement("HTTP-09")
@pytest.mark.parametrize("headers", BOTH.values(), ids=BOTH)
def test_a_length_beside_a_transfer_encoding_is_refused(shell: WireServer, headers: bytes) -> None:
    seen = len(shell.app.handled)
    message = b"PUT /echo HTTP/1.1\r\n" + HOST + headers + b"\r\n0\r\n\r\n" + SMUGGLED
    assert [status for status, _ in split_replies(shell.talk(message))] == [400]
    assert shell.app.handled[seen:] == []


ENCODINGS = {
    "xchunked": b"xchunked",
    "identity": b"identity",
    "gzip, chunked": b"gzip, chunked",
    "chunked, chunked": b"chunked, chunked",
    "chunked, identity": b"chunked, identity",
    "a control byte": b"\x0bchunked",
    "quoted": b'"chunked"',
    "empty": b"",
}


@pytest.mark.requirement("HTTP-08", "HTTP-09")
@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_a_transfer_encoding_other_than_chunked_is_refused(shell: WireServer, encoding: bytes) -> None:
    seen = len(shell.app.handled)
    message = (
        b"PUT /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: " + encoding + b"\r\n\r\n0\r\n\r\n" + SMUGGLED
    )
    statuses = [status for status, _ in split_replies(shell.talk(message))]
    assert statuses in ([400], [501])
    assert shell.app.handled[seen:] == []


CHUNKS = {
    "a size with sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "a size with prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "an empty size": b"\r\nabc\r\n0\r\n\r\n",
    "bare LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "bare LF after the data": b"3\r\nabc\n0\r\n\r\n",
    "data longer than its size": b"2\r\nabc\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a size with a space before it": b" 3\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.requirement("HTTP-09", "HTTP-10")
@pytest.mark.known_mistake(7)
@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
def test_malformed_chunks_are_refused(shell: WireServer, chunks: bytes) -> None:
    seen = len(shell.app.handled)
    message = b"PUT /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + SMUGGLED
    assert [status for status, _ in split_replies(shell.talk(message))] == [400]
    assert shell.app.handled[seen:] == [b"/echo"]


@pytest.mark.requirement("HTTP-08")
def test_chunks_with_extensions_and_trailers_are_one_body(shell: WireServer) -> None:
    message = (
        b"PUT /echo/c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        b'3;name="v"\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Trailer: t\r\n\r\n'
        b"GET /headers HTTP/1.1\r\n" + HOST + CLOSE
    )
    assert split_replies(shell.talk(message)) == [
        (200, b"PUT /echo/c abc0123456789"),
        (200, b"connection=close\nhost=localhost"),
    ]


def test_bytes_after_the_last_message_are_dropped(shell: WireServer) -> None:
    seen = len(shell.app.handled)
    replies = split_replies(shell.talk(b"GET /echo HTTP/1.1\r\n" + HOST + CLOSE + SMUGGLED))
    assert [status for status, _ in replies] == [200]
    assert shell.app.handled[seen:] == [b"/echo"]


def test_empty_lines_before_a_message_are_skipped(shell: WireServer) -> None:
    assert split_replies(shell.talk(b"\r\n\r\nGET /echo HTTP/1.1\r\n" + HOST + CLOSE)) == [
        (200, b"GET /echo ")
    ]


THREE = (
    b"PUT /echo/1 HTTP/1.1\r\n" + HOST + b"X-Thing:  a \t\r\nContent-Length: 5\r\n\r\nhello"
    b"PUT /echo/2?q=%20 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n"
    b"GET /headers HTTP/1.1\r\nhOsT: localhost\r\nA: 1\r\na: 2\r\nX-Thing:  a \t\r\n" + CLOSE
)
THREE_ANSWERS = [
    (200, b"PUT /echo/1 hello"),
    (200, b"PUT /echo/2?q=%20 world"),
    (200, b"a=1,2\nconnection=close\nhost=localhost\nx-thing=a"),
]


LAST = b"PUT /echo/1 HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n" + CLOSE + b"hello"


@pytest.mark.parametrize("at", range(1, len(LAST)))
def test_the_last_message_of_a_connection_may_be_cut_anywhere(shell: WireServer, at: int) -> None:
    with shell.connect() as sock:
        sock.sendall(LAST[:at])
        sock.sendall(LAST[at:])
        assert split_replies(read_all(sock)) == [(200, b"PUT /echo/1 hello")]


@pytest.mark.parametrize("at", range(1, len(THREE)))
def test_messages_cut_in_two_anywhere_are_the_same_messages(shell: WireServer, at: int) -> None:
    with shell.connect() as sock:
        sock.sendall(THREE[:at])
        sock.sendall(THREE[at:])
        assert split_replies(read_all(sock)) == THREE_ANSWERS


def test_messages_that_come_byte_by_byte_are_the_same_messages(shell: WireServer) -> None:
    assert split_replies(shell.talk(*(bytes((byte,)) for byte in THREE))) == THREE_ANSWERS


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, len(THREE) - 1), max_size=12))
def test_messages_cut_in_many_places_are_the_same_messages(shell: WireServer, cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(THREE)]
    parts = [THREE[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    assert split_replies(shell.talk(*parts)) == THREE_ANSWERS


def test_pipelined_messages_are_answered_in_their_order(shell: WireServer) -> None:
    waits = (b"0.2", b"0", b"0.1", b"0")
    message = b"".join(
        b"GET /sleep/%b HTTP/1.1\r\n%bX: %d\r\n\r\nGET /turns/%d HTTP/1.1\r\n%b\r\n"
        % (wait, HOST, at, at, HOST)
        for at, wait in enumerate(waits)
    )
    expected = [reply for at in range(4) for reply in ((200, b"slept"), (200, b"/turns/%d" % at))]
    replies = split_replies(shell.talk(message + b"GET /echo HTTP/1.1\r\n" + HOST + CLOSE))
    assert replies == [*expected, (200, b"GET /echo ")]


def test_hundreds_of_pipelined_messages_are_all_answered(shell: WireServer) -> None:
    one = b"GET /turns/x HTTP/1.1\r\n" + HOST + b"\r\n"
    replies = split_replies(shell.talk(one * 900 + b"GET /echo HTTP/1.1\r\n" + HOST + CLOSE))
    assert replies == [(200, b"/turns/x")] * 900 + [(200, b"GET /echo ")]


@pytest.mark.parametrize("size", [6000, Limits().target_max])
@pytest.mark.requirement("HTTP-22")
def test_a_long_target_is_accepted(shell: WireServer, size: int) -> None:
    target = b"/echo/".ljust(size, b"a")
    assert shell.talk(b"GET " + target + b" HTTP/1.1\r\n" + HOST + CLOSE).endswith(b"GET " + target + b" ")


@pytest.mark.requirement("HTTP-22")
@pytest.mark.parametrize("size", [Limits().target_max + 1, 100_000, 1_000_000])
def test_a_target_beyond_the_limit_is_refused(shell: WireServer, size: int) -> None:
    answer = shell.talk(b"GET " + b"/echo/".ljust(size, b"a") + b" HTTP/1.1\r\n" + HOST + CLOSE)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>InvalidURI</Code>" in answer


@pytest.mark.requirement("HTTP-22")
def test_a_header_section_of_seven_thousand_bytes_is_accepted(shell: WireServer) -> None:
    meta = b"".join(b"x-amz-meta-%04d: %b\r\n" % (number, b"v" * 32) for number in range(138))
    assert len(meta) > 7000
    assert shell.talk(b"GET /echo HTTP/1.1\r\n" + HOST + meta + CLOSE).startswith(b"HTTP/1.1 200 ")


LARGE_HEADS = {
    "one value": b"A: " + b"b" * 40_000 + b"\r\n",
    "one value without end": b"A: " + b"b" * 900_000,
    "one name without end": b"A" * 900_000,
    "many headers": b"".join(b"x-%d: y\r\n" % number for number in range(201)),
    "one header many times": b"a: b\r\n" * 5000,
}


@pytest.mark.requirement("HTTP-22")
@pytest.mark.parametrize("headers", LARGE_HEADS.values(), ids=LARGE_HEADS)
def test_a_header_section_beyond_the_limits_is_refused(shell: WireServer, headers: bytes) -> None:
    seen = len(shell.app.handled)
    assert shell.talk(b"GET /echo HTTP/1.1\r\n" + HOST + headers + CLOSE).startswith(b"HTTP/1.1 400 ")
    assert shell.app.handled[seen:] == []


def test_trailers_without_end_are_refused(shell: WireServer) -> None:
    head = b"PUT /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    with shell.connect() as sock:
        sock.sendall(head)
        sock.sendall(b"X: " + b"y" * 2_000_000)
        assert read_reply(sock).status == 400


@pytest.mark.parametrize(
    "target", [b"http://photos.test:9000/echo/a?b=c", b"HTTPS://photos.test:9000/echo/a?b=c"]
)
def test_an_absolute_target_is_path_and_host(shell: WireServer, target: bytes) -> None:
    assert shell.talk(b"GET " + target + b" HTTP/1.1\r\n" + HOST + CLOSE).endswith(b"GET /echo/a?b=c ")
    path = target.replace(b"/echo/a", b"/headers")
    assert shell.talk(b"GET " + path + b" HTTP/1.1\r\n" + HOST + CLOSE).endswith(b"host=photos.test:9000")


def test_an_absolute_target_without_path_is_the_service(shell: WireServer) -> None:
    assert shell.talk(b"GET http://localhost HTTP/1.1\r\n" + HOST + CLOSE).startswith(b"HTTP/1.1 404 ")


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


def test_an_upgrade_is_ignored(shell: WireServer) -> None:
    """Java's own client asks for h2c on every plain connection."""
    message = (
        b"GET /echo/1 HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n"
        b"PUT /echo/2 HTTP/1.1\r\n" + HOST + UPGRADE + b"Content-Length: 3\r\n\r\nabc"
        b"PUT /echo/3 HTTP/1.1\r\n"
        + HOST
        + UPGRADE
        + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        b"GET /echo/4 HTTP/1.1\r\n" + HOST + CLOSE
    )
    assert split_replies(shell.talk(message)) == [
        (200, b"GET /echo/1 "),
        (200, b"PUT /echo/2 abc"),
        (200, b"PUT /echo/3 abc"),
        (200, b"GET /echo/4 "),
    ]


@pytest.mark.parametrize("at", range(150, 215))
def test_an_upgrade_cut_in_two_is_ignored(shell: WireServer, at: int) -> None:
    message = (
        b"PUT /echo/2 HTTP/1.1\r\n" + HOST + UPGRADE + b"Content-Length: 3\r\n\r\nabc"
        b"GET /echo/4 HTTP/1.1\r\n" + HOST + CLOSE
    )
    with shell.connect() as sock:
        sock.sendall(message[:at])
        sock.sendall(message[at:])
        assert split_replies(read_all(sock)) == [(200, b"PUT /echo/2 abc"), (200, b"GET /echo/4 ")]


def test_a_tls_hello_on_a_plain_port_is_refused_and_closed(shell: WireServer) -> None:
    answer = shell.talk(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200))
    assert answer.startswith(b"HTTP/1.1 400 ")
