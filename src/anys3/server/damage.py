"""Damaged bytes that requests met: one line in the log for each, and how many there were."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from anys3.store.errors import Corrupt

if TYPE_CHECKING:
    import logging

    from anys3.protocol.http import Request

_numbers = itertools.count(1)
"""Of this process, which is one worker."""


def note(log: logging.Logger, request: Request, damage: Corrupt, outcome: str) -> None:
    """Log a read that met damage, with bucket, key, and the count of this worker."""
    log.error(
        "DAMAGED %s; %s %s %s %s; damaged reads of this worker so far: %d; `anys3 scrub` finds all damage",
        damage,
        request.id,
        request.method.decode("latin-1"),
        request.path.decode("latin-1"),
        outcome,
        next(_numbers),
    )
