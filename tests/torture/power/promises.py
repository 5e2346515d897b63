"""What had been promised at each moment of a recording, for the journal's judge."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests.torture.journal import Expectation, Operation, Place, Value, judge
from tests.torture.power import trace
from tests.torture.power.filesystem import Disk
from tests.torture.power.recording import Recorded

NEVER = 1 << 60
PAGE = 4096
_TXNID = struct.Struct("=Q")
_TXNID_AT, _META_AT = 144, 68
"""Where LMDB's meta page has its transaction, and where a checkpoint has the meta page; see
src/anys3/store/embedded/checkpoints.py."""


class Promises:
    """Tells for each place of a recording what a durable store may hold if the power goes there."""

    def __init__(self, recorded: Recorded) -> None:
        operations = recorded.operations
        places = trace.answered_at(operations)
        self._answers = [
            (place, one.time_ns) for place, one in enumerate(operations) if isinstance(one, trace.Answer)
        ]
        self._told: list[tuple[int | None, Operation]] = []
        """Each operation, and the place where its success was told."""
        for operation in recorded.journal.expectation().operations:
            place = None
            if operation.outcome == "done":
                place = places[recorded.journal.request_ids[operation.number]]
                answer = operations[place]
                assert isinstance(answer, trace.Answer)
                operation.ended_ns = answer.time_ns
            self._told.append((place, operation))
        self._base = recorded.journal.base
        self._cache: dict[int, Expectation] = {}

    @property
    def count(self) -> int:
        """How many operations were acknowledged."""
        return sum(place is not None for place, _ in self._told)

    def judge(self, end: int, observed: Mapping[Place, Value]) -> list[str]:
        """Return what of the observed can't be if the power went before the place `end`."""
        return self.judge_moment(end, observed)

    def judge_moment(self, end: int, observed: Mapping[Place, Value]) -> list[str]:
        """Return what of the observed can't be at the moment before the place `end`."""
        told = sum(place < end for place, _ in self._answers)
        if told not in self._cache:
            self._cache[told] = self._expect(end, told)
        expectation = self._cache[told]
        # The judge gives unknown uploads to operations, so it gets operations of its own.
        own = [replace(one, changes=dict(one.changes)) for one in expectation.operations]
        return judge(Expectation(expectation.base, own), observed).violations

    def _expect(self, end: int, told: int) -> Expectation:
        # What was asked after the next answer can't have been begun at that moment.
        until_ns = self._answers[told][1] if told < len(self._answers) else 1 << 63
        found: list[Operation] = []
        for place, operation in self._told:
            if operation.begun_ns > until_ns:
                continue
            if place is not None and place < end:
                found.append(operation)
            else:
                found.append(replace(operation, outcome="unknown", ended_ns=None))
        return Expectation(self._base, _without_history(found))


def _without_history(operations: list[Operation]) -> list[Operation]:
    """Leave out what was done and has since been overwritten in all its places: it explains nothing any more."""
    last_begun: dict[Place, int] = {}
    for operation in operations:
        if operation.outcome == "done":
            for place in operation.changes:
                last_begun[place] = max(last_begun.get(place, 0), operation.begun_ns)
    return [
        operation
        for operation in operations
        if operation.ended_ns is None
        or any(operation.ended_ns >= last_begun[place] for place in operation.changes)
    ]


@dataclass(slots=True)
class _Checkpoint:
    """One checkpoint of a relaxed store, and the places in the recording where something became of it."""

    path: str
    transaction: int
    named: int
    complete: int = NEVER
    """Where its name became certain."""
    removed: int = NEVER
    """Where its file was removed, in good order."""
    gone: int = NEVER
    """Where that became certain."""
    until: int = NEVER
    """Where the first commit was written that it does not hold."""


class Moments(Promises):
    """Tells what a relaxed store may hold: one whole moment, the newest complete checkpoint or a newer one."""

    def __init__(self, recorded: Recorded) -> None:
        super().__init__(recorded)
        self.checkpoints = checkpoints_of(recorded)

    def judge(self, end: int, observed: Mapping[Place, Value]) -> list[str]:
        """Return what of the observed can't be if the power went before the place `end`."""
        certain = [one.until for one in self.checkpoints if one.complete < end <= one.removed]
        oldest = max(certain, default=-1)
        # One whose name or removal waits may be there or not: it is allowed, and not counted on.
        possible = [one for one in self.checkpoints if one.named < end <= one.gone]
        allowed = {min(one.until, end) for one in possible if one.until >= oldest}
        if not certain:
            allowed.add(end)
        first: list[str] = []
        for until in sorted(allowed, reverse=True):
            wrong = self.judge_moment(until, observed)
            if not wrong:
                return []
            first = first or wrong
        return [f"no checkpoint explains it, and not the newest: {words}" for words in first]


def checkpoints_of(recorded: Recorded) -> list[_Checkpoint]:
    """Find the checkpoints in a recording, and which commit comes after each of them."""
    store = recorded.store
    commits: dict[int, int] = {}
    contents: dict[int, bytes] = {}
    disk = Disk()
    found: list[_Checkpoint] = []
    for place, operation in enumerate(recorded.operations):
        match operation:
            case trace.Write(file, offset, written):
                if file == disk.live.get(f"{store}/index/data.mdb") and offset < 2 * PAGE:
                    (number,) = _TXNID.unpack_from(written, _TXNID_AT - offset % PAGE)
                    commits.setdefault(number, place)
                contents[file] = written
            case trace.Rename(source, path) if path.startswith(f"{store}/checkpoint-"):
                (number,) = _TXNID.unpack_from(contents[disk.live[source]], _META_AT + _TXNID_AT)
                found.append(_Checkpoint(path, number, place))
            case trace.SyncNames() | trace.SyncAll() if getattr(operation, "path", store) == store:
                _settle(found, place)
            case trace.Remove(path):
                for one in found:
                    if one.path == path:
                        one.removed = min(one.removed, place)
            case _:
                pass
        if not isinstance(operation, trace.Write):
            disk.do(operation)
    for one in found:
        one.until = min((at for number, at in commits.items() if number > one.transaction), default=NEVER)
    return found


def _settle(found: list[_Checkpoint], place: int) -> None:
    """Note that the names in the store's directory are certain."""
    for one in found:
        one.complete = min(one.complete, place)
        if one.removed < place:
            one.gone = min(one.gone, place)
