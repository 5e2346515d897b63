"""What `anys3 doctor DIR` looks at: the store itself (examining.py says what can be seen of one)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from anys3.server import credentials, doctor_machine, tls
from anys3.server.findings import Finding
from anys3.store.findings import of_pause, size
from anys3.store.upkeep import Examination, examine

_MANY_ROWS = 100_000
_MANY_COMMITS = 100_000
_FULL_MAP = 0.8
_MUCH_FREE = 1 << 30
_BACKWARDS_S = 2.0
_FAR_BACKWARDS_S = 900.0


def of_directory(directory: Path, now_s: float, tls_cert: Path | None) -> Iterator[Finding]:
    """Yield what there is to say of a store, as it is found. Raises NewerFormat, NotAStore, OSError."""
    try:
        found = examine(directory)
    except PermissionError as error:
        yield Finding(
            "readable", "problem", f"this user can't read {error.filename}",
            "run it as the user that runs the server, and check the owner and mode of the directory",
        )  # fmt: skip
        return
    yield Finding(
        "format", "ok",
        f"{directory} is an anys3 store of format {found.format}; this version writes {found.known_format}",
    )  # fmt: skip
    yield of_serving(found)
    if found.pause is not None:
        ends = "" if found.pause.ends_ms is None else _moment(found.pause.ends_ms / 1000)
        yield of_pause(found.pause.reason, ends)
    yield from permissions(directory)
    yield from doctor_machine.of_device(directory)
    yield from of_clock(found, now_s)
    yield from of_index(found)
    yield from of_leftovers(found, directory)
    yield from certificates(directory, tls_cert, now_s)
    yield from doctor_machine.of_process(len(found.workers))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")


def of_serving(found: Examination) -> Finding:
    """Tell who uses the store."""
    if not found.is_served:
        return Finding("served", "ok", "it is not served now")
    workers = f" by {len(found.workers)} workers" if found.workers else ""
    return Finding("served", "ok", f"it is served now{workers}")


# --- permissions --------------------------------------------------------------------------------------


def permissions(directory: Path) -> Iterator[Finding]:
    """Tell who else can read the store, and what its own user can't."""
    if os.name != "posix":
        return
    own = directory.stat()
    mode = stat.S_IMODE(own.st_mode)
    if mode & 0o077:
        yield Finding(
            "mode",
            "warning",
            f"others can enter {directory} (mode {mode:04o}, expected 0700)",
            f"chmod 700 {directory}",
        )
    open_files = [path for path in _secrets(directory) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    for path in open_files:
        yield Finding(
            "secrets",
            "problem",
            f"others can read {path}, which holds secrets (mode {stat.S_IMODE(path.stat().st_mode):04o})",
            f"chmod 600 {path}; if others may have read it: `anys3 key rotate {credentials.ROOT_NAME} --dir {directory}`",
        )
    foreign = [path for path in _of_ours(directory) if path.lstat().st_uid != own.st_uid]
    if foreign:
        yield Finding(
            "owner",
            "problem",
            f"{len(foreign)} files are not owned by the owner of {directory}: {foreign[0]} is one",
            f"chown -R {own.st_uid}:{own.st_gid} {directory}: a command was run as another user, such as root",
        )
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            "writable", "problem", f"this user can't write to {directory}", "check owner, mode and mount"
        )
    if not (mode & 0o077 or open_files or foreign):
        yield Finding("mode", "ok", "only its owner can enter the directory; all files belong to them")


def _secrets(directory: Path) -> list[Path]:
    names = (credentials.FILE_NAME, tls.KEY_NAME, "index/data.mdb")
    return [directory / name for name in names if (directory / name).exists()]


def _of_ours(directory: Path) -> Iterable[Path]:
    for pattern in ("*", "index/*", "incoming/*", "incoming/*/*", "blobs/*"):
        yield from directory.glob(pattern)


# --- the index and what lies about --------------------------------------------------------------------


def of_clock(found: Examination, now_s: float) -> Iterator[Finding]:
    """Compare the system's clock with the newest change."""
    behind = found.changed_s - now_s
    if behind > _BACKWARDS_S:
        yield Finding(
            "clock",
            "problem" if behind > _FAR_BACKWARDS_S else "warning",
            f"the system's clock is {behind:.0f} s behind the newest change of the store",
            "set the clock, and keep it by NTP: clients sign with the time (15 minutes at most), and Last-Modified"
            " is taken from it; the order of changes is not",
        )
    else:
        yield Finding("clock", "ok", f"the newest change is {-behind:.0f} s old")
    yield from doctor_machine.of_time_keeping()


def of_index(found: Examination) -> Iterator[Finding]:
    """Tell how large the index is, and who holds what in it."""
    if found.index_error:
        yield Finding(
            "index", "problem", f"the index can't be read: {found.index_error}",
            "restore a backup (docs/durability.md, Backup and restore)",
        )  # fmt: skip
        return
    used, free = size(found.used_bytes), size(found.free_bytes)
    told = (
        f"{found.entries} objects, {found.uploads} unfinished uploads; {used} in use, {free} free in its file"
    )
    total = found.used_bytes + found.free_bytes
    if total > _FULL_MAP * found.map_bytes:
        yield Finding(
            "index", "warning", f"{told}; {total / found.map_bytes:.0%} of what this system can map",
            "raise the limit of the address space (ulimit -v) of the server",
        )  # fmt: skip
    elif found.free_bytes > max(found.used_bytes, _MUCH_FREE):
        yield Finding(
            "index", "note", told,
            "it is used again by later changes; a backup that is served in its place has none of it",
        )  # fmt: skip
    else:
        yield Finding("index", "ok", told)
    if found.stale_readers:
        yield Finding(
            "readers", "warning",
            f"{len(found.stale_readers)} processes ended while they read the index, and keep its old pages",
            "they are cleared by the next start of the server: restart it when it suits",
        )  # fmt: skip
    elif found.lag > _MANY_COMMITS:
        yield Finding(
            "readers", "warning", f"somebody reads the index as it was {found.lag} commits ago: it can only grow",
            "end the command that has run for so long (`anys3 scrub`, `anys3 backup`)",
        )  # fmt: skip
    else:
        yield Finding("readers", "ok", "no reader holds the index back")


def of_leftovers(found: Examination, directory: Path) -> Iterator[Finding]:
    """Tell what waits to be removed, and what only a start or a scrub will find."""
    yield from _of_outbox(found)
    if found.left_incoming:
        yield Finding(
            "incoming", "note", f"{len(found.left_incoming)} files of writes that ended without an answer",
            "nothing: the next start removes them",
        )  # fmt: skip
    if found.orphans:
        yield Finding(
            "orphans", "note",
            f"{len(found.orphans)} blobs that no object names, in {found.looked_at} of 256 directories,"
            f" such as blobs/{found.orphans[0]}",
            f"they only take room; `anys3 scrub {directory}` lists them all",
        )  # fmt: skip
    elif not found.index_error:
        yield Finding("orphans", "ok", f"no blob without an object in {found.looked_at} of 256 directories")
    yield from _of_checkpoints(found)
    for name in found.leftovers:
        yield Finding(
            "backup", "note", f"{directory / name} was left by a backup into this directory that was cut short",
            "nothing: the next one removes it",
        )  # fmt: skip


def _of_outbox(found: Examination) -> Iterator[Finding]:
    if found.dead_pins:
        yield Finding(
            "pins", "note", f"{found.dead_pins} processes ended while they kept contents from being removed",
            "nothing: the server's janitor clears that when it next has work",
        )  # fmt: skip
    held = f"; readers that keep them: {found.live_pins}" if found.live_pins else ""
    if found.outbox > _MANY_ROWS:
        yield Finding(
            "outbox", "warning", f"{found.outbox} deleted or replaced contents wait to be removed{held}",
            "look at the server's log for 'removing freed contents failed', and for slow readers",
        )  # fmt: skip
    else:
        yield Finding("outbox", "ok", f"{found.outbox} deleted or replaced contents wait to be removed{held}")


def _of_checkpoints(found: Examination) -> Iterator[Finding]:
    if not found.checkpoints:
        return
    if found.is_served:
        yield Finding(
            "relaxed", "note", "it is served with --durability relaxed: power loss takes the last seconds",
            "use the default for what must not be lost",
        )  # fmt: skip
    elif found.has_damaged_checkpoints:
        yield Finding(
            "relaxed", "problem", "a relaxed server was killed, and its checkpoints are damaged",
            "restore a backup (docs/durability.md, Backup and restore)",
        )  # fmt: skip
    elif found.goes_back:
        yield Finding(
            "relaxed", "warning", "a relaxed server was ended by a crash of the system, or this is a copy of one",
            "the next start goes back to its newest checkpoint: the last seconds of writes are lost",
        )  # fmt: skip
    else:
        yield Finding(
            "relaxed",
            "note",
            "a relaxed server was killed; nothing is lost",
            "nothing: the next start sees to it",
        )


# --- certificates -------------------------------------------------------------------------------------


def certificates(directory: Path, given: Path | None, now_s: float) -> Iterator[Finding]:
    """Tell for how long the certificates last, and for which names."""
    own = directory / tls.CHAIN_NAME
    if own.exists():
        yield of_certificate(own, now_s, is_own=True)
    if given is not None:
        yield of_certificate(given, now_s, is_own=False)


def of_certificate(path: Path, now_s: float, *, is_own: bool) -> Finding:
    """Tell it of one. Our own is made anew by a start in its last month."""
    try:
        names, ends_s = tls.names_and_end(path)
    except (tls.CryptographyMissing, OSError, ValueError) as error:
        return Finding(
            "certificate", "note" if isinstance(error, tls.CryptographyMissing) else "problem",
            f"{path} can't be read: {error}", "give the PEM file of the chain",
        )  # fmt: skip
    days = (ends_s - now_s) / 86_400
    told = f"{path} for {', '.join(names) or 'no name'}: "
    advice = (
        "restart the server, which makes a new one" if is_own else "renew it, and send SIGHUP to the server"
    )
    if days < 0:
        return Finding("certificate", "problem", f"{told}expired {-days:.0f} days ago", advice)
    if days < tls.RENEW_BEFORE.days:
        return Finding("certificate", "warning", f"{told}{days:.0f} days left", advice)
    return Finding("certificate", "ok", f"{told}{days:.0f} days left")
