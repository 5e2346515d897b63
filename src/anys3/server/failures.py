"""What failed requests mean to their clients, and what the log says about them."""

from __future__ import annotations

import logging

from anys3.protocol.http import Answer, Request
from anys3.server import damage
from anys3.spec.errors import S3Error
from anys3.store.errors import Corrupt, StoreError
from anys3.wire.encoding import encode_error


def answer_to(request: Request, error: BaseException, log: logging.Logger, *, is_lost: bool) -> Answer:
    """Return what a failure means to the client, and log what happened; not what a lost connection causes."""
    if isinstance(error, Corrupt):
        damage.note(log, request, error, "-> 500 InternalError")
    elif isinstance(error, StoreError):
        _note(log, request, error, "-> 503 ServiceUnavailable")
        return encode_error(S3Error("ServiceUnavailable"), request)
    elif not (is_lost and isinstance(error, ConnectionError)):
        log.error("%s %s failed (request %s)", request.method, request.path, request.id, exc_info=error)
    return encode_error(S3Error("InternalError"), request)


def note_broken(request: Request, error: BaseException, log: logging.Logger) -> None:
    """Log that an answer broke off behind its head; not if it was the connection."""
    if isinstance(error, Corrupt):
        damage.note(log, request, error, "broke off behind its head")
    elif isinstance(error, StoreError):
        _note(log, request, error, "broke off behind its head")
    elif not isinstance(error, ConnectionError):
        message = "the answer to %s %s broke off (request %s)"
        log.error(message, request.method, request.path, request.id, exc_info=error)


def _note(log: logging.Logger, request: Request, failure: StoreError, outcome: str) -> None:
    method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
    log.error("%s %s %s %s (%s: %s)", request.id, method, path, outcome, type(failure).__name__, failure)
