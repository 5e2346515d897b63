"""What a scrub finds: values, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field

DATA = "index/data.mdb"


@dataclass(frozen=True, slots=True)
class Damage:
    """One object, one part of an unfinished upload, or rows of the index (no bucket), not as it was written."""

    bucket: str
    key: bytes
    reason: str
    upload_id: str = ""
    part_number: int = 0
    """Of an unfinished upload, or of an object made of parts; 0: not one part alone."""
    kind: str = "content"
    """content, row (of the index), page (of the index)."""
    file: str = ""
    """Where the damage lies, below the store's directory."""


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
