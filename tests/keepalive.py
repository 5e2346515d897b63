"""A connection that stays open from one request to the next, for tests that send thousands."""

from __future__ import annotations

import socket
from types import TracebackType

from tests.rawclient import RawClient, Response, read_response, render


class KeepAlive:
    """One connection of a raw client; made again when the server has closed it."""

    def __init__(self, s3: RawClient) -> None:
        self.s3 = s3
        self._connection: socket.socket | None = None

    def __enter__(self) -> KeepAlive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def exchange(self, data: bytes, method: str) -> Response:
        """Send the bytes of one request and read its answer."""
        if self._connection is None:
            self._connection = self.s3.connect()
        self._connection.sendall(data)
        response = read_response(self._connection, method)
        if response.is_closed:
            self.close()
        return response

    def request(
        self,
        method: str,
        path: str,
        raw_query: str = "",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        sign: bool = True,
    ) -> Response:
        """Send one signed request; `path` and `raw_query` as they are."""
        lines = {"host": self.s3.host, **(headers or {})}
        if sign:
            lines = self.s3.sign(method, path, raw_query, lines, body)
        lines.setdefault("content-length", str(len(body)))
        target = path + (f"?{raw_query}" if raw_query else "")
        return self.exchange(render(method, target, lines) + body, method)
