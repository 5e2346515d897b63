"""One fuzz target under atheris: `python -m tests.torture.guided TARGET [LIBFUZZER ARGUMENT]...`.

It is no part of the package `fuzz`, whose import would load everything before it can be instrumented.
"""

from __future__ import annotations

import importlib
import logging
import sys

import atheris


def main() -> None:
    """Instrument anys3, and begin. `--with MODULE:FUNCTION` before all plants a bug."""
    words = sys.argv[1:]
    planted = []
    while words[:1] == ["--with"]:
        planted.append(words[1])
        words = words[2:]
    logging.disable(logging.CRITICAL)
    # Nothing of these may be imported before: what is loaded already is not instrumented.
    with atheris.instrument_imports(include=["anys3", "tests.torture.fuzz"]):
        targets = importlib.import_module("tests.torture.fuzz.targets").TARGETS
    for each in planted:
        module, _, function = each.partition(":")
        getattr(importlib.import_module(module), function)()
    target = targets[words[0]]
    most = importlib.import_module("tests.torture.fuzz.kit").MAX_INPUT

    def one(data: bytes) -> None:
        target(data[:most])

    atheris.Setup([sys.argv[0], *words[1:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
