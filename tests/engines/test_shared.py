"""The engines that all tests share answer, and isolate them."""

from __future__ import annotations

import pytest

from tests.engines.ceph import Cluster
from tests.engines.daemon import EngineFailed
from tests.engines.postgresql import Database


def test_databases_of_the_shared_postgresql_are_empty_and_apart(postgresql: Database) -> None:
    with postgresql.database() as one, postgresql.database() as other:
        postgresql.psql("CREATE TABLE t (i int); INSERT INTO t VALUES (7)", one)
        assert postgresql.psql("SELECT i FROM t", one) == "7"
        assert postgresql.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", other) == "0"
    with pytest.raises(EngineFailed, match="does not exist"):
        postgresql.psql("SELECT 1", one)


def test_the_shared_ceph_has_a_replicated_and_an_erasure_coded_pool(ceph: Cluster) -> None:
    with ceph.commands() as commands:
        pools = {pool["pool_name"]: pool for pool in commands.mon("osd dump")["pools"]}
    assert {name: (pool["size"], pool["min_size"]) for name, pool in pools.items()} == {
        "data": (3, 2),
        "ec": (3, 2),
    }
    assert pools["ec"]["erasure_code_profile"] == "ec21"
    assert set(ceph.states().values()) == {"active+clean"}
