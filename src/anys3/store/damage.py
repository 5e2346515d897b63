"""What a scrub, a backup and a move say of something that is not as it was written."""

from __future__ import annotations

from dataclasses import dataclass


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
    """Where the damage lies, below the store's directory; "": not known."""
