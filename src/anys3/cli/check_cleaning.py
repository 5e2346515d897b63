"""`anys3 check clean`: takes away what killed runs left behind."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from anys3.cli import output
from anys3.cli.check_callers import CANNOT_BEGIN, dialer_of, identities
from anys3.client.connections import Dialer
from anys3.client.credentials import NoCredentials
from anys3.conformance import callers
from anys3.conformance.cleaning import clean
from anys3.conformance.ground import Ground, Identity
from anys3.conformance.journal import Journal, Left, left_behind
from anys3.server.refusals import Exit

SOMETHING_LEFT = 3


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Clean up after all runs that are over and whose journals are there. Raises Refusal."""
    folder = arguments.journals or callers.journals(environment)
    wanted = dialer_of(arguments.url, arguments, environment).endpoint.url if arguments.url else None
    found = [left for left in left_behind(folder) if wanted in (None, left.endpoint)]
    if not found:
        output.remark(f"nothing is left behind: no journal in {folder}")
        return Exit.OK
    try:
        main, _ = identities(arguments, environment)
    except NoCredentials as error:
        output.remark(f"anys3: {error}")
        return CANNOT_BEGIN
    code = 0
    for left in found:
        dialer = dialer_of(left.endpoint, arguments, environment)
        sentences = _clean(left, dialer, main)
        if sentences:
            code = SOMETHING_LEFT
            output.remark("\n".join([f"run {left.run_id} at {left.endpoint}: not all is gone", *sentences]))
        else:
            output.remark(f"run {left.run_id} at {left.endpoint}: all is gone")
    return code


def _clean(left: Left, dialer: Dialer, main: Identity | None) -> list[str]:
    """Return what could not be taken away; the journal goes when all is gone."""
    journal = Journal.reopened(left)
    ground = Ground(dialer, journal, main, bucket=left.bucket, prefix=left.prefix)
    sentences = clean(ground, left.made, left.run_id)
    ground.pool.close()
    journal.close(is_clean=not sentences)
    return sentences
