"""Checks as items of pytest: made from options, run over one ground for each process, cleaned up at the end.

FAIL, ABSENT, FLAKY, BLOCKED and ERROR fail an item; a SHOULD that is not met (WARN) is an expected failure.
Under pytest-xdist each worker is a run of its own, with buckets of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from anys3.conformance import callers, selection
from anys3.conformance.cleaning import clean
from anys3.conformance.ground import Ground
from anys3.conformance.journal import Journal
from anys3.conformance.outcomes import Outcome, Result
from anys3.conformance.registry import Check
from anys3.conformance.running import prepare, run_check
from anys3.conformance.session import new_run_id
from anys3.spec import catalogue

_GROUND = pytest.StashKey[Ground]()


class CheckFailed(Exception):
    """A check came to something else than PASS; the message is the report of pytest."""


def add_options(parser: pytest.Parser) -> None:
    """Add the options; none does anything without --anys3-endpoint."""
    group = parser.getgroup("anys3", "anys3: judge an S3 endpoint against the spec")
    for name, text in (
        ("endpoint", "the endpoint's URL; credentials come from the AWS chain"),
        ("tier", "the tier whose checks are run (default: the highest)"),
        ("bucket", "use this bucket, and make none"),
        ("prefix", "keep all keys under this (with a bucket)"),
        ("profile", "the profile of ~/.aws"),
        ("second-profile", "a second identity, for checks across users"),
        ("region", "the region that requests are signed for"),
        ("ca-file", "trust these certificate authorities"),
    ):
        group.addoption(f"--anys3-{name}", default=None, help=text)
    group.addoption(
        "--anys3-select", action="append", default=[], metavar="SELECTOR",
        help="a profile, operation, requirement id or glob; may be repeated",
    )  # fmt: skip


def items(session: pytest.Session) -> Iterator[CheckItem]:
    """Yield the items of a session. Raises pytest.UsageError: a selector names nothing."""
    config = session.config
    if not config.getoption("--anys3-endpoint"):
        return
    tiers = catalogue.tiers()
    try:
        tier = selection.tier_of(config.getoption("--anys3-tier") or list(tiers)[-1], tiers)
        chosen = selection.select(config.getoption("--anys3-select"), tier, tiers)
    except selection.UnknownSelector as error:
        raise pytest.UsageError(str(error)) from None
    for check in chosen:
        yield CheckItem.from_parent(session, name=check.name, nodeid=f"anys3::{check.name}", check=check)


def finish(session: pytest.Session) -> None:
    """Take away what was made, and warn of what is left."""
    ground = session.stash.get(_GROUND, None)
    if ground is None:
        return
    leftovers = clean(ground, ground.journal.made, ground.journal.run_id)
    ground.pool.close()
    ground.journal.close(is_clean=not leftovers)
    for sentence in leftovers:
        session.config.get_terminal_writer().line(f"anys3: {sentence}; later: anys3 check clean")


class CheckItem(pytest.Item):
    """One check."""

    def __init__(self, *, check: Check, **arguments: object) -> None:
        """Stand for `check`."""
        super().__init__(**arguments)  # type: ignore[arg-type]
        self.check = check
        self.extra_keyword_matches.update((check.profile, check.operation, *check.ids))

    def runtest(self) -> None:
        """Run the check."""
        result = run_check(_ground(self.session), self.check)
        match result.outcome:
            case Outcome.PASS:
                return
            case Outcome.SKIP:
                pytest.skip(result.sentence)
            case Outcome.WARN:
                pytest.xfail(result.sentence)
            case _:
                raise CheckFailed(_told(result))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """Return what a person reads: no traceback of ours."""
        if isinstance(excinfo.value, CheckFailed):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))  # type: ignore[arg-type]

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where it comes from, for pytest's headings."""
        return Path(self.check.run.__code__.co_filename), 0, f"{self.check.name}: {self.check.title}"


def _ground(session: pytest.Session) -> Ground:
    """Return the session's ground, made at first use."""
    ground = session.stash.get(_GROUND, None)
    if ground is not None:
        return ground
    option = session.config.getoption
    main, second = callers.identities(
        os.environ,
        profile=option("--anys3-profile"),
        second_profile=option("--anys3-second-profile"),
        region=option("--anys3-region"),
    )
    dialer = callers.dialer(option("--anys3-endpoint"), os.environ, ca_file=option("--anys3-ca-file"))
    run_id = new_run_id()
    bucket, prefix = option("--anys3-bucket"), option("--anys3-prefix") or ""
    path = callers.journals(os.environ) / f"{run_id}.jsonl"
    journal = Journal.begun(path, run_id, dialer.endpoint.url, bucket, prefix)
    ground = session.stash[_GROUND] = Ground(
        dialer, journal, main, second=second, bucket=bucket, prefix=prefix
    )
    prepare(ground)
    return ground


def _told(result: Result) -> str:
    lines = [f"{result.outcome.value} {result.check}: {result.title}", f"  {result.sentence}"]
    for id in result.ids:
        row = catalogue.requirement(id)
        lines.append(f"  {id} {row.level}: {row.statement}")
        reason = catalogue.reason(id)
        if reason is not None:
            lines.append(f"  without it: {reason.breaks}")
    lines += [f"  {each.summary} -> {each.status or each.error}" for each in result.exchanges[-3:]]
    return "\n".join(lines)
