"""Engines for tests that leave them as they are: each worker of a run gets the same one.

A test that kills, stops or cuts something starts an engine of its own, with the classes beside this file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.engines import ceph as ceph_engine
from tests.engines import postgresql as postgresql_engine
from tests.engines.lending import borrowed


def skip_or_fail(reason: str) -> NoReturn:
    """Skip a test whose engine is not here; fail it where .ci/install-engines has been run (ANYS3_ENGINES=required)."""
    if os.environ.get("ANYS3_ENGINES") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


def need(reason: str | None) -> None:
    """Skip or fail if there is a reason, such as `postgresql.missing()` returns."""
    if reason is not None:
        skip_or_fail(reason)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgresql_engine.Database]:
    """A PostgreSQL that doesn't sync; `with postgresql.database() as dsn` gives a test an empty database, in 50 ms."""
    need(postgresql_engine.missing())
    with borrowed("postgresql", _shared(tmp_path_factory)) as dsn:
        yield postgresql_engine.Database(dsn)


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ceph_engine.Cluster]:
    """A Ceph of three OSDs in memory, with the pools "data" and "ec"; a RADOS namespace isolates a test."""
    need(ceph_engine.missing())
    with borrowed("ceph", _shared(tmp_path_factory)) as conf:
        yield ceph_engine.Cluster(Path(conf))


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory that is the same for all workers of the run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "engines"
