"""What a workload is: what it needs to find, the requests it makes, and the floors it compares with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from bench.client import Request
from bench.stage import Measurement, Stage


class Floor(Enum):
    """What this machine can do at best, measured in the same run."""

    HANDLER = "an HTTP parser and event loop that do no work"
    DISK = "an append of 4 KiB and fdatasync"
    LOOPBACK = "the same bytes from memory over a loopback socket"
    MD5 = "MD5 of the same bytes"


class Unit(Enum):
    """What the figures of a workload are told in."""

    OPERATIONS = "operations"
    KEYS = "keys listed"
    BYTES = "bytes"
    FILES = "files"


def no_requests(stage: Stage, count: int, salt: int) -> list[Request]:  # noqa: ARG001 (the shape of `requests`)
    """Return no requests: the load is a client of its own."""
    return []


def nothing(stage: Stage, count: int, salt: int) -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A load, as a value.

    `prepare` stores what it reads, once for each target; `before` what one load of `count` requests needs,
    unmeasured; `requests` makes that load, the same for the same `salt`. `op_bytes` and `op_keys` say what one
    operation moves. `connections` are those that it runs with; `is_fixed` keeps them whatever is asked for.
    `requests_per_operation` says how many requests one operation is, where it is not one. `most` bounds the
    operations of a load, `warm_up` is how many go before. A workload with `whole` is a client of its own.
    """

    name: str
    title: str
    prepare: Callable[[Stage], None]
    requests: Callable[[Stage, int, int], list[Request]] = no_requests
    whole: Callable[[Stage, int], Measurement] | None = None
    before: Callable[[Stage, int, int], None] = nothing
    after: Callable[[Stage, int, int], None] = nothing
    connections: tuple[int, ...] = (64,)
    is_fixed: bool = False
    floors: tuple[Floor, ...] = ()
    unit: Unit = Unit.OPERATIONS
    op_bytes: Callable[[Stage], int] | None = None
    op_keys: int = 0
    requests_per_operation: Callable[[Stage], int] | None = None
    most: int = 200_000
    warm_up: int = 400
    writes: bool = False


def make_bucket(stage: Stage, path: str) -> None:
    """Make a bucket; it may be there already."""
    if stage.target.is_floor or path in stage.seeded:
        return
    result = stage.send_any([stage.bucket(path)])
    if result.unexpected and set(result.unexpected) != {"409"}:
        raise RuntimeError(f"making the bucket {path}: {result.oddities()} {result.sample[:200]}")
    stage.seeded.add(path)
