"""Runs workloads on targets in turn, A B A B ..., so that what drifts on the machine touches all alike."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench import accounting, floors, targets
from bench.record import VERSION, FloorFigure, Record, Row, TargetFacts, this_machine
from bench.stage import GIB, MIB, Measurement, Sizes, Stage, new_block
from bench.summary import Spread, pair_ratio, spread
from bench.targets import Target
from bench.workloads import Floor, Unit, Workload

HARD_FACTOR = 8.0
HARD_S, HARD_BULK_S = 60.0, 300.0
FLOOR_BYTES = GIB // 2
SYNC_OPERATIONS = 64
SYNC_LIMIT_S = 8.0
WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run. `most` bounds the requests of one load, `seconds` its time."""

    workloads: list[Workload]
    targets: list[str]
    connections: tuple[int, ...] = ()
    rounds: int = 3
    seconds: float = 3.0
    most: int = 200_000
    tls: bool = False
    pids: tuple[int, ...] = ()
    sizes: Sizes = field(default_factory=Sizes)
    counts_syncs: bool = True
    is_pinned: bool = True
    lets_client_sleep: bool = False
    command: str = ""


@dataclass(slots=True)
class Seat:
    """A target's place at one workload: its rate by the warm-up, its rounds, and why it was left out."""

    stage: Stage
    rate: float = 0.0
    rounds: list[Measurement | None] = field(default_factory=list)
    syncs: float | None = None
    note: str = ""


Step = Callable[[Seat, Workload, int], None]


class Turns:
    """One run of the kit."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stages: list[Stage] = []
        self.floor: Stage | None = None
        self.missing: list[str] = []
        self.rows: list[Row] = []
        self.bulk: dict[Floor, list[float]] = {Floor.LOOPBACK: [], Floor.MD5: []}
        self.handler: list[tuple[str, int, Spread]] = []
        self._salt = 0

    def run(self) -> Record:
        """Start the targets, run every workload on each, and return the record."""
        date = datetime.now(UTC).isoformat(timespec="seconds")
        latencies = floors.disk()
        with ExitStack() as stack:
            self._start(stack)
            if not self.stages:
                raise RuntimeError("\n".join(["no target could be started", *self.missing]))
            for workload in self.plan.workloads:
                for connections in self._connections(workload):
                    self._run(workload, connections)
            facts = [_facts(stage) for stage in self.stages]
        return Record(
            version=VERSION,
            date=date,
            command=self.plan.command,
            tls=self.plan.tls,
            rounds=self.plan.rounds,
            seconds=self.plan.seconds,
            sizes=self.plan.sizes,
            machine=this_machine(),
            targets=facts,
            floors=self._floors(latencies),
            rows=self.rows,
            missing=self.missing,
        )

    def _start(self, stack: ExitStack) -> None:
        block = new_block()
        for name in self.plan.targets:
            say(f"starting {name}")
            try:
                target = stack.enter_context(self._target(name))
            except (RuntimeError, OSError) as error:
                self.missing.append(f"{name}: {error}")
                say(f"{name} is left out: {error}")
                continue
            self.stages.append(Stage(target, self.plan.sizes, block, self.plan.lets_client_sleep))
        wants_handler = any(Floor.HANDLER in workload.floors for workload in self.plan.workloads)
        if wants_handler and not self.plan.tls:
            self.floor = Stage(
                stack.enter_context(self._target("floor")),
                self.plan.sizes,
                block,
                self.plan.lets_client_sleep,
            )

    def _target(self, name: str) -> AbstractContextManager[Target]:
        plan = self.plan
        return targets.start(name, tls=plan.tls, pids=plan.pids, is_pinned=plan.is_pinned)

    def _connections(self, workload: Workload) -> tuple[int, ...]:
        return workload.connections if workload.is_fixed else self.plan.connections or workload.connections

    def salt(self) -> int:
        """Return a number that no load has had."""
        self._salt += 1
        return self._salt

    def _run(self, workload: Workload, connections: int) -> None:
        """Run one workload with one number of connections: prepare all, then rounds in turn, then count syncs."""
        seats = [Seat(stage) for stage in self.stages]
        if self.floor and Floor.HANDLER in workload.floors:
            seats.append(Seat(self.floor))
        for seat in seats:
            self._step(self._warm_up, seat, workload, connections)
        for number in range(self.plan.rounds):
            self._measure_floors(workload)
            for seat in seats:
                with_what = f", {connections} connections" if connections else ""
                say(f"{workload.name}{with_what}, round {number + 1}: {seat.stage.target.name}")
                self._step(self._round, seat, workload, connections)
                if len(seat.rounds) <= number:
                    seat.rounds.append(None)
        for seat in seats:
            if self._counts_syncs(seat, workload):
                self._step(self._syncs, seat, workload, connections)
        self._tell(workload, connections, seats)

    def _step(self, step: Step, seat: Seat, workload: Workload, connections: int) -> None:
        """Do a step with one target; when it goes wrong, that is noted, and the others go on without it."""
        if seat.note:
            return
        try:
            step(seat, workload, connections)
        except (RuntimeError, OSError) as error:
            seat.note = " ".join(str(error).split())[:300]
            name = seat.stage.target.name
            with_what = f", {connections} connections" if connections else ""
            self.missing.append(f"{name}, {workload.name}{with_what}: {seat.note}")
            say(f"{name} is left out of {workload.name}: {seat.note}")

    def _warm_up(self, seat: Seat, workload: Workload, connections: int) -> None:
        """Prepare, and run a short load that is not reported: it says how many requests a round is to have."""
        workload.prepare(seat.stage)
        if workload.whole:
            return
        count = min(max(workload.warm_up, 2 * connections if workload.warm_up > 1 else 1), self.plan.most)
        made = self._load(
            seat.stage, workload, connections, count, WARM_UP_S if workload.warm_up > 1 else self.plan.seconds
        )
        if not made.operations:
            raise RuntimeError(f"not one answer in the warm-up: {made.oddities} {made.sample[:200]}")
        seat.rate = made.rate

    def _round(self, seat: Seat, workload: Workload, connections: int) -> None:
        """Run one load of as many requests as the warm-up says that the time holds."""
        if workload.whole:
            seat.rounds.append(workload.whole(seat.stage, self.salt()))
            return
        least = 1 if workload.requests_per_operation else connections
        wanted = max(least, min(int(seat.rate * self.plan.seconds), workload.most))
        count = min(wanted, self.plan.most)
        seat.rounds.append(self._load(seat.stage, workload, connections, count, 2 * self.plan.seconds))

    def _load(
        self, stage: Stage, workload: Workload, connections: int, count: int, soft_s: float
    ) -> Measurement:
        salt = self.salt()
        workload.before(stage, count, salt)
        try:
            requests = workload.requests(stage, count, salt)
            each = workload.requests_per_operation
            if each:
                soft_s *= HARD_FACTOR  # an operation of many requests is finished
            return stage.measure(
                requests,
                connections,
                soft_s=soft_s,
                hard_s=max(HARD_BULK_S if workload.op_bytes else HARD_S, HARD_FACTOR * soft_s),
                operations=count if each else None,
            )
        finally:
            workload.after(stage, count, salt)

    def _counts_syncs(self, seat: Seat, workload: Workload) -> bool:
        target = seat.stage.target
        is_small = workload.unit in (Unit.OPERATIONS, Unit.KEYS)
        wanted = self.plan.counts_syncs and is_small and accounting.can_trace()
        return bool(wanted and target.pids and not target.is_floor)

    def _syncs(self, seat: Seat, workload: Workload, connections: int) -> None:
        """Count the calls that wait for the disk, in a short load that is in no other figure."""
        stage, salt = seat.stage, self.salt()
        count = max(SYNC_OPERATIONS, 2 * connections)
        workload.before(stage, count, salt)
        calls, answers = stage.syncs(workload.requests(stage, count, salt), connections, SYNC_LIMIT_S)
        seat.syncs = calls / answers if answers else None

    # --- floors ------------------------------------------------------------------------------------------

    def _measure_floors(self, workload: Workload) -> None:
        first = self.stages[0].target
        if Floor.LOOPBACK in workload.floors:
            cores = (first.server_cores, first.client_cores)
            self.bulk[Floor.LOOPBACK].append(floors.loopback(FLOOR_BYTES, *cores))
        if Floor.MD5 in workload.floors:
            self.bulk[Floor.MD5].append(floors.md5(FLOOR_BYTES, first.server_cores))

    def _floors(self, latencies: list[float]) -> list[FloorFigure]:
        disk = Spread(latencies[len(latencies) // 2], latencies[0], latencies[len(latencies) * 99 // 100])
        found = [FloorFigure("disk", f"{Floor.DISK.value} (median, least, 99th of 100)", "ms", disk)]
        for kind, values in self.bulk.items():
            if values:
                rates = spread(value / MIB for value in values)
                assert rates
                found.append(FloorFigure(kind.name.lower(), kind.value, "MiB/s", rates))
        for name, connections, value in self.handler:
            title = f"{name}, {connections} connections: {Floor.HANDLER.value}"
            found.append(FloorFigure(f"handler {name}", title, "CPU µs", value))
        return found

    def _share(self, workload: Workload, seat: Seat, handler: Seat | None) -> tuple[float | None, str]:
        """Return the share of what is possible, and of what, round by round.

        That is the handler's CPU by the target's, or the target's bytes a second by those of loopback or MD5.
        """
        bulk = next((kind for kind in workload.floors if kind in self.bulk), None)
        if bulk and workload.op_bytes:
            size = workload.op_bytes(seat.stage)
            rates = [each.rate * size if each else None for each in seat.rounds]
            shares = pair_ratio(rates, self.bulk[bulk][-self.plan.rounds :])
            return (shares.median if shares else None), bulk.value
        if handler:
            shares = pair_ratio(_values("cpu_us", handler), _values("cpu_us", seat))
            return (shares.median if shares else None), Floor.HANDLER.value
        return None, ""

    # --- rows --------------------------------------------------------------------------------------------

    def _tell(self, workload: Workload, connections: int, seats: list[Seat]) -> None:
        handler = seats.pop() if seats[-1].stage is self.floor else None
        used = spread(_values("cpu_us", handler)) if handler else None
        if used:
            self.handler.append((workload.name, connections, used))
        for seat in seats:
            share = self._share(workload, seat, handler)
            self.rows.append(_row(workload, connections, seat, seats[0], share))


def _row(
    workload: Workload, connections: int, seat: Seat, first: Seat, share: tuple[float | None, str]
) -> Row:
    made = [each for each in seat.rounds if each]
    op_bytes = workload.op_bytes(seat.stage) if workload.op_bytes else None
    return Row(
        workload=workload.name,
        title=workload.title,
        unit=workload.unit.value,
        connections=connections,
        target=seat.stage.target.name,
        op_bytes=op_bytes,
        op_keys=seat.stage.entries.get(workload.name, workload.op_keys),
        operations=sum(each.operations for each in made),
        rate=spread(each.rate for each in made),
        bytes_rate=spread(each.rate * op_bytes for each in made) if op_bytes else None,
        p50_ms=spread(each.p50_ms for each in made),
        p99_ms=spread(each.p99_ms for each in made),
        p999_ms=spread(each.p999_ms for each in made),
        cpu_us=spread(each.cpu_us for each in made),
        cpu_s_per_gb=spread(each.cpu_us and each.cpu_us / op_bytes * 1e3 for each in made)
        if op_bytes
        else None,
        client_cpu_us=spread(each.client_cpu_us for each in made),
        rss_peak_mib=max(filter(None, _values("rss_peak_mib", seat)), default=None),
        anonymous_mib=max(filter(None, _values("anonymous_mib", seat)), default=None),
        syncs=seat.syncs,
        cpu_ratio=_ratio("cpu_us", seat, first),
        rate_ratio=_ratio("rate", seat, first),
        share=share[0],
        share_of=share[1],
        oddities=_summed(each.oddities for each in made),
        sample=next((each.sample for each in made if each.sample), ""),
        note=seat.note or _note(workload, seat),
        rounds=made,
        engine_cpu_us=spread(each.engine_cpu_us for each in made),
    )


def _note(workload: Workload, seat: Seat) -> str:
    """Return what a reader must know to compare a row with the others."""
    held = seat.stage.entries.get(workload.name, workload.op_keys)
    return (
        f"a page holds {held} entries, where {workload.op_keys} were asked for"
        if held != workload.op_keys
        else ""
    )


def _ratio(figure: str, seat: Seat, first: Seat) -> Spread | None:
    return pair_ratio(_values(figure, seat), _values(figure, first))


def _values(figure: str, seat: Seat) -> list[float | None]:
    """Return one figure of each round, None for a round that is missing."""
    return [getattr(each, figure) if each else None for each in seat.rounds]


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def _facts(stage: Stage) -> TargetFacts:
    target = stage.target
    named = [
        f"core {', '.join(map(str, sorted(cores)))}" if cores else "any core"
        for cores in (target.server_cores, target.client_cores)
    ]
    named[1] += ", polling" if stage.client_polls else ""
    return TargetFacts(target.name, target.title, target.version, target.syncs, *named)


def say(text: str) -> None:
    """Tell the user what happens now, on stderr."""
    print(text, file=sys.stderr, flush=True)
