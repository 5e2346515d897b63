"""Servers on one store, killed at the steps of a commit and at random, while the others go on."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.torture import oracle
from tests.torture.cluster import leftovers
from tests.torture.cluster.mixes import Place
from tests.torture.cluster.servers import Servers
from tests.torture.cluster.steps import LATER, STEPS
from tests.torture.crash.plan import Plan
from tests.torture.journal import Journal
from tests.torture.workload import Workload

OPERATIONS = 120
WEIGHTS = {"put_border": 6.0, "put_large": 1.0, "put_small": 4.0}
FOCUS: dict[str, dict[str, float]] = {
    "content discarded": {"put_refused": 20, "put_broken": 20},
    "names given up": {"put_refused": 20, "put_broken": 20},
    "upload completed": {"create_upload": 6, "upload_part": 10, "complete": 10},
    "part": {"create_upload": 6, "upload_part": 10, "complete": 10},
}
"""What a workload does more often to come to a step that begins with these words."""
WAIT_S = 30.0
STEP_S = 12.0
"""How long somebody may take to come to a step, of the janitor's, too."""


@dataclass(slots=True)
class Tally:
    """What was done, and what was found."""

    kills: Counter[str] = field(default_factory=Counter)
    not_reached: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


class Rounds:
    """Rounds on one store: work by several threads, a kill of the server that comes to a step, a comparison."""

    def __init__(self, place: Place, count: int, seed: int, *changes: str, largest: int = 3 << 20) -> None:
        self.place = place
        self.plan = Plan(place.folder / "plan")
        module = "tests.torture.cluster.steps"
        following = (f"{module}:soon", f"{module}:follow={place.folder / 'plan'}")
        self.servers = Servers(place, count, changes=(*changes, *following))
        self.random = random.Random(seed)
        self.seed = seed
        self.tally = Tally()
        self.journal = Journal(place.folder / "journal")
        self.workload = Workload(
            self.servers.s3,
            self.journal,
            self.random.getrandbits(32),
            largest=largest,
            weights=WEIGHTS,
        )
        self._weights = dict(self.workload.weights)

    def __enter__(self) -> Rounds:
        self.servers.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.servers.close()
        self.tally.operations += self.journal.counts
        self.journal.close()

    def kill_at(self, name: str, times: int = 1, operations: int = OPERATIONS) -> None:
        """Kill the server that comes to a step for the `times`-th time; then it is started again, beside the others."""
        more = [weights for words, weights in FOCUS.items() if name.startswith(words)]
        self.workload.weights = {**self._weights, **(more[0] if more else {})}
        self.plan.arm(STEPS[name].number, times)
        self.workload.start(operations)
        limit = time.monotonic() + STEP_S
        while not self.plan.ended and time.monotonic() < limit:
            if not self.workload.is_running and STEPS[name].seam.phase != LATER:
                break
            time.sleep(0.005)
        self._count(name)
        self._go_on(f"a kill at {name!r} ({times})")

    def _count(self, name: str) -> None:
        if self.plan.ended:
            self.tally.kills[name] += 1
        else:
            self.tally.not_reached[name] += 1
        self.plan.disarm()

    def kill_start_at(self, name: str) -> None:
        """Kill a server, and the next process when its start comes to a step, while the others go on."""
        process = self.random.choice(self.servers.processes)
        self.workload.weights = self._weights
        self.workload.start(OPERATIONS)
        process.kill()
        self.plan.arm(STEPS[name].number)
        with contextlib.suppress(AssertionError):  # what says that it has ended before it answered
            process.start()
        self._count(name)
        self._go_on(f"a kill at {name!r} of a start")

    def kill_at_random(self, most_s: float = 0.6) -> None:
        """Kill any server at any moment."""
        self.workload.weights = self._weights
        self.workload.start(OPERATIONS)
        time.sleep(self.random.uniform(0.0, most_s))
        self.random.choice(self.servers.processes).kill()
        self.tally.kills["at random"] += 1
        self._go_on("a kill at random")

    def _go_on(self, what: str) -> None:
        """Start again what was killed, let the workload end, and compare."""
        self._wait_for_the_dead()
        for process in self.servers.processes:
            if not process.is_running:
                process.start()
        self.workload.stop()
        self.workload.join()
        self.compare(what)

    def _wait_for_the_dead(self) -> None:
        """Wait a moment for a process that has sent itself SIGKILL."""
        if self.plan.ended:
            limit = time.monotonic() + WAIT_S
            while all(process.is_running for process in self.servers.processes):
                assert time.monotonic() < limit, "nobody has ended"
                time.sleep(0.005)

    def compare(self, what: str) -> None:
        """Let the oracle judge what the servers show."""
        judgement = oracle.check(self.servers.s3, self.journal.expectation(), None)
        # A kill may leave others without an answer in time, but 503 is all that they may say.
        surprises = [one for one in self.journal.surprises if ": 503 b'" not in one]
        self.journal.surprises.clear()
        found = judgement.violations + surprises
        self.tally.violations += [f"[seed {self.seed}] after {what}: {one}" for one in found]
        self.journal.settle(judgement)

    def end(self, settle_s: float = leftovers.SETTLE_S) -> None:
        """Look for blobs that are left, or missing, after all."""
        self.tally.violations += [
            f"[seed {self.seed}] in the end: {one}" for one in leftovers.find(self.place, settle_s)
        ]
