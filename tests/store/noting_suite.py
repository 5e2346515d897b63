"""What every engine must do about notes of changed keys: moves of stores find by them what is left to be copied.

A subclass has the fixtures of `pausing_suite.py`, whose `run_two` runs these tests; and a fixture `run_again` that
returns a function which runs two coroutines one after the other on one new store, closed and opened again in between.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from anys3.model import Bucket
from anys3.store.errors import ExpectationFailed, NotesEnded
from anys3.store.interface import Noted, Notes, Store
from anys3.store.mutations import AbortUpload, Absent, DeleteEntry, PutEntry, PutUpload
from tests.store.pausing_suite import CHANGES, RunTwo, fill
from tests.store.suite import StoreTest, change, entry, new_bucket, put, upload

RunAgain = Callable[[StoreTest, StoreTest], None]
Call = Callable[[Store, Notes], Awaitable[object]]
LONG_S = 1000.0
MUTATIONS = [kind for kind in CHANGES if kind[0].isupper()]
CONFIGURATIONS = [kind for kind in CHANGES if not kind[0].isupper()]
CALLS: dict[str, Call] = {
    "keep_noting": lambda store, notes: store.keep_noting(notes, LONG_S),
    "noted": lambda store, notes: store.noted(notes, 10),
    "strike_noted": lambda store, notes: store.strike_noted(notes, [(1, b"k")]),
}


def run_again_on(open_first: Callable[[], Store], open_again: Callable[[], Store]) -> RunAgain:
    """Return what runs two coroutines on what these open, one after the other."""

    def run_twice(first: StoreTest, second: StoreTest) -> None:
        async def body() -> None:
            for open_store, test in ((open_first, first), (open_again, second)):
                store = open_store()
                try:
                    await test(store)
                finally:
                    await store.close()

        asyncio.run(body())

    return run_twice


async def drain(store: Store, notes: Notes) -> list[Noted]:
    """Take all that is noted, in small pages."""
    found: list[Noted] = []
    while page := await store.noted(notes, 3):
        assert len(page) <= 3
        await store.strike_noted(notes, page)
        found += page
    return found


class Follower:
    """Copies a bucket into a dictionary by what is noted."""

    def __init__(self, store: Store, bucket: Bucket, notes: Notes) -> None:
        self._store = store
        self._bucket = bucket
        self._notes = notes
        self.copy: dict[bytes, str] = {}

    async def turn(self) -> int:
        """Read, strike, and only then copy."""
        page = await self._store.noted(self._notes, 7)
        await self._store.strike_noted(self._notes, page)
        for bucket, key in page:
            assert bucket == self._bucket.id
            now = await self._store.entry(self._bucket, key)
            self.copy.pop(key, None)
            if now is not None:
                self.copy[key] = now.etag
        return len(page)


async def write(
    store: Store, bucket: Bucket, seed: int, begun: asyncio.Event, is_followed: asyncio.Event
) -> None:
    """Put and delete keys that other writers change, too: some before anybody follows, many meanwhile."""
    chance = random.Random(seed)
    for turn in range(60):
        if turn == 5:
            begun.set()
        if turn == 20:
            await is_followed.wait()
        keys = chance.sample([b"k%02d" % number for number in range(12)], chance.randrange(1, 4))
        etag = f"{seed:016}{turn:016}"
        changes = [
            PutEntry(key, entry(1, etag), b"1") if chance.random() < 0.7 else DeleteEntry(key) for key in keys
        ]
        await change(store, bucket, *changes)
        await asyncio.sleep(0)


class NotingSuite:
    """The contract of `begin_noting`, `keep_noting`, `noted`, `strike_noted` and `end_noting`."""

    @pytest.mark.parametrize("kind", MUTATIONS)
    def test_each_kind_of_mutation_is_noted_once_with_its_bucket_and_key(
        self, run_two: RunTwo, kind: str
    ) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await fill(store)
            notes = await other.begin_noting(LONG_S)
            await drain(other, notes)
            await CHANGES[kind](store, bucket)
            key = b"new" if kind == "PutEntry" else b"k"
            assert await other.noted(notes, 10) == await store.noted(notes, 10) == [(bucket.id, key)]

        run_two(test)

    @pytest.mark.parametrize("kind", CONFIGURATIONS)
    def test_buckets_and_access_keys_are_not_noted(self, run_two: RunTwo, kind: str) -> None:
        async def test(store: Store, _: Store) -> None:
            bucket = await fill(store)
            notes = await store.begin_noting(LONG_S)
            await drain(store, notes)
            await CHANGES[kind](store, bucket)
            assert await store.noted(notes, 10) == []

        run_two(test)

    def test_a_mutation_of_several_keys_notes_them_all(self, run_two: RunTwo) -> None:
        async def test(store: Store, _: Store) -> None:
            bucket = await fill(store)
            notes = await store.begin_noting(LONG_S)
            await drain(store, notes)
            new = PutUpload(upload(b"u", "u9"))
            old = AbortUpload(b"k", "u1")
            await change(store, bucket, PutEntry(b"a", entry(1), b"1"), DeleteEntry(b"none"), new, old)
            expected = {(bucket.id, key) for key in (b"a", b"none", b"u", b"k")}
            # (To remove what is not there changes nothing: an engine may leave it out.)
            assert set(await store.noted(notes, 10)) | {(bucket.id, b"none")} == expected

        run_two(test)

    def test_a_key_that_changes_often_is_one_note_until_it_is_struck(self, run_two: RunTwo) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await new_bucket(store)
            notes = await store.begin_noting(LONG_S)
            for turn in range(20):
                await put(other if turn % 2 else store, bucket, b"k", b"%d" % turn)
            assert await store.noted(notes, 10) == [(bucket.id, b"k")]
            for _ in range(2):
                await store.strike_noted(notes, [(bucket.id, b"k"), (bucket.id, b"never"), (999, b"k")])
                assert await store.noted(notes, 10) == []
            await change(other, bucket, DeleteEntry(b"k"))
            assert await store.noted(notes, 10) == [(bucket.id, b"k")]

        run_two(test)

    def test_a_mutation_that_fails_hides_none_that_succeeds(self, run_two: RunTwo) -> None:
        async def test(store: Store, _: Store) -> None:
            bucket = await new_bucket(store)
            notes = await store.begin_noting(LONG_S)
            outcomes = await asyncio.gather(
                *(
                    put(store, bucket, b"k%d" % (turn % 4), b"1", Absent(b"k%d" % (turn % 4)))
                    for turn in range(12)
                ),
                return_exceptions=True,
            )
            assert sum(isinstance(one, ExpectationFailed) for one in outcomes) == 8
            assert sorted(await store.noted(notes, 10)) == [
                (bucket.id, b"k%d" % number) for number in range(4)
            ]

        run_two(test)

    def test_notes_are_read_in_pages_of_an_order_that_stays(self, run_two: RunTwo) -> None:
        async def test(store: Store, _: Store) -> None:
            bucket = await new_bucket(store)
            notes = await store.begin_noting(LONG_S)
            assert await store.noted(notes, 10) == []
            await change(store, bucket, *(PutEntry(b"%04d" % n, entry(1), b"1") for n in range(1200)))
            first = await store.noted(notes, 500)
            assert (len(first), await store.noted(notes, 500)) == (500, first)
            assert (await store.noted(notes, 1000))[:500] == first
            await store.strike_noted(notes, first)
            await store.strike_noted(notes, [])
            rest = await store.noted(notes, 5000)
            assert sorted([*first, *rest]) == [(bucket.id, b"%04d" % n) for n in range(1200)]

        run_two(test)

    def test_keys_of_any_length_are_noted_and_those_of_another_bucket_are_others(
        self, run_two: RunTwo
    ) -> None:
        async def test(store: Store, _: Store) -> None:
            one, other = await new_bucket(store), await new_bucket(store, "other")
            notes = await store.begin_noting(LONG_S)
            keys = [b"x", b"x" * 400, b"x" * 401, b"x" * 1023 + b"y", b"x" * 1024, "ü".encode() * 512]
            for key in keys:
                await put(store, one, key, b"1")
                await put(store, other, key, b"1")
            expected = {(bucket.id, key) for bucket in (one, other) for key in keys}
            assert set(await store.noted(notes, 100)) == expected
            await store.strike_noted(notes, [(one.id, key) for key in keys[3:]])
            expected -= {(one.id, key) for key in keys[3:]}
            assert sorted(await store.noted(notes, 100)) == sorted(expected)
            await put(store, one, keys[3], b"2")
            assert set(await store.noted(notes, 100)) - expected == {(one.id, keys[3])}

        run_two(test)

    def test_notes_of_a_bucket_that_is_deleted_can_be_struck(self, run_two: RunTwo) -> None:
        async def test(store: Store, _: Store) -> None:
            bucket = await new_bucket(store)
            notes = await store.begin_noting(LONG_S)
            await change(store, bucket, PutUpload(upload(b"k", "u1")))
            await store.delete_bucket(bucket)
            anew = await new_bucket(store)
            await put(store, anew, b"k", b"1")
            assert set(await drain(store, notes)) | {(bucket.id, b"k")} == {
                (bucket.id, b"k"),
                (anew.id, b"k"),
            }
            assert await store.noted(notes, 10) == []

        run_two(test)

    # their end

    @pytest.mark.parametrize("call", CALLS)
    def test_who_begins_anew_ends_the_notes_of_others(self, run_two: RunTwo, call: str) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await new_bucket(store)
            first = await store.begin_noting(LONG_S)
            await put(store, bucket, b"old", b"1")
            second = await other.begin_noting(LONG_S)
            await drain(other, second)
            with pytest.raises(NotesEnded):
                await CALLS[call](store, first)
            await store.end_noting(first)
            await put(store, bucket, b"new", b"1")
            assert await other.noted(second, 10) == [(bucket.id, b"new")]
            third = await store.begin_noting(LONG_S)
            assert (bucket.id, b"old") not in await store.noted(third, 10)

        run_two(test)

    @pytest.mark.parametrize("call", CALLS)
    def test_notes_end_by_themselves_and_are_never_revived(self, run_two: RunTwo, call: str) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await new_bucket(store)
            notes = await store.begin_noting(0)
            await put(store, bucket, b"k", b"1")
            for _ in range(2):
                with pytest.raises(NotesEnded):
                    await CALLS[call](other, notes)
                with pytest.raises(NotesEnded):
                    await store.keep_noting(notes, LONG_S)
            await store.end_noting(notes)
            await put(store, bucket, b"k", b"2")

        run_two(test)

    @pytest.mark.parametrize("call", CALLS)
    def test_notes_that_were_ended_are_over_for_all_and_can_be_ended_again(
        self, run_two: RunTwo, call: str
    ) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await new_bucket(store)
            notes = await store.begin_noting(LONG_S)
            await put(store, bucket, b"k", b"1")
            for _ in range(2):
                await other.end_noting(notes)
                with pytest.raises(NotesEnded):
                    await CALLS[call](store, notes)
            await put(store, bucket, b"k", b"2")
            again = await store.begin_noting(LONG_S)
            assert again != notes
            await drain(store, again)
            await put(other, bucket, b"l", b"2")
            assert await store.noted(again, 10) == [(bucket.id, b"l")]

        run_two(test)

    def test_who_prolongs_notes_keeps_them(self, run_two: RunTwo) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await new_bucket(store)
            for lasts_s in (0.3, 2.0, 10.0):  # the first but on a machine that is very slow
                notes = await store.begin_noting(lasts_s)
                try:
                    await other.keep_noting(notes, LONG_S)
                    break
                except NotesEnded:
                    continue
            await put(other, bucket, b"k", b"1")
            await asyncio.sleep(lasts_s + 0.1)
            assert (bucket.id, b"k") in await store.noted(notes, 10)
            await put(other, bucket, b"l", b"1")
            assert (bucket.id, b"l") in await store.noted(notes, 10)

        run_two(test)

    # beside everything else

    def test_no_pause_is_in_the_way_of_notes(self, run_two: RunTwo) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await fill(store)
            pause = await other.pause("it is being moved")
            notes = await store.begin_noting(LONG_S)
            await drain(store, notes)
            await put(other, bucket, b"k", b"2")
            await store.keep_noting(notes, LONG_S)
            assert await store.noted(notes, 10) == [(bucket.id, b"k")]
            await store.strike_noted(notes, [(bucket.id, b"k")])
            await store.end_noting(notes)
            assert await store.paused() == pause

        run_two(test)

    def test_notes_outlive_the_process_that_began_them(self, run_again: RunAgain) -> None:
        begun: list[tuple[Notes, Bucket]] = []

        async def first(store: Store) -> None:
            bucket = await new_bucket(store)
            begun.append((await store.begin_noting(LONG_S), bucket))
            await put(store, bucket, b"k", b"1")

        async def second(store: Store) -> None:
            ((notes, bucket),) = begun
            await put(store, bucket, b"l", b"1")
            await store.keep_noting(notes, LONG_S)
            assert set(await store.noted(notes, 10)) == {(bucket.id, b"k"), (bucket.id, b"l")}

        run_again(first, second)

    @pytest.mark.parametrize("seed", range(3))
    def test_who_reads_strikes_and_then_copies_has_what_the_store_has(
        self, run_two: RunTwo, seed: int
    ) -> None:
        async def test(store: Store, other: Store) -> None:
            bucket = await new_bucket(store)
            begun, is_followed = asyncio.Event(), asyncio.Event()
            writing = [
                asyncio.ensure_future(write(one, bucket, 10 * seed + number, begun, is_followed))
                for number, one in enumerate((store, other, store, other))
            ]
            await begun.wait()
            follower = Follower(store, bucket, await store.begin_noting(LONG_S))
            follower.copy = {key: row.etag for key, row in await store.entries(bucket, b"", 100)}
            while not all(one.done() for one in writing):
                await follower.turn()
                is_followed.set()
                await asyncio.sleep(0)
            await asyncio.gather(*writing)
            while await follower.turn():
                pass
            assert follower.copy == {key: row.etag for key, row in await store.entries(bucket, b"", 100)}

        run_two(test)
