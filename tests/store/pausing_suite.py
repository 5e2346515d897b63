"""What every engine must do about pauses and whole rows: a part of the contract that moves of stores stand on.

A subclass has a fixture `store_factory` that returns a function which opens a new, empty store, and a fixture
`beside` that returns a function which opens the store of another object once more, as another process would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from anys3.model import AccessKey, Bucket
from anys3.store.errors import NoSuchBucket, NoSuchUpload, Pause, PauseChanged, Paused
from anys3.store.interface import OpenedPart, Store
from anys3.store.mutations import AbortUpload, CompleteUpload, DeleteEntry, PutEntry, PutPart, PutUpload
from tests.store.suite import change, content, entry, get, multipart, new_bucket, part, pattern, put, upload

Beside = Callable[[Store], Store]
Change = Callable[[Store, Bucket], Awaitable[Any]]
TwoTest = Callable[[Store, Store], Awaitable[None]]
RunTwo = Callable[[TwoTest], None]

CHANGES: dict[str, Change] = {
    "put_key": lambda store, _: store.put_key(AccessKey("AKIA2", "secret", "app")),
    "claim_root": lambda store, _: store.claim_root(AccessKey("AKIA3", "secret", "root", is_root=True)),
    "delete_key": lambda store, _: store.delete_key("AKIA1"),
    "create_bucket": lambda store, _: store.create_bucket(Bucket("another", 0, 1)),
    "update_bucket": lambda store, bucket: store.update_bucket(replace(bucket, is_public=True)),
    "delete_bucket": lambda store, _: _delete_empty(store),
    "PutEntry": lambda store, bucket: change(store, bucket, PutEntry(b"new", entry(1), b"1")),
    "PutEntry of tags": lambda store, bucket: change(
        store, bucket, PutEntry(b"k", entry(1, tags=(("a", "b"),)), None)
    ),
    "DeleteEntry": lambda store, bucket: change(store, bucket, DeleteEntry(b"k")),
    "PutUpload": lambda store, bucket: change(store, bucket, PutUpload(upload(b"k", "u2"))),
    "PutPart": lambda store, bucket: change(store, bucket, PutPart(b"k", "u1", part(2, 1), b"2")),
    "CompleteUpload": lambda store, bucket: _complete(store, bucket),  # noqa: PLW0108 (defined below)
    "AbortUpload": lambda store, bucket: change(store, bucket, AbortUpload(b"k", "u1")),
}
"""One of each kind; `fill` made what they need."""


async def fill(store: Store) -> Bucket:
    """Make what `CHANGES` need."""
    await store.put_key(AccessKey("AKIA1", "secret", "first"))
    await new_bucket(store, "empty")
    bucket = await new_bucket(store)
    await put(store, bucket, b"k", b"1")
    await change(store, bucket, PutUpload(upload(b"k", "u1")))
    await change(store, bucket, PutPart(b"k", "u1", part(1, 1), b"1"))
    return bucket


async def _delete_empty(store: Store) -> None:
    empty = await store.bucket("empty")
    assert empty is not None
    await store.delete_bucket(empty)


async def _complete(store: Store, bucket: Bucket) -> None:
    parts = await store.parts(bucket, b"k", "u1")
    await change(store, bucket, CompleteUpload(b"k", "u1", entry(1, upload_id="u1", part_count=1), parts))


async def _state(store: Store, bucket: Bucket) -> object:
    uploads = (await store.uploads(bucket, b"", b"", b"", None, 100)).uploads
    return (
        await store.keys(),
        await store.buckets(),
        await store.entries(bucket, b"", 100),
        [(one, await store.parts(bucket, one.key, one.upload_id)) for one in uploads],
    )


def read_part(opened: OpenedPart | None) -> bytes:
    """Return a part's bytes, and let go of it."""
    assert opened is not None
    if opened.source is None:
        assert opened.inline is not None
        return opened.inline
    slice = opened.source.slice(0, opened.part.size)
    try:
        return b"".join(bytes(block) for block in slice.blocks())
    finally:
        slice.close()


@pytest.fixture
def run_two(store_factory: Callable[[], Store], beside: Beside) -> RunTwo:
    """Return a function that runs a coroutine on two ways to one new store, and closes them."""

    def run_on_two(test: TwoTest) -> None:
        async def body() -> None:
            store = store_factory()
            try:
                other = beside(store)
                try:
                    await test(store, other)
                finally:
                    await other.close()
            finally:
                await store.close()

        asyncio.run(body())

    return run_on_two


class PausingSuite:
    """The contract of `pause`, `paused`, `resume`, `entries` and `open_part`."""

    @pytest.mark.parametrize("kind", CHANGES)
    def test_a_paused_store_refuses_each_kind_of_change(self, run_two: RunTwo, kind: str) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await fill(store)
            before = await _state(store, bucket)
            pause = await other.pause("it is being moved")
            with pytest.raises(Paused, match="it is being moved") as refused:
                await CHANGES[kind](store, bucket)
            assert refused.value.pause == pause
            assert await _state(store, bucket) == before
            await other.resume(pause)
            await CHANGES[kind](store, bucket)
            assert await _state(store, bucket) != before

        run_two(test)

    @pytest.mark.parametrize("kind", CHANGES)
    def test_who_paused_it_may_make_each_kind_of_change(self, run_two: RunTwo, kind: str) -> None:
        async def test(store: Store, _: Store) -> None:
            bucket = await fill(store)
            before = await _state(store, bucket)
            await store.pause("a copy is made here")
            await CHANGES[kind](store, bucket)
            assert await _state(store, bucket) != before

        run_two(test)

    @pytest.mark.parametrize("kind", CHANGES)
    def test_who_paused_it_may_change_nothing_when_that_pause_is_over(
        self, run_two: RunTwo, kind: str
    ) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await fill(store)
            pause = await store.pause("mine")
            await other.resume(pause)
            with pytest.raises(Paused):
                await CHANGES[kind](store, bucket)
            theirs = await other.pause("another one's")
            with pytest.raises(Paused, match="another one's"):
                await CHANGES[kind](store, bucket)
            await CHANGES[kind](other, bucket)
            assert await store.paused() == theirs

        run_two(test)

    def test_reads_go_on_in_a_paused_store(self, run_two: RunTwo) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await fill(store)
            large = pattern(300_000)
            await put(store, bucket, b"large", large)
            await other.pause("it is being moved")
            assert await get(store, bucket, b"large") == large
            assert [key for key, _ in (await store.list(bucket, b"", b"", b"", 9)).rows] == [b"k", b"large"]

        run_two(test)

    def test_everybody_sees_the_pause_and_its_end(self, run_two: RunTwo) -> None:
        async def test(store: Store, other: Store) -> None:
            assert await store.paused() is None
            pause = await other.pause("für einen Umzug", lasts_s=1000)
            assert (pause.reason, pause.ends_ms is not None) == ("für einen Umzug", True)
            assert await store.paused() == await other.paused() == pause
            await store.resume(pause)
            assert await other.paused() is None

        run_two(test)

    def test_a_pause_ends_by_itself_when_its_time_is_over(self, run_two: RunTwo) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await fill(store)
            pause = await other.pause("for a moment", lasts_s=0)
            assert await store.paused() is None
            await put(store, bucket, b"k", b"2")
            with pytest.raises(PauseChanged):
                await store.resume(pause)
            with pytest.raises(Paused):  # the holder does not know what was changed meanwhile
                await put(other, bucket, b"k", b"3")

        run_two(test)

    def test_a_pause_takes_the_place_of_the_one_that_was_expected_only(self, run_two: RunTwo) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await fill(store)
            first = await store.pause("first")
            with pytest.raises(PauseChanged, match="first") as refused:
                await other.pause("second")
            assert refused.value.pause == first
            second = await other.pause("second", was=first)
            with pytest.raises(PauseChanged, match="second"):
                await store.resume(first)
            with pytest.raises(Paused, match="second"):
                await put(store, bucket, b"k", b"2")
            third = await other.pause("third", was=second, lasts_s=1000)
            await put(other, bucket, b"k", b"3")
            await other.resume(third)
            await put(other, bucket, b"k", b"4")

        run_two(test)

    def test_an_ended_pause_is_not_taken_for_the_one_in_force(self, run_two: RunTwo) -> None:
        async def test(store: Store, other: Store) -> None:
            pause = await store.pause("for a moment", lasts_s=0)
            with pytest.raises(PauseChanged):
                await store.pause("moved", was=pause)
            assert await other.paused() is None
            assert isinstance(await other.pause("another"), Pause)

        run_two(test)

    def test_changes_that_race_a_pause_are_whole_before_it_or_refused(self, run_two: RunTwo) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await fill(store)
            racing = [asyncio.ensure_future(put(store, bucket, b"r%03d" % n, b"1")) for n in range(60)]
            await asyncio.wait(racing[:1])
            await other.pause("it is being moved")
            seen = await other.entries(bucket, b"r", 100)
            outcomes = await asyncio.gather(*racing, return_exceptions=True)
            assert await other.entries(bucket, b"r", 100) == seen
            assert len(seen) == sum(isinstance(outcome, int) for outcome in outcomes)
            assert {type(outcome) for outcome in outcomes} <= {int, Paused}

        run_two(test)

    # whole rows

    def test_rows_come_whole_in_key_order_and_in_pages(self, run_two: RunTwo) -> None:
        async def test(store: Store, _: Store) -> None:
            bucket = await new_bucket(store)
            keys = sorted([b"a", b"a/b", b"b", "ü".encode(), b"x" * 400, b"x" * 400 + b"y", b"x" * 1024])
            for key in reversed(keys):
                await put(store, bucket, key, b"1", etag=key[:3].hex())
            await multipart(store, bucket, b"m", {1: b"abc", 2: b"d"}, "u1")
            keys = sorted([*keys, b"m"])
            whole = await store.entries(bucket, b"", 100)
            assert [key for key, _ in whole] == keys
            assert [row for _, row in whole] == [await store.entry(bucket, key) for key in keys]
            pages = [await store.entries(bucket, after, 1) for after in [b"", *keys]]
            assert [row for page in pages for row in page] == whole
            assert pages[-1] == []
            assert await store.entries(bucket, b"a0", 2) == whole[2:4]
            assert await store.entries(bucket, b"x" * 401, 9) == await store.entries(bucket, b"x" * 1000, 9)

        run_two(test)

    def test_a_part_of_an_unfinished_upload_can_be_read_and_stays_for_its_reader(
        self, run_two: RunTwo
    ) -> None:
        async def test(store: Store, _: Store) -> None:
            bucket = await new_bucket(store)
            await change(store, bucket, PutUpload(upload(b"k", "u1")))
            bodies = {1: b"small", 2: pattern(700_000), 3: b""}
            for number, body in bodies.items():
                given = PutPart(b"k", "u1", part(number, len(body)), content(store, body))
                await change(store, bucket, given)
            held = {number: await store.open_part(bucket, b"k", "u1", number) for number in bodies}
            assert await store.open_part(bucket, b"k", "u1", 4) is None
            parts = await store.parts(bucket, b"k", "u1")
            assert [opened.part for opened in held.values() if opened] == parts
            await change(store, bucket, AbortUpload(b"k", "u1"))
            await asyncio.sleep(0.05)
            assert {number: read_part(opened) for number, opened in held.items()} == bodies
            with pytest.raises(NoSuchUpload):
                await store.open_part(bucket, b"k", "u1", 1)

        run_two(test)

    def test_rows_of_a_bucket_that_is_gone_are_refused(self, run_two: RunTwo) -> None:
        async def test(store: Store, _: Store) -> None:
            bucket = await new_bucket(store)
            assert await store.entries(bucket, b"", 1) == []
            await store.delete_bucket(bucket)
            with pytest.raises(NoSuchBucket):
                await store.entries(bucket, b"", 1)

        run_two(test)
