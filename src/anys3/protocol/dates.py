"""Dates of HTTP, of S3's XML and of its signatures. Out: from milliseconds; in: to whole seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.encode(): number for number, name in enumerate(_MONTHS, 1)}
_LEAP_SECOND = 60
_PIVOT_YEAR = 70
_AMZ_DATE_LENGTH = len(b"20261121T040000Z")

_TIME = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_HTTP_DATES = re.compile(
    # IMF-fixdate, RFC 850, asctime: RFC 9110 section 5.6.7
    rb"(?:[A-Z][a-z]{2}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4}) " + _TIME + rb" GMT)"
    rb"|(?:[A-Z][a-z]{5,8}, (?P<day2>\d\d)-(?P<month2>[A-Z][a-z]{2})-(?P<year2>\d\d) "
    + _TIME.replace(b">", b"2>")
    + rb" GMT)"
    rb"|(?:[A-Z][a-z]{2} (?P<month3>[A-Z][a-z]{2}) (?P<day3>[ \d]\d) "
    + _TIME.replace(b">", b"3>")
    + rb" (?P<year3>\d{4}))"
)


def http_date(ms: int) -> bytes:
    """Return a time as an IMF-fixdate, as `Date` and `Last-Modified` carry it.

    >>> http_date(784111777_123)
    b'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    return _http_date(ms // 1000)


@lru_cache(maxsize=1024)
def _http_date(second: int) -> bytes:
    time = _EPOCH + timedelta(seconds=second)
    day, month = _DAYS[time.weekday()], _MONTHS[time.month - 1]
    return f"{day}, {time:%d} {month} {time.year:04d} {time:%H:%M:%S} GMT".encode()


def iso(ms: int) -> str:
    """Return a time as S3's XML carries it.

    >>> iso(784111777_123)
    '1994-11-06T08:49:37.123Z'
    """
    second, rest = divmod(ms, 1000)
    return f"{_iso_second(second)}.{rest:03d}Z"


@lru_cache(maxsize=1024)
def _iso_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat()[:19]


def parse_http_date(value: bytes) -> int | None:
    """Return the epoch second of an HTTP date in one of its three forms, None if it is not one.

    The day of the week is not compared with the date. Two-digit years are 1970 to 2069.
    """
    match = _HTTP_DATES.fullmatch(value.strip())
    if match is None:
        return None
    groups = match.groupdict()
    form = "" if groups["day"] else "2" if groups["day2"] else "3"
    year = int(groups["year" + form])
    if form == "2":
        year += 1900 if year >= _PIVOT_YEAR else 2000
    clock = tuple(int(groups[unit + form]) for unit in ("hour", "minute", "second"))
    return _epoch_second(
        year, _MONTH_NUMBERS.get(groups["month" + form], 0), int(groups["day" + form]), *clock
    )


def _epoch_second(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    is_leap = second == _LEAP_SECOND
    try:
        time = datetime(year, month, day, hour, minute, second - is_leap, tzinfo=UTC)
    except ValueError:
        return None
    elapsed = time - _EPOCH
    return elapsed.days * 86_400 + elapsed.seconds + is_leap


def parse_amz_date(value: bytes) -> int | None:
    """Return the epoch second of an `x-amz-date` (ISO 8601 basic format), None if it is not one.

    >>> parse_amz_date(b"19941106T084937Z")
    784111777
    """
    if len(value) != _AMZ_DATE_LENGTH or value[8] != 0x54 or value[15] != 0x5A or not value[9:15].isdigit():
        return None
    midnight = _midnight(value[:8])
    if midnight is None:
        return None
    hour, minute, second = int(value[9:11]), int(value[11:13]), int(value[13:15])
    if hour > 23 or minute > 59 or second > _LEAP_SECOND:
        return None
    return midnight + hour * 3600 + minute * 60 + second


@lru_cache(maxsize=64)
def _midnight(day: bytes) -> int | None:
    if not day.isdigit():
        return None
    return _epoch_second(int(day[:4]), int(day[4:6]), int(day[6:8]), 0, 0, 0)
