"""What one process's end, or one failure, leaves to the others of a store."""

from __future__ import annotations

import asyncio
import multiprocessing
from pathlib import Path
from typing import Any

from anys3.store.embedded import open_store
from tests.store.suite import new_bucket, put

processes = multiprocessing.get_context("spawn")


def hold_a_snapshot(path: Path, pipe: Any) -> None:
    """Open the store, read, and never end it."""
    store = open_store(path, slot=1)
    txn = store.index.env.begin()
    pipe.send(txn.id())
    pipe.recv()


def take_its_place(path: Path, pipe: Any) -> None:
    """Open the store as the next worker of that number does."""
    store = open_store(path, slot=1)
    pipe.send("open")
    store.shut()


def test_the_snapshots_of_a_killed_worker_go_when_another_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "store"
    ours, theirs = processes.Pipe()
    first = open_store(path)
    try:
        reader = processes.Process(target=hold_a_snapshot, args=(path, theirs))
        reader.start()
        ours.recv()
        reader.kill()
        reader.join()
        assert str(reader.pid) in first.index.env.readers()
        following = processes.Process(target=take_its_place, args=(path, theirs))
        following.start()
        assert ours.recv() == "open"
        following.join()
        assert str(reader.pid) not in first.index.env.readers()
    finally:
        first.shut()


def test_a_number_that_was_tried_and_not_reached_costs_one_more_sync_and_no_change(tmp_path: Path) -> None:
    async def use() -> tuple[int, int]:
        store = open_store(tmp_path / "store")
        try:
            bucket = await new_bucket(store)
            before = store.index.env.info()["last_txnid"]
            store._control.tell_attempt(before + 1)  # as a process that was killed in its commit leaves it
            await put(store, bucket, b"k", b"x")
            return before, store.index.env.info()["last_txnid"]
        finally:
            await store.close()

    before, after = asyncio.run(use())
    assert after == before + 1


def test_a_store_that_failed_says_so_once(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    told: list[str] = []
    store.tell_failure(told.append)
    store._committer._fail("the meta page")
    store._committer._fail("again")
    store.shut()
    assert told == ["the meta page"]
