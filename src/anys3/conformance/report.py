"""What a run came to, as one value: every form of report is made from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anys3.conformance.advice import Advice
from anys3.conformance.outcomes import Outcome, Result, TierResult, Verdict, by_requirement, judge

FORMAT = 1
"""Raised when a reader of the JSON report must change."""


@dataclass(frozen=True, slots=True)
class Product:
    """What was judged: as the user calls it, else as its Server header does."""

    name: str = ""
    version: str = ""
    server_header: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `asked` is the tier that the exit code is about; `is_partial`: selectors chose the checks.

    `unobservable` are the requirements of the asked tier that no run can judge, with reasons. `leftovers`
    is what could not be taken away. `was_interrupted`: not all checks ran.
    """

    anys3_version: str
    endpoint: str
    product: Product
    transport: str
    region: str
    run_id: str
    started: str
    seconds: float
    asked: str
    is_partial: bool
    was_interrupted: bool
    tiers: tuple[TierResult, ...]
    results: tuple[Result, ...]
    unobservable: Mapping[str, str]
    requests: Mapping[str, int]
    sent_bytes: int
    received_bytes: int
    leftovers: tuple[str, ...]
    advice: Advice

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """The outcome of each requirement that was tried."""
        return by_requirement(self.results)

    @property
    def verdict(self) -> Verdict:
        """The verdict that the exit code tells: over the asked tier, or over what selectors chose."""
        if self.is_partial:
            musts = list(
                dict.fromkeys(id for result in self.results if result.level == "MUST" for id in result.ids)
            )
            found = judge(musts, self.outcomes)
            only_shoulds = not musts and bool(self.results) and not self.was_interrupted
            return Verdict.CONFORMANT if only_shoulds else found
        return next(tier.verdict for tier in self.tiers if tier.name == self.asked)

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many checks came to each outcome."""
        found = dict.fromkeys(Outcome, 0)
        for result in self.results:
            found[result.outcome] += 1
        return found

    def of(self, *outcomes: Outcome) -> list[Result]:
        """Return the results of those outcomes."""
        return [result for result in self.results if result.outcome in outcomes]


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON holds it. Signatures and tokens are redacted already."""
    row = dataclasses.asdict(report)
    row["tiers"] = [_tier(tier) for tier in report.tiers]
    row["verdict"] = report.verdict.value
    row["requirements"] = {id: outcome.value for id, outcome in report.outcomes.items()}
    row["counts"] = {outcome.value: number for outcome, number in report.counts.items()}
    return {"format": FORMAT, **row}


def _tier(tier: TierResult) -> dict[str, Any]:
    row = dataclasses.asdict(tier)
    row["verdict"] = tier.verdict.value
    row["musts"] = {outcome.value: number for outcome, number in tier.musts.items()}
    row["must_count"] = tier.must_count
    return row


def exit_code(report: Report, *, baseline_problems: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 conformant, 1 not, 3 incomplete, 130 interrupted.

    With a baseline, known failures count as met: 1 if something differs from it, 3 if a MUST was not judged.
    """
    if report.was_interrupted:
        return 130
    if baseline_problems is not None:
        judged = (Outcome.PASS, Outcome.FAIL, Outcome.ABSENT)
        is_whole = all(result.outcome in judged for result in report.results if result.level == "MUST")
        return 1 if baseline_problems else 0 if is_whole else 3
    return {Verdict.CONFORMANT: 0, Verdict.NOT_CONFORMANT: 1, Verdict.INCOMPLETE: 3}[report.verdict]
