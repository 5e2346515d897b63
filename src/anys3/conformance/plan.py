"""What a run will use, before it is started: requests by class, bytes, time, and what a provider may charge.

The requests of each check were counted on our own server (`costs.toml`, renewed by `make costs`); failing
checks are repeated, so that a run against a server with many faults uses up to three times as much.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from anys3.conformance.registry import Check

COSTS = Path(__file__).with_name("costs.toml")
_USD_OF_A_WRITE = 0.005 / 1000
_USD_OF_A_READ = 0.0004 / 1000
_OVERHEAD_REQUESTS = {"write": 4, "read": 1, "delete": 3}
_ROUND_TRIPS_OF_A_REQUEST = 1.6


@dataclass(frozen=True, slots=True)
class Cost:
    """What a check or a run uses. Deletes cost nothing at most providers."""

    writes: int = 0
    reads: int = 0
    deletes: int = 0
    sent_bytes: int = 0

    @property
    def requests(self) -> int:
        """All requests."""
        return self.writes + self.reads + self.deletes

    @property
    def usd(self) -> float:
        """The price at AWS's list prices for S3 Standard in us-east-1; sent bytes are free there."""
        return self.writes * _USD_OF_A_WRITE + self.reads * _USD_OF_A_READ

    def seconds(self, jobs: int, round_trip_s: float = 0.03) -> float:
        """Estimate how long it takes with so many checks at a time and such a round trip."""
        return max(1.0, self.requests * round_trip_s * _ROUND_TRIPS_OF_A_REQUEST / jobs)

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.writes + other.writes,
            self.reads + other.reads,
            self.deletes + other.deletes,
            self.sent_bytes + other.sent_bytes,
        )


@cache
def costs() -> Mapping[str, Cost]:
    """Return the cost of each check by name."""
    rows = tomllib.loads(COSTS.read_text("utf-8"))
    return {name: Cost(*row) for name, row in rows.items()}


def plan(checks: Iterable[Check]) -> Cost:
    """Return what a run of those checks uses, clean-up included."""
    total = Cost(*_OVERHEAD_REQUESTS.values())
    for check in checks:
        cost = costs().get(check.name, Cost(2, 2, 0, 100))
        # Each thing written is deleted: one request for hundreds of them, where DeleteObjects works.
        total += cost
    return total
