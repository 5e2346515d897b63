"""Pieces of the HTML report: everything that comes from outside is escaped here."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape

from anys3.conformance.exchanges import Exchange
from anys3.conformance.outcomes import Outcome, Result, TierResult
from anys3.conformance.report import Report
from anys3.conformance.reports import reproducing, wording
from anys3.conformance.reports.wording import MARKS, Finding, printable
from anys3.spec import catalogue

_CODE = re.compile("`([^`]+)`")
_BAR_WIDTH = 300
_LEAST_PART = 3
"""One failure of three hundred is seen, too."""

_BAR_PARTS = {Outcome.PASS: "passed", Outcome.FAIL: "failing", Outcome.ABSENT: "absent", None: "not judged"}
_FILLS = {Outcome.PASS: "pass", Outcome.FAIL: "fail", Outcome.ABSENT: "absent", None: "none"}

PATTERNS = (
    '<svg class="defs" width="0" height="0" aria-hidden="true" focusable="false"><defs>'
    '<pattern id="pass" width="8" height="8" patternUnits="userSpaceOnUse">'
    '<rect class="pass-fill" width="8" height="8"/></pattern>'
    '<pattern id="fail" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="fail-fill" width="6" height="6"/><path class="stroke" stroke-width="2" d="M0 0V6"/></pattern>'
    '<pattern id="absent" width="7" height="7" patternUnits="userSpaceOnUse">'
    '<rect class="absent-fill" width="7" height="7"/><circle class="dot" cx="3.5" cy="3.5" r="1.5"/></pattern>'
    '<pattern id="none" width="8" height="8" patternUnits="userSpaceOnUse">'
    '<rect class="none-fill" width="8" height="8"/><path class="none-line" d="M0 4H5"/></pattern>'
    "</defs></svg>"
)
"""What fills the parts of bars: told apart without colour too."""


def text(value: str) -> str:
    """Return a text for one line of HTML; nothing in it can act."""
    return escape(printable(value))


def block(value: str) -> str:
    """Return a text of several lines for a pre element; nothing in it can act."""
    return escape(printable(value, keep="\n\t"))


def prose(value: str) -> str:
    """Return a text of the spec for one line of HTML: what it has in backquotes is code."""
    return _CODE.sub(r"<code>\1</code>", text(value))


def join(parts: Iterable[str]) -> str:
    """Return pieces of HTML, one after the other."""
    return "\n".join(filter(None, parts))


def details(summary: str, body: str, attributes: str = "") -> str:
    """Return a details element of HTML pieces."""
    return f"<details{attributes}><summary>{summary}</summary>\n{body}\n</details>"


def pill(outcome: Outcome) -> str:
    """Return an outcome as a pill with its sign."""
    meaning = escape(wording.MEANINGS[outcome])
    return f'<span class="pill {outcome}" title="{meaning}">{MARKS[outcome]} {outcome}</span>'


class Copies:
    """Blocks with a button that copies them. The ids are counted, so that a page is the same each time."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def block(self, caption: str, content: str) -> str:
        """Return a captioned block. `caption` is HTML, `content` plain text."""
        id = f"copy-{next(self._numbers)}"
        return (
            f'<div class="copy"><p class="caption">{caption}</p>'
            f'<button type="button" data-copy="{id}" data-script hidden>Copy</button></div>'
            f'<pre id="{id}" tabindex="0">{block(content)}</pre>'
        )


def tier_number(report: Report) -> Callable[[Sequence[str]], str]:
    """Return what tells the number, from 1, of the first tier that holds requirements; "" if none does."""
    known = catalogue.tiers()
    numbers: dict[str, int] = {}
    for number, tier in reversed(list(enumerate(report.tiers, 1))):
        profiles = known[tier.name].profiles if tier.name in known else ()
        numbers |= {row.id: number for row in catalogue.requirements() if row.profile in profiles}
        numbers |= dict.fromkeys((*tier.failing, *tier.warnings), number)
    return lambda ids: str(min((numbers[id] for id in ids if id in numbers), default=""))


def marked(outcomes: Iterable[Outcome], operation: str, tier: str) -> str:
    """Return the attributes that the filter looks at."""
    found = " ".join(sorted({outcome.value for outcome in outcomes}))
    return f' data-outcome="{found}" data-operation="{text(operation)}" data-tier="{tier}"'


def bar(tier: TierResult) -> str:
    """Return the bar of a tier with its legend."""
    counts: dict[Outcome | None, int] = {kind: tier.musts.get(kind, 0) for kind in _FILLS if kind}
    counts[None] = tier.must_count - sum(counts.values())
    pieces, legend, at = [], [], 0
    for kind, width in wording.tier_bar(tier, _BAR_WIDTH // _LEAST_PART):
        fill = f'fill="url(#{_FILLS[kind]})"'
        if width:
            pieces.append(f'<rect x="{at}" width="{width * _LEAST_PART}" height="24" {fill}/>')
            legend.append(
                f'<li><svg viewBox="0 0 12 12" aria-hidden="true"><rect width="12" height="12" {fill}/></svg>'
                f"{counts[kind]} {_BAR_PARTS[kind]}</li>"
            )
        at += width * _LEAST_PART
    label = ", ".join(f"{number} {_BAR_PARTS[kind]}" for kind, number in counts.items() if number)
    return (
        f'<svg viewBox="0 0 {_BAR_WIDTH} 24" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'{"".join(pieces)}</svg><ul class="legend">{"".join(legend)}</ul>'
    )


def finding(found: Finding, report: Report, copies: Copies, tier: str) -> str:
    """Return what breaks, for which requirements, and each check that saw it."""
    outcomes = [result.outcome for result in found.results]
    worst = Outcome.FAIL if Outcome.FAIL in outcomes else outcomes[0]
    level = found.results[0].level
    tags = [f"<code>{text(id)}</code>" for id in found.ids]
    tags += [text(level), *([f"tier {tier}"] if tier else [])]
    tags += [pill(outcome) for outcome in dict.fromkeys(outcomes)]
    return join([
        f'<article class="finding {worst}"{marked(outcomes, found.operation, tier)}>',
        f"<h4>{prose(found.breaks)}</h4>",
        f'<p class="tags">{"".join(f"<span>{tag}</span>" for tag in tags)}</p>',
        *(_check(result, report, copies) for result in found.results),
        _requirements(found.ids),
        "</article>",
    ])  # fmt: skip


def _check(result: Result, report: Report, copies: Copies) -> str:
    return join([
        '<section class="check">',
        f'<h5>{prose(result.title)} <code class="faint">{text(result.check)}</code></h5>',
        _found(result),
        "".join(f'<p class="faint">Reported: {text(note)}</p>' for note in result.notes),
        _exchanges(result.exchanges),
        _again(result, report, copies),
        "</section>",
    ])  # fmt: skip


def _found(result: Result) -> str:
    parts = wording.expected_and_got(result.sentence)
    if not parts:
        return f'<dl class="found"><dt>Found</dt><dd class="got">{text(result.sentence)}</dd></dl>'
    rows = [
        f"<dt>Tried</dt><dd>{text(wording.without_request(what))}</dd><dt>Expected</dt><dd>{text(expected)}</dd>"
        f'<dt>Got</dt><dd class="got">{text(got)}</dd>'
        for what, expected, got in parts
    ]
    lists = [f'<dl class="found">{row}</dl>' for row in rows]
    more = details(f"and {len(lists) - 1} more like this", join(lists[1:])) if len(lists) > 1 else ""
    return lists[0] + more


def _exchanges(exchanges: Sequence[Exchange]) -> str:
    if not exchanges:
        return ""
    noun = "request and its answer" if len(exchanges) == 1 else "requests and their answers"
    return details(f"{len(exchanges)} {noun}", join(map(_exchange, exchanges)))


def _exchange(exchange: Exchange) -> str:
    request = "\n".join([
        f"{exchange.method} {exchange.target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in exchange.request_headers),
        *(["", exchange.request_body] if exchange.request_body else []),
    ])  # fmt: skip
    answer = "\n".join([
        f"HTTP/1.1 {exchange.status}",
        *(f"{name}: {value}" for name, value in exchange.answer_headers),
        *(["", exchange.answer_body] if exchange.answer_body else []),
    ])  # fmt: skip
    came = str(exchange.status) if exchange.status else text(exchange.error or "no answer")
    said = f'<pre tabindex="0">{block(answer)}</pre>' if exchange.status else f"<p>{came}</p>"
    error = f"<p>{text(exchange.error)}</p>" if exchange.error and exchange.status else ""
    body = (
        f'<div class="pair"><div><p class="caption">Request as {text(exchange.identity)},'
        f' {exchange.request_size:,} bytes of body</p><pre tabindex="0">{block(request)}</pre></div>'
        f'<div><p class="caption">Answer, {exchange.answer_size:,} bytes of body,'
        f" {exchange.seconds * 1000:,.0f} ms</p>{said}{error}</div></div>"
    )
    return details(f"<code>{text(exchange.summary)}</code> → {came}", body, ' class="exchange"')


def _again(result: Result, report: Report, copies: Copies) -> str:
    body = [copies.block("The whole check", reproducing.check_line(report.endpoint, result.check))]
    if result.exchanges:
        caption = "Its requests with curl, rightly signed; upload ids, ETags and tokens in them were those of the run"
        body.append(copies.block(caption, reproducing.script(result, report.endpoint)))
    return details("See it again", join(body))


def _requirements(ids: Sequence[str]) -> str:
    pieces = []
    for row in filter(None, map(wording.requirement, ids)):
        pieces.append(
            f"<p><strong>{row.id}</strong> ({row.level}, {text(row.group)}): {prose(row.statement)}</p>"
        )
        pieces.append(
            f'<p><span class="faint">Expected:</span> {prose(row.expected)}</p>' if row.expected else ""
        )
        reason = catalogue.reason(row.id)
        pieces.append(f'<p><span class="faint">Why:</span> {prose(reason.why)}</p>' if reason else "")
    return details("What the spec says", join(pieces)) if pieces else ""
