"""`anys3 backup`: a copy of a store at one moment."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from anys3.cli import damages, output, progress
from anys3.server import audit, tls
from anys3.server.locations import refusing, require_store
from anys3.server.refusals import Exit, Refusal
from anys3.store import upkeep
from anys3.store.errors import Corrupt
from anys3.store.findings import size
from anys3.store.opening import Location
from anys3.store.starting import AlreadyServed

BESIDE = (tls.CHAIN_NAME, tls.KEY_NAME, audit.FILE_NAME)
"""Copied with the store: clients may trust that certificate. DIR/credentials is made anew of the index."""


def run(arguments: argparse.Namespace) -> int:
    """Make the backup and return 0, or 12 if something could not be copied as it was written."""
    source: Path = arguments.directory
    destination: Path = arguments.destination
    require_store(source)
    began = time.monotonic()
    with refusing(Location(source)), _refusing_destination(destination), progress.Bar("backup") as bar:
        report = upkeep.backup(
            source,
            destination,
            now_ms=time.time_ns() // 1_000_000,
            is_linked=arguments.link,
            is_index_only=arguments.index_only,
            beside=BESIDE,
            progress=lambda title, done, total: bar.update(done, total=total, title=title),
        )
    seconds = time.monotonic() - began
    if arguments.json:
        output.result_json(_as_json(report, destination, seconds))
    else:
        _show(report, destination, seconds)
    return Exit.OK if report.is_clean else Exit.DAMAGED


@contextlib.contextmanager
def _refusing_destination(destination: Path) -> Iterator[None]:
    """Turn what the backup raises about its destination into a Refusal with its exit code."""
    try:
        yield
    except upkeep.NotABackup as error:
        raise Refusal(Exit.CONFLICT, f"{error}: give a new DEST, and this one stays as it is") from None
    except AlreadyServed:
        raise Refusal(
            Exit.ALREADY_SERVED,
            f"{destination} is in use, by a server or another command: end that, or give another DEST",
        ) from None
    except Corrupt as error:
        raise Refusal(
            Exit.DAMAGED, f"{error}: no backup was made; restore the last one (docs/durability.md)"
        ) from None


def _show(report: upkeep.BackupReport, destination: Path, seconds: float) -> None:
    for kind, found in (("damaged", report.damaged), ("missing", report.missing)):
        for damage in found:
            output.result(f"{kind}  {damages.where(damage)}: {damage.reason}")
    output.result(
        f"{destination}: {report.objects} objects, {report.uploads} unfinished uploads with {report.parts} parts, as"
        f" of {output.moment(report.taken_ms)}\n"
        f"{report.copied} blobs copied, {report.kept} kept, {report.removed} removed; {size(report.bytes)}"
        f" written in {seconds:.1f} s; {len(report.damaged)} damaged, {len(report.missing)} missing"
    )
    if report.elsewhere:
        output.remark(
            f"{report.elsewhere} blobs stay where they are: serve the backup in place of the store only"
        )


def _as_json(report: upkeep.BackupReport, destination: Path, seconds: float) -> dict[str, object]:
    return {
        "is_clean": report.is_clean,
        "destination": str(destination),
        "moment": {"time": output.moment(report.taken_ms), "sequence": report.sequence},
        "objects": report.objects,
        "uploads": report.uploads,
        "parts": report.parts,
        "blobs": {
            "copied": report.copied,
            "kept": report.kept,
            "removed": report.removed,
            "elsewhere": report.elsewhere,
        },
        "bytes": report.bytes,
        "seconds": round(seconds, 3),
        "damaged": [damages.as_json(damage) for damage in report.damaged],
        "missing": [damages.as_json(damage) for damage in report.missing],
    }
