"""Answers as bytes: heads, and contents that are too large to be one write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from typing import Protocol

from anys3.protocol.http import Content, Request
from anys3.server.bodies import EMPTY
from anys3.server.connections import Connections
from anys3.server.handover import Transfer, duplicate
from anys3.store.beside import step_back
from anys3.store.buffers import BUFFER

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BODILESS = frozenset((204, 304))
_PIECE = 240 << 10  # less than what platform.keep_large_buffers_apart sets apart


class StatusLines(dict[int, bytes]):
    """The first bytes of an answer by status, up to the request id's value."""

    def __missing__(self, status: int) -> bytes:
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
        line = f"HTTP/1.1 {status} {phrase}\r\nServer: anys3\r\nx-amz-request-id: ".encode("ascii")
        self[status] = line
        return line


STATUS_LINES = StatusLines()


def unparsed(request_id: str) -> Request:
    """Return the request that stands for a message that could not be read as one."""
    return Request(b"", b"/", b"/", b"", {}, EMPTY, request_id)


class NothingSent(Exception):
    """The content failed before a byte of the answer went out, so that another answer can; `failure` says why."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Sink(Protocol):
    """What sending a content asks of its connection."""

    connections: Connections
    reading: int
    """Bytes of memory that reading a content takes; only `send_content` sets it."""

    @property
    def is_lost(self) -> bool:
        """Whether the connection is."""

    @property
    def is_stalled(self) -> bool:
        """Whether the client takes no more at present."""

    def fileno(self) -> int | None:
        """Return the descriptor that a thread may write to; None if the bytes must go through the loop."""

    def write(self, data: bytes) -> None:
        """Give bytes to the transport."""

    async def drained(self, *, to_the_last_byte: bool) -> None:
        """Wait until the transport wants more. Raises ConnectionError when the connection is lost."""

    def lend(self, transfer: Transfer | None) -> None:
        """Note which thread has the socket."""


async def send_content(sink: Sink, head: bytes, content: Content) -> None:
    """Send `head` and the content, in a thread of its own if there is one; close the content.

    Memory stays bounded by one block, and the head waits for the first one. Raises ConnectionError when the
    client is gone, NothingSent (CON-08), and whatever reading the content raises later: the caller must
    break the connection then (GET-09).
    """
    connections = sink.connections
    try:
        fileno = sink.fileno()
        if fileno is None or not connections.take_slot():
            await _send_through_loop(sink, head, content)
            return
        try:
            await sink.drained(to_the_last_byte=True)
            try:
                transfer = Transfer(duplicate(fileno))
            except OSError:  # out of descriptors: the loop needs none
                await _send_through_loop(sink, head, content)
                return
            sink.lend(transfer)
            try:
                await connections.in_pool(
                    lambda: transfer.send(head, content, connections.limits.send_timeout_s)
                )
            except Exception as failure:
                if transfer.has_begun or isinstance(failure, ConnectionError):
                    raise
                raise NothingSent(failure) from failure
            finally:
                sink.lend(None)
        finally:
            connections.give_slot_back()
    finally:
        content.close()


async def _send_through_loop(sink: Sink, head: bytes, content: Content) -> None:
    """Read blocks in the pool and write them with the transport's flow control.

    Few begin at a time, since each holds a buffer from its first block on. One that stalls makes way for
    others, and what it holds counts in the budget of the worker.
    """
    flowing = sink.connections.flowing
    await flowing.acquire()
    place = ExitStack()
    place.callback(flowing.release)
    with place:
        sink.reading = min(content.length, BUFFER) + _PIECE
        try:
            await _read_and_write(sink, head, content, place.close)
        finally:
            sink.reading = 0


async def _read_and_write(sink: Sink, head: bytes, content: Content, make_way: Callable[[], None]) -> None:
    """Write the content piece by piece; call `make_way` when the client does not take it at once."""
    if sink.is_lost:
        raise ConnectionAbortedError
    rest = content.length
    pieces = _pieces(content.blocks())
    try:
        piece = await sink.connections.in_pool(lambda: next(pieces, b""))
    except Exception as failure:
        raise NothingSent(failure) from failure
    if sink.is_lost:
        raise ConnectionAbortedError
    sink.write(head)
    while piece:
        rest -= len(piece)
        if rest < 0:
            raise RuntimeError(f"a content of {content.length} bytes yielded {-rest} more")
        if sink.is_lost:
            raise ConnectionAbortedError
        sink.write(piece)
        if sink.is_stalled:
            make_way()
        await sink.drained(to_the_last_byte=False)
        piece = await sink.connections.in_pool(lambda: next(pieces, b""))
    if rest:
        raise RuntimeError(f"a content of {content.length} bytes ended {rest} bytes early")


def _pieces(blocks: Iterator[memoryview]) -> Iterator[bytes]:
    """Copy blocks into pieces: the transport keeps what it could not send yet, a block is reused."""
    step_back()
    for block in blocks:
        for start in range(0, len(block), _PIECE):
            yield bytes(block[start : start + _PIECE])
