"""The row of `meta` that keeps a store from being changed, and the job of the committer that writes it.

It is read in the transaction that would change something, so there is no moment at which one process knows of a pause
and another does not.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from anys3.store.embedded import format as records
from anys3.store.embedded.rows import Rows
from anys3.store.errors import Corrupt, Pause, PauseChanged

if TYPE_CHECKING:
    from anys3.store.embedded.changes import Batch

_PLACE = b"pause"


def new(reason: str, holder: str, lasts_s: float | None) -> Pause:
    """Return a pause that begins now."""
    return Pause(reason, holder, None if lasts_s is None else _now_ms() + round(1000 * lasts_s))


def read(rows: Rows, txn: Any) -> Pause | None:
    """Return the pause that is in force; `rows` are those of `meta`. Raises Corrupt."""
    pause = _read(rows, txn)
    return None if pause is None or _has_ended(pause) else pause


def read_to_change(rows: Rows, txn: Any) -> Pause | None:
    """Do the same before something is changed: a pause that has ended is never in force again. Raises Corrupt."""
    pause = _read(rows, txn)
    if pause is None or not _has_ended(pause):
        return pause
    txn.delete(_PLACE, db=rows.db)  # else a clock that is set back would begin it again
    return None


def replace(batch: Batch, change: tuple[Pause | None, Pause | None]) -> None:
    """Put the first pause in place of the second; None is none. Raises PauseChanged."""
    pause, was = change
    rows = batch.index.others
    now = read_to_change(rows, batch.txn)
    if now != was:
        raise PauseChanged(now)
    if pause is None:
        batch.txn.delete(_PLACE, db=rows.db)
    else:
        row = {"reason": pause.reason, "holder": pause.holder, "ends_ms": pause.ends_ms}
        batch.txn.put(_PLACE, rows.seal_content(_PLACE, json.dumps(row).encode()), db=rows.db)
    batch.forget_pause()


def _read(rows: Rows, txn: Any) -> Pause | None:
    raw = rows.get_content(txn, _PLACE)
    if raw is None:
        return None
    try:
        row = json.loads(raw)
        return Pause(row["reason"], row["holder"], row["ends_ms"])
    except records.UNREADABLE as error:
        raise Corrupt(f"the row of the pause is damaged: {error!r}") from error


def _has_ended(pause: Pause) -> bool:
    return pause.ends_ms is not None and pause.ends_ms <= _now_ms()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
