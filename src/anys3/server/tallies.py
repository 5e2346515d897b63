"""What the workers of a server count, in memory that they share: any of them can tell of all, and a death loses nothing.

A region for each worker, which alone writes there; the next one in its place goes on with it.

    HEAD     words: when it showed itself last, connections, bytes in and out, whether its store answers
    CELLS    pairs of words: what is counted (an operation and a status), and how often; 0 ends them
    2 x TEXT the engine's figures as JSON, with length and CRC32 before them: one to be read, one to be written
"""

from __future__ import annotations

import json
import mmap
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from anys3.operations import HANDLERS
from anys3.server.bodies import EMPTY, StreamingBody
from anys3.store.figures import Figure

if TYPE_CHECKING:
    from anys3.protocol.http import Request

OPERATIONS = ("unknown", *sorted(HANDLERS))
ALIVE_S = 5.0
"""A worker that has not shown itself for that long is not serving: what it told of now holds no more."""
_ALIVE, _OPEN, _RECEIVED, _SENT, _IS_UP, _TURN, _NOWHERE = range(7)
_HEAD_WORDS = 8
CELLS = 1024
"""More than there are operations times statuses (tests/server/test_tallies.py)."""
_WORDS = _HEAD_WORDS + 2 * CELLS
TEXT_MAX = 32 << 10
_TEXT_HEAD = struct.Struct("=QQ")
_TEXT = 8 * _WORDS
_REGION = _TEXT + 2 * TEXT_MAX
_STATUS_BITS = 10
_ATTEMPTS = 5


class Tallies:
    """The regions of all workers. To be made before they are forked."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.started_s = time.time()
        self._map = mmap.mmap(-1, workers * _REGION)

    def of(self, slot: int) -> Tally:
        """Return the region of a worker."""
        return Tally(memoryview(self._map)[slot * _REGION : (slot + 1) * _REGION])

    def all(self) -> list[Tally]:
        """Return all regions, to be read."""
        return [self.of(slot) for slot in range(self.workers)]

    @property
    def is_up(self) -> bool:
        """Whether the store answers to every worker that serves."""
        alive = [each for each in self.all() if each.is_alive]
        return bool(alive) and all(each.is_up for each in alive)


class Tally:
    """The region of one worker."""

    __slots__ = ("_cells", "_raw", "_words")

    def __init__(self, region: memoryview) -> None:
        self._raw = region
        self._words = region[:_TEXT].cast("Q")
        self._cells: dict[str, dict[int, int]] = {name: {} for name in OPERATIONS}
        for at in self._used():
            operation, status = _unpacked(self._words[at])
            self._cells[operation][status] = at + 1

    # --- by the worker --------------------------------------------------------------------------------

    def note(self, request: Request, status: int, sent: int) -> None:
        """Count an answer, and the bytes of its body."""
        words = self._words
        try:
            words[self._cells[request.operation][status]] += 1
        except KeyError:
            words[self._new_cell(request.operation, status)] += 1
        words[_SENT] += sent
        body = request.body
        if body is not EMPTY:
            words[_RECEIVED] += body.received if type(body) is StreamingBody else body.length or 0

    def _new_cell(self, operation: str, status: int) -> int:
        at = next((at for at in _places() if not self._words[at]), None)
        if at is None:
            return _NOWHERE
        self._words[at + 1] = 0
        self._words[at] = 1 << 63 | OPERATIONS.index(operation) << _STATUS_BITS | status
        self._cells[operation][status] = at + 1
        return at + 1

    def show(self, connections: int, *, is_up: bool) -> None:
        """Show that the worker lives, and what it has now."""
        words = self._words
        words[_OPEN], words[_IS_UP] = connections, is_up
        words[_ALIVE] = int(time.monotonic() * 1000)

    def tell(self, figures: Iterable[Figure]) -> None:
        """Put the engine's figures in place of what they were. Raises ValueError if they are too many."""
        rows = [[each.name, each.help, each.value, each.labels, each.over] for each in figures]
        text = json.dumps(rows, separators=(",", ":")).encode()
        if len(text) > TEXT_MAX - _TEXT_HEAD.size:
            raise ValueError(f"the engine's figures take {len(text)} bytes")
        turn = self._words[_TURN] + 1
        at = _TEXT + turn % 2 * TEXT_MAX
        _TEXT_HEAD.pack_into(self._raw, at, len(text), zlib.crc32(text))
        self._raw[at + _TEXT_HEAD.size :][: len(text)] = text
        self._words[_TURN] = turn

    # --- by anybody -----------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        """Whether the worker serves."""
        shown_ms = self._words[_ALIVE]
        return bool(shown_ms) and time.monotonic() * 1000 - shown_ms < ALIVE_S * 1000

    @property
    def is_up(self) -> bool:
        """Whether its store answers."""
        return bool(self._words[_IS_UP])

    @property
    def connections(self) -> int:
        """How many connections it has."""
        return self._words[_OPEN]

    @property
    def byte_counts(self) -> tuple[int, int]:
        """The bytes of bodies that it has received and sent."""
        return self._words[_RECEIVED], self._words[_SENT]

    def requests(self) -> Iterator[tuple[str, int, int]]:
        """Yield operations, statuses, and how often each was answered so."""
        for at in self._used():
            yield *_unpacked(self._words[at]), self._words[at + 1]

    def figures(self) -> list[Figure]:
        """Return what the engine has told last; nothing if it is being written again and again."""
        for _ in range(_ATTEMPTS):
            at = _TEXT + self._words[_TURN] % 2 * TEXT_MAX
            length, crc = _TEXT_HEAD.unpack_from(self._raw, at)
            text = bytes(self._raw[at + _TEXT_HEAD.size :][:length])
            if length and zlib.crc32(text) == crc:
                return [
                    Figure(name, about, value, tuple((label, said) for label, said in labels), over)
                    for name, about, value, labels, over in json.loads(text)
                ]
        return []

    def _used(self) -> Iterator[int]:
        for at in _places():
            if not self._words[at]:
                return
            yield at


def _places() -> range:
    return range(_HEAD_WORDS, _WORDS, 2)


def _unpacked(word: int) -> tuple[str, int]:
    number = word & ~(1 << 63)
    return OPERATIONS[number >> _STATUS_BITS], number & (1 << _STATUS_BITS) - 1
