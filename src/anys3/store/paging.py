"""One page of an ordered key space: prefixes, delimiters and positions, the same for every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

Row = TypeVar("Row")
Scan = Callable[[bytes, bool], Iterator[tuple[bytes, Row]]]
"""`scan(key, is_after)` yields rows ascending from `key` on; `is_after` leaves out rows of `key` itself."""


def page(
    scan: Scan[Row], prefix: bytes, delimiter: bytes, after: bytes, limit: int, *, is_after: bool = True
) -> tuple[list[tuple[bytes, Row]], list[bytes], bool]:
    """Return the rows, the common prefixes and whether more follow, strictly after `after`.

    A key that holds `delimiter` behind the prefix counts as its common prefix, once, and the rest below
    that prefix is skipped by one seek (LIST-03, LIST-04, LIST-05). `is_after=False` lets rows of the
    key `after` itself through, for engines with several rows a key.
    """
    if b"\0" in prefix:
        return [], [], False
    start, is_behind = (after, is_after) if after and after >= prefix else (prefix, False)
    if not delimiter:
        return _plain(scan(start, is_behind), prefix, limit)
    return _rolled_up(scan, prefix, delimiter, after, limit, start, is_behind)


def _plain(
    rows: Iterator[tuple[bytes, Row]], prefix: bytes, limit: int
) -> tuple[list[tuple[bytes, Row]], list[bytes], bool]:
    found = list(islice(rows, limit + 1))
    while found and not found[-1][0].startswith(prefix):
        found.pop()
    is_truncated = len(found) > limit
    del found[limit:]
    return found, [], is_truncated


def _rolled_up(
    scan: Scan[Row],
    prefix: bytes,
    delimiter: bytes,
    after: bytes,
    limit: int,
    start: bytes,
    is_behind: bool,
) -> tuple[list[tuple[bytes, Row]], list[bytes], bool]:
    rows: list[tuple[bytes, Row]] = []
    prefixes: list[bytes] = []
    skip = len(prefix)
    while True:
        for key, row in scan(start, is_behind):
            if not key.startswith(prefix):
                return rows, prefixes, False
            at = key.find(delimiter, skip)
            common = key[: at + len(delimiter)] if at >= 0 else b""
            if common and common <= after:
                break
            if len(rows) + len(prefixes) == limit:
                return rows, prefixes, True
            if common:
                prefixes.append(common)
                break
            rows.append((key, row))
        else:
            return rows, prefixes, False
        # No key holds 0xFF (they are UTF-8), so this is behind every key under the common prefix.
        start, is_behind = common + b"\xff", False


def last_of(rows: list[tuple[bytes, Row]], prefixes: list[bytes]) -> tuple[bytes, bool]:
    """Return the last item of the merged page, and whether it is a common prefix."""
    key = rows[-1][0] if rows else b""
    if prefixes and prefixes[-1] >= key:
        return prefixes[-1], True
    return key, False
