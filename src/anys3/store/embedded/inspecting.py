"""The index's pages, inspected, and what damage there hides in words (pages.py does the reading)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb

from anys3.store.damage import Damage
from anys3.store.embedded import device, pages
from anys3.store.embedded.index import open_environment, translate
from anys3.store.embedded.report import DATA, ScrubReport
from anys3.store.embedded.rows import MARK, TRAILER_SIZE
from anys3.store.errors import Corrupt, Unavailable

AT_START_MAX = 4096
"""Most pages that are all looked at by each start of a server: 16 MiB, in 30 ms."""
_ATTEMPTS = 100
_NAMES = "names"


def inspect(env: Any, path: Path, report: ScrubReport, progress: Callable[[ScrubReport], None]) -> None:
    """Look at all pages of the index as they lie on the disk."""
    if not pages.IS_KNOWN:
        return
    page_size = env.stat()["psize"]
    names: dict[bytes, str] = {}
    descriptor = device.open_to_read(path / "index" / "data.mdb")

    def on_row(table: str, place: bytes, row: bytes) -> None:
        if table == _NAMES:
            name = row[1:-TRAILER_SIZE] if row.startswith(MARK) else row
            names[place] = name.decode("utf-8", "backslashreplace")

    def on_page(seen: int) -> None:
        report.done = seen * page_size
        report.total = (inspection.last + 1) * page_size
        progress(report)

    try:
        for _ in range(_ATTEMPTS):
            with env.begin() as txn:
                inspection = pages.Inspection(descriptor, page_size, txn.id(), on_row, on_page)
                try:
                    inspection.run()
                    break
                except Unavailable:  # two commits came between: the meta page is of a newer one
                    if inspection.damaged:
                        break
    finally:
        os.close(descriptor)
    report.pages += inspection.seen
    report.damaged += [_of_page(damage, names) for damage in inspection.damaged]


def _of_page(damage: pages.PageDamage, names: dict[bytes, str]) -> Damage:
    """Say what a damaged page hides."""
    bucket, key = "", b""
    reason = f"page {damage.page} of the {damage.table}: {damage.reason}"
    if damage.table in ("entries", "uploads"):
        first, behind = damage.first, damage.behind
        bucket, key = names.get(first[:8], ""), first[8:]
        what = "objects" if damage.table == "entries" else "unfinished uploads"
        reason += f"; it holds {what} from {_shown(first, names)} to before {_shown(behind, names)}"
    return Damage(bucket, key, reason, kind="page", file=DATA)


def _shown(place: bytes, names: dict[bytes, str]) -> str:
    if not place:
        return "the end of the table"
    name = names.get(place[:8])
    return f"{name or 'a bucket'}/{place[8:].decode('utf-8', 'backslashreplace')!r}"


def check_at_start(path: Path) -> None:
    """Look at all pages of a small index, and of one whose file is shorter than it says, before LMDB does.

    LMDB would end the process without a word for many a damaged page. Raises Corrupt.
    """
    data = path / "index" / "data.mdb"
    if not data.exists() or not data.stat().st_size:
        return
    env = open_environment(path / "index")
    try:
        last, page_size = env.info()["last_pgno"], env.stat()["psize"]
    finally:
        env.close()
    if last > AT_START_MAX and data.stat().st_size > last * page_size:
        return
    report = inspect_unopened(path, lambda _: None)
    if not report.is_clean:
        raise Corrupt(report.damaged[0].reason)


def inspect_unopened(path: Path, progress: Callable[[ScrubReport], None]) -> ScrubReport:
    """Look at the pages before anything is read through LMDB but its meta pages."""
    report = ScrubReport()
    try:
        env = open_environment(path / "index")
    except Corrupt as error:
        report.damaged.append(Damage("", b"", str(error), kind="page", file=DATA))
        return report
    try:
        inspect(env, path, report, progress)
    except lmdb.Error as error:
        raise translate(error) from error
    finally:
        env.close()
    return report
