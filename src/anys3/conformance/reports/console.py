"""What a terminal shows: a line while the run goes on, and the summary at its end."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable, Iterable, Sequence

from anys3.conformance.outcomes import Outcome, Result, TierResult, Verdict
from anys3.conformance.report import Report
from anys3.conformance.reports import wording
from anys3.conformance.reports.wording import BROKEN, MARKS, PARTICIPLES, UNJUDGED, printable

_BAR_CELLS = 30
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_CLEAR = "\r\x1b[K"
_LEAST_WIDTH = 40
_TOLD_LIVE = (Outcome.PASS, Outcome.FAIL, Outcome.ABSENT)
"""The others are one number: a line that is rewritten must not be wider than a terminal."""
_RED, _GREEN, _YELLOW, _BOLD, _DIM = "31", "32", "33", "1", "2"
_COLORS = {Verdict.CONFORMANT: _GREEN, Verdict.NOT_CONFORMANT: _RED, Verdict.INCOMPLETE: _YELLOW}
_CELLS = (
    (Outcome.PASS, "█", _GREEN),
    (Outcome.FAIL, "✗", _RED),
    (Outcome.ABSENT, "○", _RED),
    (None, "·", _DIM),
)
"""How a bar shows its parts: each has a sign of its own. None: not judged."""


def summary(report: Report, width: int, is_colored: bool) -> str:
    """Return the end of a run, as a terminal of that width shows it; it ends without a line feed."""
    page = _Page(max(width, _LEAST_WIDTH), is_colored=is_colored)
    page.add(
        page.color(wording.title(report), _BOLD), f"  {printable(f'{report.endpoint}, {report.transport}')}"
    )
    page.skip()
    _tell_failures(page, report)
    _tell_unjudged(page, report)
    _tell_warnings(page, report)
    _tell_notes(page, report)
    _tell_skips(page, report)
    if report.leftovers:
        page.heading("Left behind", "these could not be deleted; `anys3 check clean` tries again")
        page.items(report.leftovers)
    _tell_verdict(page, report)
    return "\n".join(page.lines)


class Progress:
    """What is shown while a run goes on. With `is_live`, one line that is rewritten; else failures only.

    `tell` may be called in any thread.
    """

    def __init__(self, total: int, write: Callable[[str], None], is_live: bool) -> None:
        """Show nothing yet."""
        self._total = total
        self._write = write
        self._is_live = is_live
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(Outcome, 0)
        self._has_line = False

    def tell(self, result: Result) -> None:
        """Hear of a result."""
        with self._lock:
            self._counts[result.outcome] += 1
            if self._is_live:
                self._write(f"{_CLEAR}{self._line()}")
                self._has_line = True
            elif result.outcome in BROKEN:
                self._write(f"{result.outcome} {result.check}: {printable(result.title)}\n")

    def end(self) -> None:
        """Take the line away."""
        with self._lock:
            if self._has_line:
                self._write(_CLEAR)
                self._has_line = False

    def _line(self) -> str:
        done = sum(self._counts.values())
        counts = [f"{self._counts[one]} {PARTICIPLES[one]}" for one in _TOLD_LIVE if self._counts[one]]
        if others := done - sum(self._counts[one] for one in _TOLD_LIVE):
            counts.append(f"{others} other")
        return f"{_SPINNER[done % len(_SPINNER)]} {done}/{self._total}  {', '.join(counts)}"


class _Page:
    """Lines that are wrapped, and coloured or not."""

    def __init__(self, width: int, *, is_colored: bool) -> None:
        self.width = width
        self.lines: list[str] = []
        self._is_colored = is_colored

    def color(self, text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self._is_colored and codes else text

    def skip(self) -> None:
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def add(self, *parts: str) -> None:
        self.lines.append("".join(parts).rstrip())

    def wrap(self, text: str, indent: int, first: str = "", *codes: str) -> None:
        """Add a text, wrapped; `first` stands before its first line."""
        lines = textwrap.wrap(
            printable(text),
            max(self.width - indent - len(first), 20),
            break_on_hyphens=False,
        ) or [""]  # fmt: skip
        for number, line in enumerate(lines):
            lead = first if number == 0 else " " * len(first)
            self.add(" " * indent, lead, self.color(line, *codes))

    def heading(self, text: str, remark: str = "") -> None:
        self.skip()
        self.add(self.color(text, _BOLD))
        if remark:
            self.wrap(remark, 0, "", _DIM)

    def items(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.wrap(text, 2, "- ")


def _tell_failures(page: _Page, report: Report) -> None:
    results = report.of(*BROKEN)
    if not results:
        return
    page.heading(f"Failures: {len(results)} of {len(report.results)} checks")
    operation = None
    for finding in wording.findings(results):
        if finding.operation != operation:
            operation = finding.operation
            page.skip()
            page.add(page.color(operation, _BOLD))
        marks = {result.outcome for result in finding.results}
        mark = MARKS[Outcome.FAIL] if Outcome.FAIL in marks else MARKS[Outcome.ABSENT]
        page.wrap(f"{' '.join(finding.ids)}  {finding.breaks}", 2, f"{mark} ", _RED)
        for result in finding.results:
            _tell_result(page, result)


def _tell_result(page: _Page, result: Result) -> None:
    page.wrap(result.check, 4, "", _DIM)
    page.wrap(wording.short(result), 6)


def _tell_unjudged(page: _Page, report: Report) -> None:
    results = report.of(*UNJUDGED)
    if results:
        page.heading(f"Not judged: {len(results)}")
        page.items(
            f"{result.outcome} {result.check} ({wording.MEANINGS[result.outcome]}): {wording.short(result)}"
            for result in results
        )


def _tell_warnings(page: _Page, report: Report) -> None:
    results = report.of(Outcome.WARN)
    if results:
        page.heading(f"Warnings: {len(results)} SHOULDs are not met")
        page.items(f"{result.check}: {wording.short(result)}" for result in results)


def _tell_notes(page: _Page, report: Report) -> None:
    noted = [(result.check, note) for result in report.results for note in result.notes]
    if noted:
        page.heading(f"Reported without judging: {len(noted)}")
        page.items(f"{check}: {note}" for check, note in noted)


def _tell_skips(page: _Page, report: Report) -> None:
    results = report.of(Outcome.SKIP)
    if not results:
        return
    page.heading(f"Skipped: {len(results)}")
    for reason, members in wording.by_reason(results).items():
        page.wrap(f"{reason}: {_ids(members)}", 2, f"{MARKS[Outcome.SKIP]} ")


def _ids(results: Sequence[Result]) -> str:
    return ", ".join(dict.fromkeys(id for result in results for id in result.ids))


def _tell_verdict(page: _Page, report: Report) -> None:
    page.skip()
    for tier in report.tiers:
        _tell_tier(page, tier)
    page.skip()
    verdict = report.verdict
    page.add(
        page.color(f"{wording.VERDICT_MARKS[verdict]} {verdict}", _BOLD, _COLORS[verdict]),
        f": {wording.scope(report)}",
    )
    page.wrap(wording.meaning(report), 0)
    if report.unobservable:
        page.wrap(f"{len(report.unobservable)} requirements can't be observed from outside.", 0, "", _DIM)
    page.wrap(wording.used(report), 0, "", _DIM)


def _tell_tier(page: _Page, tier: TierResult) -> None:
    signs = {kind: (sign, color) for kind, sign, color in _CELLS}
    cells = min(_BAR_CELLS, page.width - 10)
    bar = "".join(
        page.color(signs[kind][0] * number, signs[kind][1])
        for kind, number in wording.tier_bar(tier, cells)
        if number
    )
    passed = tier.musts.get(Outcome.PASS, 0)
    page.add(
        f"{wording.tier_name(tier.name):<7} ",
        f"{bar} " if page.width >= _LEAST_WIDTH * 2 else "",
        page.color(str(tier.verdict), _COLORS[tier.verdict]),
        f"  {passed} of {tier.must_count} MUSTs",
    )
    others = {outcome: number for outcome, number in tier.musts.items() if outcome is not Outcome.PASS}
    parts = [f"{number} {PARTICIPLES[outcome]}" for outcome, number in others.items() if number]
    if tier.unrun:
        parts.append(f"{tier.unrun} not run")
    if parts:
        page.wrap(", ".join(parts), 8, "", _DIM)
