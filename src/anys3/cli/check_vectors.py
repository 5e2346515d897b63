"""`anys3 check URL --vectors PATH`: third-party test vectors, reported as the checks are."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

from anys3.cli import output
from anys3.cli.check_callers import CANNOT_BEGIN, dialer_of, identities
from anys3.client.credentials import NoCredentials
from anys3.conformance import callers
from anys3.conformance.journal import Journal
from anys3.conformance.session import new_run_id
from anys3.conformance.vectors import results
from anys3.conformance.vectors.corpus import NoVectors, Selection
from anys3.conformance.vectors.results import VectorResult
from anys3.conformance.vectors.running import run as run_vectors
from anys3.conformance.vectors.sdk import SdkMissing
from anys3.conformance.vectors.target import Target
from anys3.server.refusals import Exit, Refusal


def run(url: str, arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run vectors and return the exit code: 0 all passed, 1 some failed, 3 some were blocked. Raises Refusal."""
    dialer = dialer_of(url, arguments, environment)
    try:
        main, second = identities(arguments, environment)
    except NoCredentials as error:
        output.remark(f"anys3: {error}")
        return CANNOT_BEGIN
    if main is None:
        raise Refusal(Exit.USAGE, "--vectors needs credentials: leave out --unauthenticated")
    target = Target(
        dialer.endpoint,
        main.credentials,
        main.region,
        second.credentials if second else None,
        dialer.ca_file,
        dialer.timeout_s,
    )
    run_id = new_run_id()
    folder = arguments.journals or callers.journals(environment)
    journal = Journal.begun(folder / f"{run_id}.jsonl", run_id, dialer.endpoint.url, None, "")
    found: list[VectorResult] = []
    is_whole = False
    try:
        with _terminating():
            found = run_vectors(
                arguments.vectors, target, _selection(arguments), journal=journal, run_id=run_id,
                now=lambda: datetime.now(UTC), jobs=arguments.jobs,
            )  # fmt: skip
        is_whole = True
    except (NoVectors, SdkMissing) as error:
        is_whole = True
        raise Refusal(Exit.USAGE, str(error)) from None
    finally:
        journal.close(is_clean=is_whole and not any(each.warnings for each in found))
    output.remark(results.summary(found).rstrip("\n"))
    if arguments.junit is not None:
        output.write_file(arguments.junit, results.to_junit(found))
    if arguments.json:
        output.result(results.to_json(found).rstrip("\n"))
    return results.exit_code(found)


def _selection(arguments: argparse.Namespace) -> Selection:
    return Selection(
        **{
            f"{prefix}{name}": [word for word in getattr(arguments, f"{prefix}{name}").split(",") if word]
            for prefix in ("", "exclude_", "skip_")
            for name in ("tags", "groups", "ids")
        }
    )


@contextmanager
def _terminating() -> Iterator[None]:
    """Let SIGTERM end the vectors as Ctrl-C does: those under way are torn down first."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
