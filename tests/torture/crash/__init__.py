"""Crash: servers are killed at every named step of a commit, and at random; nothing acknowledged may be lost.

`run` is the long form, `test_crash.py` the short one. `steps.py` is the table of steps, `rounds.py` one round,
`planted.py` the bugs that it must find.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.torture import records
from tests.torture.crash.planted import PLANTED, Planted
from tests.torture.crash.rounds import Rounds, Tally
from tests.torture.crash.steps import STEPS, Step, steps_of

MODES = ("durable", "relaxed")
_STORE_KILLS = 40
"""Rounds on one store, after which a new one is begun: what a check reads grows with the states that pile up."""

_TRIES = 4
_ENOUGH = 20
"""Violations after which a store is left as it is."""
Round = Callable[[Rounds], None]


def run(arguments: list[str]) -> int:
    """Run the proof; 0 if nothing was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture crash",
        description="Random work by several threads on several workers, SIGKILL, restart, comparison with the"
        " journal of what was acknowledged; then on with the same store. Durable and relaxed stores in turn.",
        epilog="A violation is printed with its seed: the same seed gives the same requests and the same"
        " steps, though not the same interleaving. What SIGKILL can't show is a missing sync: `power` does.",
    )
    parser.add_argument(
        "--long", action="store_true", help="1,000 kills, at every step, and all planted bugs"
    )
    parser.add_argument("--kills", type=int, help="how many (default: 50, with --long 1,000)")
    parser.add_argument("--record", action="store_true", help="keep the numbers in docs/torture/crash.json")
    parser.add_argument("--seed", type=int, default=1, help="of requests and moments (default: 1)")
    parser.add_argument("--lanes", type=int, default=2, help="stores at once (default: 2)")
    parser.add_argument(
        "--folder", type=Path, help="for the stores: one with a violation stays (default: a temporary one)"
    )
    options = parser.parse_args(arguments)
    kills = options.kills or (1000 if options.long else 50)
    print(f"crash: {kills} kills on {options.lanes} stores at once, seed {options.seed}", flush=True)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="anys3-crash-"))
    begun = time.monotonic()
    try:
        tally = _all_lanes(folder, options.seed, kills, options.lanes)
        found = _find_planted(folder / "planted", options.seed) if options.long else {}
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    seconds = time.monotonic() - begun
    if tally.killed < kills * 9 // 10:
        tally.violations.append("fewer kills than asked for")
        print(f"only {tally.killed} of {kills} kills happened")
    return _report(tally, found, seconds, is_long=options.long, is_kept=options.record)


def _report(tally: Tally, found: dict[str, str], seconds: float, *, is_long: bool, is_kept: bool) -> int:
    missed = sorted(set(STEPS) - tally.steps) if is_long else []
    unfound = [one.name for one in PLANTED if one.name not in found] if is_long else []
    numbers = {
        "kills": tally.killed,
        "steps": len(tally.steps),
        "operations": tally.operations["done"] + tally.operations["nothing"] + tally.operations["unknown"],
        "acknowledged": tally.operations["done"],
        "unknown outcomes": tally.operations["unknown"],
        "violations": len(tally.violations),
    }
    if missed:
        print(f"nobody was killed at: {'; '.join(missed)}")
    if unfound:
        print(f"planted and not found: {', '.join(unfound)}")
    print("; ".join(f"{name}: {value:,}" for name, value in numbers.items()), f"in {seconds:.0f} s")
    if tally.violations or missed or unfound:
        return 1
    if is_kept:
        sentences = {one.name: one.sentence for one in PLANTED}
        records.record("crash", seconds, numbers, {sentences[name]: how for name, how in found.items()})
    return 0


def _all_lanes(folder: Path, seed: int, kills: int, count: int) -> Tally:
    """Share the rounds among lanes, each a store of its own; return the sum."""
    tallies: list[Tally] = []
    lock = threading.Lock()
    done = itertools.count(1)

    def add(tally: Tally, what: str) -> None:
        with lock:
            tallies.append(tally)
            total = sum(one.killed for one in tallies)
            print(f"  {next(done):>3}. {what}: {total} kills, {len(tally.violations)} violations", flush=True)
            for violation in tally.violations:
                print(f"VIOLATION {violation}", flush=True)

    def work(number: int) -> None:
        for batch in lane(folder / f"lane-{number}", seed, kills, number, count):
            tally, what = batch
            add(tally, what)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def lane(folder: Path, seed: int, kills: int, number: int, count: int) -> Iterator[tuple[Tally, str]]:
    """Do one lane's share of the rounds, on one store after the other; yield what came of each."""
    chosen = random.Random(seed)
    plans = {mode: plan(mode, kills // len(MODES), chosen) for mode in MODES}
    stores = itertools.count()
    for mode in MODES:
        rounds = plans[mode][number::count]
        firsts = steps_of("first", mode)[number::count] if kills >= len(STEPS) else []
        for step in firsts:
            own = Rounds(folder / f"{mode}-{step.number}", f"{seed}/{number}", mode)
            yield _do(own, [partial(Rounds.kill_first_start_at, name=step.name)]), f"first start, {mode}"
        for at in range(0, len(rounds), _STORE_KILLS):
            own = Rounds(folder / f"{mode}-store-{next(stores)}", f"{seed}/{number}/{at}", mode)
            yield _do(own, [Rounds.restart, *rounds[at : at + _STORE_KILLS]]), f"lane {number}, {mode}"


def _do(own: Rounds, rounds: list[Round]) -> Tally:
    """Do rounds on one store; a server that does not start, or answer, is a violation, too."""
    try:
        for each in rounds:
            if len(own.tally.violations) < _ENOUGH:
                each(own)
    except (AssertionError, OSError) as error:
        own.tally.violations.append(f"[seed {own.seed}, {own.mode}] {type(error).__name__}: {error}")
    finally:
        own.close()
    if not own.tally.violations:
        shutil.rmtree(own.folder)
    return own.tally


def plan(mode: str, kills: int, chosen: random.Random) -> list[Round]:
    """Return about that many kills: every step once if there are enough, then steps, workers, and at random."""
    rounds = [_at(step.name, step.seam.phase, 1, is_worker=False) for step in _later(mode)]
    chosen.shuffle(rounds)
    rounds = rounds[: max(kills * 2 // 3, 1)] if kills < len(rounds) else rounds
    running = [step.name for step in steps_of("run", mode)]
    while len(rounds) < kills:
        dice = chosen.random()
        if dice < 0.35:
            rounds.append(_at(chosen.choice(running), "run", chosen.randint(2, 25), is_worker=False))
        elif dice < 0.55:
            rounds.append(_at(chosen.choice(running), "run", chosen.randint(1, 10), is_worker=True))
        elif dice < 0.65:
            rounds.append(Rounds.kill_workers_at_random)
        else:
            rounds.append(Rounds.kill_at_random)
    chosen.shuffle(rounds)
    return rounds


def _later(mode: str) -> list[Step]:
    return [step for phase in ("run", "start", "stop", "guest") for step in steps_of(phase, mode)]


def _at(name: str, phase: str, times: int, *, is_worker: bool) -> Round:
    """Return the round that kills at a step; if nobody comes there, it is tried again."""

    def once(rounds: Rounds) -> None:
        if phase == "guest":
            rounds.kill_command_at(name)
        elif phase == "start":
            rounds.kill_start_at(name, times)
        elif phase == "stop":
            rounds.kill_stop_at(name, times)
        elif is_worker:
            rounds.kill_worker_at(name, times)
        else:
            rounds.kill_at(name, times)

    def until_reached(rounds: Rounds) -> None:
        before = rounds.tally.kills[name]
        for _ in range(_TRIES if times == 1 else 1):
            once(rounds)
            if rounds.tally.kills[name] > before or rounds.tally.violations:
                return

    return until_reached


def find(planted: Planted, folder: Path, seed: str, tries: int = 8) -> str:
    """Run a server with a planted bug until the oracle says so; return its words, "" if it never did."""
    change = f"tests.torture.crash.planted:{planted.name}"
    rounds = Rounds(folder, seed, changes=(change,), weights=planted.weights, largest=1 << 20, settle_s=1.5)
    with rounds.serving():
        for times in range(1, tries + 1):
            if planted.step:
                rounds.kill_at(planted.step, times + 1, 60)
            else:
                rounds.kill_at_random(1.0)
            for violation in rounds.tally.violations:
                if planted.words in violation:
                    return violation
    return ""


def _find_planted(folder: Path, seed: int) -> dict[str, str]:
    found = {}
    for planted in PLANTED:
        if words := find(planted, folder / planted.name, str(seed)):
            found[planted.name] = f"killed at {planted.step!r}" if planted.step else "killed at random"
            print(f"  planted {planted.name}: found: {words[:150]}", flush=True)
    return found
