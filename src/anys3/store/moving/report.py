"""What a copy has found and done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from anys3.store.damage import Damage

Progress = Callable[[str, int, int], None]
"""Called now and then with what is being done, how many bytes of it are, and of how many (0: not known)."""


@dataclass(slots=True)
class Pass:
    """One pass over all that there is, or over what was noted.

    Its counts up to `parts` are of the store that is copied: of the passes over all, and of the last one.
    """

    seconds: float = 0.0
    keys: int = 0
    buckets: int = 0
    objects: int = 0
    bytes: int = 0
    """Of the objects."""
    uploads: int = 0
    parts: int = 0
    """Of the unfinished uploads."""
    copied: int = 0
    """Objects and parts whose bytes were read, verified and written."""
    copied_bytes: int = 0
    removed: int = 0
    changes: int = 0
    """All that was not the same in both places; of what was noted, all keys."""
    damaged: list[Damage] = field(default_factory=list)
    """What was not copied."""

    def take_totals(self, other: Pass) -> None:
        """Take over what the other says of the store that is copied."""
        for name in ("keys", "buckets", "objects", "bytes", "uploads", "parts"):
            setattr(self, name, getattr(other, name))


@dataclass(slots=True)
class Report:
    """One run."""

    passes: list[Pass] = field(default_factory=list)
    left: int = 0
    """Differences at the end of a copy of a store that others have changed meanwhile."""
    estimate_s: float = 0.0
    paused_s: float = 0.0
    is_moved: bool = False
    """Whether the store takes no more changes, and the copy does."""
    is_ready: bool = False
    """Whether the copy may be served."""

    @property
    def last(self) -> Pass:
        """What was found last."""
        return self.passes[-1]

    @property
    def damaged(self) -> list[Damage]:
        """What could not be copied."""
        return self.last.damaged if self.passes else []
