"""HTTP/1.1 over one connection: bytes in, requests to the application, answers out in their order.

How messages are read is in `messages.py`, how they are answered in `answering.py`. Here is what asyncio and
the worker call: reading and pausing, what has waited too long, the end.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools

from anys3.server import platform
from anys3.server.answering import AT_ONCE, Answerer
from anys3.server.channel import Channel
from anys3.server.connections import Connections
from anys3.server.messages import BODY, HEAD, IDLE, LINGER
from anys3.server.share import Share
from anys3.spec.errors import S3Error

_QUEUED_WHEN_TIGHT = 64 << 10
_PART_MAX = 8 << 10
"""So many bytes are parsed at a time where they may be heads."""


class HttpProtocol(Answerer):
    """One connection."""

    __slots__ = ("_is_paused", "_view")

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self._share = Share(self)
        self._view = connections.receive_buffer()
        self._is_paused = False

    # --- the transport's calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; refuse the connection if there are too many (HTTP-23)."""
        self._transport = transport
        connections = self.connections
        self._is_secure = transport.get_extra_info("sslcontext") is not None
        peer = transport.get_extra_info("peername")
        self._is_loopback = _is_loopback(peer)
        fileno = None
        if platform.CAN_HAND_OVER and not self._is_secure:
            fileno = transport.get_extra_info("socket").fileno()
        self.channel = Channel(self, transport, fileno)
        beyond = len(connections.open) + 1 - connections.limits.connections_max
        if beyond > 0:
            connections.make_room()
            beyond = len(connections.open) + 1 - connections.limits.connections_max
        connections.open.add(self)
        if beyond > connections.limits.refused_connections_max:
            self.abort()
        elif beyond > 0:
            self._refuse(S3Error("SlowDown"))
        elif connections.is_draining:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  (contract)
        """End what waits for this connection; a handler that has its whole request may finish."""
        self.is_lost = True
        self.connections.open.discard(self)
        self.queue.clear()
        self._is_last = True
        self._forget_message()
        self.channel.cancel()
        if self.incoming is not None:
            self.incoming.fail(S3Error("IncompleteBody", log="the connection was lost"))
        self.channel.wake()
        self._share.weigh()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  (contract)
        """Return where to receive."""
        return self._view

    def buffer_updated(self, count: int) -> None:
        """Read `count` bytes."""
        phase = self._phase
        if self._unfed:  # TLS may hand out what it had decrypted before reading was paused
            self._unfed += self._view[:count]
            return
        if phase == LINGER or (self._is_last and (phase == IDLE or self._is_unreadable)):
            self._drop(count)
            return
        self._at_once = AT_ONCE
        self._is_bulk = count > self.connections.unchecked_max
        if count > _PART_MAX:
            self._feed_parts(self._view[:count])
        else:
            self._feed(self._view[:count])
            if self.queue and not self._is_busy:
                self._next()
            if self._phase:
                self._received_a_part(count)
        if self._phase or self.incoming is not None or self.queue or self._is_paused or self._share.held:
            self.regulate()

    def eof_received(self) -> bool:
        """Answer what was received; the rest of a message will not come (HTTP-10)."""
        self._is_eof = True
        if self._phase == LINGER or self.is_lost:
            return False
        self._is_last = True
        if self.incoming is not None:
            self.incoming.fail(S3Error("IncompleteBody"))
        elif self._phase == BODY:
            self._refuse(S3Error("IncompleteBody"))
        # TLS can't be half closed: asyncio closes it whatever is returned.
        return not self._is_secure and (self._is_busy or bool(self.queue))

    def pause_writing(self) -> None:
        """Note that the client does not take what is written: handle nothing more for it."""
        self.stalled_since = self.connections.now
        self._share.weigh()

    def resume_writing(self) -> None:
        """Go on."""
        self.stalled_since = None
        self.channel.wake()
        if not self.is_lost:
            self._next()
            self.regulate()

    def _feed_parts(self, data: memoryview) -> None:
        """Parse a large read part by part: each may end a head, or bring more messages than may wait."""
        pipelined_max = self.connections.limits.pipelined_max
        while data:
            if self._phase == LINGER or (self._is_last and (self._phase == IDLE or self._is_unreadable)):
                break
            if len(self.queue) > pipelined_max:
                self._unfed = bytes(data)
                break
            size = _PART_MAX
            if self._phase == BODY:
                size = max(size, self._announced_rest())
            part = data[:size]
            data = data[size:]
            self._feed(part)
            # Not while the body's bytes at hand are not all fed: its handler may take the socket.
            if self.queue and not self._is_busy and (self.incoming is None or not data):
                self._next()
            if self._phase:
                self._received_a_part(len(part))
        self._next()

    def _drop(self, count: int) -> None:
        """Drop bytes that are not to be answered, up to a bound."""
        self._carried += count
        if self._carried > self.connections.limits.linger_max_bytes:
            self.abort()
        elif self._phase == LINGER and self._left is not None:
            self._left -= count
            if self._left <= 0:
                self._transport.close()
        elif self._phase == LINGER and self.incoming is not None and not self._is_unreadable:
            carried = self._carried  # a chunked body: only the parser knows where it ends
            self._feed(self._view[:count])
            self._carried = carried
            if self.incoming is None:
                self._transport.close()
        elif self.incoming is not None:
            self.incoming.received += count

    def put_off(self) -> None:
        """Go on when other connections have had their turn."""
        self._is_later = True
        self.connections.later(self)

    def go_on(self) -> None:
        """Handle some of the messages that wait, then parse some of what was read."""
        self._is_later = False
        if self.is_lost:
            return
        self._next()
        if self._unfed and not self._is_later and self._wants_more():
            data, self._unfed = self._unfed, b""
            self._is_bulk = True
            self._at_once = 0
            self._feed_parts(memoryview(data))
        self.regulate()

    # --- flow control, timeouts, end ------------------------------------------------------------------

    def regulate(self) -> None:
        """Read from the socket, or pause, as the messages now want it."""
        if self._phase or self._unfed or self.queue or self.handled is not None or self._share.held:
            self._share.weigh()
        if self.channel.transfer is not None or self._is_eof or self.is_lost:
            return
        wants = self._wants_more()
        if wants and self._unfed:
            wants = False
            if not self._is_later:
                self.put_off()
        if wants == self._is_paused:
            self._is_paused = not wants
            if wants:
                self._since = self.connections.now
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _wants_more(self) -> bool:
        """Say whether the messages now want bytes."""
        if self._phase == LINGER:
            return True
        limits = self.connections.limits
        if self.stalled_since is not None or len(self.queue) > limits.pipelined_max:
            return False
        if self.incoming is None:
            return True
        is_tight = self.connections.budget.is_tight
        return self.incoming.wants_more(_QUEUED_WHEN_TIGHT if is_tight else limits.queued_body_max)

    def pause(self) -> None:
        """Read no more from the socket, until `regulate` is called."""
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def has_only_body(self) -> bool:
        """Say whether the next bytes of the socket are the next of the body."""
        return not self.is_lost and not self._is_eof and not self._unfed

    def unsent(self) -> int:
        """Return how many bytes are in memory because the client does not take its answer."""
        if self.stalled_since is None:
            return 0
        unsent: int = self._transport.get_write_buffer_size()
        return unsent + self.channel.reading

    def give_way(self, error: S3Error) -> None:
        """Hold no more than what is being handled: answer `error` if anything, or break off."""
        incoming = self.incoming
        if self.stalled_since is not None:
            self._is_last = self._is_unreadable = True
            self.stalled_since = None
            self.queue.clear()
            self._forget_message()
            self.abort()
        elif incoming is not None:
            self._is_last = self._is_unreadable = True
            incoming.abandon(error)
        elif self._phase in (HEAD, BODY):
            self._refuse(error)
            self._parser = httptools.HttpRequestParser(self)
        elif self.queue or self._unfed:  # what was not begun is not answered, and the client can tell
            self._is_last = self._is_unreadable = True
            self.queue.clear()
            self._forget_message()

    def waiting_since(self) -> float | None:
        """Return since when this connection waits for a request that nobody handles yet; None if it does not."""
        if self._is_busy:
            return None
        if self._phase == LINGER:
            return self._since
        if self.stalled_since is not None:
            return self.stalled_since  # of what was answered, nothing is taken
        if self.queue or self._is_paused or self.incoming is not None:
            return None
        return self._began if self._phase == BODY else self._since

    def make_room(self) -> None:
        """Close, in favour of another connection."""
        self._is_last = self._is_unreadable = True
        self._phase = IDLE
        self._forget_message()
        self._share.weigh()
        self._close_idle()

    def check(self, now: float) -> None:
        """End what has waited too long (HTTP-23)."""
        limits = self.connections.limits
        age = now - self._since
        if self.stalled_since is not None:
            if now - self.stalled_since > limits.send_timeout_s:
                self.abort()
        elif self._phase == LINGER:
            if age > limits.linger_s:
                self.abort()
        elif self.incoming is not None:
            if self.incoming.is_awaited and self.channel.transfer is None and age > limits.body_timeout_s:
                self._is_last = self._is_unreadable = True
                self.incoming.fail(S3Error("RequestTimeout"))
        elif self._is_busy or self.queue or self._is_paused:
            return
        elif self._phase == IDLE:
            if age > limits.idle_timeout_s or (self._is_last and age > limits.linger_s):
                self._close_idle()
        elif age > (limits.header_timeout_s if self._phase == HEAD else limits.body_timeout_s):
            self._refuse(S3Error("RequestTimeout"))

    def drain(self) -> None:
        """Close if no request is under way; else the next answer closes."""
        if self._phase == IDLE and not self._is_busy and not self.queue:
            self._transport.close()

    def abort(self) -> None:
        """Break the connection."""
        self.channel.cancel()
        self._transport.abort()

    def throw(self, error: BaseException) -> None:
        """Throw `error` into the handler, if one waits: the process is about to end."""
        if self._driver is not None:
            self._driver.abort(error)

    def _close_idle(self) -> None:
        """Close; but not in good order if the client does not even take what it was sent."""
        if self._transport.get_write_buffer_size():
            self.abort()
        else:
            self._transport.close()


def _is_loopback(peer: Any) -> bool:
    """Say whether `peer`, an address of a transport, is this machine."""
    if not isinstance(peer, tuple) or not peer:
        return True  # a socket of the file system
    host = str(peer[0])
    return host.startswith(("127.", "::ffff:127.")) or host == "::1"
