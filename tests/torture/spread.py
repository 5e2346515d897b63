"""Several servers on one store, seen as one: requests, and whole connections, go to each of them in turn."""

from __future__ import annotations

import itertools
import select
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from tests.rawclient import RawClient


class Spread(RawClient):
    """Sends each request to the next server; one that refuses connections is passed over.

    Requests are signed for the first: servers are asked by address, and take any.
    """

    def __init__(self, clients: Sequence[RawClient]) -> None:
        first = clients[0]
        super().__init__(first.endpoint, first.access_key_id, first.secret_access_key)
        self.clients = clients
        self._turns = itertools.count()

    def connect(self) -> socket.socket:
        """Return a connection to the next server that takes one."""
        turn = next(self._turns)
        for offset in range(len(self.clients) - 1):
            try:
                return self.clients[(turn + offset) % len(self.clients)].connect()
            except ConnectionRefusedError:
                continue
        return self.clients[(turn - 1) % len(self.clients)].connect()


class Balancer:
    """A port of this machine whose connections are passed on to servers in turn, as a context manager."""

    def __init__(self, clients: Sequence[RawClient]) -> None:
        self._clients = itertools.cycle(clients)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Balancer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = next(self._clients).connect()
            threading.Thread(target=_pump, args=(near, far), daemon=True).start()


def _pump(near: socket.socket, far: socket.socket) -> None:
    """Pass bytes on in both directions until either side has ended."""
    with ExitStack() as stack:
        other = {stack.enter_context(near): far, stack.enter_context(far): near}
        with suppress(OSError):
            for end in other:
                end.settimeout(None)
            while True:
                for end in select.select(list(other), [], [])[0]:
                    if not (data := end.recv(1 << 18)):
                        return
                    other[end].sendall(data)
