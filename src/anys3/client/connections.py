"""Connections to an endpoint: bytes go out as they are given, answers come back as they were sent.

Nothing is retried, decoded or followed. Every wait ends at a deadline.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from anys3.client.answers import Answer, AnswerReader
from anys3.client.endpoint import Endpoint, is_localhost

_RECEIVE_BYTES = 1 << 16
_MAX_IDLE = 64
_BYTES_PER_S = 1 << 20


class ExchangeError(Exception):
    """A request that got no whole answer."""


class Unreachable(ExchangeError):
    """No connection could be made: name, route, refused, or TLS."""


class NoAnswer(ExchangeError):
    """The server closed the connection before the answer was whole.

    `partial` is what had come and was not read; `has_begun` says whether any byte of an answer had come.
    """

    def __init__(self, sentence: str, partial: bytes = b"", *, has_begun: bool = False) -> None:
        """Keep the bytes beside the sentence."""
        super().__init__(sentence)
        self.partial = partial
        self.has_begun = has_begun or bool(partial)


class Stalled(ExchangeError):
    """The server neither answered nor closed the connection in time."""


class Connection:
    """One connection. Not for several threads at once."""

    def __init__(self, connected: socket.socket, timeout_s: float) -> None:
        """Take over a connected socket; `timeout_s` bounds each answer."""
        self._socket = connected
        self._timeout_s = timeout_s
        self._received = b""
        self.answer_count = 0

    @property
    def tls_version(self) -> str | None:
        """The TLS version, `TLSv1.3` say; None without TLS."""
        return self._socket.version() if isinstance(self._socket, ssl.SSLSocket) else None

    @property
    def certificate(self) -> dict[str, object] | None:
        """The server's certificate as Python's ssl shows it; None without TLS."""
        found = self._socket.getpeercert() if isinstance(self._socket, ssl.SSLSocket) else None
        return dict(found) if found else None

    @property
    def raw_certificate(self) -> bytes | None:
        """The server's certificate as it sent it, DER, also if it was not verified; None without TLS."""
        return self._socket.getpeercert(binary_form=True) if isinstance(self._socket, ssl.SSLSocket) else None

    @property
    def unread(self) -> bytes:
        """Bytes that came after the end of the last answer."""
        return self._received

    def send(self, data: bytes | memoryview) -> None:
        """Send bytes. Raises NoAnswer if the server has closed, Stalled if it reads nothing."""
        self._socket.settimeout(self._timeout_s)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise Stalled(f"the server took no more bytes for {self._timeout_s:g} s") from None
        except OSError as error:
            raise NoAnswer(f"the server closed the connection while it was written to ({error})") from None

    def end_sending(self) -> None:
        """Half-close: no more bytes will be sent, answers can still be read."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def read_answer(
        self,
        method: str,
        timeout_s: float | None = None,
        *,
        final: bool = True,
        sink: Callable[[bytes], None] | None = None,
    ) -> Answer:
        """Read one answer; 1xx before it are counted in `interim`, or are the answer unless `final`.

        With a `sink` the body goes there, a piece at a time, and is not in the answer. Each mebibyte of a
        body has a second more.

        Raises NoAnswer and Stalled; ValueError if the bytes are not an HTTP answer.
        """
        answer = self._read(AnswerReader(method, final=final, sink=sink), timeout_s)
        self.answer_count += 1
        return answer

    def read_head(self, timeout_s: float | None = None) -> Answer:
        """Read the head of one final answer. Its body is still to come: by `read_body`, or by `read_into`.

        Raises as `read_answer`.
        """
        # After a HEAD no body comes, whatever the head announces: the reader leaves the body alone.
        answer = self._read(AnswerReader("HEAD"), timeout_s)
        self.answer_count += 1
        return answer

    def read_body(self, method: str, head: Answer, timeout_s: float | None = None) -> Answer:
        """Read the body that follows a head, and return the whole answer. Raises as `read_answer`."""
        reader = AnswerReader(method)
        reader.begin(head)
        return self._read(reader, timeout_s)

    def read_into(self, view: memoryview, timeout_s: float | None = None) -> int:
        """Put the next bytes into `view`, as many as have come, and return how many; 0: the server has closed.

        Framing is the caller's business. Raises NoAnswer and Stalled.
        """
        if self._received:
            count = min(len(view), len(self._received))
            view[:count] = self._received[:count]
            self._received = self._received[count:]
            return count
        allowed_s = timeout_s or self._timeout_s
        self._socket.settimeout(allowed_s)
        try:
            return self._socket.recv_into(view)
        except TimeoutError:
            raise Stalled(f"no more bytes of the body in {allowed_s:g} s") from None
        except OSError as error:
            raise NoAnswer(f"the connection ended within the body ({error})", has_begun=True) from None

    def _read(self, reader: AnswerReader, timeout_s: float | None) -> Answer:
        started, allowed_s = time.monotonic(), timeout_s or self._timeout_s
        while True:
            answer, self._received = reader.feed(self._received)
            if answer is not None:
                return answer
            allowed = allowed_s + reader.read_bytes / _BYTES_PER_S
            received = self._receive(started, allowed, reader)
            if not received:
                answer = reader.end(self._received)
                if answer is None:
                    raise NoAnswer(
                        reader.ended_early(self._received), self._received, has_begun=reader.has_begun
                    )
                return answer
            self._received += received

    def read_more(self, timeout_s: float) -> bytes | None:
        """Return what the server sends next: b"" if it closed the connection, None if nothing came."""
        if self._received:
            found, self._received = self._received, b""
            return found
        self._socket.settimeout(timeout_s)
        try:
            return self._socket.recv(_RECEIVE_BYTES)
        except TimeoutError:
            return None
        except OSError:
            return b""

    def close(self) -> None:
        """Close at once."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self, started: float, allowed_s: float, reader: AnswerReader) -> bytes:
        left = started + allowed_s - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            return self._socket.recv(_RECEIVE_BYTES)
        except TimeoutError:
            raise Stalled(f"no whole answer in {allowed_s:g} s") from None
        except OSError as error:
            sentence = f"{reader.ended_early(self._received)} ({error})"
            raise NoAnswer(sentence, self._received, has_begun=reader.has_begun) from None


@dataclass(frozen=True, slots=True)
class Dialer:
    """Makes connections to one endpoint, with its certificate verified."""

    endpoint: Endpoint
    timeout_s: float = 30.0
    ca_file: str | None = None

    def addresses(self) -> list[str]:
        """Return the addresses that the endpoint's host has now, each once; empty if they are not known."""
        if is_localhost(self.endpoint.host):
            return []
        try:
            found = socket.getaddrinfo(self.endpoint.host, self.endpoint.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return []
        return list(dict.fromkeys(str(row[4][0]) for row in found))

    def connect(
        self,
        *,
        server_name: str | None = None,
        context: ssl.SSLContext | None = None,
        address: str | None = None,
    ) -> Connection:
        """Return a new connection. `server_name` is asked for and verified in place of the endpoint's host.

        `address` is one of `addresses()`, to choose among them. Raises Unreachable: nobody listens there,
        or TLS could not be agreed on.
        """
        host = self.endpoint.host
        by_name = ["127.0.0.1", "::1"] if is_localhost(host) else [host]
        error: OSError | UnicodeError | None = None
        for where in [address] if address else by_name:
            try:
                connected = socket.create_connection((where, self.endpoint.port), self.timeout_s)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._secured(connected, server_name or host, context)
            except (OSError, UnicodeError) as found:  # no IDNA name is a UnicodeError
                error = error or found
        raise Unreachable(f"{self.endpoint.url}: {error}") from error

    def _secured(self, connected: socket.socket, name: str, context: ssl.SSLContext | None) -> Connection:
        if not self.endpoint.is_tls:
            return Connection(connected, self.timeout_s)
        context = context or self.context()
        try:
            return Connection(context.wrap_socket(connected, server_hostname=name), self.timeout_s)
        except BaseException:
            connected.close()
            raise

    def context(self) -> ssl.SSLContext:
        """Return a TLS context that verifies the server against `ca_file`, else the system's authorities."""
        return ssl.create_default_context(cafile=self.ca_file)


class Pool:
    """Keeps connections to one endpoint open between requests. For any number of threads."""

    def __init__(self, dial: Callable[[], Connection]) -> None:
        """Make connections with `dial`."""
        self._dial = dial
        self._idle: deque[Connection] = deque(maxlen=_MAX_IDLE)
        self._lock = threading.Lock()

    def exchange(self, data: bytes, method: str) -> Answer:
        """Send one whole request and return its answer, over a connection that is kept if it can be.

        A kept connection that the server closed meanwhile is replaced, once, before any byte of an answer
        came. An error answer that comes while the body is being sent is read.
        """
        connection = self.take()
        try:
            return self._exchange(connection, data, method)
        except NoAnswer as error:
            connection.close()
            if not connection.answer_count or error.has_begun:
                raise
        except BaseException:
            connection.close()
            raise
        fresh = self._dial()
        try:
            return self._exchange(fresh, data, method)
        except BaseException:
            fresh.close()
            raise

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def take(self) -> Connection:
        """Return a kept connection, which the server may have closed meanwhile, or a new one. Raises Unreachable."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._dial()

    def give(self, connection: Connection, last: Answer) -> None:
        """Keep a connection for the next request, if its last answer was read whole and lets it."""
        if last.closes or connection.unread or last.status < 200:
            connection.close()
            return
        with self._lock:
            if len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _exchange(self, connection: Connection, data: bytes, method: str) -> Answer:
        try:
            connection.send(data)
        except NoAnswer:
            if not connection.answer_count:
                return self._last_words(connection, method)
            raise
        answer = connection.read_answer(method)
        self.give(connection, answer)
        return answer

    @staticmethod
    def _last_words(connection: Connection, method: str) -> Answer:
        """Return the answer of a server that answered before it had read the body, and closed."""
        answer = connection.read_answer(method)
        connection.close()
        return answer
