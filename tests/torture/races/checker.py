"""A checker of linearisability, after Wing and Gong, with Lowe's memory of what was tried.

A history is linearisable if each operation can be given one moment between its begin and its end, so that the
operations, one after the other at these moments, do what the model says. Searched is depth first, over (which
operations have happened, state of the model); a pair that was there before is not tried again.

- An operation without an outcome may happen at any moment after its begin, or never.
- A read or a refusal that may happen now happens now: it changes nothing, so that never makes the rest harder.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tests.torture.races.history import Operation

State = Hashable
MAX_TRIED = 2_000_000
"""Most pairs that are tried for one history: more is a history that was made too wide."""


class Model(Protocol):
    """What one subject does, one operation after the other."""

    reads: frozenset[str]
    """Names of the operations that change nothing, wherever they happen; nor does any that was refused."""

    def begin(self) -> State:
        """Return the first state."""

    def step(self, state: State, operation: Operation) -> State | None:
        """Return the state after the operation, None if it could not have had that outcome there.

        With the outcome "unknown": the state after it took effect, None if it can have none there.
        """


@dataclass(slots=True)
class Verdict:
    """What a search came to. `stuck` are the operations of which none could be next, at its farthest point."""

    is_linearisable: bool
    tried: int
    happened: list[Operation] = field(default_factory=list)
    state: State = None
    stuck: list[Operation] = field(default_factory=list)

    def explain(self) -> str:
        """Return what is wrong, for people."""
        lines = [
            f"after {len(self.happened)} operations, in state {self.state!r}, none of these can be next:"
        ]
        lines += [f"    {operation}" for operation in self.stuck]
        lines += ["  the last that happened before:", *(f"    {one}" for one in self.happened[-12:])]
        return "\n".join(lines)


class TooWide(Exception):
    """A history has more interleavings than the checker is willing to try."""


def check(model: Model, operations: Iterable[Operation]) -> Verdict:
    """Tell whether the history of one subject is linearisable. Raises TooWide."""
    search = _Search(model, operations)
    return search.run()


Path = tuple["Path", list[int]] | None
"""What has happened, the last first."""


class _Search:
    def __init__(self, model: Model, operations: Iterable[Operation]) -> None:
        self.step = model.step
        self.first = model.begin()
        self.ops = sorted(operations, key=lambda one: one.begin)
        self.never = max((one.end or one.begin for one in self.ops), default=0) + 1
        self.ends = [self.never if _is_open(one) else one.end for one in self.ops]
        self.by_end = sorted(range(len(self.ops)), key=lambda index: self.ends[index])
        self.is_quiet = [
            not _is_open(one) and (one.outcome != "ok" or one.name in model.reads) for one in self.ops
        ]
        self.tried: set[tuple[int, State]] = set()
        self.farthest: tuple[int, int, State, Path] = (-1, 0, self.first, None)

    def run(self) -> Verdict:
        stack = [self._node(0, self.first, (0, 0), None, 0)]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
            elif following is True:
                return Verdict(True, len(self.tried))
            else:
                stack.append(following)
        _, mask, state, path = self.farthest
        candidates, _ = self._candidates(mask, (0, 0))
        happened: list[int] = []
        while path is not None:
            happened[:0] = path[1]
            path = path[0]
        ops = self.ops
        return Verdict(
            False, len(self.tried), [ops[one] for one in happened], state, [ops[one] for one in candidates]
        )

    def _candidates(self, mask: int, start: tuple[int, int]) -> tuple[list[int], tuple[int, int]]:
        """Return what may be next: what began before the first end of all that have not happened yet."""
        ops, by_end = self.ops, self.by_end
        first, ended = start
        while first < len(ops) and mask >> first & 1:
            first += 1
        while ended < len(ops) and mask >> by_end[ended] & 1:
            ended += 1
        limit = self.ends[by_end[ended]] if ended < len(ops) else self.never
        found = []
        for index in range(first, len(ops)):
            if ops[index].begin > limit:
                break
            if not mask >> index & 1:
                found.append(index)
        return found, (first, ended)

    def _node(
        self, mask: int, state: State, start: tuple[int, int], path: Path, count: int
    ) -> Iterator[object]:
        """Yield True if all has happened that must, else a node for each operation that may be next."""
        while True:
            candidates, start = self._candidates(mask, start)
            if all(self.ends[index] == self.never for index in candidates):
                yield True
                return
            quiet = [
                one for one in candidates if self.is_quiet[one] and self.step(state, self.ops[one]) == state
            ]
            if not quiet:
                break
            for index in quiet:
                mask |= 1 << index
            path = (path, quiet)
            count += len(quiet)
        if (mask, state) in self.tried:
            return
        self.tried.add((mask, state))
        if len(self.tried) > MAX_TRIED:
            raise TooWide(f"{len(self.ops)} operations, {len(self.tried)} pairs tried")
        if count > self.farthest[0]:
            self.farthest = (count, mask, state, path)
        for index in sorted(candidates, key=lambda one: self.ends[one]):
            if not self.is_quiet[index]:
                after = self.step(state, self.ops[index])
                if after is not None:
                    yield self._node(mask | 1 << index, after, start, (path, [index]), count + 1)


def _is_open(operation: Operation) -> bool:
    return operation.outcome == "unknown" or operation.end is None
