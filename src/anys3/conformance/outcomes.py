"""What a check can come to, and what a run comes to.

A requirement is as good as the worst of its checks; a tier is CONFORMANT only if every MUST passed. What was
skipped, blocked or not run never counts as passed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from anys3.conformance.exchanges import Exchange
from anys3.spec.catalogue import Requirement


class Outcome(enum.StrEnum):
    """What became of one check."""

    PASS = "PASS"  # noqa: S105 -- no password
    WARN = "WARN"  # a SHOULD that was not met
    SKIP = "SKIP"  # not tried, with a reason
    FLAKY = "FLAKY"  # passed and failed in repeats
    BLOCKED = "BLOCKED"  # what it needed could not be set up
    ERROR = "ERROR"  # the network's fault, or ours
    ABSENT = "ABSENT"  # a clean 501 or 405: not there
    FAIL = "FAIL"  # answered wrongly


_WORST_FIRST = (
    Outcome.FAIL,
    Outcome.ABSENT,
    Outcome.ERROR,
    Outcome.BLOCKED,
    Outcome.FLAKY,
    Outcome.SKIP,
    Outcome.WARN,
    Outcome.PASS,
)


class Verdict(enum.StrEnum):
    """What a tier comes to."""

    CONFORMANT = "CONFORMANT"
    NOT_CONFORMANT = "NOT CONFORMANT"
    INCOMPLETE = "INCOMPLETE"


class Failed(Exception):
    """The server answered wrongly. The message is a sentence: what was expected and what came."""


class Absent(Failed):
    """The server says that it does not have this: 501, or 405."""


class Blocked(Exception):
    """What the check needs could not be set up."""


class Unoffered(Blocked):
    """What the check needs is not there: a clean 501 or 405."""


class Skipped(Exception):
    """The check can't be tried here; the message is the reason."""


class Stopped(BaseException):
    """The run was interrupted."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one check. `sentence` says what was found; `notes` what is reported without judging."""

    check: str
    ids: tuple[str, ...]
    level: str
    operation: str
    title: str
    outcome: Outcome
    sentence: str = ""
    notes: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    attempts: int = 1
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)
    sent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TierResult:
    """What a tier comes to, and how many of its MUSTs stand where. `unrun` were not selected."""

    name: str
    title: str
    verdict: Verdict
    musts: Mapping[Outcome, int]
    unrun: int
    failing: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def must_count(self) -> int:
        """How many MUSTs can be observed in this tier."""
        return sum(self.musts.values()) + self.unrun


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst of some outcomes. Raises ValueError: there are none."""
    return min(outcomes, key=_WORST_FIRST.index)


def by_requirement(results: Iterable[Result]) -> dict[str, Outcome]:
    """Return the outcome of each requirement that some check was run for."""
    found: dict[str, list[Outcome]] = {}
    for result in results:
        for id in result.ids:
            found.setdefault(id, []).append(result.outcome)
    return {id: worst(outcomes) for id, outcomes in found.items()}


def judge(musts: Sequence[str], outcomes: Mapping[str, Outcome]) -> Verdict:
    """Return the verdict over the ids of some MUSTs; an id without an outcome was not run."""
    found = [outcomes.get(id, Outcome.SKIP) for id in musts]
    if Outcome.FAIL in found or Outcome.ABSENT in found:
        return Verdict.NOT_CONFORMANT
    if found and all(outcome is Outcome.PASS for outcome in found):
        return Verdict.CONFORMANT
    return Verdict.INCOMPLETE


def judge_tier(
    name: str, title: str, requirements: Iterable[Requirement], outcomes: Mapping[str, Outcome]
) -> TierResult:
    """Return what a tier of those observable requirements comes to."""
    rows = list(requirements)
    musts = [row.id for row in rows if row.level == "MUST"]
    counts: dict[Outcome, int] = {}
    for id in musts:
        if id in outcomes:
            counts[outcomes[id]] = counts.get(outcomes[id], 0) + 1
    return TierResult(
        name,
        title,
        judge(musts, outcomes),
        counts,
        sum(id not in outcomes for id in musts),
        tuple(id for id in musts if outcomes.get(id) in (Outcome.FAIL, Outcome.ABSENT)),
        tuple(row.id for row in rows if row.level == "SHOULD" and outcomes.get(row.id) is Outcome.WARN),
    )
