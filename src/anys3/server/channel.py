"""What bodies and contents ask of their connection: its socket for a thread, or the loop's way of writing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from anys3.server.bodies import StreamingBody
from anys3.server.connections import Connections
from anys3.server.handover import Transfer, duplicate
from anys3.server.sending import CONTINUE
from anys3.spec.errors import S3Error

_HAND_OVER_MIN = 256 << 10


class Owner(Protocol):
    """What a channel asks of its connection."""

    connections: Connections
    is_lost: bool
    stalled_since: float | None
    """Since when the client does not take what is written."""

    def has_only_body(self) -> bool:
        """Say whether the next bytes of the socket are the next of the body."""

    def pause(self) -> None:
        """Read no more from the socket, until `regulate` is called."""

    def regulate(self) -> None:
        """Read from the socket, or pause, as the messages now want it."""

    def handed_back(self, body: StreamingBody) -> None:
        """Go on behind `body`, of which a thread has received the rest, or as much as came."""


class Channel:
    """The socket of one connection: `bodies.Source` and `sending.Sink`."""

    __slots__ = ("_connection", "_fileno", "_transport", "_waiter", "connections", "reading", "transfer")

    def __init__(self, connection: Owner, transport: Any, fileno: int | None) -> None:
        self.connections = connection.connections
        self.reading = 0
        """Bytes of memory that reading a content takes."""
        self.transfer: Transfer | None = None
        """What a thread moves at present."""
        self._connection = connection
        self._transport = transport
        self._fileno = fileno
        self._waiter: asyncio.Future[None] | None = None

    # --- the connection's side ------------------------------------------------------------------------

    def cancel(self) -> None:
        """End what a thread moves."""
        if self.transfer is not None:
            self.transfer.cancel()

    def wake(self) -> None:
        """Let who waits in `drained` look again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- a body's side --------------------------------------------------------------------------------

    def continue_(self) -> None:
        """Send `100 Continue`."""
        self.write(CONTINUE)

    def regulate(self) -> None:
        """Read from the socket, or pause, as the body now wants it."""
        self._connection.regulate()

    def can_hand_over(self, rest: int) -> bool:
        """Say whether a thread may receive the rest of the body."""
        return (
            rest >= _HAND_OVER_MIN
            and self._fileno is not None
            and self._connection.has_only_body()
            and self.connections.has_slot()
        )

    async def hand_over(
        self, body: StreamingBody, pieces: list[bytes], rest: int, consume: Callable[[memoryview], None]
    ) -> None:
        """Let a thread receive and consume; take the socket back afterwards."""
        connections = self.connections
        try:
            transfer = Transfer(duplicate(self._fileno))  # type: ignore[arg-type]
        except OSError as error:
            raise S3Error("ServiceUnavailable", log=f"no descriptor for the transfer: {error}") from error
        self._connection.pause()
        connections.take_slot()
        self.transfer = transfer
        timeout_s = connections.limits.body_timeout_s
        try:
            await connections.in_pool(lambda: transfer.receive(pieces, rest, consume, timeout_s))
        finally:
            self.transfer = None
            connections.give_slot_back()
            body.handed_back(transfer.moved)
            self._connection.handed_back(body)

    async def in_pool(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread."""
        await self.connections.in_pool(work)

    # --- a content's side -----------------------------------------------------------------------------

    @property
    def is_lost(self) -> bool:
        """Whether the connection is."""
        return self._connection.is_lost

    @property
    def is_stalled(self) -> bool:
        """Whether the client takes no more at present."""
        return self._connection.stalled_since is not None

    def fileno(self) -> int | None:
        """Return the descriptor that a thread may write to; None if the bytes must go through the loop."""
        return None if self._connection.is_lost else self._fileno

    def lend(self, transfer: Transfer | None) -> None:
        """Note which thread sends."""
        self.transfer = transfer

    def write(self, data: bytes) -> None:
        """Give bytes to the transport."""
        if not self._connection.is_lost:
            self._transport.write(data)

    async def drained(self, *, to_the_last_byte: bool) -> None:
        """Wait until the transport wants more, or holds nothing at all."""
        transport = self._transport
        if to_the_last_byte and transport.get_write_buffer_size():
            transport.set_write_buffer_limits(high=0)
            try:
                await self._writable()
            finally:
                transport.set_write_buffer_limits()
        else:
            await self._writable()

    async def _writable(self) -> None:
        connection = self._connection
        while connection.stalled_since is not None and not connection.is_lost:
            self._waiter = self.connections.loop.create_future()
            await self._waiter
        if connection.is_lost:
            raise ConnectionAbortedError
