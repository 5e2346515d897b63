"""Notes of changed keys: rows that the transaction which changes the keys puts, if somebody wants to know.

    meta    b"noting" -> id of the notes and when they end, JSON
    noted   bucket id + key -> b""; bucket id + 0xFF + SHA-256 of a key that is longer than strides.STRIDE -> the key

The row of `meta` is read in the transaction that would change something, so no process misses that notes were begun.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from anys3.store.embedded import format as records
from anys3.store.embedded import strides
from anys3.store.embedded.format import pack_id, unpack_id
from anys3.store.embedded.index import Index
from anys3.store.errors import Corrupt, NotesEnded
from anys3.store.interface import Keys, Noted, Notes

if TYPE_CHECKING:
    from anys3.store.embedded.changes import Batch

_PLACE = b"noting"
_LONG = b"\xff"
"""No key begins with it, since keys are UTF-8."""


def is_on(batch: Batch) -> bool:
    """Tell whether the batch's changes are to be noted. Raises Corrupt."""
    return _now(batch) is not None


def note(batch: Batch, bucket_id: int, keys: Sequence[bytes]) -> None:
    """Note changed keys."""
    rows = batch.index.noted
    for key in keys:
        place = _place(bucket_id, key)
        content = key if len(key) > strides.STRIDE else b""
        batch.txn.put(place, rows.seal_content(place, content), db=rows.db, overwrite=False)


def first(index: Index, txn: Any, notes: Notes, limit: int) -> Keys:
    """Return the first `limit` notes, by bucket and key. Raises NotesEnded, Corrupt."""
    found = _read(index, txn)
    if found is None or found[0] != notes or _has_ended(found[1]):
        raise NotesEnded(notes.id)
    rows = index.noted
    with txn.cursor(db=rows.db) as cursor:
        page = list(islice(cursor, limit))
    rows.check_all(page)
    if len(page) != min(limit, txn.stat(rows.db)["entries"]):
        raise Corrupt("the table of noted keys has not as many rows as it says")
    return [(unpack_id(place[:8]), _key(place, rows.content(place, row))) for place, row in page]


def begin(batch: Batch, wanted: tuple[Notes, float]) -> None:
    """Begin these notes, in place of others."""
    _forget(batch)
    _put(batch, *wanted)


def keep(batch: Batch, wanted: tuple[Notes, float]) -> None:
    """Let them end so many seconds from now. Raises NotesEnded."""
    _check(batch, wanted[0])
    _put(batch, *wanted)


def strike(batch: Batch, struck: tuple[Notes, Sequence[Noted]]) -> None:
    """Forget some of what is noted. Raises NotesEnded."""
    notes, keys = struck
    _check(batch, notes)
    for bucket_id, key in keys:
        batch.txn.delete(_place(bucket_id, key), db=batch.index.noted.db)


def end(batch: Batch, notes: Notes) -> None:
    """End them if they are in force."""
    if _now(batch) == notes:
        _forget(batch)


def _check(batch: Batch, notes: Notes) -> None:
    if _now(batch) != notes:
        raise NotesEnded(notes.id)


def _now(batch: Batch) -> Notes | None:
    """Return the notes that are in force; those that have ended never are again, whatever becomes of the clock."""
    if batch.is_plain:
        return None
    if not batch.knows_notes:
        found = _read(batch.index, batch.txn)
        if found is not None and _has_ended(found[1]):
            _forget(batch)
            found = None
        batch.knows_notes, batch.notes = True, found[0] if found else None
    return batch.notes


def _put(batch: Batch, notes: Notes, lasts_s: float) -> None:
    row = json.dumps({"id": notes.id, "ends_ms": _now_ms() + round(1000 * lasts_s)}).encode()
    others = batch.index.others
    batch.txn.put(_PLACE, others.seal_content(_PLACE, row), db=others.db)
    batch.is_plain = batch.knows_notes = False


def _forget(batch: Batch) -> None:
    batch.txn.delete(_PLACE, db=batch.index.meta)
    batch.txn.drop(batch.index.noted.db, delete=False)
    batch.knows_notes = False


def _read(index: Index, txn: Any) -> tuple[Notes, int] | None:
    raw = index.others.get_content(txn, _PLACE)
    if raw is None:
        return None
    try:
        row = json.loads(raw)
        return Notes(row["id"]), row["ends_ms"]
    except records.UNREADABLE as error:
        raise Corrupt(f"the row of the notes is damaged: {error!r}") from error


def _place(bucket_id: int, key: bytes) -> bytes:
    if len(key) > strides.STRIDE:
        key = _LONG + hashlib.sha256(key).digest()
    return pack_id(bucket_id) + key


def _key(place: bytes, content: bytes) -> bytes:
    return content if place[8:9] == _LONG else place[8:]


def _has_ended(ends_ms: int) -> bool:
    return ends_ms <= _now_ms()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
