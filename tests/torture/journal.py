"""What was asked of a server, what it answered, and what may therefore be there.

A **place** is one thing that a store keeps, a **value** what it may hold; `None` means: it is not there.

    ("bucket", bucket)                            True
    ("cors", bucket)                              MaxAgeSeconds of its only rule
    ("object", bucket, key)                       a Version
    ("upload", bucket, key, upload id)            "open"
    ("part", bucket, key, upload id, number)      (ETag, size)
    ("access", access key id)                     the secret

An **operation** changes places, all of them or none. The journal notes it before the request is sent (`begin`) and
again when it ends: `done` (acknowledged), `nothing` (refused, or never sent) or `unknown` (the connection broke, or
a 5xx). `expectation()` says what may be there, `expectation(until_ns)` what may be there if nothing that was
answered after that moment counts as answered: for a replay that stops in the middle. Times are
`time.monotonic_ns()`.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Place = tuple[Any, ...]
Value = Any
OPEN = "open"
ANOTHER = "another secret"
"""The secret of a key whose rotation was not answered."""
_MOST_UNKNOWN = 14
"""Unknown operations that are decided together: one more doubles the work."""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of an object, as a client can see it: `digest` is the SHA-256 of its bytes."""

    etag: str
    size: int
    digest: str
    headers: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that can be made again: slices (seed, size, first byte, length) one behind the other."""

    slices: tuple[tuple[int, int, int, int], ...]
    size: int
    md5: str
    digest: str

    def bytes(self) -> bytes:
        """Make the bytes."""
        return b"".join(
            random.Random(seed).randbytes(size)[first : first + length]
            for seed, size, first, length in self.slices
        )


@dataclass(slots=True)
class Operation:
    """One request that changes something; `changes` gives each place the values that it may have then."""

    number: int
    name: str
    who: str
    begun_ns: int
    changes: dict[Place, tuple[Value, ...]]
    creates_upload: tuple[str, str] | None = None
    """Bucket and key of a CreateMultipartUpload whose upload id was not heard."""
    outcome: str = "unknown"
    ended_ns: int | None = None
    note: str = ""

    def __str__(self) -> str:
        return f"#{self.number} {self.who} {self.name} {sorted(map(str, self.changes))}: {self.outcome} {self.note}"


@dataclass(slots=True)
class Expectation:
    """What may be there: `base`, and what was asked since."""

    base: dict[Place, Value]
    operations: list[Operation]

    def places(self) -> set[Place]:
        """Return all places that were ever spoken of."""
        return set(self.base).union(*(operation.changes for operation in self.operations))


@dataclass(slots=True)
class Judgement:
    """What `judge` found: violations in words, and what each place holds from now on."""

    violations: list[str] = field(default_factory=list)
    settled: dict[Place, Value] = field(default_factory=dict)


class Journal:
    """Append-only; used by many threads. `file`: every line is also written there, for people."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._file = None if file is None else file.open("a")
        self._numbers = itertools.count(1)
        self._operations: list[Operation] = []
        self._archived = 0
        self.base: dict[Place, Value] = {}
        """What every place held when `settle` was called last."""
        self.contents: dict[str, Content] = {}
        """By SHA-256: all contents that were ever sent."""
        self.parts: dict[tuple[str, int, str], Content] = {}
        """By upload id, number and ETag."""
        self.counts: Counter[str] = Counter()
        """Operations by outcome and by name, over all rounds."""
        self.surprises: list[str] = []
        """Answers that no healthy server gives, in words; whoever injects faults may leave them aside."""

    def begin(
        self,
        name: str,
        who: str,
        changes: Mapping[Place, Iterable[Value]],
        creates_upload: tuple[str, str] | None = None,
    ) -> Operation:
        """Note an operation before its request is sent."""
        tuples = {place: tuple(values) for place, values in changes.items()}
        with self._lock:
            operation = Operation(next(self._numbers), name, who, time.monotonic_ns(), tuples, creates_upload)
            self._operations.append(operation)
            self._write("begin", operation)
        return operation

    def end(self, operation: Operation, outcome: str, note: str = "") -> None:
        """Note what came of it: "done", "nothing" or "unknown"."""
        with self._lock:
            operation.ended_ns = time.monotonic_ns() if outcome != "unknown" else None
            operation.outcome = outcome
            operation.note = note
            self.counts[outcome] += 1
            self.counts[operation.name] += 1
            self._write("end  ", operation)

    def surprise(self, words: str) -> None:
        """Note an answer that should not have come."""
        with self._lock:
            self.surprises.append(words)
            if self._file is not None:
                self._file.write(f"surprise {words}\n")

    def content(self, seed: int, size: int) -> tuple[Content, bytes]:
        """Return a new content and its bytes."""
        data = random.Random(seed).randbytes(size)
        return self.keep(((seed, size, 0, size),), data), data

    def keep(self, slices: tuple[tuple[int, int, int, int], ...], data: bytes) -> Content:
        """Remember how to make these bytes again."""
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        content = Content(slices, len(data), md5, hashlib.sha256(data).hexdigest())
        self.contents[content.digest] = content
        return content

    def values(self, place: Place) -> set[Value]:
        """Return all values, but `None`, that a place may have had since the last `settle`."""
        with self._lock:
            found = {self.base.get(place)}
            for operation in self._operations:
                if operation.outcome != "nothing":
                    found.update(operation.changes.get(place, ()))
        return found - {None}

    def expectation(self, until_ns: int | None = None) -> Expectation:
        """Return what may be there now; `until_ns`: if only what was answered until then is acknowledged.

        What was asked after that moment is left out; what was answered after it is unknown.
        """
        with self._lock:
            operations = [replace(one, changes=dict(one.changes)) for one in self._operations]
        if until_ns is not None:
            operations = [one for one in operations if one.begun_ns <= until_ns]
            for one in operations:
                if one.outcome == "done" and (one.ended_ns is None or one.ended_ns > until_ns):
                    one.outcome, one.ended_ns = "unknown", None
        kept = [one for one in operations if one.outcome != "nothing"]
        return Expectation(dict(self.base), kept)

    def settle(self, judgement: Judgement) -> None:
        """Begin anew with what was found: nothing is unknown any more."""
        with self._lock:
            self.base = {place: value for place, value in judgement.settled.items() if value is not None}
            self._archived += len(self._operations)
            self._operations.clear()
            if self._file is not None:
                self._file.write("settled\n")
                self._file.flush()

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def operations(self) -> int:
        """How many operations were begun, over all rounds."""
        return self._archived + len(self._operations)

    def at(self, place: Place) -> list[str]:
        """Return what was asked of a place since the last `settle`, in words."""
        with self._lock:
            return [str(one) for one in self._operations if place in one.changes]

    def _write(self, word: str, operation: Operation) -> None:
        if self._file is not None:
            self._file.write(f"{word} {operation}\n")
            self._file.flush()


Slices = tuple[tuple[int, int, int, int], ...]


def cut(contents: Content | list[Content], first: int, length: int) -> tuple[Slices, bytes]:
    """Return a slice of contents that stand one behind the other, for `Journal.keep`."""
    pieces = [contents] if isinstance(contents, Content) else contents
    found = []
    at = 0
    for seed, size, start, count in (one for content in pieces for one in content.slices):
        skip = max(first - at, 0)
        taken = min(first + length - at, count) - skip
        if taken > 0:
            found.append((seed, size, start + skip, taken))
        at += count
    return tuple(found), b"".join(content.bytes() for content in pieces)[first : first + length]


def judge(expectation: Expectation, observed: Mapping[Place, Value]) -> Judgement:
    """Say what of `observed` no order of the operations explains; each is done wholly or not at all.

    A value is explained by an operation that was done, or may have been, with none behind it that began
    after its end; by `base` if there is none. An unknown operation is decided once, for all its places.
    """
    judgement = Judgement()
    _adopt_uploads(expectation, observed)
    at: dict[Place, list[Operation]] = {}
    for operation in expectation.operations:
        for place in operation.changes:
            at.setdefault(place, []).append(operation)
    places = expectation.places() | set(observed)
    for group in _groups(places, at):
        _judge_group(expectation.base, at, group, observed, judgement)
    return judgement


def _adopt_uploads(expectation: Expectation, observed: Mapping[Place, Value]) -> None:
    """Give uploads that nobody knows to CreateMultipartUploads that were not answered."""
    known = expectation.places()
    waiting = [one for one in expectation.operations if one.outcome == "unknown" and one.creates_upload]
    for place in sorted(observed, key=str):
        if place[0] == "upload" and place not in known:
            for operation in waiting:
                if operation.creates_upload == place[1:3]:
                    operation.changes[place] = (OPEN,)
                    waiting.remove(operation)
                    break


def _groups(places: set[Place], at: Mapping[Place, list[Operation]]) -> list[list[Place]]:
    """Return the places in groups that share no unknown operation."""
    groups: list[list[Place]] = []
    left = set(places)
    while left:
        found = [left.pop()]
        for place in found:  # grows meanwhile
            for operation in at.get(place, ()):
                if operation.outcome == "unknown":
                    more = left.intersection(operation.changes)
                    left -= more
                    found += sorted(more, key=str)
        groups.append(found)
    return groups


def _judge_group(
    base: Mapping[Place, Value],
    at: Mapping[Place, list[Operation]],
    group: list[Place],
    observed: Mapping[Place, Value],
    judgement: Judgement,
) -> None:
    """Find out which of the group's unknown operations were done; without an answer, say what is wrong."""
    unknown = {one.number: one for place in group for one in at.get(place, ()) if one.outcome == "unknown"}
    numbers = sorted(unknown)
    if len(numbers) > _MOST_UNKNOWN:  # (each place by itself then: a weaker question, said by nobody asked)
        for place in group:
            _judge_alone(base, at, place, observed, judgement)
        return
    best: list[str] | None = None
    for count in range(len(numbers) + 1):
        for chosen in itertools.combinations(numbers, count):
            settled, wrong = {}, []
            for place in group:
                value, is_explained = _explain(base, at.get(place, []), place, observed, set(chosen))
                settled[place] = value
                if not is_explained:
                    wrong.append(_complaint(base, at.get(place, []), place, observed.get(place)))
            if not wrong:
                judgement.settled.update(settled)
                return
            if best is None or len(wrong) < len(best):
                best = wrong
    judgement.settled.update({place: observed.get(place) for place in group})
    judgement.violations += best or []


def _judge_alone(
    base: Mapping[Place, Value],
    at: Mapping[Place, list[Operation]],
    place: Place,
    observed: Mapping[Place, Value],
    judgement: Judgement,
) -> None:
    writers = at.get(place, [])
    everything = {one.number for one in writers}
    for chosen in ({number} for number in (0, *everything)):
        value, is_explained = _explain(base, writers, place, observed, chosen)
        if is_explained:
            judgement.settled[place] = value
            return
    judgement.settled[place] = observed.get(place)
    judgement.violations.append(_complaint(base, writers, place, observed.get(place)))


def _explain(
    base: Mapping[Place, Value],
    writers: list[Operation],
    place: Place,
    observed: Mapping[Place, Value],
    chosen: set[int],
) -> tuple[Value, bool]:
    """Return what was observed, and whether these operations explain it."""
    value = observed.get(place)
    done = [one for one in writers if one.outcome == "done" or one.number in chosen]
    if not done:
        return value, base.get(place) == value
    last_begun = max(one.begun_ns for one in done)
    last = [one for one in done if one.ended_ns is None or one.ended_ns >= last_begun]
    return value, any(value in one.changes[place] for one in last)


def _complaint(base: Mapping[Place, Value], writers: list[Operation], place: Place, value: Value) -> str:
    before = f"it held {base.get(place)!r}" if place in base else "it was not there"
    asked = "; ".join(f"{one} -> {one.changes[place]!r}" for one in writers[-4:]) or "nothing"
    return f"{place}: found {value!r}; before, {before}; then asked: {asked}"
