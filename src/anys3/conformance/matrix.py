"""The table of measured products: rewritten from reports, with every failing id and the date of each row.

What was measured stands beside the table, in a comment, so that rows without a new report stay as they were.
A product without a report says so: nothing is ever copied from elsewhere.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from anys3.conformance.outcomes import Outcome, TierResult, Verdict
from anys3.conformance.report import Report
from anys3.conformance.reports.markdown import code, plain
from anys3.conformance.reports.wording import VERDICT_MARKS, tier_name
from anys3.spec import catalogue

BEGIN = "<!-- measured: begin -->"
END = "<!-- measured: end -->"
STALE_AFTER = timedelta(days=90)
_DATA = re.compile(r"(?s)<!-- measured-data\n(.*?)\n-->")
_PLAIN = "plain HTTP"
NOT_MEASURED = "not measured"

LISTED = (
    "anys3", "AWS S3", "Backblaze B2", "Ceph radosgw", "Cloudflare R2", "DigitalOcean Spaces", "Garage",
    "Google Cloud Storage", "IBM COS", "IDrive e2", "Linode", "MinIO", "moto", "OpenStack Swift (s3api)",
    "Oracle OCI", "RustFS", "s3rver", "Scaleway", "SeaweedFS", "Tigris", "Wasabi", "Zenko CloudServer",
)  # fmt: skip
"""The products of the public list of implementors, those that nobody has measured among them."""


@dataclass(frozen=True, slots=True)
class _Tier:
    name: str
    verdict: str
    passed: int
    musts: int
    failing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """A product in one version as it was measured last."""

    product: str
    version: str
    started: str
    transport: str
    anys3: str
    tiers: tuple[_Tier, ...]

    @property
    def day(self) -> date:
        return date.fromisoformat(self.started[:10])

    @property
    def order(self) -> tuple[str, str, str]:
        return self.product.casefold(), self.product, self.version


def rewrite(text: str, reports: Iterable[Report], today: date) -> str:
    """Return a page with the table between its markers made anew from its own data and these reports.

    The newest report of a product and version counts. The same input gives the same page. Raises ValueError:
    the markers are missing, the data is damaged, or a report is no measurement: without a name or version of
    its product, of some checks only, interrupted, or over other tiers than the spec's.
    """
    before, begin, rest = text.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"expected one {BEGIN} and one {END} after it")
    rows = {(row.product, row.version): row for row in _earlier(inside)}
    for row in map(_measured, reports):
        known = rows.get((row.product, row.version))
        if known is None or row.started >= known.started:
            rows[row.product, row.version] = row
    ordered = sorted(rows.values(), key=lambda row: row.order)
    return f"{before}{begin}\n{_rendered(ordered, today)}\n{end}{after}"


def _measured(report: Report) -> _Row:
    """Return the row of a report. Raises ValueError: it is no measurement."""
    product = report.product
    who = f"{product.name} {product.version}".strip() or report.endpoint
    if not product.name or not product.version:
        raise ValueError(f"{who}: no product or version: run the check with --product and --product-version")
    if report.is_partial or report.was_interrupted:
        raise ValueError(f"{who}: a run of some checks only, or an interrupted one, is no measurement")
    if [tier.name for tier in report.tiers] != list(catalogue.tiers()):
        raise ValueError(f"{who}: measured over other tiers than {', '.join(catalogue.tiers())}")
    return _checked(
        _Row(
            _listed_name(product.name),
            product.version,
            report.started,
            report.transport,
            report.anys3_version,
            tuple(map(_tier, report.tiers)),
        )
    )


def _tier(tier: TierResult) -> _Tier:
    passed = tier.musts.get(Outcome.PASS, 0)
    return _Tier(tier.name, tier.verdict.value, passed, tier.must_count, tier.failing)


def _listed_name(name: str) -> str:
    """Return the name that the list has for a product.

    >>> _listed_name("moto server"), _listed_name("OpenStack Swift s3api"), _listed_name("Other S3")
    ('moto', 'OpenStack Swift (s3api)', 'Other S3')
    """
    words = re.sub(r"[^a-z0-9 ]", "", name.casefold()).removesuffix(" server")
    return next((one for one in LISTED if re.sub(r"[^a-z0-9 ]", "", one.casefold()) == words), name)


# --- the data beside the table -----------------------------------------------------------------------------


def _earlier(inside: str) -> list[_Row]:
    match = _DATA.search(inside)
    if match is None:
        return []
    try:
        found = json.loads(match[1])
        if not isinstance(found, list):
            raise TypeError(f"expected a list of rows, found {found!r:.40}")
        return [_row(row) for row in found]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"the data of the table is damaged: {error}") from None


def _row(found: Mapping[str, Any]) -> _Row:
    tiers = tuple(_Tier(**{**tier, "failing": tuple(tier["failing"])}) for tier in found["tiers"])
    return _checked(_Row(**{**found, "tiers": tiers}))


def _checked(row: _Row) -> _Row:
    """Return a row whose date and verdicts can be read. Raises ValueError."""
    try:
        row.day  # noqa: B018 -- it raises
    except ValueError:
        raise ValueError(f"{row.product}: {row.started!r} is no date") from None
    for tier in row.tiers:
        Verdict(tier.verdict)
    return row


def _data(rows: Iterable[_Row]) -> str:
    """Return the rows as a comment: in JSON, where nothing can end the comment."""
    lines = []
    for row in rows:
        written = json.dumps(dataclasses.asdict(row), ensure_ascii=True, sort_keys=True)
        lines.append(written.replace("<", "\\u003c").replace(">", "\\u003e").replace("--", "-\\u002d"))
    return "<!-- measured-data\n[\n" + ",\n".join(lines) + "\n]\n-->"


# --- the table ---------------------------------------------------------------------------------------------


def _rendered(rows: Sequence[_Row], today: date) -> str:
    tiers = list(catalogue.tiers().values())
    titles = [f"{tier_name(tier.name).capitalize()} ({tier.title})" for tier in tiers]
    measured = {row.product for row in rows}
    lines = [
        f"| Product | Version | {' | '.join(titles)} | Failing MUSTs | Measured |",
        f"|---|---|{'---|' * len(tiers)}--:|---|",
        *(_line(row, [tier.name for tier in tiers], today) for row in rows),
        *(
            f"| {plain(name)} | | {' | '.join([NOT_MEASURED] * len(tiers))} | | |"
            for name in sorted(LISTED, key=str.casefold)
            if name not in measured
        ),
    ]
    return "\n\n".join(["\n".join(lines), *filter(None, map(_failing, rows)), _data(rows)])


def _line(row: _Row, names: Iterable[str], today: date) -> str:
    by_name = {tier.name: tier for tier in row.tiers}
    cells = [_cell(by_name[name]) if name in by_name else NOT_MEASURED for name in names]
    when = [row.day.isoformat()]
    if row.transport.startswith(_PLAIN):
        when.append(_PLAIN)
    if today - row.day > STALE_AFTER:
        when.append("**stale**")
    failing = _ids(row)
    return (
        f"| {plain(row.product)} | {plain(row.version)} | {' | '.join(cells)} |"
        f" {len(failing)} | {', '.join(when)} |"
    )


def _cell(tier: _Tier) -> str:
    verdict = Verdict(tier.verdict)
    return f"{VERDICT_MARKS[verdict]} {verdict.lower()}, {tier.passed}/{tier.musts}"


def _ids(row: _Row) -> list[str]:
    return list(dict.fromkeys(id for tier in row.tiers for id in tier.failing))


def _failing(row: _Row) -> str:
    """Return every failing id of a row, each in the first tier that asks for it."""
    told: set[str] = set()
    lines = []
    for tier in row.tiers:
        new = [id for id in tier.failing if id not in told]
        told.update(new)
        if new:
            lines.append(f"- {plain(tier_name(tier.name))}: {', '.join(map(code, new))}")
    if not lines:
        return ""
    noun = "MUST" if len(told) == 1 else "MUSTs"
    summary = f"{plain(row.product)} {plain(row.version)}: {len(told)} failing {noun}"
    by = f"Measured by anys3 {plain(row.anys3)}."
    return "\n".join([f"<details><summary>{summary}</summary>", "", *lines, "", by, "", "</details>"])
