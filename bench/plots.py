"""Plots as inline SVG: bars with whiskers, and lines over numbers of connections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.summary import Spread
from bench.text import number

WIDTH = 480
LABELS = 128
VALUES = 86
ROW = 26
SERIES = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, its value with spread, and whether it is the first target's."""

    label: str
    value: Spread
    is_own: bool


def bars(title: str, unit: str, rows: Sequence[Bar]) -> str:
    """Return horizontal bars from 0, each with its value, and a whisker from the least to the greatest round."""
    top = max((row.value.high for row in rows), default=0.0) or 1.0
    scale = (WIDTH - LABELS - VALUES) / top
    height = ROW * len(rows) + 6
    parts = [_open(title, height)]
    for place, row in enumerate(rows):
        y = place * ROW + 4
        width, middle = row.value.median * scale, y + 9
        low, high = LABELS + row.value.low * scale, LABELS + row.value.high * scale
        parts.append(
            f'<text x="{LABELS - 8}" y="{y + 14}" text-anchor="end">{escape(_short(row.label))}</text>'
        )
        parts.append(
            f'<rect class="{"own" if row.is_own else "bar"}" x="{LABELS}" y="{y}" width="{width:.1f}" height="18"/>'
        )
        parts.append(
            f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
            if row.value.high > row.value.low
            else ""
        )
        parts.append(
            f'<text x="{max(high, LABELS + width) + 6:.1f}" y="{y + 14}">{number(row.value.median)} {escape(unit)}</text>'
        )
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True, slots=True)
class Line:
    """One target's values over numbers of connections."""

    label: str
    points: Sequence[tuple[int, float]]


def lines(title: str, unit: str, series: Sequence[Line]) -> str:
    """Return lines over numbers of connections, on a logarithmic scale upwards; labels end each line."""
    marks = sorted({x for line in series for x, _ in line.points})
    values = [y for line in series for _, y in line.points if y > 0]
    if not values:
        return ""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    height, left, right, foot = 250, 56, 120, 36

    def place(x: int, y: float) -> tuple[float, float]:
        across = marks.index(x) / max(1, len(marks) - 1) * (WIDTH - left - right)
        up = (math.log10(max(y, 10**low)) - low) / (high - low)
        return left + across, 10 + (height - foot - 10) * (1 - up)

    parts = [_open(title, height)]
    for power in range(low, high + 1):
        _, y = place(marks[0], 10**power)
        parts.append(f'<line class="axis" x1="{left}" x2="{WIDTH - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="faint" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{number(10**power)}</text>'
        )
    for mark in marks:
        x, _ = place(mark, 10**low)
        parts.append(f'<text class="faint" x="{x:.1f}" y="{height - 18}" text-anchor="middle">{mark}</text>')
    parts.append(
        f'<text class="faint" x="{left}" y="{height - 2}">connections; {escape(unit)}, logarithmic</text>'
    )
    ends = []
    for order, line in enumerate(series):
        spots = [place(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        kind = f"s{order % SERIES}"
        parts.append(f'<g class="{kind}"><polyline points="{path}"/>')
        parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in spots)
        parts.append("</g>")
        if spots:
            ends.append((spots[-1][1], spots[-1][0], line.label))
    parts.extend(_ends(ends))
    return "".join([*parts, "</svg>"])


def _ends(ends: Sequence[tuple[float, float, str]]) -> list[str]:
    """Return the labels at the ends of lines, moved apart where they would lie on each other."""
    parts, last = [], -math.inf
    for y, x, label in sorted(ends):
        at = max(y + 4, last + 15)
        last = at
        parts.append(f'<text x="{x + 8:.1f}" y="{at:.1f}">{escape(_short(label))}</text>')
    return parts


def _open(title: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>"
    )


def _short(label: str) -> str:
    """Return a label that fits: the end of a URL, the beginning of a name."""
    label = label.removeprefix("http://").removeprefix("https://")
    return label if len(label) <= 18 else label[:17] + "…"
