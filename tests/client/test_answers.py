"""The reader of answers: however the bytes are cut, what comes out is what was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.client.answers import Answer, AnswerReader


def read(data: bytes, method: str = "GET", cuts: list[int] | None = None) -> tuple[Answer | None, bytes]:
    """Return the answer and what was left, with the bytes fed in pieces."""
    reader = AnswerReader(method)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or [])})
    held = b""
    for start, end in zip(places, places[1:], strict=False):
        answer, held = reader.feed(held + data[start:end])
        if answer is not None:
            return answer, held + data[end:]
    return reader.end(held), b""


def chunked(chunks: list[bytes], trailer: bytes = b"") -> bytes:
    framed = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n" + trailer + b"\r\n"


cuts = st.lists(st.integers(0, 10_000), max_size=8)


@given(
    chunks=st.lists(st.binary(max_size=40), max_size=4),
    trailer=st.sampled_from([b"", b"x: y\r\n"]),
    cuts=cuts,
)
def test_a_chunked_body_is_the_same_however_it_is_cut(
    chunks: list[bytes], trailer: bytes, cuts: list[int]
) -> None:
    answer, rest = read(chunked(chunks, trailer) + b"HTTP", cuts=cuts)
    assert answer is not None
    assert (answer.status, answer.body, rest) == (200, b"".join(chunks), b"HTTP")


@given(body=st.binary(max_size=60), interim=st.integers(0, 2), cuts=cuts)
def test_a_body_with_a_length_is_the_same_however_it_is_cut(
    body: bytes, interim: int, cuts: list[int]
) -> None:
    head = b"HTTP/1.1 100 Continue\r\n\r\n" * interim + b"HTTP/1.1 404 Not Found\r\n"
    data = head + b"content-length: %d\r\nA:  b \r\na: c\r\n\r\n" % len(body) + body
    answer, rest = read(data + b"more", cuts=cuts)
    assert answer == Answer(
        404,
        (("content-length", str(len(body))), ("a", "b"), ("a", "c")),
        body,
        (100,) * interim,
        False,
        "Not Found",
    )
    assert rest == b"more"


@given(body=st.binary(max_size=60), cuts=cuts)
def test_a_body_without_a_length_ends_with_the_connection(body: bytes, cuts: list[int]) -> None:
    answer, _ = read(b"HTTP/1.1 200 \r\n\r\n" + body, cuts=cuts)
    assert answer is not None
    assert (answer.body, answer.closes) == (body, True)


@given(st.binary(max_size=80))
def test_any_bytes_are_an_answer_or_refused(data: bytes) -> None:
    try:
        answer, _ = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    except ValueError:
        return
    assert answer is None or answer.status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname : v\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: v\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzebra\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 5000,
        b"HTTP/1.1 200 OK\r\nx: " + b"1" * 140_000,
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        read(data)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_an_answer_that_has_no_body_ends_with_its_head(method: str, status: int) -> None:
    answer, rest = read(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\nstray" % status, method)
    assert answer is not None
    assert (answer.body, answer.header("content-length"), rest) == (b"", "5", b"stray")


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"HTTP/1.1 200 OK\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", True),
        (b"HTTP/1.0 200 OK\r\n", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", False),
    ],
)
def test_whether_the_connection_closes_is_told(head: bytes, closes: bool) -> None:
    answer, _ = read(head + b"Content-Length: 0\r\n\r\n")
    assert answer is not None
    assert answer.closes == closes


def test_an_interim_answer_is_the_answer_where_it_is_asked_for() -> None:
    answer, rest = AnswerReader("PUT", final=False).feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP")
    assert answer is not None
    assert (answer.status, rest) == (100, b"HTTP")


def test_a_body_can_go_to_a_sink_however_long_it_is() -> None:
    taken: list[bytes] = []
    reader = AnswerReader("GET", sink=taken.append)
    assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nabc") == (None, b"")
    assert taken == [b"abc"]
    taken.clear()
    answer, _ = AnswerReader("GET", sink=taken.append).feed(chunked([b"ab", b"c"]))
    assert answer is not None
    assert (answer.body, b"".join(taken)) == (b"", b"abc")


def test_headers_are_found_by_name() -> None:
    answer = Answer(200, (("a", "1"), ("b", "2"), ("a", "3")), b"")
    assert (answer.header("a"), answer.header("c"), answer.header_values("a")) == ("1", None, ("1", "3"))
