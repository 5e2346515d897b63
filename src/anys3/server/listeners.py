"""Listening sockets."""

from __future__ import annotations

import contextlib
import socket

from anys3.server import platform

BACKLOG = 2048


def bind(host: str, port: int, *, is_shared: bool = False) -> list[socket.socket]:
    """Return bound sockets, not yet listening, for every address of `host` (port 0: one free port for all).

    `is_shared` lets other sockets of the same user bind the port too: one for each worker, between which
    the kernel spreads connections. Raises OSError if an address can't be bound.
    """
    sockets: list[socket.socket] = []
    try:
        for family, kind, number, _, address in _addresses(host, port):
            if sockets and port == 0:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            listener = socket.socket(family, kind, number)
            sockets.append(listener)
            _prepare(listener, is_shared=is_shared)
            listener.bind(address)
    except OSError:
        for listener in sockets:
            listener.close()
        raise
    return sockets


def bind_again(sockets: list[socket.socket]) -> list[socket.socket]:
    """Return sockets on the same addresses as `sockets`, which were bound with `is_shared`."""
    again = []
    for bound in sockets:
        listener = socket.socket(bound.family, bound.type, bound.proto)
        _prepare(listener, is_shared=True)
        listener.bind(bound.getsockname())
        again.append(listener)
    return again


def _addresses(host: str, port: int) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    unique = dict.fromkeys((family, kind, number, "", address) for family, kind, number, _, address in found)
    return list(unique)


def _prepare(listener: socket.socket, *, is_shared: bool) -> None:
    listener.setblocking(False)
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: SO_REUSEADDR would let others steal the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared and platform.HAS_REUSE_PORT:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if listener.family == socket.AF_INET6:
        # Its own addresses only, so that 0.0.0.0 and :: can be bound side by side.
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
