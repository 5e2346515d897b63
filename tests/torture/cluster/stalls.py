"""What load has felt of a failure: the longest time without a success, and how soon it was over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tests.torture.cluster.lanes import READS, Event


@dataclass(frozen=True, slots=True)
class Felt:
    """Figures of one failure. Servers that were hit themselves are left out of the stalls."""

    requests: int
    read_stall_s: float
    write_stall_s: float
    errors: dict[str, int]
    back_s: float
    """From the repair to the first success that began after it, the slowest server's."""

    def __str__(self) -> str:
        errors = ", ".join(f"{count} {name}" for name, count in self.errors.items()) or "none"
        return (
            f"{self.requests} requests; longest stall {self.read_stall_s:.1f} s of reads,"
            f" {self.write_stall_s:.1f} s of writes; no success: {errors}; back {self.back_s:.1f} s after the repair"
        )


def felt(
    events: Sequence[Event], servers: int, broken_s: float, repaired_s: float, hit: Collection[int]
) -> Felt:
    """Return what the load has felt from the failure on; `hit` are the servers that were cut off or killed."""
    events = sorted((one for one in events if one.ended_s >= broken_s), key=lambda one: one.ended_s)
    others = [number for number in range(servers) if number not in hit]
    errors = Counter(one.outcome for one in events if one.outcome != "ok")
    return Felt(
        len(events),
        max((_stall(events, server, True, broken_s) for server in others), default=0.0),
        max((_stall(events, server, False, broken_s) for server in others), default=0.0),
        dict(sorted(errors.items())),
        max(_back(events, server, repaired_s) for server in range(servers)),
    )


def _stall(events: Sequence[Event], server: int, is_read: bool, since_s: float) -> float:
    """Return the longest time in which a server that was asked had no success of that kind."""
    longest, last_s = 0.0, since_s
    for one in events:
        if one.server != server or (one.kind in READS) != is_read:
            continue
        if one.outcome == "ok":
            longest, last_s = max(longest, one.ended_s - last_s), one.ended_s
        else:
            longest = max(longest, one.ended_s - last_s)
    return longest


def _back(events: Sequence[Event], server: int, repaired_s: float) -> float:
    successes = [
        one.ended_s
        for one in events
        if one.server == server and one.outcome == "ok" and one.begun_s >= repaired_s
    ]
    return min(successes, default=float("inf")) - repaired_s
