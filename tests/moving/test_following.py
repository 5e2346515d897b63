"""A store is moved while others write to it: what they have been told is done is in the copy."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from anys3.model import AccessKey, Bucket
from anys3.store.embedded import open_store
from anys3.store.errors import Corrupt, Paused, StoreError, Unavailable
from anys3.store.interface import Store
from anys3.store.memory import MemoryStore
from anys3.store.moving import Copy, Refused, Report, passing, walking
from anys3.store.moving import copying as moves
from anys3.store.mutations import AbortUpload, Mutation
from tests.moving import world
from tests.moving.stores import Watched
from tests.moving.world import NOW_MS, SAMPLE, Body, ObjectPlan


class Writer:
    """Does at random what clients and operators do."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self._random = random.Random(seed)
        self._number = 0
        self.done = 0

    async def step(self) -> None:
        """Change something; what a pause refuses must have changed nothing, which the comparison shows."""
        self._number += 1
        kind = self._random.choice(KINDS)
        buckets = await self.store.buckets()
        try:
            await kind(self, self._random.choice(buckets) if buckets else await self._bucket())
            self.done += 1
        except StoreError:
            pass

    def _key(self) -> bytes:
        return b"k/%d" % self._random.randrange(12)

    def _plan(self, **others: Any) -> ObjectPlan:
        body = Body(self._random.choice([1, 5000, 140_000]), self._number)
        return ObjectPlan(self._key(), (body,), modified_ms=NOW_MS + self._number, **others)

    async def _bucket(self) -> Bucket:
        name = self._random.choice(["photos", "site", "x", "y"])
        return await self.store.create_bucket(Bucket(name, 0, NOW_MS + self._number))

    async def put(self, bucket: Bucket) -> None:
        await world.put(self.store, bucket, self._plan())

    async def delete(self, bucket: Bucket) -> None:
        await world.delete(self.store, bucket, self._key())

    async def tag(self, bucket: Bucket) -> None:
        page = await self.store.entries(bucket, b"", 5)
        key = self._random.choice(page)[0] if page else self._key()
        await world.set_tags(self.store, bucket, key, (("n", str(self._number)),))

    async def begin(self, bucket: Bucket) -> None:
        plan = self._plan(upload_id=f"v{self._number:06}", numbers=(1,), is_unfinished=True)
        await world.put(self.store, bucket, plan)

    async def upload(self, bucket: Bucket) -> None:
        uploads = (await self.store.uploads(bucket, b"", b"", b"", None, 100)).uploads
        if not uploads:
            return
        one = self._random.choice(uploads)
        plan = ObjectPlan(
            one.key, (), one.upload_id, algorithm=one.checksum_algorithm, modified_ms=NOW_MS + self._number
        )
        await world.put_part(self.store, bucket, plan, self._random.randrange(1, 4), Body(3000, self._number))
        if self._random.random() < 0.3:
            await world.complete(self.store, bucket, plan)

    async def abort(self, bucket: Bucket) -> None:
        for one in (await self.store.uploads(bucket, b"", b"", b"", None, 1)).uploads:
            await self.store.commit(Mutation(bucket, (AbortUpload(one.key, one.upload_id),)))

    async def settings(self, bucket: Bucket) -> None:
        await self.store.update_bucket(
            world.replace(bucket, is_public=not bucket.is_public, owner=f"AKIA{self._number}")
        )

    async def make(self, _: Bucket) -> None:
        await self._bucket()

    async def unmake(self, bucket: Bucket) -> None:
        for key, _ in await self.store.entries(bucket, b"", 100):
            await world.delete(self.store, bucket, key)
        await self.store.delete_bucket(bucket)

    async def key(self, bucket: Bucket) -> None:
        name = f"AKIA{self._random.randrange(4)}"
        grants = {bucket.name: world.Grant(read=True)}
        await self.store.put_key(AccessKey(name, f"s{self._number}", name, grants=grants))

    async def unkey(self, _: Bucket) -> None:
        await self.store.delete_key(f"AKIA{self._random.randrange(4)}")


Kind = Callable[[Writer, Bucket], Awaitable[object]]
KINDS: list[Kind] = [
    *[Writer.put] * 6, *[Writer.delete] * 3, *[Writer.tag] * 3, *[Writer.begin] * 2, *[Writer.upload] * 8, Writer.abort,
    Writer.settings, Writer.make, Writer.unmake, *[Writer.key] * 2, Writer.unkey,
]  # fmt: skip


_FOR_EVER = 100_000
SEEDS = range(8)
WHEN = {
    "for a while": (200, ""),
    "to the end": (_FOR_EVER, ""),
    "in the first pass": (_FOR_EVER, "begin_noting"),
    "in the first two passes": (_FOR_EVER, "noted"),
}
"""How many changes there are at most, and at which call of the copy they end."""


async def follow(seed: int, changes: int, until: str = "") -> tuple[MemoryStore, MemoryStore, Writer, Report]:
    """Move a store in which a writer changes something at about each call that the copy makes.

    `changes`: how often at most; `until`: the call on the source that it stops at.
    """
    source, target = MemoryStore(), MemoryStore()
    await world.fill(source, SAMPLE)
    writer = Writer(MemoryStore(source), seed)
    chance = random.Random(seed)
    is_over = False

    async def call(method: Any, *args: Any, **others: Any) -> Any:
        nonlocal is_over
        is_over |= method.__name__ == until
        for _ in range(chance.randrange(4) if writer.done < changes and not is_over else 0):
            await writer.step()
        result = await method(*args, **others)
        if writer.done < changes and not is_over and chance.random() < 0.3:
            await writer.step()
        return result

    ours: Any = Watched(MemoryStore(source), call)
    with many_passes() as patch:
        patch.setattr(passing, "PAGE", 3)
        report = await Copy(ours, target, ("here", "there"), today="today").run(follows=True)
    assert len(report.passes) == 6
    assert report.is_moved
    assert report.damaged == []
    return source, target, writer, report


@contextmanager
def many_passes() -> Iterator[pytest.MonkeyPatch]:
    """Let a move make five passes before its last one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moves, "PASSES_MAX", 5)
        patch.setattr(moves, "_SHORT_S", -1.0)  # so it takes that many
        patch.setattr(moves, "_GAIN", 1e9)
        yield patch


@pytest.mark.parametrize(("changes", "until"), WHEN.values(), ids=WHEN)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_written_while_a_store_is_moved_is_in_the_copy(seed: int, changes: int, until: str) -> None:
    async def test() -> None:
        source, target, writer, report = await follow(seed, changes, until)
        state = await world.state(source)
        assert await world.state(target) == state
        assert writer.done > (10 if until else 50)
        assert_totals(report, state)
        with pytest.raises(Paused):
            await MemoryStore(source).create_bucket(Bucket("late", 0, 1))

    asyncio.run(test())


UNFINISHED = next(one for one in SAMPLE.buckets[0].objects if one.upload_id == "u2")
LAST: dict[str, Kind] = {
    "PutEntry": lambda one, bucket: world.put(one.store, bucket, ObjectPlan(b"small", (Body(11),))),
    "PutEntry of tags": lambda one, bucket: world.set_tags(one.store, bucket, b"small", (("a", "2"),)),
    "DeleteEntry": lambda one, bucket: world.delete(one.store, bucket, b"small"),
    "PutUpload": lambda one, bucket: world.put(
        one.store, bucket, ObjectPlan(b"begun", (), "u9", is_unfinished=True)
    ),
    "PutPart": lambda one, bucket: world.put_part(one.store, bucket, UNFINISHED, 5, Body(10)),
    "CompleteUpload": lambda one, bucket: world.complete(one.store, bucket, UNFINISHED),
    "AbortUpload": lambda one, bucket: one.store.commit(Mutation(bucket, (AbortUpload(b"parts", "u2"),))),
}
"""One of each kind."""


@pytest.mark.parametrize("kind", LAST)
def test_a_change_that_comes_last_is_in_the_copy(kind: str) -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        before = await world.state(source)
        writer = Writer(MemoryStore(source), 1)

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            if method.__name__ == "pause" and source.kept.pause is None:
                photos = await source.bucket("photos")
                assert photos is not None
                await LAST[kind](writer, photos)
            return await method(*args, **others)

        ours: Any = Watched(MemoryStore(source), call)
        await Copy(ours, target, ("here", "there")).run(follows=True)
        state = await world.state(source)
        assert state != before
        assert await world.state(target) == state

    asyncio.run(test())


def assert_totals(report: Report, state: dict[str, Any]) -> None:
    """Compare what a report says of the store with what there is."""
    last = report.last
    told = (last.buckets, last.keys, last.objects, last.bytes, last.uploads, last.parts)
    assert told == (
        len(state["buckets"]),
        len(state["keys"]),
        len(state["objects"]),
        sum(entry.size for entry, *_ in state["objects"].values()),
        len(state["uploads"]),
        sum(len(parts) for _, _, parts, _ in state["uploads"].values()),
    )


def test_the_last_pass_reads_what_was_noted_and_nothing_else_of_a_store(tmp_path: Path) -> None:
    async def test() -> None:
        source, target = open_store(tmp_path / "source"), open_store(tmp_path / "target")
        await world.fill(source, SAMPLE)
        photos = await source.bucket("photos")
        assert photos is not None
        called: list[str] = []

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            if method.__name__ == "pause" and await source.paused() is None:
                called.clear()
                await world.put(source, photos, ObjectPlan(b"late", (Body(200_000, 7),)))
                await world.delete(source, photos, b"small")
            result = await method(*args, **others)
            called.append(method.__name__)
            return result

        ours: Any = Watched(source, call)
        report = await Copy(ours, target, ("here", "there")).run(follows=True)
        assert called[0] == "pause"
        during = called[: called.index("end_noting")]
        assert set(during) == {
            "pause",
            "noted",
            "strike_noted",
            "buckets",
            "keys",
            "open",
            "entry",
            "uploads",
        }
        assert during.count("open") == 2
        state = await world.state(source)
        assert await world.state(target) == state
        assert_totals(report, state)
        await source.close()
        await target.close()

    asyncio.run(test())


def test_a_bucket_that_is_made_anew_in_the_same_millisecond_loses_its_old_objects() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        server = MemoryStore(source)

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            if method.__name__ == "pause" and source.kept.pause is None:
                photos = await server.bucket("photos")
                assert photos is not None
                for key, _ in await server.entries(photos, b"", 100):
                    await world.delete(server, photos, key)
                await server.delete_bucket(photos)
                await server.create_bucket(world.replace(photos, id=0))
            return await method(*args, **others)

        ours: Any = Watched(MemoryStore(source), call)
        await Copy(ours, target, ("here", "there")).run(follows=True)
        state = await world.state(source)
        assert state["objects"] == {}
        assert await world.state(target) == state

    asyncio.run(test())


@pytest.mark.parametrize("is_paused", [False, True], ids=["before the pause", "in the pause"])
def test_a_move_whose_notes_another_one_ends_lets_writes_go_on(*, is_paused: bool) -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        server = MemoryStore(source)

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            if method.__name__ == "noted" and (source.kept.pause is not None) == is_paused:
                await server.begin_noting(1000)
            return await method(*args, **others)

        ours: Any = Watched(MemoryStore(source), call)
        with many_passes(), pytest.raises(Refused, match="another copy follows it"):
            await Copy(ours, target, ("here", "there")).run(follows=True)
        assert await source.paused() is None
        assert await target.paused() is not None

    asyncio.run(test())


def test_more_notes_than_one_pass_takes_are_not_left_for_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "NOTES_MAX", 3)
    monkeypatch.setattr(passing, "NOTES_MAX", 3)
    monkeypatch.setattr(passing, "PAGE", 1)

    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        server = MemoryStore(source)

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            result = await method(*args, **others)
            if method.__name__ == "begin_noting":
                photos = await server.bucket("photos")
                assert photos is not None
                for number in range(10):
                    await world.put(server, photos, ObjectPlan(b"new/%d" % number, (Body(1),)))
            return result

        ours: Any = Watched(MemoryStore(source), call)
        report = await Copy(ours, target, ("here", "there")).run(follows=True)
        assert [one.changes for one in report.passes[2:]] == [3, 3, 3, 1, 0]
        assert await world.state(target) == await world.state(source)

    asyncio.run(test())


def test_notes_are_kept_while_a_long_pass_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "_KEEP_EVERY_S", 0.01)

    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        begun, kept = [], asyncio.Event()

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            if method.__name__ == "entries" and begun:
                async with asyncio.timeout(60):
                    await kept.wait()
            result = await method(*args, **others)
            if method.__name__ == "begin_noting":
                begun.append(result)
            if method.__name__ == "keep_noting":
                kept.set()
            return result

        ours: Any = Watched(MemoryStore(source), call)
        report = await Copy(ours, target, ("here", "there")).run(follows=True)
        assert report.is_moved
        assert kept.is_set()
        assert source.kept.noting.notes is None

    asyncio.run(test())


def test_a_grant_on_a_bucket_that_was_made_anew_arrives() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        server = MemoryStore(source)
        key = AccessKey("AKIA1", "secret", "app", grants={"empty": world.Grant(read=True)})
        await server.put_key(key)

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            if method.__name__ == "pause" and source.kept.pause is None:
                empty = await server.bucket("empty")
                assert empty is not None
                await server.delete_bucket(empty)
                await server.create_bucket(Bucket("empty", 0, NOW_MS + 9))
                await server.put_key(key)
            return await method(*args, **others)

        ours: Any = Watched(MemoryStore(source), call)
        await Copy(ours, target, ("here", "there")).run(follows=True)
        assert await target.key("AKIA1") == key
        assert await world.state(target) == await world.state(source)

    asyncio.run(test())


def test_a_pass_that_is_not_over_in_time_lets_writes_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "PAUSE_MIN_S", 0.3)
    monkeypatch.setattr(moves, "_TIMES_ESTIMATE", 0)

    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            if source.kept.pause is not None and method.__name__ == "noted":
                await asyncio.sleep(30)
            return await method(*args, **others)

        ours: Any = Watched(MemoryStore(source), call)
        with pytest.raises(Refused, match="writes go on"):
            await Copy(ours, target, ("here", "there")).run(follows=True)
        assert await source.paused() is None
        assert await target.paused() is not None

    asyncio.run(test())


def test_a_move_that_fails_in_its_last_pass_lets_writes_go_on() -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            if source.kept.pause is not None and method.__name__ == "noted":
                raise Corrupt("a row is damaged")
            return await method(*args, **others)

        ours: Any = Watched(MemoryStore(source), call)
        with pytest.raises(Corrupt):
            await Copy(ours, target, ("here", "there")).run(follows=True)
        assert await source.paused() is None
        assert await target.paused() is not None

    asyncio.run(test())


def test_a_pause_that_ends_before_the_last_pass_makes_no_move(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            pause = source.kept.pause
            if pause is not None and method.__name__ == "keys":
                source.kept.pause = None  # its time is over
            return await method(*args, **others)

        ours: Any = Watched(MemoryStore(source), call)
        with pytest.raises(Refused, match="writes have gone on"):
            await Copy(ours, target, ("here", "there")).run(follows=True)
        assert await source.paused() is None
        assert await target.paused() is not None

    asyncio.run(test())


@pytest.mark.parametrize("seed", range(4))
def test_engines_that_are_away_for_a_while_are_waited_for(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_PATIENCE_S", (0.0,) * 6)

    async def test() -> None:
        source, target = MemoryStore(), MemoryStore()
        await world.fill(source, SAMPLE)
        chance = random.Random(seed)

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            is_away = method.__name__ not in ("pause", "paused", "resume") and chance.random() < 0.08
            if is_away and chance.random() < 0.5:
                raise Unavailable("the connection was lost before")
            result = await method(*args, **others)
            if is_away:
                raise Unavailable("the connection was lost after")
            return result

        ours: Any = Watched(MemoryStore(source), call)
        theirs: Any = Watched(MemoryStore(target), call)
        await Copy(ours, theirs, ("here", "there")).run(follows=True)
        assert await world.state(target) == await world.state(source)

    asyncio.run(test())
