"""Plant bugs, and find them with what finds them in the proof itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.torture.cluster import crashing, failures, histories, planted, proving
from tests.torture.cluster.mixes import MIXES, Engines, Place
from tests.torture.cluster.servers import Servers
from tests.torture.cluster.steps import DEAD_S

TURNS = 6
LANES = 6
"""For each server: most of them wait while something is broken."""
Finder = Callable[[Path, str, int], list[str]]


class Planted(NamedTuple):
    """What finds a bug, on which mix, and words of what it says then."""

    finder: str
    words: str
    mix: str = "postgresql+file"


PLANTED = {
    "answer_before_commit": Planted("histories", ""),
    "unknown_commit_repeated": Planted("lost answers", ""),
    "unknown_blob_given_up": Planted("lost blobs", ""),
    "lost_lease_ignored": Planted("keys", "rotat"),
    "news_awaited_by_nobody": Planted("histories", ""),
    "reads_from_the_past": Planted("index-cut", "", "postgresql+rados"),
    "readers_forgotten": Planted("outlast", "broke off", "postgresql+rados"),
    "blob_finished_later": Planted("kills", ""),
    "dead_servers_names_kept": Planted("leftovers", "left that nothing names"),
    "unreachable_taken_for_missing": Planted("two-osds", "", "postgresql+rados"),
}


def sentence(name: str) -> str:
    """Return what a planted bug is."""
    return str(getattr(planted, name).__doc__).strip().split("\n")[0]


def find(folder: Path, name: str, seed: int, engines: Engines | None = None) -> str:
    """Plant a bug in all servers and look for it; return what was found, "" if nothing was."""
    bug = PLANTED[name]
    change = f"tests.torture.cluster.planted:{name}"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        Path(scratch).chmod(0o755)
        if bug.finder in failures.SMALL:
            violations = _break_small(Path(scratch), change, bug.finder, seed)
        elif bug.finder in failures.FAILURES:
            violations = _break(Path(scratch), change, bug.finder, seed)
        elif engines is not None:
            violations = FINDERS[bug.finder](engines.place(MIXES[bug.mix]), change, seed)
        else:
            with Engines(Path(scratch)) as own:
                violations = FINDERS[bug.finder](own.place(MIXES[bug.mix]), change, seed)
    return next((one for one in violations if bug.words in one), "")


def _break_small(folder: Path, change: str, name: str, seed: int) -> list[str]:
    with failures.small_world(folder, change) as world:
        return failures.suffer(
            world, failures.SMALL[name], seed, before_s=2.0, after_s=1.0, lanes=LANES
        ).violations


def _break(folder: Path, change: str, name: str, seed: int) -> list[str]:
    with failures.world(folder, MIXES["postgresql+rados"], change, store="memstore") as world:
        return failures.suffer(world, failures.FAILURES[name], seed, lanes=LANES).violations


def _histories(place: Place, change: str, seed: int) -> list[str]:
    with Servers(place, 2, changes=(change,)) as servers:
        for turn in range(TURNS):
            if violations := histories.play(servers, seed + turn, rounds=2).violations:
                return violations
    return []


def _keys(place: Place, change: str, seed: int) -> list[str]:
    with Servers(place, 2, changes=(change,)) as servers:
        return histories.keys_that_go(servers, TURNS)


def _outlast(place: Place, change: str, seed: int) -> list[str]:
    with Servers(place, 2, changes=(change,)) as servers:
        return histories.outlast(servers, proving.OUTLAST_S)


def _lost_answers(place: Place, change: str, seed: int) -> list[str]:
    return proving.lost_answers(place, seed, 6.0, change).violations


def _lost_blobs(place: Place, change: str, seed: int) -> list[str]:
    return proving.lost_answers(place, seed, 15.0, change, settle_s=2 * proving.SETTLE_S).violations


def _kills(place: Place, change: str, seed: int) -> list[str]:
    with crashing.Rounds(place, 2, seed, change) as rounds:
        for turn in range(TURNS):
            rounds.kill_at("answer sent, after", 5 + turn)
            if rounds.tally.violations:
                break
    return rounds.tally.violations


def _leftovers(place: Place, change: str, seed: int) -> list[str]:
    with crashing.Rounds(place, 2, seed, change) as rounds:
        rounds.kill_at("content finished, after", 2)
        rounds.end(settle_s=4 * DEAD_S)
    return rounds.tally.violations


FINDERS: dict[str, Callable[[Place, str, int], list[str]]] = {
    "histories": _histories,
    "keys": _keys,
    "outlast": _outlast,
    "lost answers": _lost_answers,
    "lost blobs": _lost_blobs,
    "kills": _kills,
    "leftovers": _leftovers,
}
