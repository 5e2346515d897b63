"""Connections: what comes back when servers answer well, badly, early, late or not at all."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from anys3.client.answers import Answer
from anys3.client.connections import Dialer, NoAnswer, Pool, Stalled, Unreachable
from anys3.client.endpoint import Endpoint
from anys3.server import tls
from tests.client.servers import Script, answers, read_head, scripted

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def exchanged(endpoint: Endpoint, data: bytes = GET, method: str = "GET", timeout_s: float = 20) -> Answer:
    with Dialer(endpoint, timeout_s).connect() as connection:
        connection.send(data)
        return connection.read_answer(method)


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ([OK], b"ok"),
        (
            [
                b"HTTP/1.1 200 OK\r\nTransfer-",
                b"Encoding: chunked\r\n\r\n1\r",
                b"\no\r\n1\r\nk\r\n0\r\n",
                b"\r\n",
            ],
            b"ok",
        ),
        ([b"HTTP/1.1 102 Processing\r\n\r\n", OK], b"ok"),
        ([b"HTTP/1.0 200 OK\r\n\r\nok"], b"ok"),
        ([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\no", b"k"], b"ok"),
        ([b"HTTP/1.1 200 OK\r\n\r\n"], b""),
    ],
    ids=["length", "chunked", "interim", "http-1.0", "close-delimited", "empty"],
)
def test_a_whole_answer_is_read(pieces: list[bytes], body: bytes) -> None:
    with scripted([answers(*pieces)]) as (endpoint, _):
        answer = exchanged(endpoint)
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize(
    ("pieces", "sentence", "has_begun"),
    [
        ([], "without an answer", False),
        ([b"HTTP/1.1 2"], "after 10 bytes of an answer's head", True),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], "without an answer", True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"], "after 3 bytes of the body of a 200", True),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
            "after 3 bytes of the body of a 200",
            True,
        ),
    ],
    ids=["nothing", "head", "interim", "body", "chunks"],
)
def test_an_answer_that_is_cut_is_no_answer(pieces: list[bytes], sentence: str, has_begun: bool) -> None:
    with scripted([answers(*pieces)]) as (endpoint, _):
        with pytest.raises(NoAnswer, match=sentence) as cut:
            exchanged(endpoint)
    assert cut.value.has_begun == has_begun


def test_what_is_no_http_is_refused() -> None:
    with scripted([answers(b"220 mail.example.com ESMTP\r\n\r\n")]) as (endpoint, _):
        with pytest.raises(ValueError, match="not a status line"):
            exchanged(endpoint)


def test_bytes_after_the_answer_are_kept_apart() -> None:
    with scripted([answers(OK + b"stray")]) as (endpoint, _):
        with Dialer(endpoint, 20).connect() as connection:
            connection.send(GET)
            assert connection.read_answer("GET").body == b"ok"
            assert connection.read_more(20) == b"stray"
            assert connection.read_more(20) == b""


def test_answers_to_pipelined_requests_come_one_by_one() -> None:
    with scripted([answers(OK + OK)]) as (endpoint, _):
        with Dialer(endpoint, 20).connect() as connection:
            connection.send(GET + GET)
            assert [connection.read_answer("GET").body, connection.read_answer("GET").body] == [b"ok", b"ok"]
            assert connection.answer_count == 2


def waiting(release: threading.Event, *pieces: bytes) -> Script:
    """A script that sends the pieces, then keeps the connection open until it is released."""

    def script(connection: socket.socket) -> None:
        read_head(connection)
        for piece in pieces:
            connection.sendall(piece)
        release.wait(20)

    return script


@pytest.mark.parametrize(
    "pieces", [(), (b"HTTP/1.1 200 OK\r\n",), (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1",)]
)
def test_a_server_that_does_not_answer_is_waited_for_until_the_deadline(pieces: tuple[bytes, ...]) -> None:
    release = threading.Event()
    with scripted([waiting(release, *pieces)]) as (endpoint, _):
        with pytest.raises(Stalled, match=r"no whole answer in 0\.2"):
            exchanged(endpoint, timeout_s=0.2)
        release.set()


def test_a_server_that_never_ends_is_left_at_the_deadline() -> None:
    def script(connection: socket.socket) -> None:
        read_head(connection)
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    with scripted([script]) as (endpoint, _):
        with pytest.raises(Stalled):
            exchanged(endpoint, timeout_s=0.3)


def test_a_server_that_reads_nothing_is_waited_for_until_the_deadline() -> None:
    release = threading.Event()
    with scripted([lambda _: release.wait(20) and None]) as (endpoint, _):
        with pytest.raises(Stalled, match=r"took no more bytes for 0\.2 s"):
            exchanged(endpoint, b"x" * (64 << 20), timeout_s=0.2)
        release.set()


def test_nothing_comes_in_time_and_then_the_connection_closes() -> None:
    release = threading.Event()
    with scripted([waiting(release, OK)]) as (endpoint, _):
        with Dialer(endpoint, 20).connect() as connection:
            connection.send(GET)
            connection.read_answer("GET")
            assert connection.read_more(0.1) is None
            release.set()
            assert connection.read_more(20) == b""


def test_an_answer_that_comes_while_the_body_is_sent_is_read() -> None:
    def script(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")

    data = b"PUT / HTTP/1.1\r\nContent-Length: 33554432\r\n\r\n" + b"x" * (32 << 20)
    with scripted([script]) as (endpoint, _):
        pool = Pool(Dialer(endpoint, 20).connect)
        answer = pool.exchange(data, "PUT")
        pool.close()
    assert (answer.status, answer.body) == (413, b"big")


def serves(count: int) -> Script:
    """A script that answers so many requests on one connection, and closes."""

    def script(connection: socket.socket) -> None:
        for _ in range(count):
            if not read_head(connection):
                return
            connection.sendall(OK)

    return script


def pooled(scripts: list[Script], requests: int) -> tuple[list[bytes], list[int]]:
    with scripted(scripts) as (endpoint, accepted):
        pool = Pool(Dialer(endpoint, 20).connect)
        bodies = [pool.exchange(GET, "GET").body for _ in range(requests)]
        pool.close()
        seen = list(accepted)
    return bodies, seen


def test_a_connection_is_kept_for_the_next_request() -> None:
    assert pooled([serves(3)], 3) == ([b"ok"] * 3, [0])


def test_a_kept_connection_that_the_server_closed_is_replaced() -> None:
    assert pooled([serves(1), serves(1)], 2) == ([b"ok"] * 2, [0, 1])


@pytest.mark.parametrize(
    "first",
    [
        OK + b"stray",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    ],
)
def test_a_connection_that_cannot_be_kept_is_not(first: bytes) -> None:
    release = threading.Event()
    release.set()
    assert pooled([waiting(release, first), serves(1)], 2) == ([b"ok"] * 2, [0, 1])


@pytest.mark.parametrize("cut", [b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"])
def test_a_request_is_not_sent_again_once_an_answer_has_begun(cut: bytes) -> None:
    def script(connection: socket.socket) -> None:
        for piece in (OK, cut):
            read_head(connection)
            connection.sendall(piece)

    with scripted([script, serves(1)]) as (endpoint, accepted):
        pool = Pool(Dialer(endpoint, 20).connect)
        assert pool.exchange(GET, "GET").status == 200
        with pytest.raises(NoAnswer):
            pool.exchange(GET, "GET")
        pool.close()
        assert accepted == [0]


def test_a_new_connection_that_is_closed_is_not_tried_again() -> None:
    with scripted([answers(), serves(1)]) as (endpoint, accepted):
        pool = Pool(Dialer(endpoint, 20).connect)
        with pytest.raises(NoAnswer):
            pool.exchange(GET, "GET")
        assert accepted == [0]


def test_nobody_listening_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match=f"http://127.0.0.1:{port}: .*refused"):
        Dialer(Endpoint("http", "127.0.0.1", port), 5).connect()


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".localdomain"])
def test_a_name_that_is_none_is_unreachable(host: str) -> None:
    with pytest.raises(Unreachable, match=host):
        Dialer(Endpoint("http", host, 80), 5).connect()


def test_names_under_localhost_are_this_machine() -> None:
    with scripted([answers(OK)]) as (endpoint, _):
        assert exchanged(Endpoint("http", "bucket.s3.localhost", endpoint.port)).body == b"ok"


@pytest.mark.parametrize("pieces", [[OK], [OK[:-1], b"k"], [b"HTTP/1.1 102 Processing\r\n\r\n" + OK]])
def test_a_body_can_be_left_behind_its_head_and_read_whole(pieces: list[bytes]) -> None:
    with scripted([answers(*pieces)]) as (endpoint, _), Dialer(endpoint, 20).connect() as connection:
        connection.send(GET)
        head = connection.read_head()
        assert (head.status, head.body, head.header("content-length")) == (200, b"", "2")
        assert connection.read_body("GET", head).body == b"ok"
        assert (connection.answer_count, connection.unread) == (1, b"")


def test_a_body_can_be_read_into_memory_piece_by_piece_until_the_server_closes() -> None:
    with scripted([answers(OK, b"more")]) as (endpoint, _), Dialer(endpoint, 20).connect() as connection:
        connection.send(GET)
        connection.read_head()
        found, view = b"", memoryview(bytearray(4))
        while count := connection.read_into(view):
            found += view[:count]
    assert found == b"okmore"


def test_a_body_that_does_not_go_on_has_stalled() -> None:
    is_over = threading.Event()

    def script(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(OK[:-1])
        is_over.wait(20)

    with scripted([script]) as (endpoint, _), Dialer(endpoint, 20).connect() as connection:
        connection.send(GET)
        connection.read_head()
        assert connection.read_into(memoryview(bytearray(2))) == 1
        with pytest.raises(Stalled, match=r"in 0\.1 s"):
            connection.read_into(memoryview(bytearray(1)), 0.1)
        is_over.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tls.self_signed_files(
        tmp_path_factory.mktemp("tls"), ("localhost", "b.example.com"), datetime.now(UTC)
    )


@pytest.fixture
def context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def secured(endpoint: Endpoint, ca_file: Path | None) -> Dialer:
    return Dialer(Endpoint("https", "localhost", endpoint.port), 20, str(ca_file) if ca_file else None)


def test_an_answer_comes_over_tls(certificate: tuple[Path, Path], context: ssl.SSLContext) -> None:
    with scripted([answers(OK)], context) as (endpoint, _):
        with secured(endpoint, certificate[0]).connect() as connection:
            connection.send(GET)
            assert connection.read_answer("GET").body == b"ok"
            assert connection.tls_version == "TLSv1.3"
            assert connection.certificate


def test_another_name_can_be_asked_for(certificate: tuple[Path, Path], context: ssl.SSLContext) -> None:
    with scripted([answers(OK)], context) as (endpoint, _):
        with secured(endpoint, certificate[0]).connect(server_name="b.example.com") as connection:
            assert connection.tls_version


Attempt = Callable[[Endpoint, Path], Dialer]


@pytest.mark.parametrize(
    ("attempt", "complaint"),
    [
        (lambda endpoint, _: secured(endpoint, None), "CERTIFICATE_VERIFY_FAILED"),
        (lambda endpoint, ca: Dialer(endpoint, 20, str(ca)), "127.0.0.1"),
    ],
    ids=["authority", "name"],
)
def test_a_certificate_that_cannot_be_verified_is_unreachable(
    certificate: tuple[Path, Path], context: ssl.SSLContext, attempt: Attempt, complaint: str
) -> None:
    with scripted([answers(OK)], context) as (endpoint, _):
        with pytest.raises(Unreachable, match=complaint):
            attempt(endpoint, certificate[0]).connect()


def test_a_server_without_tls_is_unreachable_over_tls(certificate: tuple[Path, Path]) -> None:
    with scripted([lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")]) as (endpoint, _):
        with pytest.raises(Unreachable):
            Dialer(Endpoint("https", "127.0.0.1", endpoint.port), 20, str(certificate[0])).connect()
