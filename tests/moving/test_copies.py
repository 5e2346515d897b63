"""A copy is what its source is, from any engine to any other."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from anys3.store.embedded import open_store
from anys3.store.errors import Paused
from anys3.store.interface import Store
from anys3.store.memory import MemoryStore
from anys3.store.moving import Copy, Refused
from tests.moving import world
from tests.moving.world import SAMPLE, Body, BucketPlan, ObjectPlan, StorePlan

Engines = tuple[Callable[[Path], Store], Callable[[Path], Store]]


def memory(_: Path) -> Store:
    """Make a store in memory."""
    return MemoryStore()


def embedded(path: Path) -> Store:
    """Make a store in a directory."""
    return open_store(path)


async def check_copy(source: Store, target: Store, plan: StorePlan, *, follows: bool) -> None:
    """Fill a store, copy it, and compare the two."""
    await world.fill(source, plan)
    before = await world.state(source)
    report = await Copy(source, target, ("here", "there"), today="2026-11-21").run(follows=follows)
    assert report.damaged == []
    assert report.is_ready
    assert report.is_moved == follows
    assert await world.state(target) == before == await world.state(source)
    assert await target.paused() is None
    assert (await source.paused() is not None) == follows


@pytest.mark.parametrize("follows", [False, True], ids=["copied", "moved"])
@pytest.mark.parametrize(
    "engines",
    [(memory, embedded), (embedded, memory), (memory, memory)],
    ids=["to disk", "from disk", "memory"],
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=world.STORES)
def test_whatever_lies_in_a_store_lies_in_its_copy(
    engines: Engines, follows: bool, plan: StorePlan, tmp_path: Path
) -> None:
    async def test() -> None:
        with tempfile.TemporaryDirectory(dir=tmp_path) as directory:
            source, target = (make(Path(directory) / name) for make, name in zip(engines, "ab", strict=True))
            try:
                await check_copy(source, target, plan, follows=follows)
            finally:
                await source.close()
                await target.close()

    asyncio.run(test())


def test_a_copy_has_several_pages_of_everything() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        objects = [ObjectPlan(b"%05d" % number, (Body(1),)) for number in range(2500)]
        uploads = [
            ObjectPlan(b"%05d" % (number // 2), (Body(1),), f"u{number}", (1,), is_unfinished=True)
            for number in range(2100)
        ]
        plan = StorePlan(
            (
                BucketPlan("photos", (*objects, *uploads)),
                *(BucketPlan(f"b{number:04}") for number in range(1005)),
            )
        )
        await check_copy(source, target, plan, follows=True)

    asyncio.run(test())


def test_who_writes_to_a_moved_store_is_told_where_it_is() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        server = MemoryStore(source)
        await world.fill(source, SAMPLE)
        await Copy(source, target, ("here", "there"), today="2026-11-21").run(follows=True)
        (bucket, *_) = await server.buckets()
        with pytest.raises(Paused, match="it was moved to there on 2026-11-21"):
            await world.delete(server, bucket, b"small")
        pause = await server.paused()
        assert pause is not None
        assert pause.ends_ms is None
        (bucket, *_) = await target.buckets()
        await world.delete(target, bucket, b"small")

    asyncio.run(test())


def test_nobody_else_writes_to_the_half_of_a_copy() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        server = MemoryStore(target)
        refused: list[str] = []

        def progress(title: str, done: int, total: int) -> None:
            async def write() -> None:
                try:
                    await server.put_key(world.AccessKey("AKIA9", "s", "n"))
                except Paused as error:
                    refused.append(str(error))

            writes.append(asyncio.ensure_future(write()))

        writes: list[asyncio.Future[None]] = []
        await Copy(source, target, ("here", "there"), progress=progress).run(follows=False)
        await asyncio.gather(*writes)
        assert refused[:1] == ["it is being filled with a copy of here"]
        assert await server.key("AKIA9") is None

    asyncio.run(test())


@pytest.mark.parametrize(
    "plan", [StorePlan((BucketPlan("photos"),)), StorePlan(keys=SAMPLE.keys)], ids=["bucket", "key"]
)
def test_a_store_that_holds_something_is_not_copied_into(plan: StorePlan) -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        await world.fill(target, plan)
        before = await world.state(target)
        with pytest.raises(Refused, match="not empty"):
            await Copy(source, target, ("here", "there")).run(follows=False)
        assert await world.state(target) == before
        assert await target.paused() is None

    asyncio.run(test())


def test_a_copy_of_another_store_is_not_gone_on_with() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await target.pause("it is being filled with a copy of elsewhere")
        with pytest.raises(Refused, match="elsewhere"):
            await Copy(source, target, ("here", "there")).run(follows=False)

    asyncio.run(test())


def test_a_store_that_somebody_else_has_paused_is_not_moved() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await source.pause("it was moved to elsewhere on 2026-01-01")
        with pytest.raises(Refused, match="moved to elsewhere"):
            await Copy(source, target, ("here", "there")).run(follows=True)
        assert await target.paused() is None

    asyncio.run(test())


def test_the_estimate_is_announced_before_writes_are_paused() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        announced: list[tuple[float, object]] = []

        def announce(estimate_s: float, at_most_s: float) -> None:
            announced.append((estimate_s, source.kept.pause))
            assert at_most_s >= 60

        report = await Copy(source, target, ("here", "there"), announce=announce).run(follows=True)
        assert announced == [(report.estimate_s, None)]
        assert report.estimate_s > 0
        assert report.paused_s > 0

    asyncio.run(test())
