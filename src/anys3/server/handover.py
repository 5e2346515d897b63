"""Large transfers: a thread owns a duplicate of the connection's socket for as long as one body takes.

One copy from the kernel into a reused page-aligned buffer, no parser, no loop: about 0.1 CPU s/GB.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterable
from functools import partial

from anys3.protocol.http import Content
from anys3.server import platform
from anys3.spec.errors import S3Error
from anys3.store.beside import Blocks, Threads, step_back
from anys3.store.buffers import BUFFER

_LOW_WATER = 256 << 10
_CONSUMERS = Threads()
"""They do what a body's bytes are for, while the transfer's own thread receives the next ones.

Not the threads that the store writes with: for those a consumer may have to wait.
"""


class SendStalled(ConnectionError):
    """The client took no byte of the answer in time."""


def duplicate(fileno: int) -> socket.socket:
    """Return a socket of its own descriptor on the same connection (which stays non-blocking)."""
    return socket.socket(fileno=os.dup(fileno))


class Transfer:
    """One body or content that a thread moves; `cancel` ends it from the loop."""

    __slots__ = ("has_begun", "moved", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.moved = 0
        """Bytes received from, or sent to, the socket so far."""
        self.has_begun = False
        """Whether a byte of the answer may have gone out."""

    def cancel(self) -> None:
        """Shut the connection down, which wakes the thread with an end of stream or an error."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def receive(
        self, first: Iterable[bytes], rest: int, consume: Callable[[memoryview], None], timeout_s: float
    ) -> None:
        """Consume the pieces `first`, then `rest` bytes from the socket, in blocks of BUFFER bytes.

        A block is consumed in a thread of its own while the next one is received, if there is memory to
        spare. Raises S3Error IncompleteBody (HTTP-10), RequestTimeout (HTTP-23), and what `consume` raises.
        """
        step_back()
        blocks = Blocks(_CONSUMERS)
        try:
            if rest > BUFFER:
                blocks.overlap()
            with _low_water(self.sock) as set_low_water:
                make_room = partial(blocks.consume, consume)
                for piece in first:
                    blocks.fill(piece, make_room)
                poll = select.poll()
                poll.register(self.sock, select.POLLIN)
                while rest:
                    if blocks.filled == BUFFER:
                        make_room()
                    into = blocks.view[blocks.filled : blocks.filled + rest]
                    got = _receive(self.sock, into, poll, set_low_water, timeout_s)
                    blocks.filled += got
                    rest -= got
                    self.moved += got
                if blocks.filled:
                    make_room()
                blocks.settle()
        finally:
            self.sock.close()
            blocks.close()

    def send(self, head: bytes, content: Content, timeout_s: float) -> None:
        """Send `head` and the whole content. Raises ConnectionError, and what reading it raises."""
        step_back()
        try:
            poll = select.poll()
            poll.register(self.sock, select.POLLOUT)
            rest = content.length
            for block in content.blocks():
                rest -= len(block)
                if rest < 0:
                    raise RuntimeError(f"a content of {content.length} bytes yielded {-rest} more")
                self.has_begun = True
                _send(self.sock, head, block, poll, timeout_s)
                self.moved += len(block)
                head = b""
            if rest:
                raise RuntimeError(f"a content of {content.length} bytes ended {rest} bytes early")
            if head:
                self.has_begun = True
                _send(self.sock, head, memoryview(b""), poll, timeout_s)
        finally:
            self.sock.close()


def _receive(
    sock: socket.socket,
    into: memoryview,
    poll: select.poll,
    set_low_water: Callable[[int], None],
    timeout_s: float,
) -> int:
    """Receive at least one byte, waiting for it if need be."""
    is_last_try = False
    while True:
        try:
            got = sock.recv_into(into)
        except BlockingIOError:
            if is_last_try:
                raise S3Error("RequestTimeout") from None
        except OSError:
            raise S3Error("IncompleteBody", log="the connection broke") from None
        else:
            if not got:
                raise S3Error("IncompleteBody")
            return got
        set_low_water(min(len(into), _LOW_WATER))
        # Below the low-water mark poll() stays silent though bytes came: they count as life.
        is_last_try = not poll.poll(timeout_s * 1000)


class _low_water:  # noqa: N801  (reads as a function)
    """Context: poll() wakes at that many bytes; at the end every byte wakes again."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._mark = 1

    def __enter__(self) -> Callable[[int], None]:
        return self._set

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._set(1)

    def _set(self, mark: int) -> None:
        if mark != self._mark and platform.HAS_RECEIVE_LOW_WATER:
            self._mark = mark
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, mark)


def _send(sock: socket.socket, head: bytes, block: memoryview, poll: select.poll, timeout_s: float) -> None:
    """Send `head` and `block`, waiting for room."""
    parts = [memoryview(head), block] if head else [block]
    while parts:
        try:
            sent = sock.sendmsg(parts) if len(parts) > 1 else sock.send(parts[0])
        except BlockingIOError:
            if not poll.poll(timeout_s * 1000):
                raise SendStalled from None
            continue
        while parts and sent >= len(parts[0]):
            sent -= len(parts[0])
            del parts[0]
        if parts and sent:
            parts[0] = parts[0][sent:]
