"""What a server uses when it rests, sample by sample, and whether that stays flat.

After the first fifth, which warms up, the median of the last third may be larger than that of the first third by a
tenth and a slack; nor may each third be larger than the one before by half of that slack.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, fields
from pathlib import Path

from anys3.store.embedded.engine import open_store
from tests.torture.abuse.watching import descriptors, memory_kib, processes, threads


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a server at rest, whose store is empty."""

    memory_kib: int
    """RssAnon of the worker that has lived longest."""
    descriptors: int
    threads: int
    files: int
    """Files of blobs and what lies in incoming/."""
    index_pages: int
    """Pages of the index that hold something."""
    readers: int


SLACK = {"memory_kib": 24 << 10, "descriptors": 8, "threads": 8, "files": 0, "index_pages": 64, "readers": 16}
"""What each may grow by, beside a tenth: caches and pools fill at their own pace."""


def take(pid: int, directory: Path) -> Sample:
    """Look at the server with the supervisor `pid`."""
    workers = sorted(processes(pid)[1:], key=_age) or [pid]
    eldest = workers[0]
    store = open_store(directory, is_server=False)
    try:
        env = store.index.env
        pages = _pages(store.index)
        readers = len(env.readers().splitlines())
    finally:
        store.shut()
    files = sum(1 for _ in directory.glob("blobs/??/*")) + sum(1 for _ in directory.glob("incoming/*/*"))
    return Sample(memory_kib(eldest), descriptors(eldest), threads(eldest), files, pages, readers)


def _age(pid: int) -> int:
    """Return when a process began, in ticks since the machine's start."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def _pages(index: object) -> int:
    tables = ("entries", "uploads", "parts", "blobs", "inline", "manifests", "freed", "names")
    total = 0
    with index.env.begin() as txn:  # type: ignore[attr-defined]
        for name in tables:
            stat = txn.stat(getattr(index, name))
            total += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
    return total


def growth(samples: list[Sample]) -> list[str]:
    """Return what did not stay flat, in words."""
    warm = samples[len(samples) // 5 :]
    if len(warm) < 6:
        return [f"only {len(warm)} samples: too few to judge by"]
    found = []
    for each in fields(Sample):
        values = [getattr(sample, each.name) for sample in warm]
        third = len(values) // 3
        first, last = statistics.median(values[:third]), statistics.median(values[-third:])
        middle = statistics.median(values[third:-third])
        slack = SLACK[each.name]
        is_rising = first + slack / 2 < middle and middle + slack / 2 < last
        if last > first * 1.1 + slack or (slack and is_rising):
            found.append(f"{each.name} grew from {first:.0f} by {middle:.0f} to {last:.0f}: {values}")
    return found
