"""`anys3 check matrix`: the table of measured products, rewritten from reports."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from anys3.cli import output
from anys3.conformance import matrix
from anys3.conformance.reports.reading import from_json
from anys3.server.refusals import Exit, Refusal


def run(arguments: argparse.Namespace) -> int:
    """Rewrite the table. Raises Refusal: a report can't be read, or the page has no markers."""
    reports = []
    for path in arguments.reports:
        try:
            reports.append(from_json(path.read_text("utf-8")))
        except (OSError, ValueError) as error:
            raise Refusal(Exit.USAGE, f"{path}: {error}") from None
    page = arguments.into
    try:
        text = page.read_text("utf-8")
        page.write_text(matrix.rewrite(text, reports, datetime.now(UTC).date()), "utf-8")
    except (OSError, ValueError) as error:
        raise Refusal(Exit.USAGE, f"{page}: {error}") from None
    output.remark(f"wrote {len(reports)} rows into {page}")
    return Exit.OK
