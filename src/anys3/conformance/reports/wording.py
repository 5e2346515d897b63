"""What every form of report says alike: outcomes in words, findings, and texts without control characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from anys3.conformance.outcomes import Outcome, Result, TierResult, Verdict
from anys3.conformance.report import Report
from anys3.spec import catalogue
from anys3.spec.catalogue import Requirement

BROKEN = (Outcome.FAIL, Outcome.ABSENT)
UNJUDGED = (Outcome.FLAKY, Outcome.BLOCKED, Outcome.ERROR)

MARKS = {
    Outcome.PASS: "✓",
    Outcome.WARN: "!",
    Outcome.SKIP: "-",
    Outcome.FLAKY: "~",
    Outcome.BLOCKED: "■",
    Outcome.ERROR: "?",
    Outcome.ABSENT: "○",
    Outcome.FAIL: "✗",
}
"""A sign for each outcome, so that nothing is told by colour alone."""

PARTICIPLES = {
    Outcome.PASS: "passed",
    Outcome.WARN: "warned of",
    Outcome.SKIP: "skipped",
    Outcome.FLAKY: "flaky",
    Outcome.BLOCKED: "blocked",
    Outcome.ERROR: "in error",
    Outcome.ABSENT: "absent",
    Outcome.FAIL: "failing",
}
MEANINGS = {
    Outcome.PASS: "answered as the spec says",
    Outcome.WARN: "a SHOULD that is not met",
    Outcome.SKIP: "not tried, for the reason given",
    Outcome.FLAKY: "passed and failed in repeats",
    Outcome.BLOCKED: "what the check needs could not be set up",
    Outcome.ERROR: "the network's fault, or the checker's",
    Outcome.ABSENT: "the server says that it does not have this",
    Outcome.FAIL: "answered wrongly",
}
VERDICT_MARKS = {Verdict.CONFORMANT: "✓", Verdict.NOT_CONFORMANT: "✗", Verdict.INCOMPLETE: "…"}

_EXPECTED = re.compile(r"(?s)^(?P<what>.*?): expected (?P<expected>.*?), (?:got|found) (?P<got>.*)$")
_REQUEST = re.compile(r"(?s)(?<=\S) \((?:GET|PUT|HEAD|POST|DELETE|OPTIONS) /.*\)$")
_SEVERAL = re.compile(r"; (?=[^;]{1,400}?: expected )")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Results of one operation that break the same requirements. `breaks` says what for the user."""

    operation: str
    ids: tuple[str, ...]
    breaks: str
    results: tuple[Result, ...]


def printable(text: str, *, keep: str = "") -> str:
    r"""Return a text whose control characters can't act: on a terminal, or on the order of letters.

    What is left can be written in UTF-8, and in XML 1.0.

    >>> printable("a" + chr(27) + "[2Jb" + chr(10) + "c")
    'a\\x1b[2Jb\\nc'
    """
    return "".join(
        char if char in keep or unicodedata.category(char) not in _INVISIBLE else ascii(char)[1:-1]
        for char in text
    )


def requirement(id: str) -> Requirement | None:
    """Return a requirement; None if this version's catalogue does not have it (an older report has)."""
    try:
        return catalogue.requirement(id)
    except KeyError:
        return None


def breaks(ids: Iterable[str]) -> str:
    """Return what breaks for the user where these requirements are not kept; "" if nobody wrote it down."""
    for id in ids:
        reason = catalogue.reason(id)
        if reason is not None:
            return reason.breaks
    return ""


def findings(results: Iterable[Result]) -> list[Finding]:
    """Return results grouped by operation, then by what they break, in their first order."""
    groups: dict[str, dict[tuple[str, ...], list[Result]]] = {}
    for result in results:
        groups.setdefault(result.operation, {}).setdefault(result.ids, []).append(result)
    return [
        Finding(operation, ids, breaks(ids) or _not_kept(ids), tuple(members))
        for operation, by_ids in groups.items()
        for ids, members in by_ids.items()
    ]


def _not_kept(ids: Sequence[str]) -> str:
    found = next(filter(None, map(requirement, ids)), None)
    return f"Not kept: {found.statement}" if found else f"{', '.join(ids)} is not kept."


def expected_and_got(sentence: str) -> list[tuple[str, str, str]]:
    """Return what was tried, expected and got, for each finding of a sentence; none if it says otherwise.

    >>> expected_and_got("PUT (PUT /a/b): expected 411, got 200; GET /a/b: expected 404, got 200")
    [('PUT (PUT /a/b)', '411', '200'), ('GET /a/b', '404', '200')]
    """
    matches = [_EXPECTED.match(piece) for piece in _SEVERAL.split(sentence)]
    found = [(match["what"], match["expected"], match["got"]) for match in matches if match]
    return found if len(found) == len(matches) else []


def short(result: Result) -> str:
    """Return what was found first, without the request line: the HTML and JSON reports have all of it."""
    parts = expected_and_got(result.sentence)
    if not parts:
        return result.sentence or result.title
    what, expected, got = parts[0]
    more = f" (and {len(parts) - 1} more)" if len(parts) > 1 else ""
    return f"{without_request(what)}: expected {expected}, got {got}{more}"


def tier_bar(tier: TierResult, cells: int) -> list[tuple[Outcome | None, int]]:
    """Return how many cells of a bar each part takes: PASS, FAIL, ABSENT, and None for what is not judged.

    A part that is there has one cell at least, so that one failure of three hundred is seen.
    """
    passed = tier.musts.get(Outcome.PASS, 0)
    parts: dict[Outcome | None, int] = {
        Outcome.PASS: passed,
        Outcome.FAIL: tier.musts.get(Outcome.FAIL, 0),
        Outcome.ABSENT: tier.musts.get(Outcome.ABSENT, 0),
    }
    parts[None] = tier.must_count - sum(parts.values())
    shares = {kind: number * cells / max(tier.must_count, 1) for kind, number in parts.items()}
    found = {kind: max(1, int(share)) if share else 0 for kind, share in shares.items()}
    while (spare := cells - sum(found.values())) and any(shares.values()):
        # Whatever is furthest from its share takes or gives a cell.
        step = 1 if spare > 0 else -1
        movable = [kind for kind, share in shares.items() if share and found[kind] + step > 0]
        found[max(movable, key=lambda kind: step * (shares[kind] - found[kind]))] += step
    return list(found.items())


def tier_name(name: str) -> str:
    """Return a tier's name in words.

    >>> tier_name("tier-2")
    'tier 2'
    """
    return name.replace("-", " ")


def met(report: Report) -> TierResult | None:
    """Return the last tier that is conformant, None if none is."""
    found = [tier for tier in report.tiers if tier.verdict is Verdict.CONFORMANT]
    return found[-1] if found else None


def title(report: Report) -> str:
    """Return what was judged: product and version, else the Server header, else the endpoint."""
    named = f"{report.product.name} {report.product.version}".strip()
    return printable(named or report.product.server_header or report.endpoint)


def scope(report: Report) -> str:
    """Return what the verdict is about: a tier, or the checks that selectors chose."""
    return "the chosen checks" if report.is_partial else tier_name(report.asked)


def meaning(report: Report) -> str:
    """Return what the verdict means for whoever uses the endpoint."""
    sentences = [_of_verdict(report)]
    best = met(report)
    if report.verdict is not Verdict.CONFORMANT and not report.is_partial:
        sentences.append(
            f"The highest tier that is met is {tier_name(best.name)} ({best.title})." if best else
            "No tier is met."
        )  # fmt: skip
    if report.was_interrupted:
        errors = len(report.of(Outcome.ERROR))
        after = f" after {errors} checks in error" if errors > 1 else ""
        sentences.append(f"The run ended early{after}: what was not finished is not judged.")
    return " ".join(sentences)


def _of_verdict(report: Report) -> str:
    broken = len({result.ids for result in report.of(*BROKEN) if result.level == "MUST"})
    if report.is_partial:
        musts = {id for result in report.results if result.level == "MUST" for id in result.ids}
        bad = sum(report.outcomes[id] in BROKEN for id in musts)
        open_ = sum(report.outcomes[id] not in (*BROKEN, Outcome.PASS) for id in musts)
        return {
            Verdict.CONFORMANT: "Every chosen requirement is met. Only some checks were chosen: this is no"
            " verdict over a tier.",
            Verdict.NOT_CONFORMANT: f"{count(bad, 'chosen requirement')} not met.",
            Verdict.INCOMPLETE: f"Nothing failed, but {count(open_, 'chosen requirement')} not judged.",
        }[report.verdict]
    tier = next((tier for tier in report.tiers if tier.name == report.asked), None)
    failing = len(tier.failing) if tier else broken
    unjudged = tier.must_count - failing - tier.musts.get(Outcome.PASS, 0) if tier else 0
    return {
        Verdict.CONFORMANT: f"Every MUST of {scope(report)} was observed to hold: software that keeps to"
        f" {scope(report)} can rely on this endpoint.",
        Verdict.NOT_CONFORMANT: f"{count(failing, 'MUST', 'of ' + scope(report))} not met: software that"
        " relies on what is broken fails here.",
        Verdict.INCOMPLETE: "Nothing that was judged failed, but"
        f" {count(unjudged, 'MUST', 'of ' + scope(report))} not judged, and what is skipped never counts as"
        " passed.",
    }[report.verdict]


def count(number: int, noun: str, of: str = "") -> str:
    """Return a number with its noun and verb.

    >>> count(1, "MUST"), count(3, "MUST", "of tier 1")
    ('1 MUST is', '3 MUSTs of tier 1 are')
    """
    return " ".join(
        filter(None, [f"{number:,}", noun if number == 1 else f"{noun}s", of, "is" if number == 1 else "are"])
    )


def without_request(what: str) -> str:
    """Return what was tried without the request line in brackets, which is long and seldom news.

    >>> without_request("PUT without a length (PUT /bucket/key)")
    'PUT without a length'
    """
    return _REQUEST.sub("", what)


def by_reason(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return results by the sentence that says why, those with most results first."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.sentence, []).append(result)
    return dict(sorted(groups.items(), key=lambda item: -len(item[1])))


def used(report: Report) -> str:
    """Return what the run used: requests, bytes and time."""
    requests = sum(report.requests.values())
    return (
        f"{requests:,} requests, {_size(report.sent_bytes)} sent, {_size(report.received_bytes)} received,"
        f" {report.seconds:,.1f} s"
    )


def _size(number: int) -> str:
    if number < 1 << 10:
        return f"{number} bytes"
    if number < 1 << 20:
        return f"{number / (1 << 10):,.1f} KiB"
    return f"{number / (1 << 20):,.1f} MiB"
