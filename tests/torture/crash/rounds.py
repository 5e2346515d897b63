"""Rounds on one store: work, a kill, a restart, a comparison, and on with what is there."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import ServerProcess
from tests.torture import disk, oracle
from tests.torture.crash.plan import ALONE, GROUP, Plan
from tests.torture.crash.steps import STEPS, Step
from tests.torture.journal import Journal
from tests.torture.server import entry
from tests.torture.workload import Workload

FOCUS: dict[str, dict[str, float]] = {
    "unfinished blob": {"put_broken": 20},
    "finished blob": {"put_refused": 20},
    "upload aborted": {"create_upload": 8, "abort": 8},
    "upload completed": {"create_upload": 6, "upload_part": 10, "complete": 10},
    "group of parts": {"create_upload": 6, "upload_part": 10, "complete": 10},
    "bucket": {"create_bucket": 8, "delete_bucket": 12, "put_cors": 8},
    "copy linked": {"put_border": 10, "copy": 10},
    "freed blob": {"put_border": 20},
    "incoming name": {"put_border": 20},
}
"""What a workload does more often to come to a step that begins with these words."""
OPERATIONS = 120
"""The most operations of a round, all threads together."""
LEAVING = ("blob half written", "blob linked, after", "content claimed, after", "copy linked, after")
"""Steps at which a kill leaves something in incoming/, for the recovery."""
_WAIT_S = 30.0


@dataclass(slots=True)
class Tally:
    """What was done, and what was found."""

    kills: Counter[str] = field(default_factory=Counter)
    """By step, or "at random", "one worker at random"."""
    not_reached: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    violations: list[str] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many kills there were."""
        return self.kills.total()

    @property
    def steps(self) -> set[str]:
        """The steps at which something was killed."""
        return {name for name in self.kills if name in STEPS}

    def add(self, other: Tally) -> None:
        """Add what somebody else did."""
        self.kills += other.kills
        self.not_reached += other.not_reached
        self.operations += other.operations
        self.restarts += other.restarts
        self.violations += other.violations


class Rounds:
    """One store and the servers on it; `folder` is for this alone."""

    def __init__(
        self,
        folder: Path,
        seed: str,
        mode: str = "durable",
        *,
        changes: tuple[str, ...] = (),
        workers: int = 2,
        threads: int = 4,
        largest: int = 8 << 20,
        weights: Mapping[str, float] | None = None,
        settle_s: float = disk.SETTLE_S,
    ) -> None:
        """`mode` is the durability, `changes` are further `--with`s of the server: planted bugs."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.mode = mode
        self.seed = seed
        self.tally = Tally()
        self._settle_s = settle_s
        self.random = random.Random(seed)
        self.plan = Plan(folder / "plan")
        following = f"tests.torture.crash.steps:follow={folder / 'plan'}"
        self._entry = entry(*changes, following)
        self.server = ServerProcess(
            folder / "store", "--durability", mode, "--workers", str(workers), entry=self._entry
        )
        self.journal = Journal(folder / "journal")
        self.workload = Workload(
            self.server.s3,
            self.journal,
            self.random.getrandbits(32),
            threads=threads,
            directory=self.server.directory,
            largest=largest,
            weights=weights,
            key_entry=self._entry,
        )
        self._weights = self.workload.weights

    @contextlib.contextmanager
    def serving(self) -> Iterator[Rounds]:
        """Run the first server; whatever happens, none is left."""
        try:
            self.server.start()
            yield self
        finally:
            self.close()

    def close(self) -> None:
        """End what still runs, and count what was done."""
        self.server.close()
        self.tally.operations += self.journal.counts
        self.journal.counts.clear()
        self.journal.close()

    # --- rounds --------------------------------------------------------------------------------------

    def kill_at(self, name: str, times: int = 1, operations: int = OPERATIONS) -> None:
        """Kill all processes when one reaches a step during a workload, for the `times`-th time."""
        self._kill_at(STEPS[name], times, GROUP, operations)
        self.restart()
        self.compare(f"a kill at {name!r} ({times})")

    def kill_worker_at(self, name: str, times: int = 1, operations: int = OPERATIONS) -> None:
        """Kill the one process that reaches a step; the others go on, and are what is asked then."""
        self._kill_at(STEPS[name], times, ALONE, operations)
        self.compare(f"a worker's kill at {name!r} ({times})")

    def kill_command_at(self, name: str) -> None:
        """Kill a command line beside the server when it reaches a step."""
        with self._working(20):
            if name.startswith("key deleted"):
                self.workload.change_key("create")
                self.plan.arm(STEPS[name].number)
                self.workload.change_key("delete")
            else:
                self.plan.arm(STEPS[name].number)
                self.workload.change_key("create")
        self._count(STEPS[name])
        self.compare(f"a command's kill at {name!r}")

    def kill_at_random(self, most_s: float = 0.4) -> None:
        """Kill all processes at any moment of a workload."""
        with self._working():
            time.sleep(self.random.uniform(0.0, most_s))
            self.server.kill()
        self.tally.kills["at random"] += 1
        self.restart()
        self.compare("a kill at random")

    def kill_workers_at_random(self, count: int = 2, most_s: float = 0.3) -> None:
        """Kill single workers at any moment; the supervisor starts others."""
        with self._working():
            for _ in range(count):
                time.sleep(self.random.uniform(0.0, most_s))
                workers = self.server.workers()
                os.kill(self.random.choice(workers), signal.SIGKILL)
                self.tally.kills["one worker at random"] += 1
                self._wait_for_successor(workers)
        self.compare("kills of single workers")

    def kill_start_at(self, name: str, times: int = 1) -> None:
        """Kill a server in the middle of a workload, and the next one when its start reaches a step."""
        self._kill_at(STEPS[self.random.choice(LEAVING)], 1, GROUP, OPERATIONS)
        self._start_and_die(STEPS[name], times)
        self.restart()
        self.compare(f"a kill at {name!r} ({times}) of the start")

    def kill_first_start_at(self, name: str, times: int = 1) -> None:
        """Kill the first server on a new directory; `serving` must not have been called before."""
        self._start_and_die(STEPS[name], times)
        self.restart()
        self.compare(f"a kill at {name!r} ({times}) of the first start")
        with self._working(20):
            pass
        self.compare("a workload after that")

    def kill_stop_at(self, name: str, times: int = 1) -> None:
        """Kill a server in the middle of an orderly stop."""
        with self._working(40):
            pass
        self.plan.arm(STEPS[name].number, times)
        self.server.stop()
        self._count(STEPS[name])
        self.restart()
        self.compare(f"a kill at {name!r} ({times}) of a stop")

    def walk_through(self) -> None:
        """Come to every step without a kill at it, but for one that leaves something to recover."""
        rare = {name: weight for weights in FOCUS.values() for name, weight in weights.items()}
        self.workload.weights = {**self._weights, **rare}
        with self._working(400):
            self.workload.change_key("create")
            self.workload.change_key("delete")
        time.sleep(1.5 if self.mode == "relaxed" else 0.0)  # for a second checkpoint
        self.server.stop()
        self.restart()
        for name in LEAVING:
            self._kill_at(STEPS[name], 1, GROUP, OPERATIONS)
            self.restart()
        self.compare("a walk through all steps")

    # --- parts of rounds -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _working(self, operations: int = OPERATIONS) -> Iterator[None]:
        self.workload.start(operations)
        try:
            yield
        finally:
            self.workload.join()

    def _kill_at(self, step: Step, times: int, whom: int, operations: int) -> None:
        workers = self.server.workers()
        self.plan.arm(step.number, times, whom)
        more = [weights for words, weights in FOCUS.items() if step.name.startswith(words)]
        self.workload.weights = {**self._weights, **(more[0] if more else {})}
        self.workload.start(operations)
        deadline = time.monotonic() + _WAIT_S
        while not self.plan.ended and self.workload.is_running and time.monotonic() < deadline:
            time.sleep(0.002)
        if step.seam.mode == "relaxed" or step.name.startswith(("outbox", "freed", "incoming", "group")):
            self._wait_until(lambda: self.plan.ended, 2.0)  # what is done in the background
        if whom == ALONE and self.plan.ended:
            self._wait_for_successor(workers)
        self.workload.stop()
        self.workload.join()
        if whom == GROUP and not self.plan.ended:
            self.tally.kills["at random"] += 1
        self._count(step)
        if whom == GROUP:
            self.server.kill()

    def _start_and_die(self, step: Step, times: int) -> None:
        self.plan.arm(step.number, times)
        with contextlib.suppress(AssertionError):  # what says that it ended before it answered
            self.server.start()
            self._wait_until(lambda: self.plan.ended, 1.0)
        self._count(step)
        self.server.kill()

    def _count(self, step: Step) -> None:
        if self.plan.ended:
            self.tally.kills[step.name] += 1
        else:
            self.tally.not_reached[step.name] += 1
        self.plan.disarm()

    def restart(self) -> None:
        """Start a server again, which must be possible."""
        self.plan.disarm()
        self.server.start()
        self.tally.restarts += 1

    def _wait_for_successor(self, before: list[int]) -> None:
        """Wait until the supervisor has buried a worker and started another."""

        def is_complete() -> bool:
            now = self.server.workers()
            return len(now) == len(before) and now != before

        self._wait_until(is_complete, 20.0)

    def _wait_until(self, holds: object, most_s: float) -> None:
        assert callable(holds)
        deadline = time.monotonic() + most_s
        while not holds() and time.monotonic() < deadline:
            time.sleep(0.005)

    def compare(self, what: str) -> bool:
        """Let the oracle judge the store; True if it found nothing."""
        judgement = oracle.check(
            self.server.s3, self.journal.expectation(), self.server.directory, settle_s=self._settle_s
        )
        found = judgement.violations + self.journal.surprises
        self.journal.surprises.clear()
        self.tally.violations += [f"[seed {self.seed}, {self.mode}] after {what}: {one}" for one in found]
        self.journal.settle(judgement)
        return not found
