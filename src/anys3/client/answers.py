"""Answers as they came over the wire, and the reading of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

_MAX_HEAD_BYTES = 1 << 17
_MAX_BODY_BYTES = 1 << 28
_CHUNK_LINE_BYTES = 1 << 12
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Header names are in lower case, in the order sent; repeated ones stay apart."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    interim: tuple[int, ...] = ()
    closes: bool = False
    reason: str = ""

    def header(self, name: str) -> str | None:
        """Return the first header of that name, None if there is none."""
        return next((value for found, value in self.headers if found == name), None)

    def header_values(self, name: str) -> tuple[str, ...]:
        """Return all headers of that name."""
        return tuple(value for found, value in self.headers if found == name)


class AnswerReader:
    """Reads one final answer out of bytes that arrive in pieces (RFC 9112)."""

    def __init__(
        self, method: str, *, final: bool = True, sink: Callable[[bytes], None] | None = None
    ) -> None:
        """Read the answer to a request of that method; an interim one is the answer unless `final`.

        With a `sink` the body goes there as it comes, however long, and the answer has none.
        """
        self._method = method
        self._final = final
        self._sink = sink
        self.read_bytes = 0
        """How many bytes of the body were read."""
        self._chunk_left = 0
        self._is_after_chunk = False
        self._interim: tuple[int, ...] = ()
        self._head: Answer | None = None
        self._remaining = 0
        self._kind = ""
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> tuple[Answer | None, bytes]:
        """Return the answer, once it is whole, and the bytes that were not used. Raises ValueError."""
        while self._head is None:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > _MAX_HEAD_BYTES:
                    raise ValueError(f"the head of the answer is longer than {_MAX_HEAD_BYTES} bytes")
                return None, data
            head = _parse_head(data[:end])
            data = data[end + 4 :]
            if head.status >= 200 or not self._final:
                self.begin(head)
            else:
                self._interim += (head.status,)
        if self._kind == "chunked":
            data = self._feed_chunks(data)
        elif self._remaining:
            piece = data if self._kind == "close" else data[: self._remaining]
            data = data[len(piece) :]
            self._remaining -= 0 if self._kind == "close" else len(piece)
            self._take(piece)
        return (self._whole() if not self._remaining else None), data

    def end(self, data: bytes) -> Answer | None:
        """Return the answer if the end of the connection makes it whole."""
        if self._head is not None and self._kind == "close":
            self._take(data)
            return self._whole()
        return None

    @property
    def has_begun(self) -> bool:
        """Whether the head of an answer was read, an interim one or the final one."""
        return self._head is not None or bool(self._interim)

    def ended_early(self, data: bytes) -> str:
        """Return a sentence about where the connection ended."""
        if self._head is None:
            return "the server closed the connection " + (
                f"after {len(data)} bytes of an answer's head" if data else "without an answer"
            )
        return f"the server closed the connection after {self.read_bytes} bytes of the body of a {self._head.status}"

    def begin(self, head: Answer) -> None:
        """Go on from a head that was read before: what is fed from now on is its body."""
        self._head = head
        codings = (head.header("transfer-encoding") or "").lower()
        if self._method == "HEAD" or head.status in (204, 304) or head.status < 200:
            return
        if codings.endswith("chunked"):
            self._kind, self._remaining = "chunked", 1
        elif (length := head.header("content-length")) is not None:
            if set(head.header_values("content-length")) != {length}:
                raise ValueError(
                    f"several content-lengths: {', '.join(head.header_values('content-length'))}"
                )
            if not length.isdigit() or (int(length) > _MAX_BODY_BYTES and self._sink is None):
                raise ValueError(f"content-length is {length!r}; expected 0 to {_MAX_BODY_BYTES}")
            self._remaining = int(length)
        else:
            self._kind, self._remaining = "close", 1

    def _feed_chunks(self, data: bytes) -> bytes:
        while True:
            if self._chunk_left:
                piece, data = data[: self._chunk_left], data[self._chunk_left :]
                self._chunk_left -= len(piece)
                self._take(piece)
                if self._chunk_left:
                    return data
                self._is_after_chunk = True
            if self._is_after_chunk:
                if len(data) < 2:
                    return data
                if not data.startswith(b"\r\n"):
                    raise ValueError(f"expected CRLF after a chunk, got {data[:2]!r}")
                self._is_after_chunk, data = False, data[2:]
            end = data.find(b"\r\n")
            if end < 0:
                if len(data) > _CHUNK_LINE_BYTES:
                    raise ValueError("a chunk's size line is too long")
                return data
            size = data[:end].split(b";")[0].rstrip(b" \t")
            if not _CHUNK_SIZE.fullmatch(size):
                raise ValueError(f"a chunk's size is {size[:40]!r}")
            self._chunk_left = int(size, 16)
            if not self._chunk_left:
                return self._feed_trailers(data, end)
            data = data[end + 2 :]

    def _feed_trailers(self, data: bytes, end: int) -> bytes:
        if data.startswith(b"\r\n", end + 2):
            self._remaining = 0
            return data[end + 4 :]
        close = data.find(b"\r\n\r\n", end + 2)
        if close < 0:
            if len(data) > _MAX_HEAD_BYTES:
                raise ValueError(f"the trailer is longer than {_MAX_HEAD_BYTES} bytes")
            return data
        self._remaining = 0
        return data[close + 4 :]

    def _take(self, piece: bytes) -> None:
        self.read_bytes += len(piece)
        if self._sink is not None:
            self._sink(piece)
        elif self.read_bytes > _MAX_BODY_BYTES:
            raise ValueError(f"the body is longer than {_MAX_BODY_BYTES} bytes")
        else:
            self._pieces.append(piece)

    def _whole(self) -> Answer:
        assert self._head is not None
        wish = (self._head.header("connection") or "").lower()
        is_closing = "close" in wish or self._kind == "close" or (self._head.closes and wish != "keep-alive")
        return replace(self._head, body=b"".join(self._pieces), interim=self._interim, closes=is_closing)


def _parse_head(head: bytes) -> Answer:
    """Return status and headers. Raises ValueError: this is no HTTP answer."""
    first, *lines = head.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    status, _, reason = rest.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or not status.isdigit() or len(status) != 3:
        raise ValueError(f"not a status line: {first[:80]!r}")
    headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise ValueError(f"not a header line: {line[:80]!r}")
        headers.append((name.decode("latin-1").lower(), value.strip(b" \t").decode("latin-1")))
    is_old = version == b"HTTP/1.0"
    return Answer(int(status), tuple(headers), b"", closes=is_old, reason=reason.decode("latin-1"))
