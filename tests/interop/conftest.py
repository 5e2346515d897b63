"""Fixtures of the client tests: the served process, clean homes, and the rows of the README's table."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.interop.clients import CACHE, Shell
from tests.interop.serving import ServedProcess

ROWS = pytest.StashKey[list[dict[str, str]]]()
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.interop)


def _served(factory: pytest.TempPathFactory, tls: bool) -> Iterator[ServedProcess]:
    process = ServedProcess(factory.mktemp("served-tls" if tls else "served"), tls)
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    """The server over HTTP, one for each worker. A test may restart() it: buckets have names of their own."""
    yield from _served(tmp_path_factory, tls=False)


@pytest.fixture(scope="session")
def served_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    """The server over HTTPS with a certificate that only `certificate` vouches for."""
    yield from _served(tmp_path_factory, tls=True)


@pytest.fixture
def name() -> str:
    """A bucket name that no other test uses."""
    return f"interop-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def shell(tmp_path: Path, served: ServedProcess) -> Shell:
    """Runs clients against the server over HTTP."""
    home = tmp_path / "home"
    home.mkdir()
    return Shell(home, served)


@pytest.fixture
def client_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ServedProcess], Any]]:
    """A function that returns a boto3 client of a served process, default settings."""
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    made: list[Any] = []

    def client(process: ServedProcess, **more: Any) -> Any:
        made.append(
            boto3.session.Session(process.access_key_id, process.secret_access_key).client(
                "s3",
                region_name="us-east-1",
                endpoint_url=process.endpoint,
                verify=str(process.certificate) if process.certificate else None,
                config=Config(**more) if more else None,
            )
        )
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture
def s3(client_of: Callable[[ServedProcess], Any], served: ServedProcess) -> Any:
    """A boto3 client of the server over HTTP: what the tests look with at what other clients did."""
    return client_of(served)


@pytest.fixture
def record_client(request: pytest.FixtureRequest) -> Callable[[str, str, str], None]:
    """A function that notes client, version and what was done; it's a row of the table if the test passes."""
    rows = request.node.stash.setdefault(ROWS, [])

    def record(client: str, version: str, what: str) -> None:
        rows.append({"client": client, "version": version, "what": what})

    return record


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Write the rows of a test that passed: a file for each test, so that workers do not meet."""
    report: pytest.TestReport = yield  # type: ignore[misc,assignment]
    rows = item.stash.get(ROWS, [])
    if report.when == "call" and rows:
        directory = Path(os.environ.get("ANYS3_CLIENT_ROWS", CACHE / "rows"))
        path = directory / f"{hashlib.sha256(item.nodeid.encode()).hexdigest()[:16]}.json"
        if report.passed:
            directory.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"test": item.nodeid, "rows": rows}), "utf-8")
        else:
            path.unlink(missing_ok=True)
    return report  # type: ignore[return-value]
