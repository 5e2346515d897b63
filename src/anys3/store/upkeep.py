"""What a store in a directory is kept well with: scrub, backup and examination, also while it is served.

Of what lies on other machines their own tools take care.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from anys3.store import embedded, opening
from anys3.store.embedded import BackupReport, NotABackup, ScrubReport, backup, device
from anys3.store.embedded.examining import Examination, examine
from anys3.store.errors import Unavailable
from anys3.store.starting import Unreachable

__all__ = [
    "BackupReport",
    "Examination",
    "NotABackup",
    "ScrubReport",
    "backup",
    "device",
    "examine",
    "scrub",
]


def scrub(path: Path, progress: Callable[[ScrubReport], None]) -> ScrubReport:
    """Read everything in the store at `path`, and what it keeps elsewhere, and return what was found.

    Raises what `starting` and `interface` name.
    """
    known = embedded.remembered(path)
    if known is None:
        return embedded.scrub(path, progress)
    blobs = opening.open_blobs(known.url)
    try:
        if known.is_marked:
            embedded.confirm(path, blobs)
        return embedded.scrub(path, progress, blobs)
    except Unavailable as error:
        raise Unreachable(
            f"not everything could be read: {error}; try again when {known.url} answers"
        ) from None
    finally:
        blobs.close()
