"""What a store in a directory is kept well with: scrub, backup and examination, also while it is served.

Of what lies on other machines their own tools take care.
"""

from anys3.store.embedded import (
    BackupReport,
    Damage,
    NotABackup,
    ScrubReport,
    backup,
    device,
    scrub,
)
from anys3.store.embedded.examining import Examination, examine

__all__ = [
    "BackupReport",
    "Damage",
    "Examination",
    "NotABackup",
    "ScrubReport",
    "backup",
    "device",
    "examine",
    "scrub",
]
