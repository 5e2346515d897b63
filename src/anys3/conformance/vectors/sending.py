"""Requests as vectors state them: exact bytes, signed unless told otherwise, over connections of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from anys3.client import signing
from anys3.client.answers import Answer
from anys3.client.connections import Connection, Dialer, ExchangeError, NoAnswer, Pool, Stalled
from anys3.client.signing import Credentials, Scope
from anys3.conformance.vectors import content
from anys3.conformance.vectors.content import EMPTY, Blob
from anys3.conformance.vectors.target import Target

_INLINE_BYTES = 1 << 16
Headers = list[tuple[str, str]]


class NotHttp(ExchangeError):
    """What came is no HTTP answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. All text is ISO 8859-1 as it stands for the bytes on the wire (see `wire_text`)."""

    method: str
    path: str
    raw_query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: Blob | None = None

    @property
    def target(self) -> str:
        """Path and query, as they go into the request line."""
        return f"{self.path}?{self.raw_query}" if self.raw_query else self.path

    def header(self, name: str) -> str | None:
        """Return the first header of that name, in lower case."""
        return next((value for found, value in self.headers if found.lower() == name), None)


def wire_text(text: str) -> str:
    """Return text so that each character stands for one byte of its UTF-8 form."""
    return text.encode().decode("latin-1")


def decoded_text(text: str) -> str:
    """Return what `wire_text` was made from; text that is not UTF-8 as it is."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


class Sender:
    """Sends requests to one target. For any number of threads."""

    def __init__(self, target: Target, now: Callable[[], datetime]) -> None:
        """Sign with the times that `now` gives."""
        self.target = target
        self._now = now
        self._dialer = Dialer(target.endpoint, target.timeout_s, target.ca_file)
        self._pool = Pool(self._dialer.connect)

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.close()

    def simple(
        self,
        method: str,
        bucket: str = "",
        key: str = "",
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Iterable[tuple[str, str]] = (),
        body: Blob | None = None,
        credentials: Credentials | None = None,
    ) -> Answer:
        """Send a well-formed request of the runner's own. Raises ExchangeError, ValueError."""
        path = signing.encode_path(bucket, key) if bucket else "/"
        request = Request(method, path, signing.encode_query(query), tuple(headers), body)
        signed = self.signed(request, credentials or self.target.credentials)
        if (body or EMPTY).size > _INLINE_BYTES:
            return self.exact(signed)
        return self._pool.exchange(head_of(signed) + content.whole(body or EMPTY), method)

    def exact(self, request: Request, sink: Callable[[bytes], None] | None = None) -> Answer:
        """Send a request as it is over a new connection, and return the answer.

        With a `sink` the body goes there, a piece at a time, and is not in the answer. An answer that comes
        while the body is being sent is read. Raises ExchangeError; NotHttp for what is no answer.
        """
        with self._dialer.connect() as connection:
            try:
                _send(connection, request)
            except (NoAnswer, Stalled):
                pass  # it may have answered before it had read the body
            try:
                return connection.read_answer(request.method, sink=sink)
            except ValueError as error:
                raise NotHttp(f"the answer is not HTTP: {error}") from None

    def completed(self, request: Request) -> Request:
        """Return the request with Host and Content-Length, unless it has its own."""
        headers = list(request.headers)
        if request.header("host") is None:
            headers.insert(0, ("Host", self.target.endpoint.authority))
        is_framed = any(request.header(name) is not None for name in ("content-length", "transfer-encoding"))
        if not is_framed and (request.body is not None or request.method in ("PUT", "POST")):
            headers.append(("Content-Length", str((request.body or EMPTY).size)))
        return Request(request.method, request.path, request.raw_query, tuple(headers), request.body)

    def signed(self, request: Request, credentials: Credentials) -> Request:
        """Return the request completed and signed in its headers; what it states itself is kept."""
        request = self.completed(request)
        headers = list(request.headers)
        amz_date = request.header("x-amz-date") or f"{self._now():%Y%m%dT%H%M%SZ}"
        payload_hash = request.header("x-amz-content-sha256")
        if request.header("x-amz-date") is None:
            headers.append(("x-amz-date", amz_date))
        if payload_hash is None:
            payload_hash = str(content.field(request.body or EMPTY, "sha256"))
            headers.append(("x-amz-content-sha256", payload_hash))
        if credentials.session_token is not None and request.header("x-amz-security-token") is None:
            headers.append(("x-amz-security-token", credentials.session_token))
        if request.header("authorization") is None:
            authorization = signing.sign(
                request.method,
                request.path.partition("?")[0],
                request.target.partition("?")[2],
                headers,
                credentials=credentials,
                scope=Scope(amz_date[:8], self.target.region),
                amz_date=amz_date,
                payload_hash=payload_hash,
            )
            headers.append(("Authorization", authorization))
        return Request(request.method, request.path, request.raw_query, tuple(headers), request.body)

    def presigned(
        self, request: Request, query: Sequence[tuple[str, str]], credentials: Credentials, expires_s: int
    ) -> Request:
        """Return the request with a signature in its query; `query` is the request's own, decoded."""
        host = request.header("host") or self.target.endpoint.authority
        headers = [("host", host), *(pair for pair in request.headers if pair[0].lower() != "host")]
        amz_date = f"{self._now():%Y%m%dT%H%M%SZ}"
        scope = Scope(amz_date[:8], self.target.region)
        url = signing.presign(
            request.method, request.path, query, headers,
            credentials=credentials, scope=scope, amz_date=amz_date, expires_s=expires_s,
        )  # fmt: skip
        path, _, raw_query = url.partition("?")
        return self.completed(Request(request.method, path, raw_query, tuple(headers), request.body))


def head_of(request: Request) -> bytes:
    """Return the head of a request as it goes over the wire."""
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _send(connection: Connection, request: Request) -> None:
    body = request.body or EMPTY
    if body.size <= _INLINE_BYTES:
        connection.send(head_of(request) + content.whole(body))
        return
    connection.send(head_of(request))
    for piece in content.pieces(body):
        connection.send(piece)
