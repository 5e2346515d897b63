"""Where daemons run: on loopback, with ports that are free, or on a host of a network of its own (`network`).

Tests whose own process speaks to the engine (a store opened in it, a server started by it) use loopback. Clusters
of several hosts, links that are cut, and all that adopts whatever peer answers (etcd) use a network.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

PORTS = range(20_000, 32_000)
"""Below those that Linux gives to outgoing connections, which could take one while its daemon is restarted."""


class Host(Protocol):
    """A place with an address."""

    address: str

    def command(self, argv: Iterable[str]) -> list[str]:
        """Return a command line that runs the command there."""
        ...

    def port(self, usual: int, /) -> int:
        """Return a port for a daemon whose usual port this is."""
        ...

    def entered(self) -> AbstractContextManager[None]:
        """Within it, sockets that this thread makes belong to the host."""
        ...


class Loopback:
    """This machine, seen by this machine only."""

    address = "127.0.0.1"

    def command(self, argv: Iterable[str]) -> list[str]:
        return list(argv)

    def port(self, _usual: int) -> int:
        return free_port()

    @contextmanager
    def entered(self) -> Iterator[None]:
        yield


LOOPBACK = Loopback()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    for _ in range(1000):
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
