"""All figures of a server: what its workers have counted, and what their engines tell, as one."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import anys3
from anys3.server.tallies import Tallies, Tally
from anys3.store.figures import Figure, Labels, Over

_COMBINED: dict[Over, Callable[[float, float], float]] = {
    "sum": lambda a, b: a + b,
    "least": min,
    "most": max,
}


def collected(tallies: Tallies) -> list[Figure]:
    """Return what there is to show now. What workers have counted stays when they die; what they are does not."""
    regions = tallies.all()
    alive = [each for each in regions if each.is_alive]
    told = (figure for each in regions for figure in each.figures() if figure.is_counter or each.is_alive)
    return [*_of_server(tallies, alive), *_of_requests(regions), *combined(told)]


def combined(figures: Iterable[Figure]) -> list[Figure]:
    """Return the figures of several processes as those of one server."""
    found: dict[tuple[str, Labels], Figure] = {}
    for each in figures:
        place = each.name, each.labels
        known = found.get(place)
        found[place] = (
            each if known is None else replace(known, value=_COMBINED[each.over](known.value, each.value))
        )
    return [found[place] for place in sorted(found)]


def _of_server(tallies: Tallies, alive: Sequence[Tally]) -> Iterator[Figure]:
    built = (("version", anys3.__version__), ("python", platform.python_version()))
    yield Figure("anys3_build_info", "What runs: the versions of anys3 and Python.", 1, built)
    yield Figure("anys3_start_time_seconds", "When the server was started, since 1970.", tallies.started_s)
    yield Figure("anys3_workers", "Worker processes that serve now.", len(alive))
    yield Figure(
        "anys3_workers_wanted", "Worker processes that there should be (--workers).", tallies.workers
    )
    yield Figure("anys3_store_up", "1 while the store answers to every worker, else 0.", tallies.is_up)
    connections = sum(each.connections for each in alive)
    yield Figure("anys3_connections", "Connections of S3 clients that are open.", connections)


def _of_requests(regions: Sequence[Tally]) -> Iterator[Figure]:
    counts: Counter[tuple[str, int]] = Counter()
    for region in regions:
        for operation, status, count in region.requests():
            counts[operation, status] += count
    about = "Answers, by S3's name of the operation (unknown: it was not found out) and HTTP status."
    for (operation, status), count in sorted(counts.items()):
        labels = (("operation", operation), ("status", str(status)))
        yield Figure("anys3_requests_total", about, count, labels)
    received, sent = (sum(column) for column in zip(*(each.byte_counts for each in regions), strict=True))
    yield Figure("anys3_request_bytes_total", "Bytes of the bodies of requests.", received)
    yield Figure("anys3_response_bytes_total", "Bytes of the bodies of answers that were sent whole.", sent)
