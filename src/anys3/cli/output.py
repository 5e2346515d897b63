"""How commands speak: results to stdout, as text or JSON; remarks for people to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def result(text: str) -> None:
    """Print a command's result."""
    print(text)  # noqa: T201 (this is the command line's voice)


def result_json(value: object) -> None:
    """Print a command's result for machines."""
    print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201 (this is the command line's voice)


def remark(text: str) -> None:
    """Tell a person something that is no result."""
    print(text, file=sys.stderr)  # noqa: T201 (this is the command line's voice)


def write_file(path: Path, text: str) -> None:
    """Write a report, and say so, or why not."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        remark(f"anys3: {path} could not be written: {error.strerror or error}")
        return
    remark(f"wrote {path}")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in aligned columns under a head.

    >>> print(table(["NAME", "KEY"], [["a", "1"], ["long", "2"]]))
    NAME  KEY
    a     1
    long  2
    """
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def moment(milliseconds: int) -> str:
    """Return a time as ISO 8601 in UTC, to the second; "" for 0, which stands for not known."""
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat().replace("+00:00", "Z")
