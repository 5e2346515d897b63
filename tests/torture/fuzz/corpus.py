"""The corpus: one file a target, one input a line, as a JSON string whose characters are the bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
MAX_FILE_BYTES = 15_000
"""The corpus stays small: a target's file grows no further."""


def read(target: str) -> list[bytes]:
    """Return the inputs of a target."""
    return [json.loads(line).encode("latin-1") for line in file_of(target).read_text("utf-8").splitlines()]


def file_of(target: str) -> Path:
    """Return where they lie."""
    return FOLDER / f"{target}.jsonl"


def add(target: str, inputs: Iterable[bytes]) -> int:
    """Add inputs that are new, the short ones first, as long as there is room; return how many."""
    file = file_of(target)
    known = set(read(target)) if file.exists() else set()
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    added = 0
    for one in sorted(set(inputs) - known, key=lambda each: (len(each), each)):
        line = json.dumps(one.decode("latin-1"))
        if sum(map(len, lines)) + len(line) > MAX_FILE_BYTES:
            break
        lines.append(line)
        added += 1
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return added
