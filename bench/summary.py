"""Figures from rounds: medians with their spread, and ratios pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, the least and the greatest."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float | None]) -> Spread | None:
    """Return the spread of the values that are there, None where there are none.

    >>> spread([3, None, 1, 2])
    Spread(median=2, low=1, high=3)
    """
    found = [value for value in values if value is not None]
    return Spread(statistics.median(found), min(found), max(found)) if found else None


def middle(value: Spread | None) -> float | None:
    """Return the median of a spread, None where there is none."""
    return value.median if value else None


def pair_ratio(own: Sequence[float | None], first: Sequence[float | None]) -> Spread | None:
    """Return the spread of own / first, round by round: what drifts meanwhile touches both of a pair.

    Rounds that either of them lacks are left out.

    >>> pair_ratio([2, 6, 9], [1, 2, None])
    Spread(median=2.5, low=2.0, high=3.0)
    """
    return spread(mine / other for mine, other in zip(own, first, strict=False) if mine is not None and other)
