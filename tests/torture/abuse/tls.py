"""Attacks on a port that speaks TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

from tests.torture.abuse.attacks import Attack, Stage, slow_loris
from tests.torture.abuse.crowd import talk

HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(32)) + b"\x20" + bytes(range(32))


def plain_words(stage: Stage) -> list[str]:
    """HTTP without TLS, and bytes that are neither."""
    wrong = []
    for sent in (
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x00" * 5000,
        b"\x16\x03\x01\xff\xff" + b"a" * 70_000,
    ):
        received = talk(stage.port, [sent], stage.timeout_s + 10)
        stage.sent += len(sent)
        stage.opened += 1
        if b"HTTP/1.1 200" in received:
            wrong.append(f"{sent[:20]!r} was answered with {received[:40]!r}")
    return wrong


def half_open(stage: Stage) -> list[str]:
    """Handshakes that begin and never end."""
    with stage.crowd(1.0) as crowd:
        crowd.send(HELLO, seconds=5)
        all_closed = crowd.wait(crowd.are_closed, 3 * stage.timeout_s)
        stage.count(crowd)
        return (
            [] if all_closed else [f"{len(crowd.socks) - len(crowd.closed)} handshakes are still waited for"]
        )


def handshake_flood(stage: Stage) -> list[str]:
    """Handshakes as fast as one client can, that are given up at once."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    until = time.monotonic() + stage.seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", stage.port), 10) as sock:
                context.wrap_socket(sock).close()
            stage.opened += 1
    return []


ATTACKS: dict[str, Attack] = {
    "no TLS on a port of TLS": plain_words,
    "half-open handshakes": half_open,
    "handshake flood": handshake_flood,
    "slow loris before the handshake": slow_loris,
}
