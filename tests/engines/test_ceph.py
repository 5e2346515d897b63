"""Ceph heals what a killed OSD has lost, and goes on without one of three monitors."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines import ceph, network
from tests.engines.ceph import DATA, Ceph
from tests.engines.daemon import program, run, wait_until
from tests.engines.fixtures import need
from tests.engines.network import Network
from tests.engines.processes import processes_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _installed() -> None:
    need(ceph.missing())


def test_a_killed_osd_of_memstore_comes_back_empty_and_is_filled_again(tmp_path: Path) -> None:
    with Ceph(tmp_path / "ceph") as engine:
        _put(engine, "before")
        engine.kill_osd(1)
        engine.wait_up()
        assert "active+clean" not in engine.states().values()
        _put(engine, "meanwhile")
        engine.start_osd(1)
        engine.wait_up()
        engine.wait_clean()
        assert _names(engine) == {"before", "meanwhile"}
    assert processes_of(tmp_path) == []


def test_bluestore_keeps_everything_when_all_are_killed(tmp_path: Path) -> None:
    with Ceph(tmp_path / "ceph", store="bluestore") as engine:
        _put(engine, "kept")
        for number in range(3):
            engine.kill_osd(number)
        for number in range(3):
            engine.start_osd(number)
        engine.wait_up()
        engine.wait_clean()
        assert _names(engine) == {"kept"}


def test_three_monitors_on_three_hosts_choose_another_leader(tmp_path: Path) -> None:
    need(network.missing())
    with (
        Network(tmp_path, "n1", "n2", "n3") as hosts,
        Ceph(tmp_path / "ceph", mons=3, hosts=hosts.hosts) as engine,
    ):
        old = engine.leader()
        engine.kill_mon(old)
        wait_until(lambda: engine.leader() != old, "led by another monitor")
        engine.start_mon(old)
        hosts.cut(hosts["n2"])
        wait_until(lambda: engine.up() == {0, 2}, "without the OSD that nobody reaches")
        hosts.heal(hosts["n2"])
        engine.wait_up()
        engine.wait_clean()


def test_an_engine_by_hand_says_how_to_reach_it_and_leaves_nothing_when_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.engines", "ceph"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        first = starter.stdout.readline()
        assert re.fullmatch(rf"ceph runs after \S+ s in {tmp_path}/ceph-\w+; Ctrl-C ends it\n", first)
        assert "ceph -c " in starter.stdout.readline()
        assert len(processes_of(tmp_path)) >= 4
        starter.send_signal(signal.SIGKILL)
    wait_until(lambda: processes_of(tmp_path) == [], "gone")


def _rados(engine: Ceph, *words: str) -> str:
    return run([str(program("rados")), "-c", str(engine.conf), "-p", DATA, *words])


def _put(engine: Ceph, name: str) -> None:
    _rados(engine, "put", name, __file__)


def _names(engine: Ceph) -> set[str]:
    return set(_rados(engine, "ls").split())
