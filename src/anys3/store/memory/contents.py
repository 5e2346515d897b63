"""Contents in memory: what is written, and what is sent in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anys3.model import Part

BLOCK = 1024 * 1024


class MemoryContent:
    """Some bytes, as a content that is sent in blocks."""

    def __init__(self, pieces: Sequence[bytes], start: int, length: int) -> None:
        self.length = length
        self._pieces = pieces
        self._start = start

    def blocks(self) -> Iterator[memoryview]:
        """Yield the bytes in blocks of at most 1 MiB."""
        skip, left = self._start, self.length
        for piece in self._pieces:
            taken = piece[skip : skip + left]
            skip = max(0, skip - len(piece))
            left -= len(taken)
            view = memoryview(taken)
            for at in range(0, len(taken), BLOCK):
                yield view[at : at + BLOCK]

    def close(self) -> None:
        """Let go of the bytes."""
        self._pieces = ()


@dataclass(frozen=True, slots=True)
class MemoryBytes:
    """A content: its bytes in pieces, one for each part."""

    pieces: tuple[bytes, ...]
    parts: tuple[Part, ...] = ()


class MemorySource:
    """An opened object's bytes; they stay alive for as long as somebody refers to them."""

    def __init__(self, content: MemoryBytes) -> None:
        self._content = content

    def slice(self, start: int, length: int) -> MemoryContent:
        """Return `length` bytes from `start` on."""
        return MemoryContent(self._content.pieces, start, length)

    async def parts(self) -> Sequence[Part]:
        """Return the parts; empty for an object put in one piece."""
        return self._content.parts

    def close(self) -> None:
        """Let go."""


class MemoryWriter:
    """Collects one content."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: memoryview | bytes) -> None:
        """Append."""
        self._bytes += data

    def finish(self) -> object:
        """Return the content."""
        return MemoryBytes((bytes(self._bytes),))

    def discard(self) -> None:
        """Forget the bytes."""
        self._bytes = bytearray()


def content_of(content: object) -> MemoryBytes:
    """Return what a change gives as a content. Raises TypeError."""
    if isinstance(content, MemoryBytes):
        return content
    if isinstance(content, (bytes, bytearray, memoryview)):
        return MemoryBytes((bytes(content),))
    raise TypeError(f"not a content of this engine: {content!r}")


def bytes_of(part: Part) -> bytes:
    """Return the bytes of a part, which are one piece."""
    assert isinstance(part.content, MemoryBytes)
    return part.content.pieces[0]
