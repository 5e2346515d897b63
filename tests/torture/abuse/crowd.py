"""Thousands of connections that send what no decent client sends, from one thread."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterable


class Crowd:
    """Non-blocking connections to one port; what they were answered is kept, up to a bound."""

    KEPT = 4096

    def __init__(self, port: int, count: int) -> None:
        self.port = port
        self.sent = 0
        self.opened = 0
        self.closed: set[int] = set()
        self.answers: dict[int, bytes] = {}
        self.socks: list[socket.socket] = []
        for _ in range(count):
            self.add()

    def add(self) -> None:
        """Open one more, from one of 200 addresses: one has 28,000 ports only."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((f"127.0.0.{2 + self.opened % 200}", 0))
        with contextlib.suppress(BlockingIOError):
            sock.connect(("127.0.0.1", self.port))
        self.opened += 1
        self.socks.append(sock)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self.socks:
            sock.close()

    def send(self, data: bytes, *, reads: bool = True, seconds: float = 20.0) -> None:
        """Send `data` on each connection, as far as each takes it within `seconds`."""
        rest = dict.fromkeys(range(len(self.socks)), memoryview(data))
        until = time.monotonic() + seconds
        while rest and time.monotonic() < until:
            moved = 0
            for number in [each for each in rest if each not in self.closed]:
                count = self._send_some(number, rest[number])
                moved += count
                rest[number] = rest[number][count:]
            rest = {number: left for number, left in rest.items() if left and number not in self.closed}
            if reads:
                self.read()
            if not moved:
                time.sleep(0.01)

    def drip(self, byte: Callable[[int], bytes], seconds: float, pause_s: float) -> None:
        """Send a little on each connection again and again."""
        until = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < until and len(self.closed) < len(self.socks):
            for number in range(len(self.socks)):
                if number not in self.closed:
                    self._send_some(number, memoryview(byte(turn)))
            self.read()
            turn += 1
            time.sleep(pause_s)

    def _send_some(self, number: int, data: memoryview) -> int:
        try:
            count = self.socks[number].send(data[: 256 << 10])
        except BlockingIOError:
            return 0
        except OSError:
            self._end(number)
            return 0
        self.sent += count
        return count

    def read(self) -> None:
        """Take what was answered."""
        poll = select.poll()
        numbers = {}
        for number, sock in enumerate(self.socks):
            if number not in self.closed:
                poll.register(sock, select.POLLIN)
                numbers[sock.fileno()] = number
        for descriptor, _ in poll.poll(0):
            number = numbers[descriptor]
            try:
                data = self.socks[number].recv(64 << 10)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._end(number)
            kept = self.answers.get(number, b"")
            if data and len(kept) < self.KEPT:
                self.answers[number] = kept + data[: self.KEPT]

    def _end(self, number: int) -> None:
        self.closed.add(number)
        self.socks[number].close()

    def wait(self, is_done: Callable[[], bool], seconds: float, *, reads: bool = True) -> bool:
        """Read until it `is_done`; return whether it came to that."""
        until = time.monotonic() + seconds
        while not is_done():
            if time.monotonic() > until:
                return False
            if reads:
                self.read()
            time.sleep(0.02)
        return True

    def are_closed(self) -> bool:
        """Say whether the server has ended all of them."""
        return len(self.closed) == len(self.socks)

    def statuses(self) -> set[bytes]:
        """Return the statuses of the first answers."""
        return {answer[9:12] for answer in self.answers.values()}


def talk(port: int, parts: Iterable[bytes], seconds: float = 10.0) -> bytes:
    """Send `parts` on one connection and return all that comes until the server closes, or is silent."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), seconds) as sock:
        with contextlib.suppress(OSError):
            for part in parts:
                sock.sendall(part)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while piece := sock.recv(1 << 16):
                received += piece
    return received
