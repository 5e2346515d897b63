"""`anys3 check`: from what was typed to a session, and from its report to what people and machines read."""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import anys3
from anys3.cli import output
from anys3.cli.check_callers import CANNOT_BEGIN, dialer_of, identities
from anys3.cli.cutting import tiers_of
from anys3.client.credentials import NoCredentials
from anys3.conformance import baseline, callers, selection
from anys3.conformance.ground import Limits
from anys3.conformance.plan import plan
from anys3.conformance.registry import Check, checks
from anys3.conformance.report import Product, Report, exit_code, to_json
from anys3.conformance.selection import UnknownSelector
from anys3.conformance.session import CannotBegin, Session, Wishes, new_run_id
from anys3.server.refusals import Exit, Refusal
from anys3.spec.catalogue import Tier

INTERRUPTED = 130
_ADDRESS = re.compile(r"://|[.:]|^localhost$")


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run `anys3 check` and return its exit code. Raises Refusal: a flag or selector is wrong."""
    tiers = tiers_of(arguments.tiers)
    url, selectors = split_words(arguments.words, environment)
    tier = _tier(arguments.tier, tiers)
    chosen = _select(arguments, selectors, tier, tiers)
    if arguments.list:
        return _list(chosen, is_json=arguments.json)
    if arguments.plan:
        return _plan(chosen, arguments.jobs, is_json=arguments.json)
    if url is None:
        raise Refusal(
            Exit.USAGE, "check: which endpoint? `anys3 check https://s3.example.com`, or set AWS_ENDPOINT_URL;"
            " `anys3 check --help` shows more",
        )  # fmt: skip
    if arguments.vectors:
        from anys3.cli import check_vectors

        return check_vectors.run(url, arguments, environment)
    _check_limits(arguments, chosen)
    try:
        main, second = identities(arguments, environment)
    except NoCredentials as error:
        output.remark(f"anys3: {error}")
        return CANNOT_BEGIN
    wishes = Wishes(
        dialer=dialer_of(url, arguments, environment),
        main=main,
        second=second,
        tier=tier,
        tiers=tiers,
        checks=chosen,
        is_partial=bool(selectors) or arguments.quick or arguments.unauthenticated,
        journals=arguments.journals or callers.journals(environment),
        anys3_version=anys3.__version__,
        bucket=arguments.bucket,
        prefix=arguments.prefix,
        jobs=arguments.jobs,
        limits=Limits(arguments.max_requests or 100_000, arguments.max_seconds),
        product=Product(arguments.product, arguments.product_version),
        cors_origin=arguments.cors_origin,
        cors_bucket=arguments.cors_bucket,
    )
    return _run(wishes, arguments, environment)


def split_words(words: Sequence[str], environment: Mapping[str, str]) -> tuple[str | None, list[str]]:
    """Return the endpoint's URL and the selectors: the first word is a URL if it looks like an address.

    >>> split_words(["https://s3.example.com", "PUT-03"], {})
    ('https://s3.example.com', ['PUT-03'])
    >>> split_words(["multipart"], {"AWS_ENDPOINT_URL": "http://localhost:9000"})
    ('http://localhost:9000', ['multipart'])
    """
    if words and _ADDRESS.search(words[0]):
        return words[0], list(words[1:])
    found = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    return found or None, list(words)


def _tier(name: str | None, tiers: Mapping[str, Tier]) -> Tier:
    if name is None:
        return list(tiers.values())[-1]
    try:
        return selection.tier_of(name, tiers)
    except UnknownSelector as error:
        raise Refusal(Exit.USAGE, f"--tier: {error}") from None


def _select(
    arguments: argparse.Namespace, selectors: Sequence[str], tier: Tier, tiers: Mapping[str, Tier]
) -> list[Check]:
    try:
        found = selection.select(selectors, tier, tiers, quick=arguments.quick)
    except UnknownSelector as error:
        raise Refusal(Exit.USAGE, str(error)) from None
    if arguments.unauthenticated:
        found = [check for check in found if check.is_anonymous]
    if not found:
        raise Refusal(
            Exit.USAGE, "no check is left: the selectors and --quick or --unauthenticated exclude all"
        )
    if arguments.prefix and not arguments.bucket:
        raise Refusal(Exit.USAGE, "--prefix goes with --bucket: which bucket?")
    return found


def _list(chosen: Sequence[Check], *, is_json: bool) -> int:
    if is_json:
        output.result_json([
            {"check": check.name, "requirements": check.ids, "level": check.level, "profile": check.profile,
             "operation": check.operation, "title": check.title, "needs": sorted(check.needs),
             "quick": check.is_quick, "unauthenticated": check.is_anonymous}
            for check in chosen
        ])  # fmt: skip
        return Exit.OK
    for check in chosen:
        output.result(
            f"{check.name}\n    {check.level} {', '.join(check.ids)}, {check.operation}: {check.title}"
        )
    output.remark(f"{len(chosen)} checks")
    return Exit.OK


def _plan(chosen: Sequence[Check], jobs: int, *, is_json: bool) -> int:
    cost = plan(chosen)
    row = {
        "checks": len(chosen),
        "requests": cost.requests,
        "writes_and_lists": cost.writes,
        "reads": cost.reads,
        "deletes": cost.deletes,
        "sent_bytes": cost.sent_bytes,
        "usd": round(cost.usd, 4),
        "seconds": round(cost.seconds(jobs)),
    }
    if is_json:
        output.result_json(row)
        return Exit.OK
    output.result(
        f"{row['checks']} checks, about {cost.requests:,} requests: {cost.writes:,} writes and lists,"
        f" {cost.reads:,} reads, {cost.deletes:,} deletes\n"
        f"{cost.sent_bytes / (1 << 20):,.1f} MiB sent; at most three buckets at a time; all is deleted at the end\n"
        f"about {row['seconds']:,} s at 30 ms a round trip with {jobs} checks at a time\n"
        f"about {cost.usd:.4f} USD at AWS's list prices (5 USD a million writes and lists, 0.40 a million reads)\n"
        "An endpoint with many faults takes up to three times as much: what fails is tried again."
    )
    return Exit.OK


def _check_limits(arguments: argparse.Namespace, chosen: Sequence[Check]) -> None:
    cost = plan(chosen)
    if arguments.max_requests and cost.requests > arguments.max_requests:
        raise Refusal(
            Exit.USAGE, f"the plan is {cost.requests:,} requests, more than --max-requests {arguments.max_requests:,}:"
            " choose fewer checks (--quick, --tier 1, selectors), or allow more",
        )  # fmt: skip
    if arguments.budget and cost.usd > arguments.budget:
        raise Refusal(
            Exit.USAGE, f"the plan is about {cost.usd:.4f} USD, more than --budget {arguments.budget:g}: choose"
            " fewer checks (--quick, --tier 1, selectors), or allow more",
        )  # fmt: skip


def _run(wishes: Wishes, arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from anys3.conformance.reports.console import Progress

    run_id = new_run_id()
    try:
        session = Session(wishes, run_id)
    except OSError as error:
        raise Refusal(
            Exit.USAGE, f"the journal can't be written: {error}; choose another place: --journals"
        ) from None
    is_live = sys.stderr.isatty() and not arguments.quiet
    progress = Progress(len(wishes.checks), _write, is_live)
    if not arguments.quiet:
        output.remark(f"checking {wishes.dialer.endpoint.url}: {len(wishes.checks)} checks, run {run_id}")
    with _stopping(session):
        try:
            report = session.run(_nothing if arguments.quiet else progress.tell)
        except CannotBegin as error:
            output.remark(f"anys3: {error}")
            return CANNOT_BEGIN
        finally:
            progress.end()
    return _tell(report, arguments, environment)


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _nothing(_: object) -> None:
    """Hear of a result and say nothing."""


@contextmanager
def _stopping(session: Session) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the run with its cleaning up; the third one ends it at once."""
    heard = 0

    def hear(_number: int, _frame: FrameType | None) -> None:
        nonlocal heard
        heard += 1
        if heard > 2:
            raise KeyboardInterrupt
        session.ground.stop.set()
        output.remark(
            "\nstopping, and taking away what was made ..."
            if heard == 1
            else "still cleaning; once more leaves it, for `anys3 check clean` to do later"
        )

    previous = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _tell(report: Report, arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Write the reports, print the summary, and return the exit code."""
    from anys3.conformance.reports import badge, console, html, junit, markdown

    problems = _baseline_problems(report, arguments.baseline)
    is_colored = sys.stderr.isatty() and "NO_COLOR" not in environment
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    output.remark(console.summary(report, width, is_colored))
    for path, render in (
        (arguments.html, html.to_html),
        (arguments.junit, junit.to_junit),
        (arguments.markdown, markdown.to_markdown),
        (arguments.badge, badge.to_shields if _is_json(arguments.badge) else badge.to_svg),
        (arguments.write_baseline, lambda found: baseline.render(found.results)),
    ):
        if path is not None:
            output.write_file(path, render(report))
    if arguments.json:
        output.result_json(to_json(report))
    if problems:
        output.remark("\n".join(["compared with the baseline:", *(f"  {problem}" for problem in problems)]))
    return exit_code(report, baseline_problems=problems)


def _baseline_problems(report: Report, path: Path | None) -> list[str] | None:
    if path is None:
        return None
    try:
        listed = baseline.parse(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(Exit.USAGE, f"--baseline {path}: {error}") from None
    return baseline.problems(listed, report.results, checks())


def _is_json(path: Path | None) -> bool:
    return path is not None and path.suffix == ".json"
