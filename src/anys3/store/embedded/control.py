"""The control file: what the processes of a store tell each other without a transaction.

    8    generation of the configuration, before it is committed: whoever knows another one asks the index
    16   number of the transaction that was tried last: the next writer has a higher one, unless it failed
    64+  one number a process: the oldest sequence that its readers of multi-part objects still need

Both are hints that err on the safe side. The janitor takes its snapshot of the outbox first and reads the
pins after; a reader pins first and reads the entry again after: so either the janitor sees the pin, or the
reader sees the entry without what the janitor removes.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import threading
import time
from pathlib import Path

from anys3.store.embedded import device

_SIZE = 4096
_NUMBER = struct.Struct("=Q")
_GENERATION = 8
_ATTEMPT = 16
PINS = 64
SLOTS = (_SIZE - PINS) // 8
FIRST_GUEST = 256
"""Slots below are server workers', by their number; the others are for command lines."""


class Control:
    """One process's view of the control file."""

    def __init__(self, path: Path, slot: int | None) -> None:
        """Open it as the worker with that slot, or as a guest that takes any free slot (None)."""
        self._descriptor = os.open(path / "control", os.O_RDWR | os.O_CREAT | device.O_CLOEXEC, 0o600)
        if os.fstat(self._descriptor).st_size < _SIZE:
            os.ftruncate(self._descriptor, _SIZE)
        self._map = mmap.mmap(self._descriptor, _SIZE)
        self.slot = self._take(slot)
        self._pins: dict[int, int] = {}
        self._lock = threading.Lock()
        self._write(PINS + 8 * self.slot, 0)

    def _take(self, slot: int | None) -> int:
        if slot is not None:
            if not 0 <= slot < FIRST_GUEST:
                raise ValueError(f"worker slots are 0 to {FIRST_GUEST - 1}: {slot}")
            # A janitor that asks whether we are alive may hold the byte for a moment.
            for _ in range(100):
                if device.lock_byte(self._descriptor, slot):
                    return slot
                time.sleep(0.01)
            raise OSError(errno.EBUSY, f"another process uses slot {slot}")
        for guest in range(FIRST_GUEST, SLOTS):
            if device.lock_byte(self._descriptor, guest):
                return guest
        raise OSError(errno.EBUSY, "too many command lines use this store at once")

    def _write(self, at: int, number: int) -> None:
        _NUMBER.pack_into(self._map, at, number)

    def generation(self) -> int:
        """Return the generation that was announced last."""
        generation: int = _NUMBER.unpack_from(self._map, _GENERATION)[0]
        return generation

    def tell_generation(self, generation: int) -> None:
        """Announce a generation that is about to be committed; the caller has the write lock."""
        self._write(_GENERATION, generation)

    def attempt(self) -> int:
        """Return the number of the transaction that a process tried to commit last."""
        number: int = _NUMBER.unpack_from(self._map, _ATTEMPT)[0]
        return number

    def tell_attempt(self, number: int) -> None:
        """Tell that a transaction is about to be committed; the caller has the write lock."""
        self._write(_ATTEMPT, number)

    def pin(self, sequence: int) -> None:
        """Keep everything that was freed after `sequence`."""
        with self._lock:
            self._pins[sequence] = self._pins.get(sequence, 0) + 1
            self._write(PINS + 8 * self.slot, min(self._pins))

    def unpin(self, sequence: int) -> None:
        """End one `pin`."""
        with self._lock:
            left = self._pins[sequence] - 1
            if left:
                self._pins[sequence] = left
            else:
                del self._pins[sequence]
            if self._map.closed:
                return
            self._write(PINS + 8 * self.slot, min(self._pins, default=0))

    def oldest_pin(self) -> int | None:
        """Return the smallest pinned sequence of all processes, None if there is none.

        A pin whose process is gone does not count.
        """
        oldest = None
        for slot, (sequence,) in enumerate(_NUMBER.iter_unpack(self._map[PINS:])):
            if not sequence or (slot != self.slot and self.is_left_behind(slot)):
                continue
            oldest = sequence if oldest is None else min(oldest, sequence)
        return oldest

    def is_left_behind(self, slot: int) -> bool:
        """Tell whether no process has a slot (not to be asked for the own one), and clear its pin then."""
        if not device.lock_byte(self._descriptor, slot):
            return False
        self._write(PINS + 8 * slot, 0)
        device.unlock_byte(self._descriptor, slot)
        return True

    def close(self) -> None:
        """Let go of the slot."""
        with self._lock:
            if not self._map.closed:
                self._write(PINS + 8 * self.slot, 0)
                self._map.close()
                os.close(self._descriptor)
