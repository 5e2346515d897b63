"""`anys3 scrub`: tells whether everything is still as it was written."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from anys3.cli import damages, output, progress
from anys3.cli.opening import directory_of
from anys3.server.locations import refusing, require_store
from anys3.server.refusals import Exit
from anys3.store.opening import Location
from anys3.store.upkeep import ScrubReport, scrub


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Verify the store and return 0, or 12 if something is damaged or missing."""
    directory: Path = arguments.directory or directory_of(arguments, environment)
    require_store(directory)
    with refusing(Location(directory)), progress.Bar("reading the index") as bar:

        def show(report: ScrubReport) -> None:
            bar.update(report.done, total=report.total, title=f"reading the {report.step}")

        report = scrub(directory, show)
    if arguments.json:
        output.result_json(_as_json(report))
    else:
        _show(report, directory)
    return Exit.OK if report.is_clean else Exit.DAMAGED


def _show(report: ScrubReport, directory: Path) -> None:
    for kind, found in (("damaged", report.damaged), ("missing", report.missing)):
        for damage in found:
            file = f" [{damage.file}]" if damage.file else ""
            output.result(f"{kind}  {damages.where(damage)}: {damage.reason}{file}")
    for orphan in report.orphans:
        output.result(f"orphan   {orphan}: no object names this; it only takes room")
    if not report.contents_were_read:
        output.result("the objects were not all read: the index that names them is damaged")
    output.result(
        f"{directory}: {report.objects} objects and {report.parts} parts of unfinished uploads, {report.bytes}"
        f" bytes, {report.pages} pages of the index: {len(report.damaged)} damaged,"
        f" {len(report.missing)} missing, {len(report.orphans)} orphans"
    )
    if not report.is_clean:
        output.result(f"next: {_next(report)}")


def _next(report: ScrubReport) -> str:
    """Say what to do about damage."""
    if any(damage.kind != "content" for damage in (*report.damaged, *report.missing)):
        return (
            "stop the server, keep the directory as it is, check the disk, and restore a backup: what the"
            " index hides can't be read here"
        )
    return (
        "check the disk; restore each of these objects from a backup by writing it anew (a PUT, or a copy"
        " from the backup served on another port), or delete it"
    )


def _as_json(report: ScrubReport) -> dict[str, object]:
    return {
        "is_clean": report.is_clean,
        "objects": report.objects,
        "parts": report.parts,
        "bytes": report.bytes,
        "index_pages": report.pages,
        "contents_were_read": report.contents_were_read,
        "damaged": [damages.as_json(damage) for damage in report.damaged],
        "missing": [damages.as_json(damage) for damage in report.missing],
        "orphans": report.orphans,
        "next": None if report.is_clean else _next(report),
    }
