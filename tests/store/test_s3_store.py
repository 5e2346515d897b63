"""A store whose large contents lie at an S3 provider keeps the contract."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from anys3.store.embedded import open_store, prepare, recover
from anys3.store.interface import Store
from tests.store.s3_provider import Provider
from tests.store.suite import Suite, run

__all__ = ["run"]
_numbers = itertools.count(1)


class TestEmbeddedIndex(Suite):
    """An index in a directory."""

    @pytest.fixture
    def store_factory(self, tmp_path: Path, provider: Provider) -> Callable[[], Store]:
        """Return a function that makes an empty store."""

        def opened() -> Store:
            prefix = f"store-{next(_numbers)}"
            prepare(tmp_path, provider.address(prefix))
            recover(tmp_path)
            return open_store(tmp_path, blobs=provider.open(prefix))

        return opened
