"""The audit log: a line for every administrative change, in `DIR/audit.log` and in the server's log.

A line is written after its change is on the disk, and says who did what to what, and when; never a secret.
It is one JSON object, appended by one write, so that lines of several processes do not mix.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

FILE_NAME = "audit.log"
_log = logging.getLogger("anys3.audit")

Details = bool | str | list[str] | dict[str, str] | None


class Audit:
    """Writes the lines of one process; `directory` None (a store in memory): to the log only."""

    def __init__(self, directory: Path | None) -> None:
        self._path = None if directory is None else directory / FILE_NAME

    def note(self, who: dict[str, str | int], action: str, target: str, **details: Details) -> None:
        """Write that `who` did `action` to `target`. A line that can't be written is told in the log."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": moment, "who": who, "action": action, "target": target, **details})
        # What the operator did stands on the operator's own screen already.
        _log.log(logging.INFO if who["via"] == "request" else logging.DEBUG, "audit: %s", line)
        if self._path is not None:
            try:
                _append(self._path, line.encode() + b"\n")
            except OSError as error:
                _log.error("audit: %s can't be written: %s", self._path, error)

    def started(self, new_root_key_id: str | None, buckets: Iterable[str]) -> None:
        """Write what a start has changed: the root key, if it is a new one, and the buckets that it made."""
        if new_root_key_id is not None:
            self.note(operator(), "root key settled", "root", access_key_id=new_root_key_id)
        for bucket in buckets:
            self.note(operator(), "bucket create", bucket)


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def operator() -> dict[str, str | int]:
    """Return who runs this process, for changes made at a command line or at a start."""
    import getpass  # noqa: PLC0415 (few processes need it)

    try:
        name = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a user id without a name, as containers have it
        name = ""
    who: dict[str, str | int] = {"via": "command line", "user": name, "pid": os.getpid()}
    if hasattr(os, "getuid"):
        who["uid"] = os.getuid()
    return who


def requester(access_key_id: str, request_id: str) -> dict[str, str | int]:
    """Return who sent a request."""
    return {"via": "request", "access_key_id": access_key_id, "request_id": request_id}
