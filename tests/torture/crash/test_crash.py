"""Servers that are killed at named steps, and at random, lose nothing that was acknowledged; the short form."""

from __future__ import annotations

import sys

import pytest

from tests.torture.crash import MODES, find, lane
from tests.torture.crash.planted import PLANTED, Planted
from tests.torture.crash.rounds import Rounds, Tally
from tests.torture.crash.steps import STEPS, steps_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")

LANES = 4
KILLS = 50


@pytest.mark.parametrize("number", range(LANES))
def test_what_was_acknowledged_is_there_after_every_kill(tmp_path, number):
    total = Tally()
    for tally, _ in lane(tmp_path, 1, KILLS, number, LANES):
        total.add(tally)
    assert total.violations == []
    assert total.killed >= KILLS // LANES - 2


@pytest.mark.parametrize("mode", MODES)
def test_a_server_comes_to_every_step_of_the_table(tmp_path, mode):
    rounds = Rounds(tmp_path / "store", "every", mode)
    with rounds.serving():
        rounds.walk_through()
    wanted = {step.name for phase in PHASES for step in steps_of(phase, mode)}
    assert {name for name in wanted if not rounds.plan.count(STEPS[name].number)} == set()
    assert rounds.tally.violations == []


PHASES = ("run", "start", "first", "stop", "guest")


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_bug_is_found(tmp_path, planted: Planted):
    assert planted.words in find(planted, tmp_path / "store", "planted")
