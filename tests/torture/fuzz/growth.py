"""No input makes work out of proportion: a part of it repeated twice as often is at most twice the work.

Work is counted, not timed: calls, and the bytes and texts that functions are given and that were not there before.
A copy of what is left for each piece of it shows as the square that it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import anys3
from tests.torture.fuzz import kit
from tests.torture.fuzz.kit import Finding, dice

SOURCE = str(Path(anys3.__file__).parent)
TIMES = (64, 128, 256)
ENOUGH = 20_000
"""Less work than that is nobody's trouble."""
MOST = 2.6
"""Twice the input, by so much more work at most; a square makes 4 of it."""
CALLS_BYTES = 64
"""A call counts as much as handing over so many bytes."""


def work(target: Callable[[bytes], None], data: bytes) -> int:
    """Return how much work anys3 does for an input."""
    total = 0
    known: dict[int, object] = {}  # held, so that no other object gets its number

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal total
        code = frame.f_code
        if not code.co_filename.startswith(SOURCE):
            return
        if event == "call":
            given = (frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount])
            made = [one for one in given if type(one) in (bytes, str) and id(one) not in known]
            known.update((id(one), one) for one in made)
            total += CALLS_BYTES + sum(map(len, made))
        elif event == "c_call":
            total += CALLS_BYTES

    before = sys.getprofile()
    kit.whole_only = True
    sys.setprofile(watch)
    try:
        target(data)
    finally:
        sys.setprofile(before)
        kit.whole_only = False
    return total


def check(target: Callable[[bytes], None], data: bytes, start: int, end: int) -> None:
    """Repeat a part of an input, and hold the work to a line. Raises Finding."""
    part = data[start:end]
    works = [work(target, data[:start] + part * times + data[end:]) for times in TIMES]
    if works[2] > ENOUGH and works[2] > MOST * works[1] and works[1] > MOST * works[0]:
        raise Finding(
            f"{TIMES} times {part[:80]!r} of {data[:200]!r} is the work {works}: it grows out of proportion"
        )


def parts(data: bytes, count: int) -> Sequence[tuple[int, int]]:
    """Return some parts of an input, the same each time: lines, elements, and any."""
    random = dice(data)
    found = []
    for _ in range(count):
        start = random.randrange(len(data) + 1)
        found.append((start, min(len(data), start + 1 + random.randrange(60))))
    for mark in (b"\r\n", b"\n", b"&", b"<", b",", b";", b"--"):
        at = [place for place in range(len(data)) if data.startswith(mark, place)]
        if len(at) > 1:
            first = random.randrange(len(at) - 1)
            found.append((at[first], at[first + 1]))
    return [(start, end) for start, end in found if start < end]
