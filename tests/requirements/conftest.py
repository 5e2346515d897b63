"""Fixtures for more than one principal: keys are made as operators make them, on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import anys3
from tests.rawclient import RawClient

Operator = Callable[..., Any]


@pytest.fixture(scope="session")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[anys3.Server]:
    """A running server on a directory, for what only a command beside it can do."""
    with anys3.Server(directory=tmp_path_factory.mktemp("operated") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def operator(durable: anys3.Server) -> Operator:
    """A function that runs `anys3 ...` on that server's directory and returns what it prints."""

    def run(*arguments: str) -> Any:
        command = [sys.executable, "-m", "anys3", *arguments, "--dir", str(durable.directory), "--json"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        return json.loads(ended.stdout)

    return run


@pytest.fixture(scope="session")
def root(durable: anys3.Server) -> RawClient:
    """The root key of the server that has an operator."""
    return RawClient(durable.endpoint_url, durable.access_key_id, durable.secret_access_key)


@pytest.fixture(scope="session")
def stranger(durable: anys3.Server, operator: Operator) -> RawClient:
    """A second principal: owns the buckets that it creates, has no right in any other."""
    made = operator("key", "create", "stranger", "--create-buckets")
    return RawClient(durable.endpoint_url, made["access_key_id"], made["secret_access_key"])


@pytest.fixture
def root_bucket(root: RawClient, new_name: Callable[[], str]) -> str:
    """A fresh bucket of the root key, beside which there is a stranger."""
    name = new_name()
    assert root.request("PUT", f"/{name}").status == 200
    return name
