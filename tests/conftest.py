"""Fixtures for all tests: the real server, on each engine, and a raw client that signs for its root key."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import anys3
from tests.rawclient import RawClient

pytest_plugins = ["tests.engines.fixtures", "tests.store.s3_provider"]
_numbers = itertools.count(1)


@pytest.fixture(scope="session", params=["memory", "embedded"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[anys3.Server]:
    """A running server; tests that ask for it run once on each engine."""
    directory: Path | None = None
    if request.param == "embedded":
        directory = tmp_path_factory.mktemp("store") / "data"
    with anys3.Server(directory=directory) as running:
        yield running


@pytest.fixture
def s3(server: anys3.Server) -> RawClient:
    """A raw client with the root key."""
    return RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)


@pytest.fixture
def new_name() -> Callable[[], str]:
    """A function that returns bucket names that nobody else uses."""
    return lambda: f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def bucket(s3: RawClient, new_name: Callable[[], str]) -> str:
    """A fresh bucket of the root key."""
    name = new_name()
    assert s3.request("PUT", f"/{name}").status == 200
    return name
