"""What came of a process's connections to PostgreSQL, as figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from anys3.store.figures import Figure


@dataclass(slots=True)
class Counts:
    """Of one pool. Changed in its loop."""

    size: int
    """How many connections there may be."""
    open: int = 0
    used: int = 0
    waiting: int = 0
    """Statements that wait for a connection."""
    opened: int = 0
    lost: int = 0
    repeated: int = 0
    given_up: int = 0


_ABOUT = {
    "open": ("connections", "Connections that are open."),
    "used": ("connections_used", "Connections that a statement or a transaction has."),
    "size": ("connections_max", "Connections that there may be at most."),
    "waiting": ("statements_waiting", "Statements that wait for a connection."),
    "opened": ("connections_opened_total", "Connections that were made."),
    "lost": ("connections_lost_total", "Connections that broke, or were dropped as no answer came."),
    "repeated": ("retries_total", "Statements and transactions that were tried again."),
    "given_up": (
        "unavailable_total",
        "Statements and transactions that were given up; requests among them are 503.",
    ),
}


def figures(pools: Iterable[Counts]) -> list[Figure]:
    """Return the figures of all pools of a process together."""
    found = list(pools)
    return [
        Figure(f"anys3_postgresql_{name}", about, sum(getattr(each, field) for each in found))
        for field, (name, about) in _ABOUT.items()
    ]
