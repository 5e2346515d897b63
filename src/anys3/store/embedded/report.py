"""What a scrub finds."""

from __future__ import annotations

from dataclasses import dataclass, field

from anys3.store.damage import Damage

DATA = "index/data.mdb"


@dataclass(slots=True)
class ScrubReport:
    """What a scrub found. `missing` are blobs that a row names, `orphans` files and rows that no row names."""

    objects: int = 0
    parts: int = 0
    bytes: int = 0
    damaged: list[Damage] = field(default_factory=list)
    missing: list[Damage] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    pages: int = 0
    """Of the index."""
    contents_were_read: bool = True
    """False if the index's pages are damaged, so that nothing could be looked up."""
    step: str = "index"
    """What is being read: index, contents."""
    done: int = 0
    """Bytes of this step, of `total`."""
    total: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether everything can be read. Orphans only take room."""
        return not self.damaged and not self.missing
