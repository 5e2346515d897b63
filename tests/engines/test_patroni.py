"""Patroni promotes a standby that has every acknowledged row."""

from __future__ import annotations

from pathlib import Path

from tests.engines import patroni
from tests.engines.fixtures import need
from tests.engines.network import Network
from tests.engines.patroni import Patroni
from tests.engines.processes import processes_of


def test_another_node_leads_after_the_leader_was_killed_and_has_every_row(tmp_path: Path) -> None:
    need(patroni.missing())
    with Network(tmp_path, "n1", "n2", "n3") as hosts:
        with Patroni(tmp_path / "patroni", hosts.hosts) as engine:
            engine.psql("CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 1000)")
            old = engine.kill_leader()
            new = engine.wait_other_leader(old)
            assert engine.psql("SELECT count(*) FROM t") == "1000"
            assert new != old
            engine.restart(old)
            engine.wait_healthy()
    assert processes_of(tmp_path) == []
