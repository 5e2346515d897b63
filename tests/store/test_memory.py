"""The engine in memory keeps the contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from anys3.store.interface import Store
from anys3.store.memory import MemoryStore
from tests.store.suite import Suite, run

__all__ = ["run"]


class TestMemory(Suite):
    """The contract, in memory."""

    @pytest.fixture
    def store_factory(self) -> Callable[[], Store]:
        """Return a function that makes an empty store."""
        return MemoryStore
