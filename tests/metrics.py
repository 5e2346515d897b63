"""What `anys3 serve --metrics` tells, asked for with sockets of our own and read by Prometheus's own parser."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

WAIT_S = 120.0
Place = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Told:
    """An answer of the listener."""

    status: int
    headers: dict[str, str]
    body: bytes


class Metrics:
    """The listener of a server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self) -> socket.socket:
        """Return a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)

    def send(self, *parts: bytes) -> bytes:
        """Return all that comes back until the server closes; b"" if it breaks the connection."""
        with self.connect() as connection:
            try:
                for part in parts:
                    connection.sendall(part)
                received = b""
                while piece := connection.recv(1 << 16):
                    received += piece
            except ConnectionError:
                return b""
            return received

    def ask(self, target: str, method: str = "GET") -> Told:
        """Return the answer to a request; asked again if the worker that took it ends meanwhile."""
        request = f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        received = next(filter(None, (self.send(request) for _ in range(10))))
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        return Told(int(lines[0].split()[1]), headers, body)

    def samples(self) -> dict[Place, float]:
        """Return all samples of now, by name and labels."""
        told = self.ask("/metrics")
        assert told.status == 200
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(told.body.decode())
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Return one sample, 0 if there is none."""
        return self.samples().get((name, tuple(sorted(labels.items()))), 0)

    def until(self, claim: Callable[[], bool]) -> None:
        """Wait until a claim holds."""
        limit = time.monotonic() + WAIT_S
        while not claim():
            assert time.monotonic() < limit, self.ask("/metrics")
            time.sleep(0.05)


def metrics_of(screen: str) -> Metrics:
    """Return the listener that a first screen names."""
    line = next(line for line in screen.splitlines() if line.startswith("  metrics "))
    return Metrics(int(line.split("/metrics")[0].rpartition(":")[2]))
