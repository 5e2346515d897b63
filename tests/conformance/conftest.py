"""Fixtures for tests of the checker: our own server, over TLS, that can be broken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broken_servers import MAIN, SECOND, BreakableServer


@pytest.fixture(scope="session")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BreakableServer]:
    """A running server that tests may break for a while."""
    with BreakableServer(tmp_path_factory.mktemp("breakable")) as server:
        yield server


@pytest.fixture
def environment(breakable: BreakableServer, tmp_path: Path) -> dict[str, str]:
    """The environment of a user with two profiles, and nothing else of this machine's."""
    file = tmp_path / "credentials"
    file.write_text(
        f"[default]\naws_access_key_id = {MAIN.access_key_id}\naws_secret_access_key = {MAIN.secret_access_key}\n"
        f"[second]\naws_access_key_id = {SECOND.access_key_id}\n"
        f"aws_secret_access_key = {SECOND.secret_access_key}\n"
    )
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return kept | {
        "HOME": str(tmp_path),
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_CA_BUNDLE": breakable.ca_file,
        "AWS_ENDPOINT_URL": breakable.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_COLOR": "1",
    }
