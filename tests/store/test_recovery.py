"""A start removes what kills left of files that get their name when they are whole."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from anys3.server.locations import taken
from anys3.store.embedded import creation, recover
from anys3.store.opening import Location


@pytest.fixture
def store(tmp_path: Path) -> Path:
    recover(tmp_path / "store")
    return tmp_path / "store"


def test_a_half_made_index_is_removed(store: Path) -> None:
    (store / "index" / "new-1").mkdir()
    (store / "index" / "new-1" / creation.FILE).write_bytes(b"half")
    recover(store)
    assert sorted(file.name for file in (store / "index").iterdir()) == ["data.mdb", "lock.mdb", "made"]


def test_a_half_written_checkpoint_is_removed(store: Path) -> None:
    (store / "new-checkpoint-3").write_bytes(b"half")
    recover(store)
    assert list(store.glob("*checkpoint*")) == []


def test_a_maker_whose_index_was_removed_takes_the_one_that_is_there(store: Path) -> None:
    creation._name(store / "index" / "new-1" / creation.FILE, store / "index" / creation.FILE)
    with pytest.raises(FileNotFoundError):
        creation._name(store / "index" / "new-1" / creation.FILE, store / "index" / "nothing")


@pytest.mark.parametrize(("age_s", "stays"), [(61, False), (1, True)])
def test_a_secret_whose_writer_was_killed_is_removed_once_nobody_can_be_at_it(
    store: Path, age_s: float, stays: bool
) -> None:
    left = store / ".credentials-x1"
    left.write_text("aws_secret_access_key = half")
    os.utime(left, (time.time() - age_s, time.time() - age_s))
    with taken(Location(store), store):
        pass
    assert left.exists() == stays
