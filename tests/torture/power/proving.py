"""The parts of the proof: which servers are recorded, and how much of each recording is replayed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.power import planted, trace
from tests.torture.power.promises import Moments, Promises
from tests.torture.power.recording import Recorded, Session, record
from tests.torture.power.replay import Bench, Replay
from tests.torture.server import entry
from tests.torture.workload import Workload

PARTS = ("durable", "relaxed", "killed", "half_made")
MEMORY = Path("/dev/shm")
RELAXED = ("--durability", "relaxed")
_WEIGHTS = {"put_border": 6.0, "delete": 4.0}
_FIND_OPERATIONS = 30
_FIND_SHARE = 0.3
_FIND_TRIES = 3


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done."""

    operations: int
    """Requests of a recording."""
    share: float
    """Of the moments of a recording."""
    fixed: int
    drawn: int
    """Images of a moment, of a fixed kind and by chance."""
    half_made: int
    """Moments of the first start at which the server is killed."""


SHORT = Effort(operations=15, share=0.04, fixed=2, drawn=3, half_made=1)
LONG = Effort(operations=100, share=1.0, fixed=4, drawn=5, half_made=12)


@contextmanager
def bench() -> Iterator[Bench]:
    """Return a bench in memory, or where temporary files lie."""
    above = MEMORY if os.access(MEMORY, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="anys3-power-", dir=above) as folder,
        Bench(Path(folder) / "b") as made,
    ):
        yield made


@dataclass(slots=True)
class Proof:
    """Runs the parts, one after the other, and counts."""

    folder: Path
    bench: Bench
    seed: int
    effort: Effort
    violations: list[str] = field(default_factory=list)
    summary: str = ""
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def numbers(self) -> dict[str, int]:
        """What was done, for people."""
        return dict(self.counts)

    def durable(self) -> None:
        """A server with the default durability, and its orderly end."""
        recorded = record(self._new("durable"), lambda session: self._work(session, self.effort.operations))
        self._replay(recorded, Promises(recorded))

    def relaxed(self) -> None:
        """A relaxed server that takes many checkpoints."""

        def use(session: Session) -> None:
            self._work(session, self.effort.operations // 2)
            time.sleep(0.2)

        changed = entry(planted.place(planted.often))
        recorded = record(self._new("relaxed"), use, *RELAXED, entry=changed)
        moments = Moments(recorded)
        self.counts["checkpoints"] += len(moments.checkpoints)
        self._replay(recorded, moments)

    def killed(self) -> None:
        """A server that is killed at work and started again: what it finds may not be on the device yet."""

        def use(session: Session) -> None:
            workload = Workload(
                session.client, session.journal, seed=self.seed, threads=2, largest=300_000, weights=_WEIGHTS
            )
            workload.start(self.effort.operations)
            time.sleep(random.Random(self.seed).uniform(0.1, 0.5))
            session.kill()
            workload.join()
            session.restart()
            self._work(session, self.effort.operations // 3)

        recorded = record(self._new("killed"), use)
        self._replay(recorded, Promises(recorded))

    def half_made(self) -> None:
        """Servers that are killed while they make their store, and started again."""
        probe = record(self._new("probe"), lambda _: None)
        ends = [place for place, one in enumerate(probe.operations) if isinstance(one, trace.Mapped)]
        some = random.Random(self.seed)
        for number in range(self.effort.half_made):
            directory = self._new(f"half{number}")
            end_after(directory, some.choice((some.randrange(1, 12), some.randrange(1, ends[0] + 20))))
            recorded = record(directory, lambda session: self._work(session, 4))
            self._replay(recorded, Promises(recorded), share=0.2)

    def find(self, bug: Callable[[], None]) -> str:
        """Return the first violation that a planted bug leads to, "" if none is found."""
        is_relaxed = bug in planted.RELAXED
        changes = [planted.often] * is_relaxed + [bug]
        changed = entry(*map(planted.place, changes))
        for attempt in range(_FIND_TRIES):
            recorded = record(
                self._new(f"{bug.__name__}{attempt}"),
                lambda session: self._work(session, _FIND_OPERATIONS),
                *(RELAXED if is_relaxed else ()),
                entry=changed,
            )
            promises = Moments(recorded) if is_relaxed else Promises(recorded)
            replay = Replay(recorded, self.bench, self.seed, promises)
            count = replay.run(_FIND_SHARE * (attempt + 1), 2, 4, most_violations=1)
            if count.violations:
                return count.violations[0]
        return ""

    def _new(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder / "data"

    def _work(self, session: Session, operations: int) -> None:
        workload = Workload(
            session.client, session.journal, seed=self.seed, threads=2, largest=300_000, weights=_WEIGHTS
        )
        workload.run(operations)
        self.violations += session.journal.surprises

    def _replay(self, recorded: Recorded, promises: Promises, share: float | None = None) -> None:
        replay = Replay(recorded, self.bench, self.seed, promises)
        effort = self.effort
        count = replay.run(effort.share if share is None else share, effort.fixed, effort.drawn)
        self.violations += count.violations
        self.counts["recordings"] += 1
        self.counts["operations recorded"] += len(recorded.operations)
        self.counts["answers"] += promises.count
        self.counts["moments"] += count.prefixes
        self.counts["states"] += count.states
        self.counts["starts"] += count.starts
        self.counts["MB laid out"] += count.bytes // 1_000_000
        self.summary = (
            f"{len(recorded.operations)} operations, {count.prefixes} moments, {count.states} states, "
            f"{len(count.violations)} violations"
        )


def end_after(directory: Path, operations: int) -> None:
    """Start a recorded server on a new store and kill it after that many operations."""
    command = [sys.executable, "-m", "tests.torture.power.recorder", str(directory.with_suffix(".recording"))]
    command += [
        str(directory),
        sys.executable,
        "-m",
        "anys3",
        "serve",
        str(directory),
        "--listen",
        "127.0.0.1:0",
    ]
    process = subprocess.Popen(
        command,
        env={**os.environ, "POWER_KILL_AFTER": str(operations)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
