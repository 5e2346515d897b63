"""Requests to the provider: signed, counted, and tried again for as long as that may help."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from anys3.client import endpoint as endpoints
from anys3.client import signing
from anys3.client.answers import Answer
from anys3.client.connections import Connection, Dialer, ExchangeError, NoAnswer, Pool, Stalled, Unreachable
from anys3.client.credentials import Found, NoCredentials
from anys3.client.endpoint import Endpoint
from anys3.store.errors import Unavailable
from anys3.store.s3 import refusals
from anys3.store.s3.address import Address
from anys3.store.s3.bodies import Body
from anys3.store.s3.circuit import Circuit
from anys3.store.s3.counts import Meter

_log = logging.getLogger(__name__)

DEFAULT_REGION = "us-east-1"
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_TRIES = 3
"""How often silence is waited for within the time that a request has."""
_REFRESH_S = 10.0
_TELLS_S = 600.0

Reply = tuple[Answer, Connection | None]
"""An answer, and the connection that still holds its body if it is read from there."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request of one of S3's operations. Without a key it is about the bucket.

    `more_s` is what it may take beyond the usual, without being a sign of an outage.
    """

    operation: str
    method: str
    key: str = ""
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Body = b""
    payload_hash: str = signing.EMPTY_SHA256
    more_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an engine may not read by itself: the time, chance, and who the provider knows it as."""

    now: Callable[[], datetime]
    chance: Callable[[], float]
    find_credentials: Callable[[], Found]
    """Raises NoCredentials."""


class Requester:
    """Sends requests for any number of threads, over connections that are kept."""

    def __init__(self, address: Address, around: Surroundings) -> None:
        """Find credentials; nothing is sent. Raises NoCredentials."""
        self._address = address
        self._around = around
        self._found = around.find_credentials()
        self._looked_at = -_REFRESH_S
        self.region = region_of(address, self._found)
        self.endpoint = _endpoint(address, self.region)
        self.where = f"s3://{address.bucket} at {self.endpoint.url}"
        self._silence_s = max(address.timeout_s / _TRIES, 1.0)
        dialer = Dialer(self.endpoint, self._silence_s, address.ca_file)
        context = dialer.context() if self.endpoint.is_tls else None
        self.pool = Pool(lambda: dialer.connect(context=context))
        self.meter = Meter()
        self.circuit = Circuit(time.monotonic)
        self._closed = threading.Event()
        self._tells_at = time.monotonic() + _TELLS_S

    def ask(
        self, request: Request, stop: threading.Event | None = None, patience_s: float | None = None
    ) -> Answer:
        """Return the answer, whole. `stop` ends the waiting for a better one, `patience_s` bounds it.

        Raises Unavailable: none came, or that of an overload only, in the time that there is.
        """
        return self._persist(request, stop, patience_s, is_streamed=False)[0]

    def open(self, request: Request) -> Reply:
        """Return the answer; of a 206 only the head, with its body to be read from the connection."""
        return self._persist(request, None, None, is_streamed=True)

    def pause(self, number: int, at_least_s: float = 0.0, stop: threading.Event | None = None) -> None:
        """Wait before the try after the `number`th one: up to twice as long each time, by chance."""
        (stop or self._closed).wait(self._pause_s(number, at_least_s))

    def stop(self) -> None:
        """End all waiting for better answers."""
        self._closed.set()

    def _pause_s(self, number: int, at_least_s: float) -> float:
        longest = min(_FIRST_PAUSE_S * 2.0**number, _LONGEST_PAUSE_S)
        return at_least_s + float(self._around.chance()) * longest

    def _persist(
        self, request: Request, stop: threading.Event | None, patience_s: float | None, *, is_streamed: bool
    ) -> Reply:
        self._tell_counts()
        is_single = self.circuit.is_open
        if not self.circuit.admits():
            raise Unavailable(f"{self.where} does not answer now: {self.circuit.reason}")
        began = time.monotonic()
        deadline = began + (patience_s or self._address.timeout_s) + request.more_s
        for number in itertools.count():
            tried, asked_s, used = time.monotonic(), 0.0, self._found
            try:
                answer, connection = self._exchange(request, is_streamed=is_streamed, is_retry=number > 0)
            except (ExchangeError, ValueError) as error:  # ValueError: no HTTP
                failure = str(error)
            else:
                if not refusals.is_passing(answer):
                    if self.circuit.succeeded():
                        _log.warning("%s answers again", self.where)
                    if refusals.code(answer) in refusals.STALE_CREDENTIALS and self._is_renewed(used):
                        continue
                    return answer, connection
                failure, asked_s = refusals.said(answer), refusals.retry_after_s(answer)
            pause_s = self._pause_s(number, asked_s)
            now = time.monotonic()
            gives_up = is_single or now + pause_s > deadline
            if self.circuit.failed(failure, now - tried, now - began if gives_up else None):
                _log.warning(
                    "%s does not answer, and requests fail at once until it does: %s", self.where, failure
                )
            if gives_up or (stop or self._closed).wait(pause_s):
                raise Unavailable(f"{self.where}: {request.operation} failed {number + 1} times: {failure}")
        raise AssertionError

    def _tell_counts(self) -> None:
        """Log what was asked until now, from time to time."""
        if time.monotonic() > self._tells_at:
            self._tells_at = time.monotonic() + _TELLS_S
            _log.info("%s: %s", self.where, self.meter.counts())

    def _exchange(self, request: Request, *, is_streamed: bool, is_retry: bool) -> Reply:
        """Try a request, once more if it was over a kept connection that the server had closed meanwhile."""
        connection = self._connection(request, is_retry=is_retry)
        is_kept = connection.answer_count > 0
        try:
            return self._try(connection, request, is_streamed=is_streamed, is_retry=is_retry)
        except NoAnswer as error:
            if not is_kept or error.has_begun:
                raise
        # Where it closed one it will have closed the others.
        self.pool.close()
        connection = self._connection(request, is_retry=True)
        return self._try(connection, request, is_streamed=is_streamed, is_retry=True)

    def _connection(self, request: Request, *, is_retry: bool) -> Connection:
        try:
            return self.pool.take()
        except Unreachable:
            self.meter.add(request.operation, "unreachable", 0, is_retry=is_retry)
            raise

    def _try(self, connection: Connection, request: Request, *, is_streamed: bool, is_retry: bool) -> Reply:
        outcome = "no answer"
        try:
            answer, left = self._send(connection, request, is_streamed=is_streamed)
            outcome = str(answer.status)
            self.meter.received(len(answer.body))
            return answer, left
        except Stalled:
            outcome = "stalled"
            connection.close()
            raise
        except BaseException:
            connection.close()
            raise
        finally:
            self.meter.add(request.operation, outcome, len(request.body), is_retry=is_retry)

    def _send(self, connection: Connection, request: Request, *, is_streamed: bool) -> Reply:
        head, body = self._head(request), request.body
        try:
            if isinstance(body, bytes):
                connection.send(head + body)
            else:
                connection.send(head)
                for piece in body.pieces():
                    connection.send(piece)
        except NoAnswer:
            if connection.answer_count:
                raise
            # It may have answered before it had read the body, and closed.
            answer = connection.read_answer(request.method)
            connection.close()
            return answer, None
        begun = connection.read_head(self._silence_s + request.more_s)
        if is_streamed and begun.status == 206:
            return begun, connection
        answer = connection.read_body(request.method, begun)
        self.pool.give(connection, answer)
        return answer, None

    def _head(self, request: Request) -> bytes:
        """Return the signed head of a request."""
        credentials = self._found.credentials
        amz_date = self._around.now().strftime("%Y%m%dT%H%M%SZ")
        bucket = "" if self._address.is_virtual else f"/{self._address.bucket}"
        path = quote(f"{bucket}/{request.key}" if request.key else bucket or "/", safe="/-_.~")
        raw_query = signing.encode_query(request.query)
        headers = [
            ("host", self.endpoint.authority),
            ("x-amz-date", amz_date),
            ("x-amz-content-sha256", request.payload_hash),
            *request.headers,
        ]
        if credentials.session_token:
            headers.append(("x-amz-security-token", credentials.session_token))
        authorization = signing.sign(
            request.method, path, raw_query, headers,
            credentials=credentials,
            scope=signing.Scope(amz_date[:8], self.region),
            amz_date=amz_date,
            payload_hash=request.payload_hash,
        )  # fmt: skip
        headers.append(("authorization", authorization))
        if request.method in ("PUT", "POST"):
            headers.append(("content-length", str(len(request.body))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        target = f"{path}?{raw_query}" if raw_query else path
        return f"{request.method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def _is_renewed(self, used: Found) -> bool:
        """Whether the chain has other credentials than `used` by now, which count from here on."""
        now = time.monotonic()
        if self._found is not used:
            return True
        if now - self._looked_at < _REFRESH_S:
            return False
        self._looked_at = now
        try:
            self._found = self._around.find_credentials()
        except NoCredentials:
            return False
        return self._found.credentials != used.credentials


def region_of(address: Address, found: Found) -> str:
    """Return the region that requests are signed for."""
    return address.region or found.region or DEFAULT_REGION


def endpoint_of(address: Address, region: str) -> Endpoint:
    """Return where requests go that name the bucket in their path."""
    return address.endpoint or endpoints.parse(f"https://s3.{region}.amazonaws.com")


def _endpoint(address: Address, region: str) -> Endpoint:
    found = endpoint_of(address, region)
    return (
        Endpoint(found.scheme, f"{address.bucket}.{found.host}", found.port) if address.is_virtual else found
    )
