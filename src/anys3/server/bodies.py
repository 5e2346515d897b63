"""Request bodies: none, in memory, or still arriving."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from anys3.spec.errors import S3Error
from anys3.store.beside import step_back

_INLINE_MAX = 64 << 10
"""A pump of that few bytes costs less here than a thread's wake-up."""


class BufferedBody:
    """A body that lies in memory."""

    __slots__ = ("_taken", "buffered", "held", "length")

    def __init__(self, data: bytes) -> None:
        self.length: int | None = len(data)
        self.held = len(data)
        """Bytes in memory."""
        self.buffered: bytes | None = data
        self._taken = False

    async def whole(self, max_bytes: int) -> bytes:
        """Return the body. Raises S3Error MaxMessageLengthExceeded beyond `max_bytes`."""
        data = await self.chunk()
        if len(data) > max_bytes:
            raise S3Error("MaxMessageLengthExceeded")
        return data

    async def chunk(self) -> bytes:
        """Return the body, then b""."""
        if self._taken or self.buffered is None:
            return b""
        self._taken = True
        return self.buffered

    async def pump(self, consume: Callable[[memoryview], None]) -> None:
        """Consume the body, in a worker thread unless it is small."""
        data = await self.chunk()
        if not data:
            return
        if len(data) <= _INLINE_MAX:
            consume(memoryview(data))
        else:
            await asyncio.get_running_loop().run_in_executor(None, consume, memoryview(data))


class EmptyBody:
    """The body of a request that has none; it has no state, so one serves all."""

    __slots__ = ()

    length: int | None = 0
    buffered: bytes | None = b""
    held = 0

    async def whole(self, max_bytes: int) -> bytes:  # noqa: ARG002  (contract)
        """Return b""."""
        return b""

    async def chunk(self) -> bytes:
        """Return b""."""
        return b""

    async def pump(self, consume: Callable[[memoryview], None]) -> None:
        """Consume nothing."""


EMPTY = EmptyBody()


class Source(Protocol):
    """What a StreamingBody asks of its connection."""

    def continue_(self) -> None:
        """Send `100 Continue`."""

    def regulate(self) -> None:
        """Read from the socket, or pause, as the body now wants it."""

    def can_hand_over(self, rest: int) -> bool:
        """Say whether a thread may receive the `rest` bytes of the body from the socket now."""

    async def hand_over(
        self, body: StreamingBody, pieces: list[bytes], rest: int, consume: Callable[[memoryview], None]
    ) -> None:
        """Let a thread consume `pieces`, then `rest` bytes of the socket.

        `body.handed_back` is told how many came, whatever happens.
        """

    async def in_pool(self, work: Callable[[], None]) -> None:
        """Run `work` in a worker thread."""


class StreamingBody:
    """A body that is still arriving; `feed`, `finish` and `fail` are its connection's."""

    __slots__ = (
        "_error",
        "_is_kept",
        "_pieces",
        "_source",
        "_waiter",
        "buffered",
        "expects_continue",
        "is_complete",
        "is_dropped",
        "is_flowing",
        "length",
        "queued",
        "received",
    )

    def __init__(self, source: Source, length: int | None, *, expects_continue: bool) -> None:
        self.length = length
        self.buffered: bytes | None = None
        self.expects_continue = expects_continue
        self.received = 0
        self.queued = 0
        """Bytes that wait in memory."""
        self.is_complete = False
        """The last byte has arrived."""
        self.is_dropped = False
        """The request is answered: what still arrives is nobody's."""
        self.is_flowing = False
        """Somebody has asked for bytes through the loop."""
        self._source = source
        self._pieces: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: S3Error | None = None
        self._is_kept = False  # the handler collects the whole

    # --- the connection's side ------------------------------------------------------------------------

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for bytes that have not come."""
        return self._waiter is not None

    @property
    def held(self) -> int:
        """Bytes in memory, here or at a handler that wants the whole."""
        return self.received if self._is_kept else self.queued

    def wants_more(self, queued_max: int) -> bool:
        """Say whether the connection should go on reading."""
        return self.is_dropped or (self.is_flowing and self.queued < queued_max)

    def feed(self, data: bytes) -> None:
        """Add the next bytes."""
        self.received += len(data)
        if self.is_dropped:
            return
        self._pieces.append(data)
        self.queued += len(data)
        self._wake()

    def finish(self) -> None:
        """Note that the body is complete."""
        self.is_complete = True
        self._wake()

    def settle(self) -> None:
        """Become a body in memory, if it is complete before anybody was called with it."""
        if self.is_complete and self._error is None:
            self.buffered = b"".join(self._pieces)
            self._pieces.clear()
            self._pieces.append(self.buffered)

    def handed_back(self, count: int) -> None:
        """Note that a thread has received `count` bytes."""
        self.received += count
        if self.received == self.length:
            self.is_complete = True

    def fail(self, error: S3Error) -> None:
        """Raise `error` where the body is awaited, now or next, after the bytes that came."""
        if not self.is_complete and self._error is None:
            self._error = error
            self._wake()

    def abandon(self, error: S3Error) -> None:
        """Forget what came, and raise `error` where the body is awaited."""
        self._pieces.clear()
        self.queued = 0
        self._is_kept = False
        self.fail(error)

    def drop(self) -> None:
        """Forget what came and what will come."""
        self.is_dropped = True
        self._is_kept = False
        self._pieces.clear()
        self.queued = 0

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- the handler's side ---------------------------------------------------------------------------

    async def whole(self, max_bytes: int) -> bytes:
        """Return the whole body. Raises S3Error MaxMessageLengthExceeded beyond `max_bytes`.

        A body that announces more is refused before a byte of it is asked for.
        """
        if self.length is not None and self.length > max_bytes:
            raise S3Error("MaxMessageLengthExceeded")
        self._is_kept = True
        pieces = []
        total = 0
        while piece := await self.chunk():
            total += len(piece)
            if total > max_bytes:
                raise S3Error("MaxMessageLengthExceeded")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunk(self) -> bytes:
        """Return the next piece; b"" at the end."""
        self._begin()
        while not self._pieces:
            if not await self._arrival():
                return b""
        piece = self._pieces.popleft()
        self.queued -= len(piece)
        if not piece:  # a settled body of no bytes
            return b""
        self._source.regulate()
        return piece

    async def pump(self, consume: Callable[[memoryview], None]) -> None:
        """Consume what is left, in a worker thread."""
        self._begin()
        length = self.length
        if length is not None and not self.is_complete and self._error is None:
            rest = length - self.received
            if self._source.can_hand_over(rest):
                await self._source.hand_over(self, self._take(), rest, consume)
                return
        while True:
            while not self._pieces:
                if not await self._arrival():
                    return
            pieces = self._take()
            self._source.regulate()
            await self._source.in_pool(lambda pieces=pieces: _consume(pieces, consume))  # type: ignore[misc]

    def _begin(self) -> None:
        if self.expects_continue:
            self.expects_continue = False
            # RFC 9110 section 10.1.1: not needed when the client did not wait.
            if not self.received and not self.is_complete and self._error is None:
                self._source.continue_()

    def _take(self) -> list[bytes]:
        pieces = list(self._pieces)
        self._pieces.clear()
        self.queued = 0
        return pieces

    async def _arrival(self) -> bool:
        """Wait for bytes; return whether any can come. Raises what the body failed with."""
        if self.is_complete:
            return False
        if self._error is not None:
            raise self._error
        self.is_flowing = True
        self._waiter = asyncio.get_running_loop().create_future()
        self._source.regulate()
        await self._waiter
        return True


def _consume(pieces: list[bytes], consume: Callable[[memoryview], None]) -> None:
    step_back()
    for piece in pieces:
        consume(memoryview(piece))
