"""Where the store lies, as commands meet it: opened, taken, or refused in words for a person."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from anys3.server.credentials import check_file, remove_half_made
from anys3.server.refusals import Exit, Refusal
from anys3.store import opening
from anys3.store.errors import Corrupt, StoreError, StoreFull, Unavailable
from anys3.store.interface import Store
from anys3.store.opening import Location
from anys3.store.starting import (
    AlreadyServed,
    EngineMissing,
    NewerFormat,
    NotAStore,
    ReadOnly,
    Unreachable,
    Unsuitable,
)

_log = logging.getLogger("anys3.server")

_TOLD: tuple[tuple[type[StoreError], Exit, str], ...] = (
    (
        AlreadyServed,
        Exit.ALREADY_SERVED,
        "another `anys3 serve` runs on {location}: stop it first, or give this one another directory",
    ),
    (
        NewerFormat,
        Exit.NEWER_FORMAT,
        "{error}: update anys3 (pip install -U anys3), or give another directory or index",
    ),
    (NotAStore, Exit.NOT_A_STORE, "{error}: {elsewhere}"),
    (
        ReadOnly,
        Exit.DISK,
        "{error}: the user that runs anys3 needs to write there; check owner, mode and mount",
    ),
    (Unsuitable, Exit.USAGE, "{error}"),
    (EngineMissing, Exit.USAGE, "{error}"),
    (Unreachable, Exit.UNREACHABLE, "{error}"),
    (StoreFull, Exit.DISK, "{error}: make room on the disk, then start again"),
    (
        Corrupt,
        Exit.DAMAGED,
        "{location} is damaged, and was left as it is: {error}; {scrub}restore a backup",
    ),
    (Unavailable, Exit.DISK, "the store can't be used: {error}"),
)
"""What engines raise, and what a command ends with."""


@contextlib.contextmanager
def refusing(location: Location) -> Iterator[None]:
    """Turn what engines raise about a store into a Refusal with its exit code."""
    try:
        yield
    except StoreError as error:
        raise _refusal(error, location) from None
    except OSError as error:
        place = error.filename or location
        raise Refusal(Exit.DISK, f"{place}: {error.strerror or error}") from None


def _refusal(error: StoreError, location: Location) -> Refusal:
    """Return what a person is told: by the first row that fits."""
    for kind, exit_code, words in _TOLD:
        if isinstance(error, kind):
            scrub = "" if location.index else f"`anys3 scrub {location}` says what else is damaged; then "
            elsewhere = "give an empty or a new directory"
            if location.index:
                elsewhere = "give another schema (schema=NAME in the URL), or another database"
            return Refusal(
                exit_code, words.format(error=error, location=location, scrub=scrub, elsewhere=elsewhere)
            )
    raise error


@contextlib.contextmanager
def taken(location: Location, directory: Path | None) -> Iterator[None]:
    """Hold the right to serve a store, made if it is new; `directory` is where a copy of the root key lies.

    Raises Refusal.
    """
    if directory is not None:
        check_file(directory)
    with refusing(location):
        held = opening.take(location)
    with held:
        if directory is not None:
            with refusing(location):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                remove_half_made(directory)
        yield


async def require_open(store: Store, location: Location) -> None:
    """Refuse to serve a store that takes no changes for good (exit code 15): it is another one that counts."""
    pause = await store.paused()
    if pause is None:
        return
    if pause.ends_ms is None:
        raise Refusal(
            Exit.PAUSED,
            f"{location} can't be served: {pause.reason}; serve what it was moved to, or finish the copy by the same"
            f" `anys3 store copy`; if you know better, `anys3 store resume {location}`",
        )
    _log.warning("%s takes no changes for now: %s", location, pause.reason)


def require_store(directory: Path) -> None:
    """Refuse a directory that holds no store (exit code 8); nothing is made."""
    if not Location(directory).holds_store():
        what = "holds no anys3 store" if directory.is_dir() else "doesn't exist"
        raise Refusal(
            Exit.NOT_A_STORE,
            f"{directory} {what}: give the server's directory as --dir DIR (or ANYS3_DIR), or make one by"
            f" `anys3 serve {directory}`",
        )


async def open_existing(location: Location) -> Store:
    """Open the store beside servers that may be running. Raises Refusal if there is none, not making one."""
    if location.directory is not None:
        require_store(location.directory)
        check_file(location.directory)
    with refusing(location):
        return await opening.open_beside(location)
