"""Whether a read goes through the page cache or past it.

A short slice is read through the cache and stays there: small hot bytes are what it is for. A long one goes
past it, unless it is there already: filling the cache costs up to five times the CPU of reading past it, and
a backup or a scrub would push out what is asked for often. A long slice that is asked for again fills it.
"""

from __future__ import annotations

from collections import OrderedDict

from anys3.store.buffers import BUFFER
from anys3.store.embedded import device
from anys3.store.embedded.residency import Residency

SHORT_MAX = 4 << 20
"""Bytes of the longest slice that is always read through the cache."""
_REMEMBERED_MAX = 2048
_SPAN = 8 << 20
"""Bytes that the page cache is asked about at a time."""
_START_BITS = 24  # of a slice's start in units of 1 MiB: more than an object can have


class Recent:
    """The long slices that this process has read of late. For any thread."""

    def __init__(self) -> None:
        self._read: OrderedDict[int, None] = OrderedDict()

    def has_seen(self, blob_id: int, start: int) -> bool:
        """Say whether a slice that begins there was read before, and remember that it is read now."""
        place = blob_id << _START_BITS | start >> 20
        if place in self._read:
            return True
        self._read[place] = None
        if len(self._read) > _REMEMBERED_MAX:
            self._read.popitem(last=False)
        return False


class Passage:
    """How an open blob is read. One read at a time; the descriptor is nobody else's."""

    def __init__(self, descriptor: int, blob_id: int, recent: Recent) -> None:
        self._descriptor = descriptor
        self._blob_id = blob_id
        self._recent = recent
        self._is_direct = False
        self._may_pass = False
        self._residency: Residency | None = None
        self._asked_upto = self._stop = 0
        self._is_cached = False  # what lies before _asked_upto

    def begin(self, start: int, length: int) -> None:
        """Choose the way for a slice, which is then read from its start to its end."""
        self._may_pass = length > SHORT_MAX and not self._recent.has_seen(self._blob_id, start)
        self._residency = Residency(self._descriptor) if length > BUFFER else None
        self._asked_upto, self._stop = 0, start + length
        if length <= SHORT_MAX:
            # Exactly what is asked for; a long slice fills the cache with large pages, read ahead.
            device.expect_random_reads(self._descriptor)

    def is_at_hand(self, offset: int) -> bool:
        """Say whether reading there is a copy from memory only, as far as is known."""
        if self._residency is None:
            return False
        if offset >= self._asked_upto:
            length = max(min(_SPAN, self._stop - offset), 1)
            self._is_cached = self._residency.is_cached(offset, length)
            self._asked_upto = offset + length
        return self._is_cached

    def read(self, memory: memoryview, length: int, offset: int) -> int:
        """Fill `memory` with `length` bytes from `offset` on; return how many there were, perhaps more.

        `offset` is a whole page, and so is the memory, up to the next page behind `length`. Raises OSError.
        """
        if not self._may_pass or self.is_at_hand(offset):
            return self.read_through(memory[:length], offset)
        if not self._is_direct:
            self._is_direct = device.set_direct(self._descriptor, is_direct=True)
            if not self._is_direct:
                self._may_pass = False
                return self.read_through(memory[:length], offset)
        pages = -(-length // device.PAGE) * device.PAGE
        try:
            return device.read_at(self._descriptor, memory[:pages], offset)
        except OSError as error:
            # Some file systems take the flag and then want another alignment.
            if not device.is_misaligned(error):
                raise
            self._may_pass = False
            return self.read_through(memory[:length], offset)

    def read_through(self, memory: memoryview, offset: int) -> int:
        """Fill `memory`, of any length and from any offset, through the page cache."""
        if self._is_direct:
            self._is_direct = device.set_direct(self._descriptor, is_direct=False)
        return device.read_at(self._descriptor, memory, offset)
