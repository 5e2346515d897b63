"""Renders the README's table of clients from the rows that the last run of tests/interop left.

usage: python tests/interop/table.py [--check] [README.md]
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = Path(os.environ.get("ANYS3_CLIENT_ROWS", ROOT / ".cache" / "interop" / "rows"))
BEGIN, END = "<!-- clients:begin -->", "<!-- clients:end -->"


def render(directory: Path) -> str:
    """Return the table: one line for each client and version, what its tests did joined in order of test."""
    done: dict[tuple[str, str], list[str]] = {}
    tests = [json.loads(path.read_text("utf-8")) for path in sorted(directory.glob("*.json"))]
    for test in sorted(tests, key=lambda test: str(test["test"])):
        for row in test["rows"]:
            done.setdefault((row["client"], row["version"]), []).append(row["what"])
    lines = ["| client | version | what was done |", "|---|---|---|"]
    for (client, version), what in sorted(done.items(), key=lambda item: item[0][0].lower()):
        lines.append(f"| {client} | {version} | {'; '.join(dict.fromkeys(what))} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Write the table between the markers (--check: only compare). 1 when it differs or there is none."""
    check = "--check" in arguments
    names = [argument for argument in arguments if not argument.startswith("-")]
    readme = Path(names[0]) if names else ROOT / "README.md"
    text = readme.read_text("utf-8")
    if BEGIN not in text or END not in text:
        print(f"{readme} has no {BEGIN} ... {END}", file=sys.stderr)
        return 1
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    new = f"{head}{BEGIN}\n{render(ROWS)}\n{END}{tail}"
    if not check:
        readme.write_text(new, "utf-8")
        return 0
    if new != text:
        print(f"the table of clients in {readme} differs from the last run", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
