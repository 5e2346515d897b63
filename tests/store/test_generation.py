"""The news of a changed configuration, over processes: there before the change can be seen, whoever dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest

from anys3.model import Bucket
from anys3.store.embedded import open_store
from anys3.store.embedded.committer import Committer

processes = multiprocessing.get_context("spawn")
DIED = 7


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def make_public(path: Path, ends: str) -> None:
    """Change the bucket in a process that dies before (`_end`) or just after (`_settle`) the commit."""

    def die(*_: object, **__: object) -> None:
        os._exit(DIED)

    async def use() -> None:
        store = open_store(path, is_server=False)
        row = await store.bucket("photos")
        assert row is not None
        setattr(Committer, ends, die)
        await store.update_bucket(replace(row, is_public=True))

    asyncio.run(use())


async def see(path: Path, ends: str) -> tuple[bool, bool, bool]:
    """Tell whether another process that dies changed the bucket, the number, and whether that stays then."""
    store = open_store(path)
    await store.create_bucket(Bucket("photos", 0, 0))
    before = store.generation()
    other = processes.Process(target=make_public, args=(path, ends))
    other.start()
    other.join()
    assert other.exitcode == DIED
    row = await store.bucket("photos")
    assert row is not None
    after = store.generation()
    is_steady = store.generation() == after
    await store.close()
    return row.is_public, after != before, is_steady


@pytest.mark.requirement("CON-01")
@pytest.mark.known_mistake(53)
def test_a_change_is_news_at_once_though_its_process_died_right_after_the_commit(path: Path) -> None:
    assert asyncio.run(see(path, "_settle")) == (True, True, True)


def test_a_change_that_was_announced_and_never_committed_is_no_news(path: Path) -> None:
    assert asyncio.run(see(path, "_end")) == (False, False, True)
