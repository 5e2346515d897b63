"""Bugs planted in a server with small limits; each attack that is meant to find one must find it."""

from __future__ import annotations

from anys3.server import protocol, share
from anys3.server.limits import MIB
from tests.torture.abuse.changes import small

FOUND_BY = {
    "no_header_limit": "header flood",
    "no_body_timeout": "slow body",
    "no_total_budget": "body flood",
    "accept_length_and_chunks": "smuggling",
    "unbounded_queue": "pipelining flood",
}


def no_header_limit() -> None:
    """A head may be as long as it likes."""
    small(header_section_max=1 << 30, target_max=64 * MIB, headers_max=1 << 30)


def no_body_timeout() -> None:
    """A body that stalls is waited for without end."""
    small(body_timeout_s=1e9)


def no_total_budget() -> None:
    """Each connection may hold its body, however many there are."""
    small(buffered_max=1 << 40)


def accept_length_and_chunks() -> None:
    """A message with Content-Length and Transfer-Encoding is read by its length, and the rest as messages."""
    small()
    feed = protocol.HttpProtocol._feed

    def lenient(self: protocol.HttpProtocol, data: memoryview) -> None:
        raw = bytes(data)
        if b"\r\nContent-Length:" in raw:
            raw = raw.replace(b"Transfer-Encoding: chunked\r\n", b"")
        feed(self, memoryview(raw))

    protocol.HttpProtocol._feed = lenient  # type: ignore[method-assign]


def unbounded_queue() -> None:
    """Messages are parsed and queued however many wait already, and nobody counts them."""
    small(pipelined_max=1 << 30)
    share._MESSAGE_WEIGHT = 0
