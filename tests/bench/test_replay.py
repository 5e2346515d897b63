"""The load client reads whatever a server may answer, sends each request once, and counts what is amiss."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
from bench.client import BARRIER, IS_HEAD, NO_ERROR, Replay, Request, program, write_requests

BLOCK = bytes(range(256)) * 16
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSE = b""
"""A piece that closes the connection."""
SILENCE = b"silence"
"""A piece that keeps the client waiting."""

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler is here for the load client")


class Scripted:
    """A server that answers each path with pieces, sent apart; keeps the raw requests in their order."""

    def __init__(self, **answers: list[list[bytes]]) -> None:
        self.answers = answers
        self.requests: list[bytes] = []
        self.done = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while request := self._read(connection):
                with self._lock:
                    self.requests.append(request)
                    scripts = self.answers[request.split(b" ")[1].decode().strip("/")]
                    script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
                for piece in script:
                    if piece == CLOSE:
                        return
                    if piece == SILENCE:
                        self.done.wait(20)
                        return
                    connection.sendall(piece)
                    time.sleep(0.01)

    def _read(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            received = connection.recv(65536)
            if not received:
                return b""
            data += received
        head, _, body = data.partition(b"\r\n\r\n")
        lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        wanted = int(lines.get(b"content-length", 0))
        if b"early" in head:
            return data
        while len(body) < wanted:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.done.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)


def _get(path: str, **more) -> Request:
    return Request(f"GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n".encode(), **more)


def _put(path: str, size: int, offset: int = 0, **more) -> Request:
    head = f"PUT /{path} HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n".encode()
    return Request(head, body_offset=offset, body_bytes=size, **more)


def _run(server: Scripted, *requests: Request, soft_s: float = 20, hard_s: float = 20, **more):
    with Replay(program(), requests, BLOCK, port=server.port, soft_s=soft_s, hard_s=hard_s, **more) as replay:
        return replay.run()


ANSWERS = {
    "split": [b"HTTP/1.1 200 OK\r\nConte", b"nt-Length: 10\r", b"\n\r", b"\n0123", b"456", b"789"],
    "chunked": [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5",
        b";name=value\r\n01",
        b"234\r",
        b"\n05\r\n56789\r\n0\r\nTrailer: ",
        b"value\r\n",
        b"\r\n",
    ],
    "interim": [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"],
    "at-once": [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:10\r\n\r\n0123456789",
    ],
    "until-close": [b"HTTP/1.0 200 OK\r\n\r\n01234", b"56789", CLOSE],
}


@pytest.mark.parametrize("polls", [False, True], ids=["sleeping", "polling"])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_whole_however_it_is_framed_and_cut(name, polls):
    with Scripted(**{name: [ANSWERS[name]]}) as server:
        result = _run(server, _get(name, answer_bytes=10), _get(name, answer_bytes=10), polls=polls)
    assert (result.answers, result.body_bytes, result.oddities()) == (2, 20, {})


@pytest.mark.parametrize(
    ("status", "flags"), [(b"200 OK", IS_HEAD), (b"204 No Content", 0), (b"304 Not Modified", 0)]
)
def test_no_body_is_waited_for_where_there_is_none(status, flags):
    number = int(status[:3])
    with Scripted(none=[[b"HTTP/1.1 " + status + b"\r\nContent-Length: 4096\r\n\r\n"]]) as server:
        result = _run(server, *[_get("none", status=number, flags=flags, answer_bytes=0)] * 3)
    assert (result.answers, result.reconnects, result.oddities()) == (3, 0, {})


def test_requests_are_sent_once_each_with_bodies_cut_around_the_block():
    sizes = [(10, 0), (10, len(BLOCK) - 5), (100_000, 7)]
    with Scripted(put=[[OK]]) as server:
        result = _run(server, *(_put("put", size, offset) for size, offset in sizes))
    around = BLOCK * 26
    assert [request.partition(b"\r\n\r\n")[2] for request in server.requests] == [
        around[offset : offset + size] for size, offset in sizes
    ]
    assert (result.answers, result.resent, result.unsent) == (3, 0, 0)


def test_an_unexpected_status_is_counted_with_what_the_server_said():
    refusal = b'HTTP/1.1 403 Forbidden\r\nContent-Length: 21\r\n\r\n<Code>"Denied"</Code>'
    with Scripted(ok=[[OK]], refused=[[refusal]]) as server:
        result = _run(server, _get("ok"), _get("refused"), _get("refused"))
    assert (result.answers, result.unexpected) == (3, {"403": 2})
    assert result.sample == '<Code>"Denied"</Code>'


def test_a_status_without_a_body_is_sampled_by_its_head():
    with Scripted(moved=[[b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"]]) as server:
        result = _run(server, _get("moved"))
    assert result.sample.startswith("HTTP/1.1 301 Moved")


def test_a_body_of_another_length_is_counted():
    with Scripted(ok=[[OK]]) as server:
        result = _run(server, _get("ok", answer_bytes=2), _get("ok", answer_bytes=3))
    assert result.oddities() == {"wrong lengths": 1}


def test_a_200_that_holds_an_error_is_counted_where_that_can_be():
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n<Error>x</Error>"
    with Scripted(copy=[[body]]) as server:
        result = _run(server, _get("copy", flags=NO_ERROR), _get("copy"))
    assert result.oddities() == {"error bodies": 1}


def test_a_request_is_sent_again_when_the_kept_connection_was_closed_before_an_answer():
    with Scripted(ok=[[OK]], closing=[[CLOSE], [OK]]) as server:
        result = _run(server, _get("ok"), _get("closing"))
    assert (result.answers, result.resent, result.reconnects, result.oddities()) == (2, 1, 1, {})


def test_an_answer_that_ends_early_is_broken_and_the_next_request_goes_on():
    short = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123", CLOSE]
    with Scripted(ok=[[OK]], short=[short]) as server:
        result = _run(server, _get("short"), _get("ok"))
    assert (result.answers, result.oddities()) == (1, {"broken": 1})


def test_a_server_that_always_closes_is_given_up_after_three_tries():
    with Scripted(closing=[[CLOSE]]) as server:
        result = _run(server, _get("closing"))
    assert (len(server.requests), result.oddities()) == (3, {"broken": 1})


def test_an_announced_close_costs_a_new_connection_and_no_request():
    last = [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", CLOSE]
    with Scripted(last=[last]) as server:
        result = _run(server, _get("last"), _get("last"), _get("last"))
    assert (result.answers, result.reconnects, result.resent, result.oddities()) == (3, 2, 0, {})


def test_a_refusal_before_the_body_was_sent_counts_as_the_answer():
    refusal = [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", CLOSE]
    with Scripted(early=[refusal]) as server:
        result = _run(server, _put("early", 64 << 20, status=403))
    assert (result.answers, result.oddities()) == (1, {})


def test_a_barrier_waits_for_everything_before_it():
    slow = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n", b"\r\n", b"ok"]
    with Scripted(slow=[slow], last=[[OK]], more=[[OK]]) as server:
        result = _run(
            server, _get("slow"), _get("slow"), _get("last", flags=BARRIER), _get("more"), connections=3
        )
    seen = [request.split(b" ")[1] for request in server.requests]
    assert (seen[:2], sorted(seen[2:])) == ([b"/slow", b"/slow"], [b"/last", b"/more"])
    assert result.answers == 4


def test_what_is_outstanding_at_the_end_of_time_is_unfinished():
    with Scripted(never=[[SILENCE]]) as server:
        result = _run(server, _get("never"), _get("never"), hard_s=0.3)
        server.done.set()
    assert (result.answers, result.unfinished, result.unsent) == (0, 1, 1)


def test_nothing_new_is_sent_after_the_soft_limit():
    with Scripted(ok=[[OK]]) as server:
        result = _run(server, *[_get("ok")] * 10_000, soft_s=0.2)
    assert result.answers + result.unsent == 10_000
    assert result.unsent > 0
    assert result.unfinished == 0


def test_percentiles_are_of_all_answers_in_nanoseconds():
    with Scripted(ok=[[OK]]) as server:
        result = _run(server, *[_get("ok")] * 50)
    assert 0 < result.p50_ns <= result.p99_ns <= result.p999_ns <= result.max_ns
    assert result.max_ns <= result.seconds * 1e9
    assert result.sent_bytes == 50 * len(_get("ok").head)
    assert result.received_bytes == 50 * len(OK)


def test_a_port_that_nobody_listens_on_is_said():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        replay = Replay(program(), [_get("ok")], BLOCK, port=held.getsockname()[1])
        with pytest.raises(RuntimeError, match="Connection refused"), replay:
            pass


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data + b"x", lambda _: b"other"])
def test_a_damaged_file_of_requests_is_refused(spoil: Callable[[bytes], bytes], tmp_path):
    path = tmp_path / "requests"
    write_requests(path, [_get("ok")], BLOCK)
    path.write_bytes(spoil(path.read_bytes()))
    done = subprocess.run(
        [program(), path, "127.0.0.1", "1", "1", "1", "1"], capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, b"file of requests" in done.stderr) == (2, True)
