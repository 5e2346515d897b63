"""Fixtures for tests of the checker: our own server, over TLS, that can be broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broken_servers import BreakableServer


@pytest.fixture(scope="session")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BreakableServer]:
    """A running server that tests may break for a while."""
    with BreakableServer(tmp_path_factory.mktemp("breakable")) as server:
        yield server
