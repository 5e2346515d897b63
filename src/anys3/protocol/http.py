"""HTTP messages as values: what the shell hands to the core, and what the core hands back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


class Body(Protocol):
    """A request's payload as it arrives. Whoever asks for the first bytes sends `100 Continue`.

    All three methods raise S3Error IncompleteBody on an early end (HTTP-10) and RequestTimeout on a
    stall (HTTP-23). `whole` may only be called first; `pump` goes on where `chunk` stopped.
    """

    length: int | None
    """Content-Length in bytes; None if the transfer is chunked; 0 if there is no body."""
    buffered: bytes | None
    """The whole body, if it already lies in memory (every small body does)."""

    @property
    def held(self) -> int:
        """How many bytes of it lie in memory."""

    async def whole(self, max_bytes: int) -> bytes:
        """Return the whole body. Raises S3Error MaxMessageLengthExceeded beyond `max_bytes`."""

    async def chunk(self) -> bytes:
        """Return the next piece of the body, at least one byte; b"" at its end."""

    async def pump(self, consume: Callable[[memoryview], None]) -> None:
        """Call `consume` with each piece that is left, in order, in a worker thread.

        A view is valid during the call only. What `consume` raises ends the pump and is raised here.
        """


class Content(Protocol):
    """An object's bytes, or a slice of them, held open for sending."""

    length: int

    def blocks(self) -> Iterator[memoryview]:
        """Yield the bytes in order, each block verified before it is handed out. Blocks; for threads.

        A view is valid until the next one is asked for. Raises `store.errors.Corrupt`.
        """

    def close(self) -> None:
        """Let go of the bytes. Idempotent."""


@dataclass(slots=True)
class Request:
    """One request, as sent. Header names are lower case; repeated headers are joined with a comma."""

    method: bytes
    target: bytes
    """The request target, not decoded: path and query."""
    path: bytes
    """The part before the first `?`, not decoded."""
    query: bytes
    """The part after the first `?`, not decoded; b"" if there is none."""
    headers: dict[bytes, bytes]
    body: Body
    id: str
    """x-amz-request-id of the answer (HTTP-05)."""
    is_secure: bool = False
    is_loopback: bool = True
    operation: str = "unknown"
    """S3's name of what is asked for, once that is known."""


@dataclass(slots=True)
class Answer:
    """One answer. `headers` are rendered lines, each ending in CRLF.

    The shell adds Date, x-amz-request-id, Server, Connection and Content-Length (from `length` if it is
    set, as HEAD needs, else from the body), and leaves the body out where HTTP has none (HTTP-04).
    """

    status: int
    headers: bytes = b""
    body: bytes | Content = b""
    length: int | None = None
    must_close: bool = False
    """Close the connection after this answer."""
