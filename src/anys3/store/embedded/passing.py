"""Whether a read goes through the page cache or past it.

A short slice is read through the cache and stays there: small hot bytes are what it is for. A long one goes
past it, unless it is there already. Filling the cache costs five to twenty times the CPU of reading past it,
and one large object would push out what is asked for often. But where the disk is slow, memory is worth that:
there the second long read of a blob fills the cache.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from anys3.store.embedded import device
from anys3.store.embedded.residency import Residency

SHORT_MAX = 4 << 20
"""Bytes of the longest slice that is always read through the cache."""
_FAST_BYTES_A_S = 1e9
_REMEMBERED_MAX = 256


class Experience:
    """What one process has learned of a disk and of what is read from it. For any thread."""

    def __init__(self) -> None:
        self._best = 0.0  # bytes a second
        self._read: OrderedDict[int, None] = OrderedDict()

    def learn(self, count: int, seconds: float) -> None:
        """Note how long the disk took. Only the best counts: the others may have waited in a queue."""
        self._best = max(self._best, count / max(seconds, 1e-9))

    def is_worth_keeping(self, blob_id: int) -> bool:
        """Say whether a long read of a blob should fill the cache, and remember that it was read."""
        is_again = blob_id in self._read
        self._read[blob_id] = None
        if len(self._read) > _REMEMBERED_MAX:
            self._read.popitem(last=False)
        return is_again and 0 < self._best < _FAST_BYTES_A_S


class Passage:
    """How an open blob is read. One read at a time; the descriptor is nobody else's."""

    def __init__(self, descriptor: int, blob_id: int, experience: Experience) -> None:
        self._descriptor = descriptor
        self._blob_id = blob_id
        self._experience = experience
        self._is_direct = False
        self._residency: Residency | None = None  # asked before each read past the cache

    def begin(self, length: int) -> None:
        """Choose the way for a slice of `length` bytes."""
        self._residency = None
        if length <= SHORT_MAX:
            device.expect_random_reads(self._descriptor)
        elif not self._experience.is_worth_keeping(self._blob_id):
            self._residency = Residency(self._descriptor)

    def read(self, memory: memoryview, length: int, offset: int) -> int:
        """Fill `memory` with `length` bytes from `offset` on; return how many there were, perhaps more.

        `offset` is a whole page, and so is the memory, up to the next page behind `length`. Raises OSError.
        """
        residency = self._residency
        if residency is None or residency.is_cached(offset, length):
            return self.read_through(memory[:length], offset)
        if not self._is_direct:
            self._is_direct = device.set_direct(self._descriptor, is_direct=True)
            if not self._is_direct:
                self._residency = None
                return self.read_through(memory[:length], offset)
        pages = -(-length // device.PAGE) * device.PAGE
        begin = time.perf_counter()
        try:
            got = device.read_at(self._descriptor, memory[:pages], offset)
        except OSError as error:
            # Some file systems take the flag and then want another alignment.
            if not device.is_misaligned(error):
                raise
            self._residency = None
            return self.read_through(memory[:length], offset)
        self._experience.learn(got, time.perf_counter() - begin)
        return got

    def read_through(self, memory: memoryview, offset: int) -> int:
        """Fill `memory`, of any length and from any offset, through the page cache."""
        if self._is_direct:
            self._is_direct = device.set_direct(self._descriptor, is_direct=False)
        return device.read_at(self._descriptor, memory, offset)
