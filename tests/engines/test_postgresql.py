"""PostgreSQL that was killed keeps what it has acknowledged, and a replica has it as well."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engines import network, postgresql
from tests.engines.daemon import EngineFailed, wait_until
from tests.engines.fixtures import need
from tests.engines.network import Network
from tests.engines.postgresql import Database, Postgresql
from tests.engines.processes import processes_of

COUNT = "SELECT count(*) FROM t"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture(autouse=True)
def _installed() -> None:
    need(postgresql.missing())


def test_what_a_killed_primary_has_acknowledged_is_there_again(tmp_path: Path) -> None:
    with Postgresql(tmp_path / "pg") as engine:
        dsn = engine.new_database()
        engine.psql("CREATE TABLE t (i int); INSERT INTO t VALUES (1)", dsn)
        engine.kill()
        with pytest.raises(EngineFailed, match="ended with 2"):
            engine.psql(COUNT, dsn)
        engine.start()
        assert engine.psql(COUNT, dsn) == "1"
        assert engine.psql("SHOW fsync") == "on"
    assert processes_of(tmp_path) == []


def test_a_commit_waits_for_one_of_two_replicas(tmp_path: Path) -> None:
    with Postgresql(tmp_path / "pg", replicas=2, is_durable=False) as engine, ThreadPoolExecutor() as threads:
        engine.psql("CREATE TABLE t (i int)")
        first, second = engine.replicas
        first.kill()
        engine.psql("INSERT INTO t VALUES (1)")
        second.kill()
        waiting = threads.submit(engine.psql, "INSERT INTO t VALUES (2)")
        wait_until(lambda: engine.psql(WAITING) == "1", "waiting")
        assert engine.psql(COUNT) == "1"
        assert not waiting.done()
        first.start()
        waiting.result()
        assert engine.psql(COUNT) == "2"


def test_a_replica_whose_cable_is_cut_catches_up_when_it_is_healed(tmp_path: Path) -> None:
    need(network.missing())
    with (
        Network(tmp_path, "n1", "n2") as hosts,
        Postgresql(tmp_path / "pg", replicas=1, is_durable=False, hosts=hosts.hosts) as engine,
    ):
        engine.psql("CREATE TABLE t (i int)")
        hosts.cut(hosts["n2"])
        replica = Database(engine.replicas[0].dsn, hosts["n2"])
        engine.psql("SET synchronous_commit = local; INSERT INTO t VALUES (1)")
        assert replica.psql(COUNT) == "0"
        hosts.heal(hosts["n2"])
        wait_until(lambda: replica.psql(COUNT) == "1", "replicated")
