"""The embedded engine keeps the contract."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from anys3.store.embedded import EmbeddedStore, open_store
from anys3.store.embedded.control import Control
from anys3.store.interface import Store
from tests.store.noting_suite import NotingSuite, RunAgain, run_again_on
from tests.store.pausing_suite import Beside, PausingSuite, run_two
from tests.store.suite import Suite, run

__all__ = ["run", "run_two"]


class TestEmbedded(Suite, PausingSuite, NotingSuite):
    """The contract, on disk."""

    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> Callable[[], Store]:
        """Return a function that makes an empty store."""
        return lambda: open_store(tmp_path / "store")

    @pytest.fixture
    def run_again(self, store_factory: Callable[[], Store]) -> RunAgain:
        """Return a function that runs two coroutines on one store, opened anew for the second."""
        return run_again_on(store_factory, store_factory)

    @pytest.fixture
    def beside(self) -> Beside:
        """Return a function that makes another way to a store: LMDB wants to be opened once a process."""

        def another(store: Store) -> Store:
            assert isinstance(store, EmbeddedStore)
            index = copy.copy(store.index)
            index.close = lambda: None  # type: ignore[method-assign]
            return EmbeddedStore(store.path, index, Control(store.path, None), sweeps=False)

        return another
