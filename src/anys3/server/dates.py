"""The Date header."""

from __future__ import annotations

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class DateLine:
    """The Date header, rendered once a second: the end of the request id's line, then its own (HTTP-25)."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._line = b""

    def now(self) -> bytes:
        """Return the line for this second."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            at = time.gmtime(second)
            self._line = (
                f"\r\nDate: {_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04}"
                f" {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT\r\n"
            ).encode("ascii")
        return self._line
