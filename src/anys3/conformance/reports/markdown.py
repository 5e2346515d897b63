"""The report as Markdown: for a pull request, an issue, or the summary of a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterable

from anys3.conformance.outcomes import Outcome, Result, TierResult
from anys3.conformance.report import Report
from anys3.conformance.reports import reproducing, wording
from anys3.conformance.reports.wording import BROKEN, MARKS, UNJUDGED, VERDICT_MARKS, printable

_MOST_BYTES = 60_000
"""GitHub refuses comments of more than 65,536 characters."""

_ACTIVE = re.compile(r"([\\`*_\[\]|~])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_REFERENCES = re.compile(r"([@#])(?=\w)")
_ZERO_WIDTH_SPACE = "\N{ZERO WIDTH SPACE}"
"""Breaks what forges make of @name and #1 even where the sign is escaped: they look at the rendered text."""

_LINKS = re.compile(r"(?i)(://|www\.)")


def to_markdown(report: Report) -> str:
    """Return the verdict, the tiers and the failures, as GitHub, GitLab and Forgejo show them.

    Nothing that a server answered becomes markup, a link or a mention. A long list of failures is cut, and
    the number of those left out is said.
    """
    verdict = report.verdict
    lines = [
        f"## {VERDICT_MARKS[verdict]} {plain(wording.title(report))}: {verdict} ({plain(wording.scope(report))})",
        "",
        plain(wording.meaning(report)),
        "",
        *_tiers(report.tiers),
        *_failures(report.of(*BROKEN), report.endpoint),
        *_list("Not judged", report.of(*UNJUDGED)),
        *_list("Warnings", report.of(Outcome.WARN)),
        *_skips(report),
        *_leftovers(report.leftovers),
        *_advice(report),
        plain(f"{report.endpoint}, {report.transport}, {report.started[:10]}, anys3 {report.anys3_version}"),
        plain(f"Used: {wording.used(report)}"),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    r"""Return a text that Markdown shows as it is.

    >>> plain("<b> [x](http://evil.example) *a*")
    '&lt;b&gt; \\[x\\](http&#58;//evil.example) \\*a\\*'
    """
    escaped = _ACTIVE.sub(r"\\\1", printable(text))
    escaped = "".join(_HTML.get(char, char) for char in escaped)
    escaped = _REFERENCES.sub(rf"\1{_ZERO_WIDTH_SPACE}", escaped)
    return _LINKS.sub(lambda match: match[0].replace(":", "&#58;").replace(".", "&#46;"), escaped)


def code(text: str) -> str:
    """Return a text as code in a line; backquotes in it can't end it.

    >>> code("a`b")
    '``a`b``'
    """
    shown = printable(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _block(text: str, language: str = "") -> list[str]:
    shown = printable(text, keep="\n\t").rstrip("\n")
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    return [f"{fence}{language}", shown, fence]


def _tiers(tiers: Iterable[TierResult]) -> list[str]:
    rows = [
        f"| {plain(wording.tier_name(tier.name))} ({plain(tier.title)}) | {VERDICT_MARKS[tier.verdict]}"
        f" {tier.verdict} | {tier.musts.get(Outcome.PASS, 0)} of {tier.must_count} |"
        f" {tier.musts.get(Outcome.FAIL, 0)} | {tier.musts.get(Outcome.ABSENT, 0)} | {_unjudged(tier)} |"
        for tier in tiers
    ]
    head = ["| Tier | Verdict | MUSTs passed | Failing | Absent | Not judged |", "|---|---|--:|--:|--:|--:|"]
    return [*head, *rows, ""] if rows else []


def _unjudged(tier: TierResult) -> int:
    judged = (Outcome.PASS, Outcome.FAIL, Outcome.ABSENT)
    return tier.must_count - sum(tier.musts.get(outcome, 0) for outcome in judged)


def _failures(results: list[Result], endpoint: str) -> list[str]:
    if not results:
        return []
    lines = [f"### {len(results)} failures", ""]
    size, told = 0, 0
    operation = ""
    for found in wording.findings(results):
        piece = [f"**{plain(found.operation)}**", ""] if found.operation != operation else []
        operation = found.operation
        outcome = found.results[0].outcome
        piece.append(f"- {MARKS[outcome]} {' '.join(map(code, found.ids))} {plain(found.breaks)}")
        piece += [f"  - {code(result.check)}: {plain(wording.short(result))}" for result in found.results]
        size += sum(len(line.encode()) + 1 for line in piece)
        if size > _MOST_BYTES:
            break
        lines += piece
        told += len(found.results)
    if told < len(results):
        lines.append(f"- and {len(results) - told} more, which the HTML and JSON reports have")
    again = reproducing.check_line(endpoint, results[0].check)
    return [*lines, "", "One of them again:", "", *_block(again, "sh"), ""]


def _list(title: str, results: list[Result]) -> list[str]:
    if not results:
        return []
    rows = [f"- {result.outcome} {code(result.check)}: {plain(wording.short(result))}" for result in results]
    return _folded(f"{title}: {len(results)}", rows)


def _skips(report: Report) -> list[str]:
    skips = report.of(Outcome.SKIP)
    rows = []
    for reason, members in wording.by_reason(skips).items():
        ids = dict.fromkeys(id for result in members for id in result.ids)
        rows.append(f"- {plain(reason)}: {', '.join(map(code, ids))}")
    return _folded(f"Skipped: {len(skips)}", rows) if rows else []


def _leftovers(leftovers: Iterable[str]) -> list[str]:
    rows = [f"- {plain(one)}" for one in leftovers]
    return ["### Left behind", "", *rows, ""] if rows else []


def _advice(report: Report) -> list[str]:
    advice = report.advice
    texts = (
        ("boto3", "python", advice.boto3),
        ("AWS CLI", "ini", advice.aws_cli),
        ("rclone", "ini", advice.rclone),
        ("s3fs", "python", advice.s3fs),
    )
    rows = [f"- {plain(reason)}" for reason in advice.reasons]
    for name, language, text in texts:
        rows += ["", f"{name}:", "", *_block(text, language)] if text else []
    return _folded("What you must set for this endpoint", rows) if rows else []


def _folded(summary: str, lines: list[str]) -> list[str]:
    return [f"<details><summary>{plain(summary)}</summary>", "", *lines, "", "</details>", ""]
