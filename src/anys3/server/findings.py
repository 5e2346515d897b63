"""What `anys3 doctor` says: findings, each with how bad it is and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "problem")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `id` stays the same over versions; `advice` is "" where nothing is to do."""

    id: str
    level: Level
    found: str
    advice: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether somebody has to do something."""
        return self.level in ("warning", "problem")


def as_json(finding: Finding) -> dict[str, str]:
    """Return it for machines."""
    return {"id": finding.id, "level": finding.level, "found": finding.found, "advice": finding.advice}
