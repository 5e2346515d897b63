"""The verdict as a badge: an SVG file, or the JSON of a shields.io endpoint badge."""

from __future__ import annotations

import json
from dataclasses import dataclass
from xml.sax.saxutils import escape

from anys3.conformance.outcomes import Verdict
from anys3.conformance.report import Report
from anys3.conformance.reports import wording

LABEL = "anys3"
_HEIGHT = 20
_SIDE = 7
_LETTER_WIDTH = 6.8
"""Of 11 px Verdana, at most on average: `textLength` makes every font fill the same space."""

_GREEN, _BLUE, _RED, _GREY = "#1a7f37", "#0b62a8", "#b3261e", "#57606a"
"""White letters on each have a contrast of at least 4.5 to 1."""


@dataclass(frozen=True, slots=True)
class _Message:
    text: str
    color: str


def to_svg(report: Report) -> str:
    """Return the badge as an SVG image with a title; it needs no font or file from elsewhere."""
    message = _message(report)
    label_width = round(len(LABEL) * _LETTER_WIDTH) + 2 * _SIDE
    message_width = round(len(message.text) * _LETTER_WIDTH) + 2 * _SIDE
    width = label_width + message_width
    title = escape(wording.printable(f"{wording.title(report)}: {message.text}, {report.started[:10]}"))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}" role="img" aria-labelledby="title">
<title id="title">{title}</title>
<clipPath id="round"><rect width="{width}" height="{_HEIGHT}" rx="3"/></clipPath>
<g clip-path="url(#round)">
<rect width="{label_width}" height="{_HEIGHT}" fill="#24292f"/>
<rect x="{label_width}" width="{message_width}" height="{_HEIGHT}" fill="{message.color}"/>
</g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">
<text x="{_SIDE}" y="14" textLength="{label_width - 2 * _SIDE}">{LABEL}</text>
<text x="{label_width + _SIDE}" y="14" textLength="{message_width - 2 * _SIDE}">{escape(wording.printable(message.text))}</text>
</g>
</svg>
"""


def to_shields(report: Report) -> str:
    """Return the badge as https://shields.io/endpoint takes it."""
    message = _message(report)
    row = {"schemaVersion": 1, "label": LABEL, "message": message.text, "color": message.color}
    return json.dumps(row, ensure_ascii=False) + "\n"


def _message(report: Report) -> _Message:
    """Return what the badge says: a tier only where all of its MUSTs were judged and passed."""
    best = wording.met(report)
    if report.was_interrupted:
        return _Message("incomplete", _GREY)
    if best is not None:
        is_asked = report.verdict is Verdict.CONFORMANT
        return _Message(f"{wording.tier_name(best.name)} conformant", _GREEN if is_asked else _BLUE)
    if report.is_partial and report.verdict is Verdict.CONFORMANT:
        return _Message("chosen checks passed", _BLUE)
    if report.verdict is Verdict.NOT_CONFORMANT:
        return _Message("not conformant", _RED)
    return _Message("incomplete", _GREY)
