"""A copy that is cut short anywhere is gone on with, and no half of a store is ever served."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from anys3.store.errors import Paused
from anys3.store.interface import Store
from anys3.store.memory import MemoryStore
from anys3.store.moving import Copy, Report
from tests.moving import world
from tests.moving.stores import Died, Life, Watched
from tests.moving.world import SAMPLE


async def try_copy(source: MemoryStore, target: MemoryStore, life: Life, *, follows: bool) -> Report | None:
    """Run a copy as a process of its own, which may die."""
    ours: Any = Watched(MemoryStore(source), life.call)
    theirs: Any = Watched(MemoryStore(target), life.call)
    try:
        return await Copy(ours, theirs, ("here", "there"), today="today").run(follows=follows)
    except Died:
        return None


async def takes_changes(store: Store) -> bool:
    """Tell whether a server of this store could write."""
    key = world.AccessKey("AKIA-probe", "s", "n")
    try:
        await store.put_key(key)
    except Paused:
        return False
    await store.delete_key(key.access_key_id)
    return True


async def check_halves(source: MemoryStore, target: MemoryStore, before: object) -> None:
    """Whatever takes changes is whole, and not both do: so nothing that is written is ever missing."""
    assert await world.state(source) == before
    takes = [await takes_changes(source), await takes_changes(target)]
    is_begun = bool(await target.keys() or await target.buckets())
    assert takes in ([True, False], [False, True], [False, False]) or not is_begun
    if takes[1] and is_begun:
        assert await world.state(target) == before


@pytest.mark.parametrize("is_done", [False, True], ids=["before the call", "after it"])
@pytest.mark.parametrize("at", range(6))
def test_a_move_that_dies_at_any_call_is_ended_by_the_next(at: int, is_done: bool) -> None:
    async def test() -> None:
        calls = 0
        for ends_at in count(1 + at, 6):
            source, target = MemoryStore(), MemoryStore()
            await world.fill(source, SAMPLE)
            before = await world.state(source)
            report = await try_copy(source, target, Life(ends_at, is_done=is_done), follows=True)
            if report is None:
                await check_halves(source, target, before)
                if await target.paused() is None and await target.buckets():
                    break  # the last call of all had been done
                report = await try_copy(source, target, Life(), follows=True)
            else:
                calls = ends_at
            assert report is not None
            assert report.is_moved
            assert await world.state(target) == before
            assert [await takes_changes(source), await takes_changes(target)] == [False, True]
            if calls:
                break
        assert ends_at > 50

    asyncio.run(test())


def test_a_copy_that_dies_again_and_again_comes_to_its_end() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        before = await world.state(source)
        for lives in range(1, 500):
            report = await try_copy(source, target, Life(20 + 2 * lives), follows=False)
            if report is not None:
                break
            await check_halves(source, target, before)
        assert report is not None
        assert await world.state(target) == before
        assert lives > 10

    asyncio.run(test())


def test_parts_that_were_copied_are_not_copied_again() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        parts = tuple(world.Body(1000, number) for number in range(1, 51))
        plan = world.ObjectPlan(b"k", parts, "u1", tuple(range(1, 51)))
        await world.fill(source, world.StorePlan((world.BucketPlan("photos", (plan,)),)))
        assert await try_copy(source, target, Life(60), follows=False) is None
        (bucket,) = await target.buckets()
        done = len(await target.parts(bucket, b"k", "u1"))
        assert 20 < done < 50
        report = await try_copy(source, target, Life(), follows=False)
        assert report is not None
        assert report.last.copied == 50 - done
        assert await world.state(target) == await world.state(source)

    asyncio.run(test())


def test_a_second_run_ends_the_first_one() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        second: list[Report | None] = []
        calls = 0

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 30:
                second.append(await try_copy(source, target, Life(), follows=True))
                photos = await target.bucket("photos")
                assert photos is not None
                await world.delete(target, photos, b"small")
            return await method(*args, **others)

        first: Any = Watched(MemoryStore(target), call)
        with pytest.raises(Paused):
            await Copy(MemoryStore(source), first, ("here", "there")).run(follows=True)
        assert second[0] is not None
        after = await world.state(target)
        assert ("photos", b"small") not in after["objects"]
        assert ("photos", b"large") in after["objects"]

    asyncio.run(test())
