"""The report as one HTML page: no network, light and dark, readable without its script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from anys3.conformance.outcomes import Outcome, Result, TierResult, Verdict
from anys3.conformance.report import Report
from anys3.conformance.reports import markup, wording
from anys3.conformance.reports.markup import Copies, details, finding, join, marked, pill, prose, text
from anys3.conformance.reports.wording import BROKEN, UNJUDGED

_NOTE = "NOTE"
_TAKEN_OUT = "Signatures and tokens are taken out; names of buckets and access key ids are not."


def to_html(report: Report) -> str:
    """Return the page. It fetches nothing, and whatever a server answered is shown as text.

    Its policy allows only its own style and script, by their hashes.
    """
    title = f"{wording.title(report)}: {report.verdict.lower()} ({wording.scope(report)})"
    return join([
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{text(title)}</title>",
        f"<style>{_asset('page.css')}</style>\n</head>\n<body>",
        '<a class="skip" href="#failures">To the failures</a>',
        markup.PATTERNS,
        '<header class="bar"><div class="column"><span class="brand">anys3 <span>check</span></span>',
        '<button type="button" id="theme" class="theme" data-script hidden>Dark colours</button></div></header>',
        '<main class="column">',
        *_parts(report),
        "</main>",
        f'<footer><div class="column">Written by anys3 {text(report.anys3_version)}. {_TAKEN_OUT}</div></footer>',
        f"<script>{_asset('page.js')}</script>\n</body>\n</html>\n",
    ])  # fmt: skip


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


@cache
def _policy() -> str:
    def source(name: str) -> str:
        digest = hashlib.sha256(_asset(name).encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    return (
        f"default-src 'none'; style-src {source('page.css')}; script-src {source('page.js')};"
        " base-uri 'none'; form-action 'none'"
    )


def _parts(report: Report) -> list[str]:
    copies = Copies()
    sections = [
        ("failures", "Failures", len(report.of(*BROKEN)), _findings(report, BROKEN, copies)),
        ("unjudged", "Not judged", len(report.of(*UNJUDGED)), _findings(report, UNJUDGED, copies)),
        ("warnings", "Warnings", len(report.of(Outcome.WARN)), _findings(report, (Outcome.WARN,), copies)),
        ("notes", "Reported without judging", _note_count(report), _notes(report)),
        ("skipped", "Skipped", len(report.of(Outcome.SKIP)), _skipped(report)),
        ("unobservable", "Not observable from outside", len(report.unobservable), _unobservable(report)),
        ("passed", "Passed", len(report.of(Outcome.PASS)), _passed(report)),
    ]
    links = [(id, f"{title} ({number})") for id, title, number, body in sections if body]
    links += [("advice", "Settings for clients"), ("used", "This run")]
    return [
        _top(report),
        _nav(links),
        _filter(report),
        "" if report.of(*BROKEN) else '<p id="failures">No check failed.</p>',
        *(_section(id, f'{title} <span class="faint">{number}</span>', body, is_filtered=id != "unobservable")
          for id, title, number, body in sections),
        _advice(report, copies),
        _used(report),
    ]  # fmt: skip


def _section(id: str, title: str, body: str, *, is_filtered: bool = False) -> str:
    if not body:
        return ""
    group = " data-group" if is_filtered else ""
    return f'<section aria-labelledby="{id}"{group}><h2 id="{id}">{title}</h2>\n{body}\n</section>'


def _top(report: Report) -> str:
    verdict = report.verdict
    said = f"{verdict.capitalize()}: {text(wording.scope(report))}"
    where = [f"<code>{text(report.endpoint)}</code>", text(report.started[:10]), text(report.transport)]
    return join([
        f"<h1>{text(wording.title(report))}</h1>",
        f'<p class="where">{" · ".join(filter(None, where))}</p>',
        f'<div class="verdict {_class(verdict)}">',
        f'<p class="said">{wording.VERDICT_MARKS[verdict]} {said}</p>',
        f"<p>{text(wording.meaning(report))}</p></div>",
        f'<ul class="tiers">{join(_tier(tier, report) for tier in report.tiers)}</ul>' if report.tiers else "",
    ])  # fmt: skip


def _class(verdict: Verdict) -> str:
    return verdict.lower().replace(" ", "-")


def _tier(tier: TierResult, report: Report) -> str:
    passed = tier.musts.get(Outcome.PASS, 0)
    is_asked = tier.name == report.asked and not report.is_partial
    asked = ' <span class="asked">(asked for)</span>' if is_asked else ""
    return (
        f"<li><h2>{text(wording.tier_name(tier.name).capitalize())} · {text(tier.title)}{asked}</h2>"
        f'<p><span class="pill {_class(tier.verdict)}">{wording.VERDICT_MARKS[tier.verdict]} {tier.verdict}</span></p>'
        f'<p class="of">{passed} of {tier.must_count} MUSTs passed</p>{markup.bar(tier)}</li>'
    )


def _nav(links: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f'<li><a href="#{id}">{title}</a></li>' for id, title in links)
    return f'<nav aria-label="Parts of the report"><ul>{rows}</ul></nav>'


def _filter(report: Report) -> str:
    outcomes = [outcome for outcome, number in report.counts.items() if number]
    operations = sorted({result.operation for result in report.results})
    has_notes = [_NOTE] if _note_count(report) else []
    tiers = [
        (str(number), wording.tier_name(tier.name) + (" and below" if number > 1 else ""))
        for number, tier in enumerate(report.tiers, 1)
    ]
    return join([
        '<form id="filter" class="filter" role="search" aria-label="Filter" data-script hidden>',
        '<label class="words">Words <input type="search" name="words" placeholder="PUT-03, 403, metadata"></label>',
        _select("tier", "Tier", tiers),
        _select("operation", "Operation", [(name, name) for name in operations]),
        _select("outcome", "Outcome", [(name, name) for name in (*outcomes, *has_notes)]),
        '<button type="reset">All</button>',
        '<output id="shown" aria-live="polite"></output></form>',
    ])  # fmt: skip


def _select(name: str, label: str, options: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f'<option value="{text(value)}">{text(shown)}</option>' for value, shown in options)
    return f'<label>{label} <select name="{name}"><option value="">all</option>{rows}</select></label>'


def _findings(report: Report, outcomes: tuple[Outcome, ...], copies: Copies) -> str:
    tier_of = markup.tier_number(report)
    groups: dict[str, list[str]] = {}
    for found in wording.findings(report.of(*outcomes)):
        groups.setdefault(found.operation, []).append(finding(found, report, copies, tier_of(found.ids)))
    return join(
        f"<div data-group><h3>{text(operation)}</h3>\n{join(articles)}</div>"
        for operation, articles in groups.items()
    )


def _note_count(report: Report) -> int:
    return sum(len(result.notes) for result in report.results)


def _notes(report: Report) -> str:
    tier_of = markup.tier_number(report)
    rows = [
        f'<li data-outcome="{_NOTE}" data-operation="{text(result.operation)}"'
        f' data-tier="{tier_of(result.ids)}">{text(note)} <code class="faint">{text(result.check)}</code></li>'
        for result in report.results
        for note in result.notes
    ]
    return f'<ul class="plain">{join(rows)}</ul>' if rows else ""


def _rows(report: Report, results: Iterable[Result]) -> str:
    tier_of = markup.tier_number(report)
    rows = (
        f"<li{marked([result.outcome], result.operation, tier_of(result.ids))}>{prose(result.title)}"
        f' <code class="faint">{text(result.check)}</code></li>'
        for result in results
    )
    return f'<ul class="plain">{join(rows)}</ul>'


def _skipped(report: Report) -> str:
    return join(
        details(f"{pill(Outcome.SKIP)} {len(members)}: {text(reason)}", _rows(report, members), " data-group")
        for reason, members in wording.by_reason(report.of(Outcome.SKIP)).items()
    )


def _unobservable(report: Report) -> str:
    if not report.unobservable:
        return ""
    rows = []
    for id, reason in report.unobservable.items():
        row = wording.requirement(id)
        said = f" {prose(row.statement)}" if row else ""
        rows.append(f"<li><code>{text(id)}</code>{said} <em>{text(reason)}</em></li>")
    intro = "<p>No run can judge these; they count neither for nor against a tier.</p>"
    return details("Which, and why", f'{intro}<ul class="plain">{join(rows)}</ul>')


def _passed(report: Report) -> str:
    groups: dict[str, list[Result]] = {}
    for result in report.of(Outcome.PASS):
        groups.setdefault(result.operation, []).append(result)
    return join(
        details(f"{text(operation)}: {len(members)}", _rows(report, members), " data-group")
        for operation, members in sorted(groups.items())
    )


def _advice(report: Report, copies: Copies) -> str:
    advice = report.advice
    blocks = [
        ("boto3", advice.boto3),
        ("AWS CLI (<code>~/.aws/config</code>)", advice.aws_cli),
        ("rclone (<code>rclone.conf</code>)", advice.rclone),
        ("s3fs for Python", advice.s3fs),
    ]
    reasons = "".join(f"<li>{text(reason)}</li>" for reason in advice.reasons)
    body = join([
        f'<ul class="plain">{reasons}</ul>' if reasons else "",
        '<div class="advice">',
        *(f"<div>{copies.block(name, content)}</div>" for name, content in blocks if content),
        "</div>",
    ])  # fmt: skip
    return _section("advice", "What you must set for this endpoint", body)


def _used(report: Report) -> str:
    product = report.product
    requests = ", ".join(f"{number:,} {kind}" for kind, number in report.requests.items())
    rows = [
        ("Product", f"{product.name} {product.version}".strip() or "not named"),
        ("Server header", product.server_header or "none"),
        ("Endpoint", report.endpoint),
        ("Transport", report.transport),
        ("Region", report.region or "none"),
        ("Started", report.started),
        ("Run", report.run_id),
        ("Used", wording.used(report)),
        ("Requests", requests or "none"),
        ("anys3", report.anys3_version),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{text(value)}</dd>" for name, value in rows)
    left = "".join(f"<li>{text(one)}</li>" for one in report.leftovers)
    body = f'<dl class="used">{listed}</dl>' + (
        f"<h3>Left behind</h3><p>These could not be deleted: <code>anys3 check clean</code> tries again.</p>"
        f'<ul class="plain">{left}</ul>'
        if left
        else "<p>Everything that the run made is deleted.</p>"
    )
    return _section("used", "This run", body)
