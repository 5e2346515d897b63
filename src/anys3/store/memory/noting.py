"""Notes of changed keys."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from anys3.store.errors import NotesEnded
from anys3.store.interface import Keys, Noted, Notes
from anys3.store.mutations import Mutation, keys_of


@dataclass(slots=True)
class Noting:
    """The notes that are in force, if any are, and the keys in the order in which they were noted."""

    notes: Notes | None = None
    _ends_at: float = 0.0
    _keys: dict[Noted, None] = field(default_factory=dict)

    def begin(self, lasts_s: float) -> Notes:
        """Begin anew."""
        self._forget()
        self.notes = Notes(uuid.uuid4().hex)
        self._ends_at = time.monotonic() + lasts_s
        return self.notes

    def keep(self, notes: Notes, lasts_s: float) -> None:
        """Let them end after `lasts_s` from now. Raises NotesEnded."""
        self._check(notes)
        self._ends_at = time.monotonic() + lasts_s

    def first(self, notes: Notes, limit: int) -> Keys:
        """Return the first keys. Raises NotesEnded."""
        self._check(notes)
        return list(islice(self._keys, limit))

    def strike(self, notes: Notes, keys: Sequence[Noted]) -> None:
        """Forget keys. Raises NotesEnded."""
        self._check(notes)
        for key in keys:
            self._keys.pop(key, None)

    def end(self, notes: Notes) -> None:
        """End them if they are in force."""
        if self.notes == notes:
            self._forget()

    def note(self, mutation: Mutation) -> None:
        """Note the keys of a mutation, if somebody wants to know."""
        if self._is_on():
            for key in keys_of(mutation):
                self._keys[mutation.bucket.id, key] = None

    def _is_on(self) -> bool:
        if self.notes is not None and self._ends_at <= time.monotonic():
            self._forget()
        return self.notes is not None

    def _check(self, notes: Notes) -> None:
        if not self._is_on() or self.notes != notes:
            raise NotesEnded(notes.id)

    def _forget(self) -> None:
        self.notes = None
        self._keys.clear()
