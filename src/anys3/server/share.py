"""What one connection holds in memory: its share of the worker's budget."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from anys3.protocol.http import Answer, Request
from anys3.server.bodies import StreamingBody
from anys3.server.budget import UNCOUNTED
from anys3.server.connections import Connections
from anys3.spec.errors import S3Error

_MESSAGE_WEIGHT = 1 << 10
"""What a message that waits takes, beside its body."""


class Member(Protocol):
    """What a share asks of its connection."""

    connections: Connections
    is_lost: bool
    handled: Request | None
    """Its handler has suspended."""
    incoming: StreamingBody | None
    """The body that is arriving."""
    queue: deque[tuple[Request, Answer | None]]

    def arriving(self) -> int:
        """Return how many bytes are in memory of what is not parsed, or no whole message yet."""

    def unsent(self) -> int:
        """Return how many bytes are in memory because the client does not take its answer."""

    def give_way(self, error: S3Error) -> None:
        """Hold no more than what is being handled: answer `error` if anything, or break off."""


class Share:
    """The bytes that one connection holds: a `budget.Holder`."""

    __slots__ = ("_member", "held")

    def __init__(self, member: Member) -> None:
        self._member = member
        self.held = 0

    def weigh(self) -> None:
        """Tell the budget what is held now."""
        member = self._member
        handled = member.handled
        if member.is_lost:
            self._hold(handled.body.held if handled is not None else 0)
            return
        held = member.arriving() + member.unsent()
        incoming = member.incoming
        if handled is not None:
            held += handled.body.held
        if incoming is not None and (handled is None or handled.body is not incoming):
            held += incoming.held
        for request, _ in member.queue:
            held += _MESSAGE_WEIGHT + (request.body.held if request.body is not incoming else 0)
        self._hold(held)

    def let_go(self) -> None:
        """Hold no more than what is being handled; tell the client to slow down, or break off."""
        self._member.give_way(S3Error("SlowDown", log="memory for what connections hold is full"))
        self.weigh()

    def _hold(self, held: int) -> None:
        if self.held or held >= UNCOUNTED:
            connections = self._member.connections
            connections.budget.change(self, held if held >= UNCOUNTED else 0, connections.now)
