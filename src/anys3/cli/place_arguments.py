"""What every command's arguments have in common: how texts are read, and where the store lies."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from anys3.server.options import parse_directory, parse_place
from anys3.store.opening import check_blobs, check_index


def typed(parse: Callable[[str], object]) -> Callable[[str], object]:
    """Make argparse show what `parse` expected, and not only that the value is invalid."""

    def read(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


directory = typed(parse_directory)
place = typed(parse_place)
index = typed(check_index)
blobs = typed(check_blobs)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add --dir and --json."""
    parser.add_argument(
        "--dir",
        type=directory,
        metavar="DIR",
        help="the server's directory (default: ANYS3_DIR, else ./data)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for machines on stdout")


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add --index, --dir and --json."""
    parser.add_argument(
        "--index",
        type=index,
        metavar="URL",
        help="the database with the servers' index (default: ANYS3_INDEX, which others don't see, else DIR's own)",
    )
    add_common(parser)
