"""What an examination says: findings, each with how bad it is and what to do. Engines and the doctor speak so."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from anys3.store.blobs import Blobs
from anys3.store.errors import StoreError

Level = Literal["ok", "note", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "problem")

SLOW_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `id` stays the same over versions; `advice` is "" where nothing is to do."""

    id: str
    level: Level
    found: str
    advice: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether somebody has to do something."""
        return self.level in ("warning", "problem")


def size(count: float) -> str:
    """Return a number of bytes as people read it.

    >>> size(5 * 2**30), size(1536), size(1000)
    ('5.0 GiB', '1.5 KiB', '1000 B')
    """
    for power, unit in ((50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power:
            return f"{count / (1 << power):.1f} {unit}"
    return f"{count:.0f} B"


def of_room(name: str, free: int, total: int, *, low: float = 0.15, least: float = 0.05) -> Finding:
    """Tell how full a device or a pool is; `low` and `least` are the shares that make it a warning or a problem.

    >>> of_room("room", 1 << 30, 10 << 30).level
    'warning'
    """
    told = f"{size(free)} free of {size(total)}"
    advice = "make room or add devices: writes are refused with 503 when it is full, and reads go on"
    if free < least * total:
        return Finding(name, "problem", told, advice)
    return Finding(name, "warning", told, advice) if free < low * total else Finding(name, "ok", told)


def of_clock(name: str, ahead_s: float, error_s: float) -> Finding:
    """Compare an engine's clock with this machine's; the difference is known to `error_s`.

    >>> of_clock("clock", 0.5, 0.01).level, of_clock("clock", -30, 0.01).level
    ('ok', 'warning')
    """
    told = f"its clock is {abs(ahead_s):.2f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's (give or take {error_s:.2f} s)"
    off = max(abs(ahead_s) - error_s, 0.0)
    if off > 1:
        advice = "keep all machines' clocks by NTP: clients' signatures (15 minutes at most) and Last-Modified depend on it"
        return Finding(name, "problem" if off > 60 else "warning", told, advice)
    return Finding(name, "ok", told)


def of_pause(reason: str, ends: str) -> Finding:
    """Tell that a store takes no changes; `ends` is when that is over, "" for never."""
    until = f"until {ends}" if ends else "until somebody ends that"
    return Finding(
        "pause",
        "warning",
        f"all changes are refused {until}: {reason}",
        "nothing, while `anys3 store copy` runs or if it was moved; else run the same copy again, or `anys3 store resume`",
    )


def of_probe(blobs: Blobs) -> Finding:
    """Write, read and remove a blob, and tell how long that takes."""
    began = time.perf_counter()
    try:
        blobs.check()
    except StoreError as error:
        return Finding(
            "probe",
            "problem",
            f"a blob can't be written, read and removed: {error}",
            "see the other findings",
        )
    took_ms = 1000 * (time.perf_counter() - began)
    told = f"a small blob is written, read and removed in {took_ms:.0f} ms"
    return (
        Finding("probe", "warning", told, "look for load on it")
        if took_ms > SLOW_MS
        else Finding("probe", "ok", told)
    )
