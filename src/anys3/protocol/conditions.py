"""Conditional requests: which of 200, 304 and 412 an object's state earns (RFC 9110 section 13)."""

from __future__ import annotations

from dataclasses import dataclass

from anys3.protocol import etags
from anys3.protocol.dates import parse_http_date
from anys3.spec.errors import S3Error


@dataclass(frozen=True, slots=True)
class Conditions:
    """The four conditions of a read, or of a copy's source; None where the header was not sent."""

    if_match: bytes | None = None
    if_none_match: bytes | None = None
    if_modified_since: bytes | None = None
    if_unmodified_since: bytes | None = None


NONE = Conditions()


def is_not_modified(conditions: Conditions, etag: str, modified_ms: int, now_ms: int) -> bool:
    """Return whether the answer is 304, for an object with that ETag (no quotes) and time.

    The order is that of RFC 9110 section 13.2.2: If-Match outweighs If-Unmodified-Since and If-None-Match
    outweighs If-Modified-Since (CONDR-05). Dates that don't parse are ignored, and so is an
    If-Modified-Since in the future (CONDR-03). Times compare by the second, as they are shown.

    Raises S3Error:
        PreconditionFailed: CONDR-01, CONDR-04.
    """
    if conditions is NONE:
        return False
    _check_preconditions(conditions, etag, modified_ms, prefix="")
    return _unmodified_condition(conditions, etag, modified_ms, now_ms) is not None


def check_copy_source(conditions: Conditions, etag: str, modified_ms: int, now_ms: int) -> None:
    """Refuse to copy a source for which a condition is false (CONDC-01, CONDC-02).

    Raises S3Error:
        PreconditionFailed: also where a read would have been answered with 304.
    """
    if conditions is NONE:
        return
    prefix = "x-amz-copy-source-"
    _check_preconditions(conditions, etag, modified_ms, prefix=prefix)
    failed = _unmodified_condition(conditions, etag, modified_ms, now_ms)
    if failed is not None:
        raise S3Error("PreconditionFailed", Condition=prefix + failed)


def _check_preconditions(conditions: Conditions, etag: str, modified_ms: int, prefix: str) -> None:
    if conditions.if_match is not None:
        if not _matches_strongly(conditions.if_match, etag):
            raise S3Error("PreconditionFailed", Condition=prefix + "If-Match")
    elif conditions.if_unmodified_since is not None:
        since = parse_http_date(conditions.if_unmodified_since)
        if since is not None and modified_ms // 1000 > since:
            raise S3Error("PreconditionFailed", Condition=prefix + "If-Unmodified-Since")


def _unmodified_condition(conditions: Conditions, etag: str, modified_ms: int, now_ms: int) -> str | None:
    """Return the name of the false one of the two conditions that ask for a change, None if there is none."""
    if conditions.if_none_match is not None:
        return "If-None-Match" if _matches_weakly(conditions.if_none_match, etag) else None
    if conditions.if_modified_since is not None:
        since = parse_http_date(conditions.if_modified_since)
        if since is not None and modified_ms // 1000 <= since <= now_ms // 1000:
            return "If-Modified-Since"
    return None


def _matches_strongly(value: bytes, etag: str) -> bool:
    listed = etags.parse_list(value)
    return listed is etags.ANY or any(tag.etag == etag and not tag.is_weak for tag in listed)


def _matches_weakly(value: bytes, etag: str) -> bool:
    listed = etags.parse_list(value)
    return listed is etags.ANY or any(tag.etag == etag for tag in listed)


def if_range_holds(value: bytes, etag: str, modified_ms: int) -> bool:
    """Return whether an If-Range validator, an ETag or a date, is the object's own (RNG-07).

    Both compare exactly: a later date is no proof that the object is still the same.
    """
    second = parse_http_date(value)
    if second is not None:
        return second == modified_ms // 1000
    return etags.unquote(value) == etag
