"""Recorded operations: who did what to which key, from when to when, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

Value = Any
"""What an operation was given, and what it answered: texts, numbers, None, and tuples of these."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on one object of a model. Times are of one clock, CLOCK_MONOTONIC, in nanoseconds."""

    client: str
    subject: str
    """What it is about: a key, an upload, a bucket. Histories of different subjects are independent."""
    name: str
    given: tuple[Value, ...]
    outcome: str
    """"ok", the code of the error, or "unknown": no answer came, it may happen at any later time, or never."""
    seen: Value
    begin: int
    end: int | None
    """None: it has not ended."""

    def __str__(self) -> str:
        end = "..." if self.end is None else f"{self.end / 1e6:.3f}"
        seen = "" if self.seen is None else f" {self.seen!r}"
        given = ", ".join(repr(one) for one in self.given)
        span = f"{self.begin / 1e6:.3f} to {end} ms"
        return f"{self.client}: {self.name}({given}) -> {self.outcome}{seen}, {span}"


def by_subject(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """Return the history of each subject."""
    parted: dict[str, list[Operation]] = {}
    for operation in operations:
        parted.setdefault(operation.subject, []).append(operation)
    return parted


def dump(operation: Operation) -> str:
    """Return an operation as a line of JSON."""
    return json.dumps(asdict(operation))


def load(line: str | bytes) -> Operation:
    """Return the operation of a line."""
    fields = json.loads(line)
    return Operation(**{name: _frozen(value) for name, value in fields.items()})


def _frozen(value: Value) -> Value:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
