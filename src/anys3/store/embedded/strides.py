r"""Ordered rows for keys longer than LMDB's 511 bytes.

A row's place is a namespace (8 bytes: a bucket's id), the key, and a tail. Keys hold no NUL, so a tail that
begins with NUL sorts behind its key and before every longer key:

    key                        the current object
    key \0 \0 sequence         kept free for older versions, newest first
    key \0 \2 upload id        an unfinished upload
    key[:STRIDE] \0 \3         everything longer that begins with these bytes: the value is the namespace
                               of the remainders, which are ordered in the same way

Walking descends where it meets such a row, so that order is that of the whole keys (LIST-02).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from anys3.store.embedded.rows import Rows
from anys3.store.errors import Corrupt

STRIDE = 400
"""Leaves room for the namespace, and for an upload id of up to 96 bytes."""
UPLOAD = b"\0\2"
DESCEND = b"\0\3"
BEHIND = b"\0\2\xff"
"""A tail behind every row of a key itself, before every longer key."""
MAX_UPLOAD_ID = 96
_PAST_DESCENT = b"\0\4"


def _below(txn: Any, rows: Rows, row: bytes) -> bytes | None:
    """Return the namespace that a row which leads to longer keys names."""
    raw = rows.get_content(txn, row)
    return None if raw is None else _namespace(rows, row, raw)


def _namespace(rows: Rows, row: bytes, content: bytes) -> bytes:
    if len(content) != len(row[:8]):
        raise Corrupt(f"the row {row!r} of the table {rows.table} is damaged")
    return content


def find(txn: Any, rows: Rows, namespace: bytes, key: bytes) -> bytes | None:
    """Return the place of a long key, None if its namespace does not exist. Raises Corrupt."""
    while len(key) > STRIDE:
        below = _below(txn, rows, namespace + key[:STRIDE] + DESCEND)
        if below is None:
            return None
        namespace = below
        key = key[STRIDE:]
    return namespace + key


def make(txn: Any, rows: Rows, namespace: bytes, key: bytes, new_id: Callable[[], bytes]) -> bytes:
    """Return the place of a key, with the namespaces on the way to it made. Raises Corrupt."""
    while len(key) > STRIDE:
        row = namespace + key[:STRIDE] + DESCEND
        below = _below(txn, rows, row)
        if below is None:
            below = new_id()
            txn.put(row, rows.seal_content(row, below), db=rows.db)
        namespace = below
        key = key[STRIDE:]
    return namespace + key


def delete(txn: Any, rows: Rows, namespace: bytes, key: bytes, tail: bytes = b"") -> None:
    """Delete a row that exists, and the namespaces that are empty without it. Raises Corrupt."""
    above = []
    while len(key) > STRIDE:
        row = namespace + key[:STRIDE] + DESCEND
        above.append(row)
        below = _below(txn, rows, row)
        if below is None:
            raise Corrupt(f"the row {row!r} of the table {rows.table} is missing")
        namespace = below
        key = key[STRIDE:]
    if not txn.delete(namespace + key + tail, db=rows.db):
        raise Corrupt(f"the row {namespace + key + tail!r} of the table {rows.table} is missing")
    while above and is_empty(txn, rows, namespace):
        row = above.pop()
        txn.delete(row, db=rows.db)
        namespace = row[:8]


def is_empty(txn: Any, rows: Rows, namespace: bytes) -> bool:
    """Tell whether a namespace holds no row. Raises Corrupt."""
    with txn.cursor(db=rows.db) as cursor:
        if not rows.seek(cursor, namespace):
            return True
        place, row = cursor.item()
        rows.check(place, row)
        return not place.startswith(namespace)


def flat_page(
    txn: Any,
    table: Rows,
    namespace: bytes,
    key: bytes,
    tail: bytes,
    prefix: bytes,
    delimiter: bytes,
    limit: int,
) -> tuple[list[tuple[bytes, bytes]], bool] | None:
    """Return (place, value) of the first `limit` rows from `key + tail` on, and whether more follow.

    None if `scan` is needed, because keys are long, have several rows, or hold `delimiter` behind the
    prefix. The common page, without a step of Python for each row where that can be helped. Raises Corrupt.
    """
    if len(key) >= STRIDE or b"\0" in key:
        return None
    beginning = namespace + prefix
    cut = len(beginning)
    with txn.cursor(db=table.db) as cursor:
        if not table.seek(cursor, namespace + key + tail):
            return [], False
        # A few rows tell whether delimiters are about; if so, reading a whole page would be in vain.
        rows = list(islice(cursor.iternext(), min(limit + 1, _PROBE)))
        is_promising = len(rows) == _PROBE <= limit and _is_flat(rows, beginning, cut, delimiter)
        # More at a time, so that a page below a small prefix does not read a thousand rows behind it.
        while is_promising and rows[-1][0].startswith(beginning) and len(rows) <= limit:
            if not cursor.next():  # (behind the last row, `iternext` would begin again at the first)
                break
            rows += islice(cursor.iternext(), min(3 * len(rows), limit + 1 - len(rows)))
    # Also those that are not part of the page: they say where it ends.
    table.check_all(rows)
    while rows and not rows[-1][0].startswith(beginning):
        rows.pop()
    if not _is_flat(rows, beginning, cut, delimiter):
        return None
    is_truncated = len(rows) > limit
    return rows[:limit], is_truncated


def rolled_page(
    txn: Any,
    table: Rows,
    namespace: bytes,
    key: bytes,
    tail: bytes,
    prefix: bytes,
    delimiter: bytes,
    after: bytes,
    limit: int,
) -> tuple[list[tuple[bytes, bytes]], list[bytes], bool] | None:
    """Return (key, value) rows, common prefixes and whether more follow, from `key + tail` on.

    What `paging.page` does over `scan`, with one cursor and one seek for each common prefix. None if `scan` is
    needed, because a key on the way is long or has several rows. Raises Corrupt.
    """
    if len(key) >= STRIDE or b"\0" in key:
        return None
    rows: list[tuple[bytes, bytes]] = []
    prefixes: list[bytes] = []
    beginning = namespace + prefix
    cut = len(beginning)
    last = b""
    with txn.cursor(db=table.db) as cursor:
        check, item, seek = table.check, cursor.item, cursor.set_range
        is_there = table.seek(cursor, namespace + key + tail)
        while is_there:
            place, row = item()
            check(place, row)
            if place <= last:
                raise Corrupt(f"rows of the table {table.table} are out of order at {place!r}")
            last = place
            if not place.startswith(beginning):
                break
            if place.find(b"\0", 8) >= 0:
                return None
            at = place.find(delimiter, cut)
            common = place[8 : at + len(delimiter)] if at >= 0 else b""
            if not common or common > after:
                if len(rows) + len(prefixes) == limit:
                    return rows, prefixes, True
                if common:
                    prefixes.append(common)
                else:
                    rows.append((place[8:], row))
            # No key holds 0xFF (they are UTF-8), so this is behind every key under the common prefix.
            is_there = seek(namespace + common + b"\xff") if common else cursor.next()
    return rows, prefixes, False


_PROBE = 8


def _is_flat(rows: list[tuple[bytes, bytes]], beginning: bytes, cut: int, delimiter: bytes) -> bool:
    """Tell whether no key that begins like that has a tail, or holds the delimiter behind."""
    if rows and not rows[-1][0].startswith(beginning):
        rows = [row for row in rows if row[0].startswith(beginning)]
    rests = b"\xff".join([place[cut:] for place, _ in rows])
    return b"\0" not in rests and not (delimiter and delimiter in rests)


def scan(
    txn: Any, rows: Rows, namespace: bytes, key: bytes, tail: bytes = b"", above: bytes = b""
) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of the rows from `key + tail` on, ascending; a key with several rows comes again.

    `above` is what the keys of this namespace begin with. `key` may be anything, of any length. Raises Corrupt.
    """
    nul = key.find(b"\0")
    if nul >= 0:  # no key lies between the part before it and this
        key, tail = key[:nul], BEHIND
    if len(key) > STRIDE:
        head = key[:STRIDE]
        below = _below(txn, rows, namespace + head + DESCEND)
        if below is not None:
            yield from scan(txn, rows, below, key[STRIDE:], tail, above + head)
        key, tail = head, _PAST_DESCENT
    for place, value in walk(txn, rows, namespace, key + tail):
        found = place[8:]
        if b"\0" in found:
            nul = found.index(0)
            kind = found[nul : nul + 2]
            if kind == DESCEND:
                below = _namespace(rows, place, rows.content(place, value))
                yield from scan(txn, rows, below, b"", b"", above + found[:nul])
            elif kind == UPLOAD:
                yield above + found[:nul], value
        else:
            yield above + found if above else found, value


def walk(txn: Any, rows: Rows, namespace: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """Yield the rows of a namespace, each verified. Raises Corrupt."""
    last = b""
    with txn.cursor(db=rows.db) as cursor:
        if not rows.seek(cursor, namespace + start):
            return
        for place, value in cursor.iternext():
            rows.check(place, value)
            if place <= last:
                raise Corrupt(f"rows of the table {rows.table} are out of order at {place!r}")
            last = place
            if not place.startswith(namespace):
                return
            yield place, value
