"""What the doctor says of blobs in Ceph RADOS: each finding is made to happen, or is of a real answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from anys3.store.rados.examining import (
    examine,
    of_free,
    of_health,
    of_monitors,
    of_osds,
    of_placement_groups,
    of_versions,
)
from tests.doctor.findings import clock, levels, worst
from tests.engines import ceph as engine
from tests.engines.ceph import Ceph, Cluster
from tests.engines.fixtures import need


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    """A cluster whose pools may be changed."""
    need(engine.missing())
    with Ceph(tmp_path_factory.mktemp("ceph") / "own") as running:
        yield running


@pytest.fixture
def pool(own: Ceph) -> str:
    """A replicated pool."""
    with own.commands() as commands:
        names = [pool["pool_name"] for pool in commands.mon("osd dump")["pools"]]
        name = f"pool-{len(names)}"
        commands.mon("osd pool create", pool=name, pg_num=1, pgp_num=1)
    return name


def change(own: Ceph, pool: str, **values: object) -> None:
    with own.commands() as commands:
        commands.mon("config set", who="mon", name="mon_allow_pool_size_one", value="true")
        for name, value in values.items():
            commands.mon("osd pool set", pool=pool, var=name, val=str(value), yes_i_really_mean_it=True)


def url(cluster: Cluster, pool: str, **more: str) -> str:
    return f"rados://{pool}?conf={cluster.conf}" + "".join(f"&{name}={value}" for name, value in more.items())


def test_a_pool_of_three_copies_is_well(ceph: Cluster) -> None:
    found = levels(examine(url(ceph, engine.DATA), clock))
    wanted = ("blobs", "version", "osds", "pool", "probe")
    assert {id: found[id] for id in wanted} == dict.fromkeys(wanted, "ok")


def test_a_lone_monitor_and_copies_on_one_host_are_told(ceph: Cluster) -> None:
    found = levels(examine(url(ceph, engine.DATA), clock))
    assert (found["monitors"], found["domain"]) == ("warning", "warning")


def test_what_only_a_manager_knows_is_said_to_be_unknown(ceph: Cluster) -> None:
    found = levels(examine(url(ceph, engine.DATA), clock))
    assert (found["room"], found["pgs"]) == ("note", "note")


def test_a_pool_with_a_single_spare_shard_is_told(ceph: Cluster) -> None:
    finding = worst(examine(url(ceph, engine.EC), clock))["pool"]
    assert (finding.level, "2+1" in finding.found) == ("warning", True)


def test_a_pool_that_is_not_there_is_told(ceph: Cluster) -> None:
    found = levels(examine(url(ceph, "nowhere"), clock))
    assert (found["pool"], found["probe"]) == ("problem", "problem")


def test_a_user_without_a_key_or_a_file_that_is_not_there_is_told(ceph: Cluster) -> None:
    (finding,) = examine(url(ceph, engine.DATA).replace(".conf", ".none"), clock)
    assert (finding.id, finding.level) == ("blobs", "problem")


@pytest.mark.parametrize(
    ("size", "min_size", "level"), [(3, 2, "ok"), (3, 1, "warning"), (2, 1, "warning"), (1, 1, "problem")]
)
def test_a_pool_that_keeps_too_little_is_told(
    own: Ceph, pool: str, size: int, min_size: int, level: str
) -> None:
    change(own, pool, size=size, min_size=min_size)
    assert levels(examine(url(own, pool), clock))["pool"] == level


def test_a_flag_that_was_left_set_is_told(own: Ceph, pool: str) -> None:
    with own.commands() as commands:
        commands.mon("osd set", key="noout")
    try:
        assert levels(examine(url(own, pool), clock))["flags"] == "warning"
    finally:
        with own.commands() as commands:
            commands.mon("osd unset", key="noout")


def test_an_osd_that_is_down_is_told_and_blobs_go_on(own: Ceph) -> None:
    own.stop_osd(2)
    try:
        own.osds[0].wait(lambda: own.up() == {0, 1}, "alone with another one")
        found = worst(examine(url(own, engine.DATA), clock))
        assert (found["osds"].level, "down: 2" in found["osds"].found, found["probe"].level) == (
            "warning",
            True,
            "ok",
        )
    finally:
        own.start_osd(2)
        own.wait_up()


def test_too_few_osds_are_told_within_the_timeout(own: Ceph) -> None:
    for number in (1, 2):
        own.stop_osd(number)
    try:
        found = levels(examine(url(own, engine.DATA, timeout="2"), clock))
        assert found["probe"] == "problem"
    finally:
        for number in (1, 2):
            own.start_osd(number)
        own.wait_up()


# --- what takes a manager, more monitors or another release -------------------------------------------


@pytest.mark.parametrize(("free", "level"), [(900, "ok"), (100, "warning"), (10, "problem")])
def test_a_pool_that_fills_is_told(free: int, level: str) -> None:
    df = {
        "stats": {"total_bytes": 3000},
        "pools": [{"name": "data", "stats": {"max_avail": free, "stored": 1000 - free}}],
    }
    assert levels(of_free(df, "data", {"full_ratio": 0.95}))["room"] == level


@pytest.mark.parametrize(
    ("states", "level"),
    [
        ({"active+clean": 65}, "ok"),
        ({"active+clean": 60, "active+undersized+degraded": 5}, "warning"),
        ({"active+clean": 60, "undersized+peered": 5}, "problem"),
        ({"active+clean": 60, "unknown": 5}, "note"),
        ({}, "note"),
    ],
)
def test_states_of_placement_groups_are_told_apart(states: dict[str, int], level: str) -> None:
    pgmap = {"pgs_by_state": [{"state_name": name, "count": count} for name, count in states.items()]}
    assert levels(of_placement_groups(pgmap))["pgs"] == level


def test_slow_operations_have_an_id_of_their_own() -> None:
    checks = {
        "SLOW_OPS": {
            "severity": "HEALTH_WARN",
            "summary": {"message": "3 slow ops, oldest one blocked for 41 sec"},
        }
    }
    assert levels(of_health({"status": "HEALTH_WARN", "checks": checks})) == {"slow": "warning"}


@pytest.mark.parametrize(
    ("names", "known", "level"), [("abc", 3, "ok"), ("ab", 3, "warning"), ("a", 1, "warning")]
)
def test_monitors_out_of_quorum_are_told(names: str, known: int, level: str) -> None:
    quorum: dict[str, Any] = {"quorum_names": list(names), "monmap": {"mons": [{}] * known}}
    assert of_monitors(quorum).level == level


@pytest.mark.parametrize(
    ("overall", "level"),
    [
        ({"ceph version 16.2.15 (618f) pacific (stable)": 7}, "ok"),
        ({"ceph version 18.2.4 (e7ad) reef (stable)": 7}, "note"),
        (
            {
                "ceph version 16.2.15 (618f) pacific (stable)": 3,
                "ceph version 17.2.7 (b12) quincy (stable)": 4,
            },
            "note",
        ),
    ],
)
def test_releases_are_told_apart(overall: dict[str, int], level: str) -> None:
    assert of_versions({"overall": overall}).level == level


def test_a_cluster_that_is_full_or_paused_is_told() -> None:
    dump = {
        "osds": [{"osd": 0, "up": 1, "in": 1, "state": ["exists", "up", "nearfull"]}],
        "flags_set": ["pausewr", "pauserd"],
    }
    assert levels(of_osds(dump)) == {"osds": "ok", "full": "problem", "flags": "problem"}
