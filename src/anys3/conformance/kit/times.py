"""The times that answers show, as values."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from anys3.conformance.outcomes import Failed


def iso_time(text: str) -> datetime:
    """Return the time of a document, ISO 8601 with a zone. Raises Failed: it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Failed(f"LastModified: expected an ISO 8601 time with a zone, got {text!r}")
    return found.astimezone(UTC)


def http_time(text: str) -> datetime:
    """Return the time of a header. Raises Failed: it is no HTTP date."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        raise Failed(f"Last-Modified: expected an HTTP date, got {text!r}") from None
