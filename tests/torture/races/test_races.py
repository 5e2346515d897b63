"""The short form: some rounds of each kind, each story once, and every planted bug is found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.races import hunting, stories
from tests.torture.races.playing import Arena, Tally, arena
from tests.torture.races.rounds import Maker

ROUNDS = 10
WORKERS = 3


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A server of three workers, and three client processes."""
    with arena(tmp_path_factory.mktemp("races"), workers=WORKERS) as opened:
        hunting.make_bucket(opened)
        yield opened


@pytest.mark.requirement("CON-01", "CON-02", "CON-03")
@pytest.mark.parametrize("kind", hunting.KINDS)
def test_histories_over_several_processes_are_linearisable(here: Arena, kind: str) -> None:
    maker = Maker(here.server.s3, 1, here.crew.lanes)
    tally = Tally()
    for _ in range(ROUNDS):
        hunting.play(here, maker, tally, kind)
    assert tally.violations == []
    assert tally.unanswered == 0
    assert tally.overlaps > 3 * ROUNDS, "nothing was at once"


@pytest.mark.requirement("CON-01", "CON-03")
@pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")
def test_histories_are_linearisable_though_a_worker_is_killed(tmp_path: Path) -> None:
    tally = Tally()
    with arena(tmp_path, workers=2, processes=2) as opened:
        hunting.play_for(opened, tally, 4.0, 1, kills=True)
    assert tally.violations == []
    assert tally.kills > 0


@pytest.mark.requirement("CON-02", "GET-08")
def test_a_reader_gets_one_whole_version_whatever_is_written_meanwhile(here: Arena) -> None:
    wrong, reads = stories.readers(here.server, hunting.make_bucket(here, "readers"), 5, 1)
    assert wrong == []
    assert reads > 5


@pytest.mark.requirement("CON-01", "LIST-11")
def test_a_listing_has_what_is_there_all_the_time_and_nothing_that_never_is(here: Arena) -> None:
    wrong, _ = stories.listings(here.server, hunting.make_bucket(here, "listings"), 15, 1)
    assert wrong == []


@pytest.mark.requirement("AUTH-15")
def test_no_worker_takes_a_secret_that_was_rotated_or_deleted(here: Arena) -> None:
    assert stories.keys_that_go(here.server, hunting.make_bucket(here, "admin"), 1, WORKERS) == []


@pytest.mark.parametrize("name", hunting.PLANTED)
def test_a_planted_bug_is_found(name: str, tmp_path: Path) -> None:
    assert hunting.find(name, tmp_path) is not None
