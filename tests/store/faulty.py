"""A proxy before a real S3 server that fails as a test says: cut connections, lost answers, overload, damage."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_POLL_S = 0.05
_PIECE = 1 << 16
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)


@dataclass
class Fault:
    """What happens to one exchange. Bytes of requests and answers are counted from the start of their bodies."""

    status: int = 0
    """Answered in place of the server, which does not hear of the request; 0: it is asked."""
    code: str = "SlowDown"
    headers: str = ""
    cut_request_at: int | None = None
    """The connection ends there, for both sides."""
    flip_request_at: int | None = None
    is_answer_lost: bool = False
    """The server does as it is told, and nobody hears of it."""
    cut_answer_at: int | None = None
    flip_answer_at: int | None = None
    body: str = ""
    """What is answered in place of the server's body, which did as it was told."""
    delay_s: float = 0.0


class Proxy:
    """Listens on a port of its own, and forwards each request to the server's."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.seen: list[str] = []
        """Method and target of each request."""
        self._faults: list[tuple[re.Pattern[str], Fault, int]] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listening = self._start(self._listen)

    def fail(self, pattern: str, fault: Fault, times: int = 1) -> None:
        """Let the next requests fail whose `METHOD target` matches; the first plan that matches counts."""
        with self._lock:
            self._faults.append((re.compile(pattern), fault, times))

    def count(self, pattern: str) -> int:
        """Return how many requests came whose `METHOD target` matches."""
        return sum(re.search(pattern, line) is not None for line in self.seen)

    def go_down(self) -> None:
        """End all connections, and refuse new ones."""
        self._listener.close()
        self._listening.join(30)
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            _end(connection)

    def come_back(self) -> None:
        """Listen again, on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listening = self._start(self._listen)

    def close(self) -> None:
        """End everything."""
        self._is_over.set()
        self.go_down()
        for thread in self._threads:
            thread.join(30)

    def _start(self, work: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _listen(self) -> None:
        listener = self._listener
        with contextlib.suppress(OSError):  # closed
            listener.settimeout(_POLL_S)
            while not self._is_over.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    connection.settimeout(60)
                    with self._lock:
                        self._open.add(connection)
                    self._start(self._serve, connection)

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, socket.create_connection(("127.0.0.1", self.server_port), 60) as server:
                while self._forward(client, server):
                    pass
        except OSError:
            return

    def _forward(self, client: socket.socket, server: socket.socket) -> bool:
        """Forward one request and its answer; whether another may follow."""
        head, rest = _read_head(client)
        if not head:
            return False
        method, target = head.split(b" ")[:2]
        fault = self._fault(f"{method.decode()} {target.decode()}")
        if fault.status:
            _forward_body(client, None, rest, _length(head), None, None)
            time.sleep(fault.delay_s)
            client.sendall(_answer(fault, method))
            return True
        server.sendall(head)
        if not _forward_body(
            client, server, rest, _length(head), fault.cut_request_at, fault.flip_request_at
        ):
            return False
        answer, rest = _read_head(server)
        time.sleep(fault.delay_s)
        if fault.is_answer_lost or not answer:
            return False
        if fault.body:
            _forward_body(server, None, rest, _length(answer), None, None)
            client.sendall(_whole("200 OK", "", fault.body))
            return True
        client.sendall(answer)
        is_empty = method == b"HEAD" or answer.split(b" ")[1] == b"204"
        length = 0 if is_empty else _length(answer)
        return _forward_body(server, client, rest, length, fault.cut_answer_at, fault.flip_answer_at)

    def _fault(self, line: str) -> Fault:
        with self._lock:
            self.seen.append(line)
            for number, (pattern, fault, times) in enumerate(self._faults):
                if pattern.search(line):
                    if times == 1:
                        del self._faults[number]
                    else:
                        self._faults[number] = (pattern, fault, times - 1)
                    return fault
        return Fault()


@contextmanager
def faulty(server_port: int) -> Iterator[Proxy]:
    """Run a proxy before a server."""
    proxy = Proxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()


def _answer(fault: Fault, method: bytes) -> bytes:
    body = "" if method == b"HEAD" else f"<Error><Code>{fault.code}</Code></Error>"
    return _whole(f"{fault.status} No", fault.headers, body)


def _whole(status: str, headers: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode()


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return a head and what came behind it; nothing if the connection ended."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(_PIECE)
        if not piece:
            return b"", b""
        received += piece
    end = received.index(b"\r\n\r\n") + 4
    return received[:end], received[end:]


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0


def _forward_body(
    source: socket.socket,
    target: socket.socket | None,
    begun: bytes,
    length: int,
    cut_at: int | None,
    flip_at: int | None,
) -> bool:
    """Forward a body; False where it is cut or ends early."""
    at, piece = 0, begun
    while at < length:
        piece = piece or source.recv(min(_PIECE, length - at))
        if not piece:
            return False
        if flip_at is not None and at <= flip_at < at + len(piece):
            changed = bytearray(piece)
            changed[flip_at - at] ^= 0x20
            piece = bytes(changed)
        is_cut = cut_at is not None and at + len(piece) > cut_at
        if target is not None:
            target.sendall(piece[: cut_at - at] if is_cut and cut_at is not None else piece)
        if is_cut:
            return False
        at += len(piece)
        piece = b""
    return True


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
