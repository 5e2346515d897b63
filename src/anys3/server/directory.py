"""The store's directory, as commands meet it: opened, taken, or refused in words for a person."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from anys3.server.credentials import check_file, remove_half_made
from anys3.server.refusals import Exit, Refusal
from anys3.store import embedded
from anys3.store.embedded import directory as layout
from anys3.store.interface import Corrupt, Store, StoreFull, Unavailable

ORPHANS_END_S = 1.5
"""How long a start waits for the workers of a server that was killed, before it says that another one runs."""


@contextlib.contextmanager
def refusing(directory: Path) -> Iterator[None]:
    """Turn what the engine raises about a directory into a Refusal with its exit code."""
    try:
        yield
    except embedded.AlreadyServed:
        raise Refusal(
            Exit.ALREADY_SERVED,
            f"another `anys3 serve` runs on {directory}: stop it first, or give this one another directory",
        ) from None
    except embedded.NewerFormat as error:
        raise Refusal(
            Exit.NEWER_FORMAT, f"{error}: update anys3 (pip install -U anys3), or give another directory"
        ) from None
    except embedded.NotAStore as error:
        raise Refusal(Exit.NOT_A_STORE, f"{error}: give an empty or a new directory") from None
    except embedded.ReadOnly as error:
        raise Refusal(
            Exit.DISK, f"{error}: the user that runs anys3 needs to write there; check owner, mode and mount"
        ) from None
    except StoreFull as error:
        raise Refusal(Exit.DISK, f"{error}: make room on the disk, then start again") from None
    except Corrupt as error:
        raise Refusal(
            Exit.DAMAGED,
            f"{directory} is damaged, and was left as it is: {error}; `anys3 scrub {directory}` says what else is"
            " damaged; then restore a backup",
        ) from None
    except Unavailable as error:
        raise Refusal(Exit.DISK, f"the store can't be used: {error}") from None
    except OSError as error:
        raise Refusal(Exit.DISK, str(layout.explain(error, directory))) from None


def take(directory: Path) -> embedded.DirectoryLock:
    """Make the directory a store if it is new, take the right to serve it, and mend what a crash left.

    Raises Refusal.
    """
    with refusing(directory):
        # First, so that a directory of somebody else's is left without so much as a lock file.
        layout.prepare(directory)
        check_file(directory)
        lock = _lock(directory)
        try:
            embedded.recover(directory)
            remove_half_made(directory)
        except BaseException:
            lock.close()
            raise
    return lock


def _lock(directory: Path) -> embedded.DirectoryLock:
    """Lock the directory. Workers outlive a supervisor that was killed by a moment: they get it to end."""
    deadline = time.monotonic() + ORPHANS_END_S
    while True:
        try:
            return embedded.lock_directory(directory)
        except embedded.AlreadyServed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def open_worker(directory: Path, slot: int, *, is_relaxed: bool = False) -> embedded.EmbeddedStore:
    """Open the store as the server's worker of that number. Call after any fork. Raises Refusal."""
    if is_relaxed and not embedded.can_be_relaxed():
        raise Refusal(Exit.USAGE, "--durability relaxed needs Linux: leave it out, or use --memory")
    return embedded.open_store(directory, slot=slot, is_relaxed=is_relaxed)


def require_store(directory: Path) -> None:
    """Refuse a directory that holds no store (exit code 8); nothing is made."""
    if not (directory / "format").is_file():
        what = "holds no anys3 store" if directory.is_dir() else "doesn't exist"
        raise Refusal(
            Exit.NOT_A_STORE,
            f"{directory} {what}: give the server's directory as --dir DIR (or ANYS3_DIR), or make one by"
            f" `anys3 serve {directory}`",
        )


def open_existing(directory: Path) -> Store:
    """Open the store beside a server that may be running. Raises Refusal if there is none, not making one."""
    require_store(directory)
    check_file(directory)
    return embedded.open_store(directory, is_server=False)
