"""The embedded engine: a directory on a local disk, shared by the worker processes of one machine."""

from anys3.store.embedded.backup import BackupReport, backup
from anys3.store.embedded.checkpoints import can_be_relaxed
from anys3.store.embedded.destination import NotABackup
from anys3.store.embedded.directory import DirectoryLock, lock_directory
from anys3.store.embedded.engine import EmbeddedStore, open_store
from anys3.store.embedded.recovery import prepare, recover
from anys3.store.embedded.remote import confirm, remembered
from anys3.store.embedded.report import ScrubReport
from anys3.store.embedded.scrub import scrub
from anys3.store.starting import AlreadyServed, NewerFormat, NotAStore, ReadOnly

__all__ = [
    "AlreadyServed",
    "BackupReport",
    "DirectoryLock",
    "EmbeddedStore",
    "NewerFormat",
    "NotABackup",
    "NotAStore",
    "ReadOnly",
    "ScrubReport",
    "backup",
    "can_be_relaxed",
    "confirm",
    "lock_directory",
    "open_store",
    "prepare",
    "recover",
    "remembered",
    "scrub",
]
