"""What runs, by /proc."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def processes_of(directory: Path) -> list[str]:
    """Return the command lines of all processes that name the directory, or work in it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            is_zombie = not command
            works_there = (entry / "cwd").readlink().is_relative_to(directory)
            if (
                int(entry.name) != os.getpid()
                and not is_zombie
                and (str(directory) in command or works_there)
            ):
                found.append(command)
    return found
