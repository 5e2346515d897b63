"""The embedded engine keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anys3.store.embedded import open_store
from anys3.store.interface import Store
from tests.store.suite import Suite, run

__all__ = ["run"]


class TestEmbedded(Suite):
    """The contract, on disk."""

    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> Callable[[], Store]:
        """Return a function that makes an empty store."""
        return lambda: open_store(tmp_path / "store")
