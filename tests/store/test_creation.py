"""A store whose making was cut short is made to its end by the next start, whatever is there of it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from anys3.store.embedded import creation, directory, open_store


def test_an_index_has_its_first_pages_before_its_name(tmp_path: Path) -> None:
    creation.make_index(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["data.mdb"]
    assert (tmp_path / "data.mdb").stat().st_size == 2 * 4096


def test_an_index_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"somebody's")
    creation.make_index(tmp_path)
    assert (tmp_path / "data.mdb").read_bytes() == b"somebody's"


@pytest.mark.parametrize("missing", ["blobs/00", "blobs/7f", "incoming"])
def test_a_directory_that_power_loss_took_is_made_again(tmp_path: Path, missing: str) -> None:
    """Names reach the device in any order: that the last one is there says nothing of the others."""
    directory._mark(tmp_path)
    directory.lay_out(tmp_path)
    (tmp_path / missing).rmdir()
    open_store(tmp_path).shut()
    assert (tmp_path / missing).is_dir()


def test_many_processes_may_make_one_index(tmp_path: Path) -> None:
    processes = [
        multiprocessing.get_context("spawn").Process(target=_open, args=(tmp_path,)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(file.name for file in (tmp_path / "index").iterdir()) == ["data.mdb", "lock.mdb", "made"]


def _open(path: Path) -> None:
    open_store(path, is_server=False).shut()
