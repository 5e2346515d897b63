"""What `anys3 doctor` says: the findings of engines and of its own, for people and for machines."""

from __future__ import annotations

from anys3.store.findings import LEVELS, Finding, Level

__all__ = ["LEVELS", "Finding", "Level", "as_json"]


def as_json(finding: Finding) -> dict[str, str]:
    """Return it for machines."""
    return {"id": finding.id, "level": finding.level, "found": finding.found, "advice": finding.advice}
