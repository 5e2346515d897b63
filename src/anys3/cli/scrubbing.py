"""`anys3 scrub`: tells whether everything is still as it was written."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from anys3.cli import output
from anys3.cli.opening import directory_of
from anys3.server.directory import refusing, require_store
from anys3.server.refusals import Exit
from anys3.store.embedded.scrub import Damage, ScrubReport, scrub

REPORT_EVERY_S = 5.0


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Verify the store and return 0, or 12 if something is damaged or missing."""
    directory: Path = arguments.directory or directory_of(arguments, environment)
    require_store(directory)
    with refusing(directory):
        report = scrub(directory, _Progress())
    if arguments.json:
        output.result_json(_as_json(report))
    else:
        _show(report, directory)
    return Exit.OK if report.is_clean else Exit.DAMAGED


class _Progress:
    """Tells a person now and then how far the scrub is."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, report: ScrubReport) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._said >= REPORT_EVERY_S:
            self._said = time.monotonic()
            output.remark(f"{report.objects} objects, {report.bytes} bytes verified so far")


def _show(report: ScrubReport, directory: Path) -> None:
    for kind, found in (("damaged", report.damaged), ("missing", report.missing)):
        for damage in found:
            output.result(f"{kind}  {where(damage)}: {damage.reason}")
    for orphan in report.orphans:
        output.result(f"orphan   {orphan}: no object names this file; it only takes room")
    output.result(
        f"{directory}: {report.objects} objects and {report.parts} parts of unfinished uploads, {report.bytes}"
        f" bytes: {len(report.damaged)} damaged, {len(report.missing)} missing, {len(report.orphans)} orphans"
    )


def where(damage: Damage) -> str:
    """Return the object, and the upload of a part, as people read it."""
    upload = f" (upload {damage.upload_id})" if damage.upload_id else ""
    return f"{damage.bucket}/{damage.key.decode('utf-8', 'backslashreplace')}{upload}"


def _as_json(report: ScrubReport) -> dict[str, object]:
    return {
        "is_clean": report.is_clean,
        "objects": report.objects,
        "parts": report.parts,
        "bytes": report.bytes,
        "damaged": [damage_as_json(damage) for damage in report.damaged],
        "missing": [damage_as_json(damage) for damage in report.missing],
        "orphans": report.orphans,
    }


def damage_as_json(damage: Damage) -> dict[str, object]:
    """Return it for machines."""
    return {
        "bucket": damage.bucket,
        "key": damage.key.decode("utf-8", "backslashreplace"),
        "upload_id": damage.upload_id or None,
        "reason": damage.reason,
    }
