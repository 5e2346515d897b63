"""The numbers of the last full run of each proof: `docs/torture/PROOF.json`, and the table made of them."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "torture"
PAGES = {
    "durability": ("crash", "power", "corruption", "races", "faults", "soak"),
    "security": ("access", "fuzz", "abuse"),
    "cluster": ("cluster",),
}
"""The proofs that docs/durability.md, docs/security.md and docs/cluster.md tell of."""


TABLES = ("stalls",)


def record(
    proof: str,
    seconds: float,
    numbers: Mapping[str, int | float | str],
    found: Mapping[str, str],
    **tables: Sequence[Mapping[str, str]],
) -> Path:
    """Keep a run: what it counted, and for each planted bug, by its sentence, how the harness found it.

    `tables` are further ones, by their names: rows by the titles of their columns.
    """
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{proof}.json"
    words = ["python", "-m", "tests.torture", *sys.argv[1:]]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    content = {
        "proof": proof,
        "command": shlex.join(words),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "system": f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}",
        "seconds": round(seconds),
        "numbers": dict(numbers),
        "planted_bugs_found": dict(found),
        **{name: list(rows) for name, rows in tables.items()},
    }
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return file


def table(page: str) -> str:
    """Return the Markdown table of the recorded runs of a page's proofs, and further tables of theirs."""
    lines = ["| proof | command | last full run | counted | planted bugs found |", "|---|---|---|---|---|"]
    for proof in PAGES[page]:
        run = json.loads((FOLDER / f"{proof}.json").read_text())
        counted = "; ".join(f"{name}: {_number(value)}" for name, value in run["numbers"].items())
        lines.append(
            f"| {run['proof']} | `{run['command']}` | {run['date']}, {_duration(run['seconds'])} | {counted} |"
            f" {len(run['planted_bugs_found'])} |"
        )
        for rows in (run[name] for name in TABLES if name in run):
            lines += ["", _line(rows[0]), "|---" * len(rows[0]) + "|", *(_line(row.values()) for row in rows)]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) else value


def _duration(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds / 60:.0f} min"
