"""The engine in memory keeps the contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from anys3.store.interface import Store
from anys3.store.memory import MemoryStore
from tests.store.noting_suite import NotingSuite, RunAgain, run_again_on
from tests.store.pausing_suite import Beside, PausingSuite, run_two
from tests.store.suite import Suite, run

__all__ = ["run", "run_two"]


class TestMemory(Suite, PausingSuite, NotingSuite):
    """The contract, in memory."""

    @pytest.fixture
    def store_factory(self) -> Callable[[], Store]:
        """Return a function that makes an empty store."""
        return MemoryStore

    @pytest.fixture
    def run_again(self) -> RunAgain:
        """Return a function that runs two coroutines on one store, opened anew for the second."""
        store = MemoryStore()
        return run_again_on(lambda: store, lambda: MemoryStore(store))

    @pytest.fixture
    def beside(self) -> Beside:
        """Return a function that makes another way to a store."""

        def another(store: Store) -> Store:
            assert isinstance(store, MemoryStore)
            return MemoryStore(store)

        return another
