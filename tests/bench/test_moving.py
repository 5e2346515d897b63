"""The measurement of moves, on a small store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import moving

pytest.importorskip("isal")
SOURCE = Path(__file__).parents[2] / "src"


def test_a_store_is_moved_while_somebody_writes(tmp_path: Path) -> None:
    told = moving.move(tmp_path, 300, 100.0, SOURCE)
    found = re.search(
        r"(\d+) objects, \d+ writes a second taken; passes: .*\nwrites paused for \d+\.\d+ s", told
    )
    assert found
    assert int(found[1]) > 200
