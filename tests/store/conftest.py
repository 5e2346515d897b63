"""The files of a store without an index."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from anys3.store.embedded.blobs import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Where blobs lie, and ids for them."""
    (tmp_path / "incoming").mkdir()
    for number in range(256):
        (tmp_path / "blobs" / f"{number:02x}").mkdir(parents=True)
    ids = itertools.count(1)
    return Files(tmp_path, 0, lambda: next(ids))
