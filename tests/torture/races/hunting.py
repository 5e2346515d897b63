"""Play rounds and stories, with workers killed in between if asked, and find the planted bugs."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.torture.races import planted, stories
from tests.torture.races.playing import Arena, Tally, arena, meanwhile, patient, worker_pids
from tests.torture.races.rounds import Maker, Round

BUCKET = "races"
KINDS = ("keys", "uploads", "buckets")
PLANTED = {
    "stale_entries": "keys",
    "check_then_act": "keys",
    "answer_before_commit": "keys",
    "emptiness_before_transaction": "buckets",
    "completion_unchecked": "uploads",
    "parts_of_different_moments": "readers",
    "pages_by_count": "listings",
    "news_kept_to_itself": "buckets",
    "late_news": "buckets",
}
"""Each planted bug, and what finds it."""
MOST_TURNS = 40
"""How often a planted bug is looked for before it counts as not found."""
_KILL_EVERY_S = 2.5


def make(maker: Maker, kind: str) -> Round:
    """Return a round of one kind."""
    makers: dict[str, Callable[[], Round]] = {
        "keys": lambda: maker.keys(BUCKET),
        "uploads": lambda: maker.uploads(BUCKET),
        "buckets": maker.buckets,
    }
    return makers[kind]()


def play(
    here: Arena, maker: Maker, tally: Tally, kind: str, during: Callable[[], None] | None = None
) -> None:
    """Play one round, and check it; `during` is done meanwhile."""
    played = make(maker, kind)
    if during is None:
        operations = here.crew.play(played.scripts)
    else:
        with meanwhile(during):
            operations = here.crew.play(played.scripts)
    tally.judge(played, operations)
    maker.clean(played)


def make_bucket(here: Arena, name: str = BUCKET) -> str:
    """Make a bucket that rounds and stories share, and return its name."""
    assert here.server.s3.request("PUT", f"/{name}").verdict in ((200, ""), (409, "BucketAlreadyOwnedByYou"))
    return name


def play_for(here: Arena, tally: Tally, seconds: float, seed: int, *, kills: bool) -> None:
    """Play rounds of all kinds for a time; with `kills`, SIGKILL a worker now and then, amid a round."""
    make_bucket(here)
    maker = Maker(patient(here.server.s3), seed, here.crew.lanes, is_broken=kills)
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    kill_at = time.monotonic() + _KILL_EVERY_S
    number = 0

    def kill() -> None:
        time.sleep(chance.random() * 0.15)
        pids = worker_pids(here.server)
        if len(pids) == here.workers:  # the others serve until it is back
            os.kill(chance.choice(pids), signal.SIGKILL)
            tally.kills += 1

    while time.monotonic() < end:
        during = None
        if kills and time.monotonic() > kill_at:
            during, kill_at = kill, time.monotonic() + _KILL_EVERY_S
        play(here, maker, tally, KINDS[number % len(KINDS)], during)
        number += 1


def find(name: str, folder: Path, seed: int = 1) -> str | None:
    """Plant a bug in a server, and return what was found, None if nothing was."""
    folder.mkdir(exist_ok=True)
    kind = PLANTED[name]
    with arena(folder, name, workers=2, processes=2 if kind in KINDS else 0) as here:
        make_bucket(here)
        maker = Maker(here.server.s3, seed, here.crew.lanes)
        tally = Tally()
        for turn in range(MOST_TURNS):
            if kind == "readers":
                tally.violations += stories.readers(here.server, BUCKET, 2, seed + turn)[0]
            elif kind == "listings":
                tally.violations += stories.listings(here.server, make_bucket(here, f"list{turn}"), 5, seed)[
                    0
                ]
            else:
                play(here, maker, tally, kind)
            if tally.violations:
                return tally.violations[0]
    return None


def sentence(name: str) -> str:
    """Return what a planted bug is."""
    return str(getattr(planted, name).__doc__).strip().split("\n")[0]


def find_all(folder: Path, seed: int) -> dict[str, str]:
    """Find each planted bug; return, by its sentence, how."""
    found = {}
    for name, kind in PLANTED.items():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            violation = find(name, Path(scratch), seed)
        if violation is not None:
            found[sentence(name)] = f"{kind}: {violation.splitlines()[0][:160]}"
            print(f"  found {name}", flush=True)
        else:
            print(f"  NOT found: {name}", flush=True)
    return found
