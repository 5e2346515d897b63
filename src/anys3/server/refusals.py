"""Why a command does not go on: one line for a person, and an exit code of its own for a script."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of the command line; docs/cli.md lists them."""

    OK = 0
    BUG = 1
    USAGE = 2
    ALREADY_SERVED = 3
    ADDRESS = 4
    DISK = 5
    NEWER_FORMAT = 6
    INSECURE_KEY = 7
    NOT_A_STORE = 8
    NOT_FOUND = 9
    TLS = 10
    CONFLICT = 11
    DAMAGED = 12
    UNHEALTHY = 13
    UNREACHABLE = 14
    PAUSED = 15


MEANINGS = {
    Exit.OK: "done",
    Exit.BUG: "an error in anys3 itself; the traceback says where",
    Exit.USAGE: "a wrong flag, environment variable or setting",
    Exit.ALREADY_SERVED: "another `anys3 serve` runs on this directory",
    Exit.ADDRESS: "the address is in use, or can't be listened on",
    Exit.DISK: "the disk is full or read-only, or the directory can't be written",
    Exit.NEWER_FORMAT: "a newer anys3 wrote this store",
    Exit.INSECURE_KEY: "others can read the key file, or the root key is short or well known",
    Exit.NOT_A_STORE: "the directory holds no store",
    Exit.NOT_FOUND: "no such bucket or key",
    Exit.TLS: "the certificate or its key can't be used",
    Exit.CONFLICT: "the name is taken, the bucket or the new store isn't empty, or DEST is no backup of this store",
    Exit.DAMAGED: "the scrub, the backup or the copy found damaged or missing data",
    Exit.UNHEALTHY: "the doctor found a warning or a problem",
    Exit.UNREACHABLE: "the index's database, or the place of the blobs, can't be reached or used",
    Exit.PAUSED: "the store was moved to another place, or is the half of a copy",
}
"""What each exit code says, for `--help` and docs/cli.md."""


class Refusal(Exception):
    """A command can't go on. `str()` is one line: what was wrong, what was expected, what to do next."""

    def __init__(self, exit_code: Exit, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
