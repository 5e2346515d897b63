"""The floor of a small request on this machine: the same HTTP parser and event loop, and no work at all.

Answers every request with what its method usually gets: 4 KiB to GET, no body to the rest. Nothing is
verified, read or written. `python -m bench.floor PORT`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import httptools
import uvloop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n"
ANSWERS = {
    b"GET": HEAD + bytes(4096),
    b"HEAD": HEAD,
    b"PUT": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"DELETE": b"HTTP/1.1 204 No Content\r\n\r\n",
}


class Floor(asyncio.Protocol):
    """Parses, and answers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.parser: Any = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, as every server must."""

    def on_body(self, data: bytes) -> None:
        """Take a body, as every server must."""

    def on_message_complete(self) -> None:
        self.transport.write(ANSWERS[self.parser.get_method()])


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
