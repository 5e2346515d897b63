"""A bar for long work, on stderr if that is a terminal; nothing otherwise, so that logs stay clean.

with progress.Bar("scrubbing", total=bytes_in_the_store) as bar:
    ...
    bar.update(bytes_so_far)              # as often as you like: it draws five times a second

While the total is not known (None or 0) the bar shows what is done and how fast. `total` may be set later,
and `update(done, total=...)` sets both. The line is removed at the end.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from anys3.store.findings import size

_DRAW_EVERY_S = 0.2
_SMALLEST_BAR = 10


def duration(seconds: float) -> str:
    """Return a time as a clock shows it.

    >>> duration(9.4), duration(75), duration(3 * 3600 + 62)
    ('0:09', '1:15', '3:01:02')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def line(title: str, done: int, total: int | None, seconds: float, columns: int) -> str:
    """Return one line of at most `columns`: share, rate in bytes a second and time left.

    >>> line("copying", 25 << 20, 100 << 20, 5.0, 72)
    'copying [####............]  25 %  25.0 MiB of 100.0 MiB  5.0 MiB/s  0:15'
    >>> line("copying", 25 << 20, None, 5.0, 72)
    'copying  25.0 MiB  5.0 MiB/s  0:05 so far'
    """
    rate = done / seconds if seconds > 0 else 0.0
    if not total:
        return f"{title}  {size(done)}  {size(rate)}/s  {duration(seconds)} so far"[:columns]
    share = min(done / total, 1.0)
    left = duration((total - done) / rate) if rate and done <= total else "?"
    tail = f"{share:4.0%}".replace("%", " %") + f"  {size(done)} of {size(total)}  {size(rate)}/s  {left}"
    width = columns - len(title) - len(tail) - 4
    if width < _SMALLEST_BAR:
        return f"{title} {tail}"[:columns]
    filled = int(share * width)
    return f"{title} [{'#' * filled}{'.' * (width - filled)}] {tail}"


class Bar:
    """One bar, from `with` to its end."""

    def __init__(
        self,
        title: str,
        total: int | None = None,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`total`: how many bytes there are to be done, None while that is not known."""
        self.title = title
        self.total = total
        self._stream = sys.stderr if stream is None else stream
        self._is_shown = self._stream.isatty()
        self._clock = clock
        self._began = clock()
        self._drawn = self._began - _DRAW_EVERY_S
        self._length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, done: int, *, total: int | None = None, title: str | None = None) -> None:
        """Say how many bytes are done; a new title begins to count the time anew."""
        self.total = self.total if total is None else total
        now = self._clock()
        if title is not None and title != self.title:
            self.title, self._began = title, now
        if not self._is_shown or now - self._drawn < _DRAW_EVERY_S:
            return
        self._drawn = now
        columns = shutil.get_terminal_size().columns - 1
        text = line(self.title, done, self.total, now - self._began, columns)
        self._stream.write("\r" + text.ljust(self._length))
        self._stream.flush()
        self._length = len(text)

    def close(self) -> None:
        """Remove the line. Idempotent."""
        if self._length:
            self._stream.write("\r" + " " * self._length + "\r")
            self._stream.flush()
            self._length = 0
