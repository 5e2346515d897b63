"""Not a bug: the server's patience, made short, so that clients that stall need not be waited for."""

from __future__ import annotations

import functools

from anys3.server import serving


def timeouts() -> None:
    """Let a worker wait about a second where it waits for a minute."""
    serving.Limits = functools.partial(  # type: ignore[misc]
        serving.Limits,
        header_timeout_s=1.0,
        idle_timeout_s=1.5,
        body_timeout_s=1.0,
        send_timeout_s=1.0,
        handshake_timeout_s=1.0,
        linger_s=0.5,
        tick_s=0.1,
    )
