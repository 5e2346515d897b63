"""What a run will use, before it is started: requests by class, bytes, time, and what a provider may charge.

The requests of each check, and of what several of them share, were counted on our own server (`costs.toml`, renewed
by `make costs`). Failing checks are repeated: a run against a server with many faults uses up to three times as much.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from anys3.conformance.registry import Check

COSTS = Path(__file__).with_name("costs.toml")
_USD_OF_A_WRITE = 0.005 / 1000
_USD_OF_A_READ = 0.0004 / 1000
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


_UNKNOWN = Cost(2, 2, 0, 100)
"""What a check counts for that was not measured."""
_PREPARING = Cost(writes=2)
"""ListBuckets, which tells whether the endpoint knows the caller, and CreateBucket."""


@cache
def _measured() -> Mapping[str, Any]:
    return tomllib.loads(COSTS.read_text("utf-8"))


@cache
def costs() -> Mapping[str, Cost]:
    """Return the cost of each check by name, without what it shares with others."""
    return {name: Cost(*row[:4]) for name, row in _measured()["checks"].items()}


def plan(checks: Iterable[Check]) -> Cost:
    """Return what a run of those checks uses, with what it is prepared and cleaned up by."""
    chosen = _together(check.name for check in checks)
    all_of_them = _together(costs())
    return _PREPARING + chosen + _cleaning(chosen.requests / all_of_them.requests)


def _together(names: Iterable[str]) -> Cost:
    """Return what the checks of those names use; what they share counts once."""
    measured = _measured()
    total = Cost()
    shared: set[str] = set()
    for name in names:
        total += costs().get(name, _UNKNOWN)
        shared.update(measured["checks"].get(name, ())[4:])
    return sum((Cost(*measured["shared"][name]) for name in sorted(shared)), start=total)


def _cleaning(share: float) -> Cost:
    """Return what cleaning up after such a share of all requests uses, but for uploads and buckets."""
    writes, reads, deletes, sent_bytes = (max(0, round(count * share)) for count in _measured()["cleaning"])
    return Cost(max(1, writes), reads, max(1, deletes), sent_bytes)
