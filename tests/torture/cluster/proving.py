"""What each mix of engines has to pass."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.torture.cluster import conformity, crashing, histories, racing
from tests.torture.cluster.load import Load
from tests.torture.cluster.mixes import Engines, Mix, Place
from tests.torture.cluster.servers import Servers
from tests.torture.cluster.steps import steps_of


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done on each mix."""

    histories_s: float
    turns: int
    """Of each story, and of the races of conditional writes."""
    kills: int
    """At random; those at steps are one each, or as many as there are kills."""
    is_every_step: bool

    lost_s: float
    """How long answers get lost."""


SHORT = Effort(4.0, 3, 2, is_every_step=False, lost_s=4.0)
LONG = Effort(10.0, 4, 4, is_every_step=True, lost_s=6.0)
EVERY_STEP = ("postgresql+rados", "embedded+rados")
"""The mixes on which the long form kills at every step; on the others, at those that their blobs have to do with."""


SETTLE_S = 4.0
"""What a janitor needs to remove what it takes for free."""
OUTLAST_S = 6.0
"""How long a reader holds what was overwritten: twice what a janitor needs to remove what nobody reads."""
LOST_ONE_IN = 12
"""How many mutations there are to one whose answer gets lost on its way from PostgreSQL."""


@dataclass(slots=True)
class Counted:
    """What was done, and what was wrong."""

    numbers: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, other: Counted) -> None:
        """Add what came of something else."""
        self.numbers += other.numbers
        self.violations += other.violations

    def __str__(self) -> str:
        numbers = "; ".join(f"{name}: {value:,}" for name, value in self.numbers.items())
        return f"{numbers}; violations: {len(self.violations)}"


def prove(engines: Engines, mix: Mix, seed: int, effort: Effort) -> Counted:
    """Try everything on one mix, each part on a new store."""
    counted = conformance(engines.place(mix), mix.servers)
    with Servers(engines.place(mix), mix.servers, workers=3 // mix.servers) as servers:
        counted.add(concurrency(servers, seed, effort))
    if mix.index == "postgresql":
        counted.add(lost_answers(engines.place(mix), seed, effort.lost_s))
    counted.add(crashes(engines.place(mix), mix, seed, effort))
    return counted


def conformance(place: Place, count: int, *options: str) -> Counted:
    """Run `anys3 check` with these options."""
    wrong, requests = conformity.judge(place, count, *options)
    numbers = Counter(
        {"mixes CONFORMANT, tiers 1 to 3": not wrong, "requests of anys3 check": sum(requests.values())}
    )
    return Counted(numbers, wrong)


def concurrency(servers: Servers, seed: int, effort: Effort) -> Counted:
    """Play histories and stories over all servers, race conditional writes, and measure GETs of two servers."""
    tally = histories.play(servers, seed, seconds=effort.histories_s)
    stories = histories.tell(servers, seed, effort.turns)
    outlasting = histories.outlast(servers, OUTLAST_S)
    wrong, races = racing.race(
        servers.clients[:2] * (2 if len(servers.clients) == 1 else 1), 4 * effort.turns
    )
    if len(servers.clients) > 1:
        _measure(servers)
    numbers = Counter(
        {
            "histories": tally.histories,
            "operations of histories": tally.operations.total(),
            "races of conditional writes": races,
        }
    )
    return Counted(numbers, [*tally.violations, *stories, *outlasting, *wrong])


def _measure(servers: Servers, seconds: float = 2.0) -> None:
    """Print how many GETs a second one server and two answer; nothing is decided by it."""
    one, two = (racing.throughput(servers.clients[:count], seconds) for count in (1, 2))
    cores = len(os.sched_getaffinity(0))
    print(
        f"  GETs of 4 KiB a second: {one:,.0f} of one server, {two:,.0f} of two, on {cores} cores", flush=True
    )


def lost_answers(
    place: Place, seed: int, seconds: float, *changes: str, settle_s: float = SETTLE_S
) -> Counted:
    """Load servers that never hear of some of their commits; nothing else than 503 may come of it."""
    with Servers(
        place, 2, changes=(f"tests.torture.cluster.faults:lose_answers={LOST_ONE_IN}", *changes)
    ) as servers:
        load = Load(servers.clients, seed)
        with load:
            time.sleep(seconds)
        time.sleep(settle_s)
        load.verify()
    outcomes = Counter(event.outcome for event in load.events)
    wrong = [
        f"{count} requests: {name}" for name, count in outcomes.items() if name not in ("ok", "503", "wrong")
    ]
    if not outcomes["503"]:
        wrong.append("no answer was lost")
    return Counted(Counter({"answers lost": outcomes["503"]}), [*load.violations, *wrong])


def crashes(place: Place, mix: Mix, seed: int, effort: Effort) -> Counted:
    """Kill servers at every step of a commit and at random; look for blobs that are left."""
    steps = steps_of(mix)
    if mix.name not in EVERY_STEP:
        steps = [step for step in steps if step.seam.mode != mix.index]
    with crashing.Rounds(place, mix.servers, seed) as rounds:
        if not effort.is_every_step:
            steps = rounds.random.sample(steps, min(effort.kills, len(steps)))
        for step in steps:
            if step.seam.phase == "start":
                rounds.kill_start_at(step.name)
            else:
                rounds.kill_at(step.name, rounds.random.randint(1, 4))
        for _ in range(effort.kills):
            rounds.kill_at_random()
        rounds.end()
    tally = rounds.tally
    numbers = Counter(
        {
            "kills": tally.kills.total(),
            "steps killed at": len(set(tally.kills) - {"at random"}),
            "operations": sum(tally.operations[name] for name in ("done", "nothing", "unknown")),
            "acknowledged": tally.operations["done"],
        }
    )
    return Counted(numbers, tally.violations)
