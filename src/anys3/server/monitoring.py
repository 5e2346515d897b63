"""What a worker shows of itself and its engines: `/metrics` for Prometheus, `/health` for load balancers.

On a listener of its own, never beside S3; all workers have the one socket, and whoever is free answers for all.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from anys3.server import exposition
from anys3.server.figures import collected
from anys3.server.tallies import Tallies, Tally
from anys3.store.errors import StoreError
from anys3.store.figures import Figure, Labels

if TYPE_CHECKING:
    from anys3.server.connections import Connections
    from anys3.store.interface import Store

log = logging.getLogger("anys3.server")
BEAT_S = 1.0
PATIENCE_S = 5.0
"""What a client has for all of its request and the answer."""
HEAD_MAX = 8 << 10
DROPPED_MAX = 64 << 10
OPEN_MAX = 64
"""Connections of one worker; those beyond are closed without a word."""
_JOIN_S = 2.0
_PLAIN = b"text/plain; charset=utf-8"


class Monitor:
    """One worker's part of it."""

    def __init__(self, tallies: Tallies, slot: int, sockets: Sequence[socket.socket]) -> None:
        self.tally = tallies.of(slot)
        self.store: Store | None = None
        self.open: set[_Asking] = set()
        self._tallies = tallies
        self._sockets = sockets
        self._servers: list[asyncio.AbstractServer] = []
        self._connections: Connections | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._teller: _Teller | None = None

    async def begin(self, connections: Connections) -> None:
        """Answer, and show each second what there is to see."""
        assert self.store is not None
        self._connections = connections
        self._teller = _Teller(self.store, self.tally)
        self._teller.start()
        self._beat()
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            self._servers.append(await loop.create_server(lambda: _Asking(self), sock=each))

    async def end(self) -> None:
        """Answer no more, and leave the store alone: it is closed next."""
        for server in self._servers:
            server.close()
        for each in tuple(self.open):
            each.abort()
        if self._timer is not None:
            self._timer.cancel()
        if self._teller is not None:
            await asyncio.to_thread(self._teller.end)

    def _beat(self) -> None:
        assert self._connections is not None
        self._timer = self._connections.loop.call_later(BEAT_S, self._beat)
        self._show()

    def _show(self) -> None:
        assert self._connections is not None
        self.tally.show(len(self._connections.open), is_up=self._is_up())

    def _is_up(self) -> bool:
        """Say whether requests can be answered: where this raises, each of them is a 503."""
        assert self.store is not None
        try:
            self.store.generation()
        except StoreError:
            return False
        return True

    def answer(self, path: str) -> tuple[int, bytes, bytes] | None:
        """Return status, type and body of what a path shows; None for those that show nothing."""
        if path == "/metrics":
            self._show()
            return 200, exposition.CONTENT_TYPE, exposition.render(collected(self._tallies)).encode()
        if path == "/health":
            said = self._illness()
            return (503 if said else 200), _PLAIN, f"{said or 'ok'}\n".encode()
        return None

    def _illness(self) -> str:
        assert self._connections is not None
        if self._connections.is_draining:
            return "the server is stopping"
        self._show()
        # Of all workers: whichever is asked says the same, and a balancer is not told now this, now that.
        return "" if self._tallies.is_up else "the store does not answer"


class _Asking(asyncio.Protocol):
    """One connection: one request, one answer, and its end."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._head = b""
        self._dropped = 0
        self._is_answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the request."""
        self._transport: Any = transport  # uvloop's is no asyncio.Transport
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self.abort)
        self._monitor.open.add(self)
        if len(self._monitor.open) > OPEN_MAX:
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 (contract)
        """End."""
        self._timer.cancel()
        self._monitor.open.discard(self)

    def abort(self) -> None:
        """Break the connection."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take a part of the request; what follows it is dropped, for as long as its client takes the answer."""
        if self._is_answered:
            self._dropped += len(data)
            if self._dropped > DROPPED_MAX:
                self.abort()
            return
        self._head += data[: HEAD_MAX + 1]
        if b"\r\n\r\n" in self._head:
            self._respond(*_request_line(self._head))
        elif len(self._head) > HEAD_MAX:
            self._send(431, _PLAIN, b"expected a request of a few lines\n")

    def _respond(self, method: str, path: str) -> None:
        try:
            found = self._monitor.answer(path)
        except Exception:
            log.exception("%r could not be answered", path)
            found = 500, _PLAIN, b"this failed; the log says why\n"
        if not method:
            self._send(400, _PLAIN, b"expected a request of HTTP/1.1\n")
        elif found is None:
            self._send(404, _PLAIN, b"expected /metrics or /health\n", is_head=method == "HEAD")
        elif method not in ("GET", "HEAD"):
            self._send(405, _PLAIN, b"expected GET or HEAD\n", b"Allow: GET, HEAD\r\n")
        else:
            self._send(*found, is_head=method == "HEAD")

    def _send(
        self, status: int, kind: bytes, body: bytes, more: bytes = b"", *, is_head: bool = False
    ) -> None:
        self._is_answered = True
        self._head = b""
        head = (
            b"HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
            b"Cache-Control: no-store\r\n%sConnection: close\r\n\r\n"
        )
        phrase = HTTPStatus(status).phrase.encode()
        date = formatdate(usegmt=True).encode()
        self._transport.write(head % (status, phrase, date, kind, len(body), more))
        if not is_head:
            self._transport.write(body)
        # Not closed at once: what the client still sends would take the answer from it.
        self._transport.write_eof()


def _request_line(head: bytes) -> tuple[str, str]:
    """Return method and path; no method for what is no request."""
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if (
        len(words) != 3
        or words[2] not in ("HTTP/1.1", "HTTP/1.0")
        or not (words[0].isascii() and words[0].isalpha())
    ):
        return "", ""
    return words[0], words[1].partition("?")[0]


class _Teller(threading.Thread):
    """Asks the engine for its figures each second: that may block, for as long as a disk or a network does."""

    def __init__(self, store: Store, tally: Tally) -> None:
        super().__init__(name="anys3-figures", daemon=True)
        self._store = store
        self._tally = tally
        self._ended = threading.Event()
        # What the worker before this one in its place had counted.
        self._before = {(each.name, each.labels): each for each in tally.figures() if each.is_counter}

    def run(self) -> None:
        """Tell until the end."""
        level = logging.WARNING
        while True:
            try:
                self._tally.tell(self._figures())
                level = logging.WARNING
            except Exception as error:  # noqa: BLE001 (whatever it is, the next time may do)
                log.log(level, "the figures of the store are not to be had: %s", error)
                level = logging.DEBUG  # said once
            if self._ended.wait(BEAT_S):
                return

    def end(self) -> None:
        """End, in time."""
        self._ended.set()
        self.join(_JOIN_S)

    def _figures(self) -> list[Figure]:
        found: dict[tuple[str, Labels], Figure] = {}
        for each in self._store.figures():
            place = each.name, each.labels
            before = self._before.get(place)
            value = each.value + (before.value if before else 0)
            found[place] = Figure(each.name, each.help, value, each.labels, each.over)
        return [*found.values(), *(each for place, each in self._before.items() if place not in found)]
