"""One target under atheris: `python -m tests.torture.fuzz.child TARGET [LIBFUZZER ARGUMENT]...`."""

from __future__ import annotations

import importlib
import logging
import sys

import atheris

from tests.torture.fuzz.kit import MAX_INPUT


def main() -> None:
    """Instrument anys3, and begin. `--with MODULE:FUNCTION` before all plants a bug."""
    words = sys.argv[1:]
    planted = []
    while words[:1] == ["--with"]:
        planted.append(words[1])
        words = words[2:]
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=["anys3"]):
        targets = importlib.import_module("tests.torture.fuzz.targets").TARGETS
    for each in planted:
        module, _, function = each.partition(":")
        getattr(importlib.import_module(module), function)()
    target = targets[words[0]]

    def one(data: bytes) -> None:
        target(data[:MAX_INPUT])

    atheris.Setup([sys.argv[0], *words[1:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
