"""What can be typed after `anys3 check`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECK_EXAMPLES = """\
examples:
  anys3 check https://s3.example.com                 all tiers, under 3,000 small requests
  anys3 check https://s3.example.com --tier 1        only what tier 1 asks for
  anys3 check https://s3.example.com --quick         one check of each operation
  anys3 check https://s3.example.com PUT-03 'LIST-*' multipart CopyObject
                                                     some checks: ids, globs, profiles, operations
  anys3 check https://s3.example.com --html report.html --json > report.json
  anys3 check https://s3.example.com --bucket mine --prefix tmp/
                                                     with a key that may use one bucket only
  anys3 check https://s3.example.com --unauthenticated
                                                     without any key: TLS, errors, CORS, clock
  anys3 check --list; anys3 check --plan             what there is, and what it costs
  anys3 check clean                                  take away what a killed run left behind

Credentials come from the AWS chain: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile of
~/.aws/credentials. They are never taken from flags or the URL, and never written down. A second identity, for
the checks that one user can't reach into another's buckets, comes from --second-profile.

Nothing that was there before is touched: the run makes up to three buckets with its own id in their names,
writes each name into a journal before it creates it, and deletes what the journal names, also after Ctrl-C.

The JSON report goes to stdout, everything for people to stderr.

exit codes:
  0   conformant at the asked tier; with selectors: all selected MUSTs passed
  1   not conformant, or something differs from the baseline
  2   a wrong flag or selector
  3   incomplete: something was skipped or could not be judged
  4   cannot connect or authenticate
  130 interrupted, and cleaned up
"""

CLEAN_EXAMPLES = """\
A run that was killed leaves its journal behind. This deletes what the journals name and what carries the
run's id, with credentials of the AWS chain; journals of runs that are under way are left alone.

exit codes: 0 all is gone, 3 something is left, 4 cannot connect or authenticate
"""

MATRIX_EXAMPLES = """\
examples:
  anys3 check matrix reports/*.json              rewrite the table of docs/implementors.md
  anys3 check matrix reports/*.json --into FILE

The reports are those of `anys3 check URL --json`, made with --product NAME and --product-version VERSION.
"""


def add_check(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `check`, `check clean` and `check matrix`; `command` makes a parser."""
    check = command(
        commands,
        "check",
        "judge an S3 endpoint: which tier it meets, and what it breaks",
        "anys3 check URL [SELECTOR...] [OPTIONS]",
        CHECK_EXAMPLES,
    )
    check.add_argument(
        "words", nargs="*", metavar="URL SELECTOR",
        help="the endpoint (default: AWS_ENDPOINT_URL); then tiers, profiles, operations, ids or globs",
    )  # fmt: skip
    _add_choosing(check)
    _add_scope(_add_identity(check))
    _add_limits(check)
    _add_reports(check)
    clean = command(
        commands, "check clean", "take away what killed runs of `check` left behind",
        "anys3 check clean [URL] [OPTIONS]", CLEAN_EXAMPLES,
    )  # fmt: skip
    clean.add_argument("url", nargs="?", metavar="URL", help="only runs against this endpoint")
    _add_identity(clean)
    clean.set_defaults(unauthenticated=False, second_profile=None)
    clean.add_argument("--journals", type=Path, metavar="DIR", help="where the journals are")
    matrix = command(
        commands, "check matrix", "rewrite the table of measured products from reports",
        "anys3 check matrix REPORT... [--into FILE]", MATRIX_EXAMPLES,
    )  # fmt: skip
    matrix.add_argument("reports", nargs="+", type=Path, metavar="REPORT", help="a JSON report of `check`")
    matrix.add_argument(
        "--into", type=Path, default=Path("docs/implementors.md"), metavar="FILE",
        help="the page with the markers (default: docs/implementors.md)",
    )  # fmt: skip


def _add_choosing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is checked")
    group.add_argument(
        "--tier", metavar="N", help="the tier that the verdict is about (default: the highest)"
    )
    group.add_argument("--tiers", metavar="FILE", help="another cut into tiers: a file, or the name rfc-june")
    group.add_argument("--quick", action="store_true", help="one MUST of each operation, in seconds")
    group.add_argument("--list", action="store_true", help="list the checks and end")
    group.add_argument("--plan", action="store_true", help="say what the run would use, and end")
    group.add_argument(
        "--vectors", type=Path, action="append", default=[], metavar="PATH",
        help="run test vectors of the public JSON format instead: a file or a folder; may be repeated",
    )  # fmt: skip
    for name in ("tags", "groups", "ids"):
        for prefix, meaning in (("", "only vectors"), ("exclude-", "no vectors"), ("skip-", "skip vectors")):
            group.add_argument(
                f"--{prefix}{name}", default="", metavar="A,B",
                help=f"{meaning} with one of these {name}" if not prefix else argparse.SUPPRESS,
            )  # fmt: skip


def _add_identity(parser: argparse.ArgumentParser) -> Any:
    group = parser.add_argument_group("who asks, and where")
    group.add_argument("--profile", metavar="NAME", help="the profile of ~/.aws (default: the AWS chain)")
    group.add_argument("--region", metavar="NAME", help="the region that requests are signed for")
    group.add_argument("--ca-file", metavar="FILE", help="trust these authorities (default: AWS_CA_BUNDLE)")
    group.add_argument(
        "--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="for each answer (default: 30)"
    )
    return group


def _add_scope(group: Any) -> None:
    group.add_argument(
        "--second-profile", metavar="NAME", help="a second identity, without rights of the first"
    )
    group.add_argument(
        "--unauthenticated", action="store_true", help="ask as nobody: only what needs no key is checked"
    )
    group.add_argument("--bucket", metavar="B", help="use this bucket, and make none")
    group.add_argument("--prefix", default="", metavar="P", help="keep all keys under this (with --bucket)")
    group.add_argument(
        "--cors-origin", metavar="ORIGIN", help="an origin that the operator's CORS rules allow to GET"
    )
    group.add_argument(
        "--cors-bucket", metavar="B", help="the bucket with these rules, if they are not every bucket's"
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    group.add_argument(
        "-j", "--jobs", type=_count, default=8, metavar="N", help="checks at a time (default: 8)"
    )
    group.add_argument("--max-requests", type=_count, metavar="N", help="plan and send at most so many")
    group.add_argument("--max-seconds", type=_seconds, default=1800.0, metavar="S",
                       help="skip what is left after this time (default: 1800)")  # fmt: skip
    group.add_argument("--budget", type=_price, metavar="USD",
                       help="do not start if AWS's list prices come to more than this")  # fmt: skip
    group.add_argument("--journals", type=Path, metavar="DIR",
                       help="where the journal is kept (default: ~/.local/state/anys3/check)")  # fmt: skip


def _add_reports(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reports")
    group.add_argument("--json", action="store_true", help="print the whole report as JSON on stdout")
    for name, what in (
        ("html", "one page, with requests, answers and reproducers"),
        ("junit", "for a CI server"),
        ("markdown", "for a pull request or an issue"),
        ("badge", "a badge with the verdict: SVG, or for shields.io if FILE ends in .json"),
    ):
        group.add_argument(f"--{name}", type=Path, metavar="FILE", help=what)
    group.add_argument("--baseline", type=Path, metavar="FILE",
                       help="known failures, a name a line: fail only if something differs")  # fmt: skip
    group.add_argument("--write-baseline", type=Path, metavar="FILE", help="write today's failures there")
    group.add_argument("--product", default="", metavar="NAME", help="what is checked, for the report")
    group.add_argument("--product-version", default="", metavar="VERSION", help="and its version")
    group.add_argument("-q", "--quiet", action="store_true", help="no progress; only the summary")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    return _positive(text, "seconds")


def _price(text: str) -> float:
    return _positive(text, "an amount in USD")


def _positive(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected {what} above 0, got {text!r}")
    return number
