"""The server, changed before it starts: `python -m tests.torture.server [--with MODULE:FUNCTION[=TEXT]]... ARGS`.

Each function is called, with the text if there is one, before `anys3 ARGS` runs in this process, and so before
any worker is forked. That is how planted bugs get in, and how a harness learns of the steps of a commit.
"""

from __future__ import annotations

import importlib
import sys

from anys3.cli import main


def change(what: str) -> None:
    """Call what one `--with` names."""
    place, _, text = what.partition("=")
    module, _, function = place.partition(":")
    call = getattr(importlib.import_module(module), function)
    if text:
        call(text)
    else:
        call()


def entry(*changes: str) -> tuple[str, ...]:
    """Return what Python is given to start the server with these changes, for `ServerProcess(entry=...)`."""
    return ("-m", "tests.torture.server", *(word for each in changes for word in ("--with", each)))


if __name__ == "__main__":
    words = sys.argv[1:]
    while words[:1] == ["--with"]:
        change(words[1])
        words = words[2:]
    sys.exit(main(words))
