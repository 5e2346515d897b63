"""The bounds and timeouts of one worker's HTTP shell."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may ask of one worker. Sizes in bytes, times in seconds (HTTP-22, HTTP-23)."""

    target_max: int = 16 * KIB
    header_section_max: int = 32 * KIB
    headers_max: int = 200
    small_body_max: int = MIB
    """Bodies up to here are received before the handler is called."""
    queued_body_max: int = 2 * MIB
    """A body that nobody takes stops being read here."""
    pipelined_max: int = 16
    buffered_max: int = 256 * MIB
    """What all connections of a worker may hold in memory: bodies and heads that arrive, answers not taken."""
    connections_max: int = 4096
    refused_connections_max: int = 256
    """Connections beyond `connections_max` that are still told so; those beyond are closed without a word."""
    room_after_s: float = 2.0
    """A connection that has waited that long for its request makes room for a new one, if all are taken."""
    transfers_max: int = 16
    """Threads that may own the socket of a large body or content at one time."""
    flowing_max: int = 64
    """Contents that the loop sends, each with a buffer, and whose clients take them at present."""
    receive_buffer: int = 240 * KIB
    """A piece of a body that was read is less than what `platform.keep_large_buffers_apart` sets apart."""
    header_timeout_s: float = 20.0
    """From the first byte of a request to the end of its header section."""
    idle_timeout_s: float = 75.0
    body_timeout_s: float = 60.0
    """Without a single byte of an awaited body."""
    send_timeout_s: float = 60.0
    """Without the client taking a single byte of an answer."""
    handshake_timeout_s: float = 20.0
    goodbye_timeout_s: float = 1.0
    """How long a closing TLS connection waits for the client's close_notify, which most never send."""
    linger_s: float = 10.0
    """How long the rest of a refused body is read and dropped, so that the client sees the answer."""
    linger_max_bytes: int = 32 * MIB
    drain_s: float = 30.0
    """How long a stopping worker waits for requests in flight."""
    tick_s: float = 1.0
    """How often timeouts are looked at."""
