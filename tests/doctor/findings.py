"""What tests of the doctor's findings share."""

from __future__ import annotations

import time
from collections.abc import Iterable

from anys3.store.findings import LEVELS, Finding


def clock() -> float:
    return time.time_ns() / 1e9


def worst(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return the worst finding of each id."""
    found: dict[str, Finding] = {}
    for finding in findings:
        known = found.get(finding.id, finding)
        found[finding.id] = max(known, finding, key=lambda one: LEVELS.index(one.level))
    return found


def levels(findings: Iterable[Finding]) -> dict[str, str]:
    """Return the worst level of each id."""
    return {id: finding.level for id, finding in worst(findings).items()}
