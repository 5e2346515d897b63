"""The command line: `anys3 serve`, `check`, `spec`, `key`, `bucket`, `scrub`, `backup`, `store`, `doctor`. The only reader of the environment."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from anys3.cli.arguments import build_parser
from anys3.server.refusals import Refusal

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (docs/cli.md lists them)."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except Refusal as refusal:
        print(f"anys3: {refusal}", file=sys.stderr)  # noqa: T201 (a command's answer to a person)
        return refusal.exit_code
    except BrokenPipeError:
        # The reader of our output went away, as in `anys3 key list | head -1`: nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return what was typed. `check` has commands beside its endpoint; its selectors may stand anywhere."""
    typed = list(argv)
    if typed[:2] in (["check", "clean"], ["check", "matrix"]):
        typed[:2] = [" ".join(typed[:2])]
    parser = build_parser()
    arguments, rest = parser.parse_known_args(typed)
    if rest and (arguments.command != "check" or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.words.extend(rest)
    return arguments


def _run(arguments: argparse.Namespace) -> int:
    # Imported when asked for: `anys3 --help` and `anys3 key list` need not load a server.
    match arguments.command:
        case "serve":
            from anys3.cli import serving

            return serving.run(arguments, os.environ)
        case "scrub":
            from anys3.cli import scrubbing

            return scrubbing.run(arguments, os.environ)
        case "backup":
            from anys3.cli import backups

            return backups.run(arguments)
        case "store":
            from anys3.cli import moving

            return moving.run(arguments)
        case "doctor":
            from anys3.cli import doctor

            return doctor.run(arguments, os.environ)
        case "key":
            from anys3.cli import keys

            return keys.run(arguments, os.environ)
        case "check":
            from anys3.cli import checking

            return checking.run(arguments, os.environ)
        case "check clean":
            from anys3.cli import check_cleaning

            return check_cleaning.run(arguments, os.environ)
        case "check matrix":
            from anys3.cli import check_matrix

            return check_matrix.run(arguments)
        case "spec":
            from anys3.cli import spec_commands

            return spec_commands.run(arguments)
        case _:
            from anys3.cli import buckets

            return buckets.run(arguments, os.environ)
