"""The short form: servers that share a store on real engines, some of which fail; and some planted bugs are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines import ceph as ceph_engine
from tests.engines import postgresql as postgresql_engine
from tests.engines.ceph import Cluster
from tests.engines.fixtures import need
from tests.engines.postgresql import Database
from tests.torture.cluster import failures, histories, hunting, proving, racing
from tests.torture.cluster.crashing import Rounds
from tests.torture.cluster.mixes import MIXES, Engines, Place
from tests.torture.cluster.servers import Servers

STEPS = ("commit under way", "blob finished on RADOS, after", "commit answered, before")
IN_SHORT = ("unknown_commit_repeated", "answer_before_commit")


@pytest.fixture
def place(postgresql: Database, ceph: Cluster, tmp_path: Path) -> Callable[[str], Place]:
    """A function that returns a place for a new store, by the name of its mix."""
    engines = Engines(tmp_path, postgresql, ceph)
    return lambda name: engines.place(MIXES[name])


@pytest.mark.requirement("CON-01", "CON-02", "CON-03")
def test_three_servers_on_postgresql_and_rados_are_conformant_as_one(place: Callable[[str], Place]) -> None:
    counted = proving.conformance(place("postgresql+rados"), 3)
    assert counted.violations == []


def test_servers_that_keep_their_blobs_in_another_s3_are_conformant(
    postgresql: Database, tmp_path: Path
) -> None:
    with Engines(tmp_path, postgresql) as engines:
        counted = proving.conformance(engines.place(MIXES["postgresql+s3"]), 2, "--quick")
    assert counted.violations == []


@pytest.mark.requirement("CON-01", "CON-02", "CON-03")
def test_histories_over_three_servers_are_linearisable(place: Callable[[str], Place]) -> None:
    with Servers(place("postgresql+ec"), 3) as servers:
        tally = histories.play(servers, 1, rounds=1)
        wrong, _ = racing.race(servers.clients[:2], 3)
    assert tally.violations == []
    assert wrong == []
    assert tally.overlaps > 10, "nothing was at once"


def test_servers_that_are_killed_at_steps_of_a_commit_lose_nothing(place: Callable[[str], Place]) -> None:
    with Rounds(place("postgresql+rados"), 2, 1) as rounds:
        for step in STEPS:
            rounds.kill_at(step, 2, 60)
        rounds.end()
    assert rounds.tally.violations == []
    assert rounds.tally.kills.total() == len(STEPS), rounds.tally.not_reached


@pytest.mark.requirement("HTTP-23")
def test_an_outage_under_load_is_503_and_nothing_else_and_recovery_needs_no_restart(tmp_path: Path) -> None:
    need(postgresql_engine.missing() or ceph_engine.missing())
    with failures.small_world(tmp_path) as world:
        outcomes = [
            failures.suffer(world, failures.SMALL[name], 1, before_s=1.0, after_s=1.0)
            for name in ("postgresql", "osd")
        ]
    assert [outcome.violations for outcome in outcomes] == [[], []]
    assert min(outcome.requests for outcome in outcomes) > 20


@pytest.mark.parametrize("name", IN_SHORT)
def test_a_planted_bug_is_found(name: str, postgresql: Database, tmp_path: Path) -> None:
    with Engines(tmp_path, postgresql) as engines:
        assert hunting.find(tmp_path, name, 1, engines) != ""
