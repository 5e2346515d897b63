"""Limits of a small server, so that a few hundred connections reach what thousands reach at the real ones."""

from __future__ import annotations

from typing import Any

from anys3.server import serving
from anys3.server.limits import MIB, Limits

SMALL: dict[str, Any] = {
    "buffered_max": 8 * MIB,
    "connections_max": 160,
    "refused_connections_max": 32,
    "transfers_max": 4,
    "flowing_max": 8,
    "room_after_s": 0.5,
    "header_timeout_s": 2.0,
    "idle_timeout_s": 3.0,
    "body_timeout_s": 2.0,
    "send_timeout_s": 2.0,
    "handshake_timeout_s": 2.0,
    "linger_s": 1.0,
    "tick_s": 0.1,
}


def small(**changed: Any) -> None:
    """Start workers with the small limits."""
    limits = Limits(**{**SMALL, **changed})
    serving.Limits = lambda: limits  # type: ignore[assignment,misc]
