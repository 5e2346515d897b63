"""What every engine must do: collected once an engine, by test_memory.py, test_embedded.py and others.

A subclass has a fixture `store_factory` that returns a function which opens a new, empty store.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from anys3.model import AccessKey, Bucket, Checksum, CorsRule, Entry, Grant, Part, Upload
from anys3.store.errors import (
    BucketChanged,
    BucketExists,
    BucketNotEmpty,
    ExpectationFailed,
    NoSuchBucket,
    NoSuchUpload,
    PartChanged,
)
from anys3.store.interface import Opened, Store
from anys3.store.mutations import (
    AbortUpload,
    Absent,
    Change,
    CompleteUpload,
    DeleteEntry,
    Expectation,
    Matches,
    Mutation,
    Present,
    PutEntry,
    PutPart,
    PutUpload,
    Unchanged,
)

MIB = 1024 * 1024
StoreTest = Callable[[Store], Coroutine[Any, Any, None]]


def entry(size: int, etag: str = "0" * 32, **others: Any) -> Entry:
    """Return an entry as PutObject makes it."""
    stored = b"Content-Type: text/plain\r\nx-amz-meta-name: caf\xc3\xa9\r\n"
    headers = b'ETag: "%b"\r\n' % etag.encode() + stored
    return Entry(size, 1_790_000_000_123, etag, headers, stored, b"<Size>%d</Size>" % size, **others)


def part(number: int, size: int, etag: str = "p") -> Part:
    """Return a part as UploadPart makes it."""
    return Part(number, size, etag, 1_790_000_000_000 + number, Checksum("CRC32", "FULL_OBJECT", "AAAAAA=="))


def upload(key: bytes, upload_id: str) -> Upload:
    """Return an upload as CreateMultipartUpload makes it."""
    return Upload(key, upload_id, 7, b"Content-Type: a/b\r\n", (("a", "é"),), "CRC32", "COMPOSITE", "me", 5)


def pattern(size: int, seed: int = 1) -> bytes:
    """Return bytes that no block repeats."""
    numbers = (n.to_bytes(4, "big") for n in range(seed, seed + size // 4 + 1))
    return b"".join(numbers)[:size]


async def new_bucket(store: Store, name: str = "photos") -> Bucket:
    """Create a bucket."""
    return await store.create_bucket(Bucket(name, 0, 1_790_000_000_000, "AKIA"))


async def change(store: Store, bucket: Bucket, *changes: Change, expect: tuple[Expectation, ...] = ()) -> int:
    """Commit changes and return the sequence."""
    return (await store.commit(Mutation(bucket, changes, expect))).sequence


async def put(
    store: Store, bucket: Bucket, key: bytes, body: bytes, *expect: Expectation, etag: str = "0" * 32
) -> int:
    """Put an object, through a writer if it is large."""
    return await change(
        store, bucket, PutEntry(key, entry(len(body), etag), content(store, body)), expect=expect
    )


def content(store: Store, body: bytes) -> object:
    """Return a content made as the operations make it."""
    if len(body) <= store.inline_max:
        return body
    writer = store.writer(len(body))
    view = memoryview(body)
    for at in range(0, len(body), 100_003):
        writer.write(view[at : at + 100_003])
    return writer.finish()


def read(opened: Opened | None, start: int = 0, length: int | None = None) -> bytes:
    """Return an opened object's bytes, and close it."""
    assert opened is not None
    length = opened.entry.size - start if length is None else length
    if opened.inline is not None:
        return opened.inline[start : start + length]
    assert opened.source is not None
    found = opened.source.slice(start, length)
    try:
        assert found.length == length
        return b"".join(bytes(block) for block in found.blocks())
    finally:
        found.close()


async def get(store: Store, bucket: Bucket, key: bytes) -> bytes:
    """Return an object's bytes."""
    return read(await store.open(bucket, key))


async def multipart(
    store: Store, bucket: Bucket, key: bytes, bodies: dict[int, bytes], upload_id: str
) -> None:
    """Put an object in parts."""
    await change(store, bucket, PutUpload(upload(key, upload_id)))
    for number, body in bodies.items():
        await change(store, bucket, PutPart(key, upload_id, part(number, len(body)), content(store, body)))
    parts = await store.parts(bucket, key, upload_id)
    size = sum(len(body) for body in bodies.values())
    made = entry(size, "x-2", upload_id=upload_id, part_count=len(parts))
    await change(store, bucket, CompleteUpload(key, upload_id, made, parts))


@pytest.fixture
def run(store_factory: Callable[[], Store]) -> Callable[[StoreTest], None]:
    """Return a function that runs a coroutine on a new store and closes it."""

    def run_on_store(test: StoreTest) -> None:
        async def body() -> None:
            store = store_factory()
            try:
                await test(store)
            finally:
                await store.close()

        asyncio.run(body())

    return run_on_store


Run = Callable[[StoreTest], None]


class Suite:
    """The tests of the contract."""

    # configuration

    def test_figures_are_named_as_prometheus_wants_it_and_tell_no_name_of_a_user(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            await put(store, bucket, b"a-telling-key", b"x")
            figures = await asyncio.to_thread(store.figures)
            places = [(each.name, each.labels) for each in figures]
            assert len(set(places)) == len(places)
            assert [name for name, _ in places if not re.fullmatch("anys3_[a-z0-9_]+", name)] == []
            assert [each.name for each in figures if not each.help or each.value < 0] == []
            assert [each.name for each in figures if each.is_counter and each.over != "sum"] == []
            assert "telling" not in repr(figures)
            assert bucket.name not in repr(figures)

        run(test)

    def test_a_bucket_has_an_id_and_is_found_by_its_name(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            assert await store.bucket("photos") == bucket
            assert await store.bucket("other") is None
            assert await store.bucket("") is None
            with pytest.raises(BucketExists) as caught:
                await new_bucket(store)
            assert caught.value.bucket == bucket

        run(test)

    def test_buckets_are_listed_by_name_in_pages(self, run: Run) -> None:
        async def test(store: Store) -> None:
            for name in ("b2", "a1", "b1", "c", "b"):
                await new_bucket(store, name)
            assert [bucket.name for bucket in await store.buckets()] == ["a1", "b", "b1", "b2", "c"]
            assert [bucket.name for bucket in await store.buckets("b", "b")] == ["b1", "b2"]
            assert [bucket.name for bucket in await store.buckets(limit=2)] == ["a1", "b"]
            assert [bucket.name for bucket in await store.buckets("a", "b", 1)] == ["b"]

        run(test)

    def test_settings_of_a_bucket_are_kept_as_given(self, run: Run) -> None:
        async def test(store: Store) -> None:
            made = await new_bucket(store)
            rule = CorsRule(("http://a", "*"), ("GET",), ("x-*",), ("etag",), 5, "one")
            changed = Bucket("photos", made.id, made.created_ms, "me", True, (rule,), ())
            await store.update_bucket(changed)
            assert await store.bucket("photos") == changed
            with pytest.raises(NoSuchBucket):
                await store.update_bucket(Bucket("other", made.id, 0))

        run(test)

    def test_a_change_made_from_an_old_row_of_a_bucket_does_nothing(self, run: Run) -> None:
        async def test(store: Store) -> None:
            public = replace(await new_bucket(store), is_public=True)
            await store.update_bucket(public)
            closed = replace(public, is_public=False)
            await store.update_bucket(closed, was=public)
            with pytest.raises(BucketChanged):
                await store.update_bucket(replace(public, cors=()), was=public)
            assert await store.bucket("photos") == closed

        run(test)

    def test_every_change_of_configuration_raises_the_generation(self, run: Run) -> None:
        async def test(store: Store) -> None:
            seen = [store.generation()]
            bucket = await new_bucket(store)
            seen.append(store.generation())
            await store.update_bucket(bucket)
            seen.append(store.generation())
            await store.put_key(AccessKey("AK", "s", "n"))
            seen.append(store.generation())
            await put(store, bucket, b"k", b"")
            assert store.generation() == seen[-1]
            await store.delete_key("AK")
            seen.append(store.generation())
            await change(store, bucket, DeleteEntry(b"k"))
            await store.delete_bucket(bucket)
            seen.append(store.generation())
            assert seen == sorted(set(seen))

        run(test)

    def test_keys_are_kept_as_given(self, run: Run) -> None:
        async def test(store: Store) -> None:
            one = AccessKey("AK2", "secret", "é", True, True, {"photos": Grant(True, False, True)}, 3)
            two = AccessKey("AK1", "other", "n")
            await store.put_key(one)
            await store.put_key(two)
            assert await store.keys() == [two, one]
            assert await store.key("AK2") == one
            assert await store.delete_key("AK2") is True
            assert await store.delete_key("AK2") is False
            assert await store.key("AK2") is None

        run(test)

    def test_the_first_root_key_stays_whoever_else_claims_to_be_it(self, run: Run) -> None:
        async def test(store: Store) -> None:
            await store.put_key(AccessKey("AK0", "s", "app"))
            claims = [AccessKey(f"AK{n}", f"secret {n}", "root", is_root=True) for n in range(1, 9)]
            got = await asyncio.gather(*(store.claim_root(key) for key in claims))
            before = store.generation()
            got.append(await store.claim_root(claims[-1]))
            assert [key for key in await store.keys() if key.is_root] == [got[0]]
            assert (got, store.generation()) == ([got[0]] * 9, before)

        run(test)

    @pytest.mark.requirement("DB-01", "DB-03", "DB-04", "DB-06")
    def test_a_bucket_that_is_made_again_is_another_one(self, run: Run) -> None:
        async def test(store: Store) -> None:
            old = await new_bucket(store)
            await put(store, old, b"k", b"1")
            with pytest.raises(BucketNotEmpty):
                await store.delete_bucket(old)
            await change(store, old, DeleteEntry(b"k"))
            await store.delete_bucket(old)
            with pytest.raises(NoSuchBucket):
                await store.delete_bucket(old)
            new = await new_bucket(store)
            assert new.id != old.id
            with pytest.raises(NoSuchBucket):
                await put(store, old, b"k", b"1")
            with pytest.raises(NoSuchBucket):
                await store.entry(old, b"k")
            with pytest.raises(NoSuchBucket):
                await store.open(old, b"k")
            with pytest.raises(NoSuchBucket):
                await store.list(old, b"", b"", b"", 10)
            with pytest.raises(NoSuchBucket):
                await store.upload(old, b"k", "u")
            assert (await store.list(new, b"", b"", b"", 10)).rows == []

        run(test)

    @pytest.mark.requirement("AUTH-17")
    def test_a_bucket_that_is_made_again_is_granted_to_nobody(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            grants = {bucket.name: Grant(True, True, True), "other": Grant(True)}
            await store.put_key(AccessKey("AK1", "s", "n", grants=grants))
            await store.delete_bucket(bucket)
            key = await store.key("AK1")
            assert key is not None
            assert key.grants == {"other": Grant(True)}

        run(test)

    @pytest.mark.requirement("DB-05")
    def test_unfinished_uploads_do_not_keep_a_bucket_and_do_not_come_back(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            for key in (b"k", b"l" * 1000):
                await change(store, bucket, PutUpload(upload(key, "u")))
                await change(store, bucket, PutPart(key, "u", part(1, 3), b"abc"))
            await store.delete_bucket(bucket)
            with pytest.raises(NoSuchBucket):
                await store.parts(bucket, b"k", "u")
            again = await new_bucket(store)
            assert (await store.uploads(again, b"", b"", b"", None, 10)).uploads == []

        run(test)

    # objects

    @pytest.mark.parametrize("size", [0, 1, 4096, 128 * 1024, 128 * 1024 + 1, 256 * 1024, MIB, 3 * MIB + 17])
    @pytest.mark.known_mistake(50)
    def test_an_object_is_read_back_as_it_was_put(self, run: Run, size: int) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            body = pattern(size)
            sequence = await put(store, bucket, b"k", body)
            found = await store.entry(bucket, b"k")
            opened = await store.open(bucket, b"k")
            assert opened is not None
            assert found == opened.entry
            assert (opened.inline is None) != (opened.source is None)
            expected = entry(size, sequence=sequence, content=opened.entry.content)
            assert opened.entry == expected
            assert read(opened) == body

        run(test)

    def test_an_entry_keeps_everything_that_it_says(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            given = entry(
                1,
                checksum=Checksum("SHA256", "COMPOSITE", "abc=-3"),
                tags=(("b", "2"), ("a", "é")),
                upload_id="upload",
                part_count=3,
            )
            await change(store, bucket, PutEntry(b"k", given, b"x"))
            found = await store.entry(bucket, b"k")
            assert found is not None
            assert (found.checksum, found.tags, found.upload_id, found.part_count) == (
                given.checksum,
                given.tags,
                given.upload_id,
                given.part_count,
            )
            assert (found.headers, found.stored, found.listing) == (
                given.headers,
                given.stored,
                given.listing,
            )

        run(test)

    @pytest.mark.parametrize(
        ("start", "length"),
        [(0, 1), (0, 0), (3 * MIB + 16, 1), (262_143, 2), (262_144, 262_144), (5, MIB), (1_000_000, 2 * MIB)],
    )
    def test_a_slice_of_a_large_object_is_that_range(self, run: Run, start: int, length: int) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            body = pattern(3 * MIB + 17)
            await put(store, bucket, b"k", body)
            assert read(await store.open(bucket, b"k"), start, length) == body[start : start + length]

        run(test)

    def test_a_writer_of_unknown_length_may_stay_small(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            writer = store.writer(None)
            writer.write(b"ab")
            writer.write(memoryview(bytearray(b"c")))
            await change(store, bucket, PutEntry(b"k", entry(3), writer.finish()))
            writer.discard()
            assert await get(store, bucket, b"k") == b"abc"

        run(test)

    def test_a_discarded_content_cannot_hurt_and_a_named_one_stays(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            body = pattern(MIB)
            lost = store.writer(MIB)
            lost.write(body)
            lost.discard()
            lost.discard()
            writer = store.writer(MIB)
            writer.write(body)
            await change(store, bucket, PutEntry(b"k", entry(MIB), writer.finish()))
            writer.discard()
            assert await get(store, bucket, b"k") == body

        run(test)

    @pytest.mark.requirement("CON-02")
    @pytest.mark.parametrize("size", [10, 200_000])
    def test_a_reader_keeps_what_it_opened_while_it_is_overwritten_and_deleted(
        self, run: Run, size: int
    ) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", pattern(size))
            opened = await store.open(bucket, b"k")
            await put(store, bucket, b"k", pattern(size, 77))
            later = await store.open(bucket, b"k")
            await change(store, bucket, DeleteEntry(b"k"))
            await asyncio.sleep(0.05)
            assert read(opened) == pattern(size)
            assert read(later) == pattern(size, 77)
            assert await store.open(bucket, b"k") is None
            assert await store.entry(bucket, b"k") is None

        run(test)

    def test_deleting_an_absent_object_is_no_error(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            first = await change(store, bucket, DeleteEntry(b"k"))
            assert await change(store, bucket, DeleteEntry(b"k" * 1024)) > first

        run(test)

    @pytest.mark.parametrize("size", [3, 200_000])
    def test_new_tags_keep_the_content(self, run: Run, size: int) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            sequence = await put(store, bucket, b"k", pattern(size))
            tagged = entry(size, tags=(("a", "b"),))
            await change(store, bucket, PutEntry(b"k", tagged, None), expect=(Unchanged(b"k", sequence),))
            found = await store.entry(bucket, b"k")
            assert found is not None
            assert found.tags == (("a", "b"),)
            assert await get(store, bucket, b"k") == pattern(size)

        run(test)

    @pytest.mark.parametrize("size", [3, 200_000])
    def test_a_copied_content_is_independent_of_its_source(self, run: Run, size: int) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", pattern(size))
            opened = await store.open(bucket, b"k")
            assert opened is not None
            copied = await store.copy_content(opened)
            if copied is None:  # an engine that can't have the same bytes twice
                copied = content(store, read(opened))
            await change(store, bucket, PutEntry(b"copy", entry(size), copied), DeleteEntry(b"k"))
            await asyncio.sleep(0.05)
            assert await get(store, bucket, b"copy") == pattern(size)

        run(test)

    @pytest.mark.known_mistake(54)
    def test_sequences_rise_with_every_commit_whatever_the_clock_says(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            first = await put(store, bucket, b"k", b"new")
            older = Entry(3, 5, "e", b"", b"", b"")
            second = await change(store, bucket, PutEntry(b"k", older, b"old"))
            assert second > first > 0
            found = await store.entry(bucket, b"k")
            assert found is not None
            assert (found.sequence, found.modified_ms) == (second, 5)

        run(test)

    # expectations

    @pytest.mark.requirement("CONDW-01", "CONDW-03")
    def test_expectations_decide_and_tell_what_they_found(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", b"1", Absent(b"k"), Unchanged(b"k", 0), etag="one")
            now = await store.entry(bucket, b"k")
            assert now is not None
            for failing in (Absent(b"k"), Matches(b"k", "two"), Unchanged(b"k", 0), Unchanged(b"k", 99)):
                with pytest.raises(ExpectationFailed) as caught:
                    await put(store, bucket, b"k", b"2", Present(b"k"), failing)
                assert caught.value.expectation == failing
                assert caught.value.current == now
            for failing in (Present(b"none"), Matches(b"none", "one")):
                with pytest.raises(ExpectationFailed) as caught:
                    await put(store, bucket, b"k", b"2", failing)
                assert caught.value.current is None
            assert await get(store, bucket, b"k") == b"1"
            await put(
                store, bucket, b"k", b"2", Present(b"k"), Matches(b"k", "one"), Unchanged(b"k", now.sequence)
            )
            assert await get(store, bucket, b"k") == b"2"

        run(test)

    @pytest.mark.requirement("CONDW-02", "CONDW-05")
    def test_of_many_concurrent_creations_one_wins(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            racing = [put(store, bucket, b"k", b"%d" % n, Absent(b"k")) for n in range(32)]
            outcomes = await asyncio.gather(*racing, return_exceptions=True)
            winners = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, int)]
            assert len(winners) == 1
            assert await get(store, bucket, b"k") == b"%d" % winners[0]
            assert sum(isinstance(outcome, ExpectationFailed) for outcome in outcomes) == 31

        run(test)

    def test_a_failed_mutation_changes_nothing(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            await put(store, bucket, b"old", b"1")
            with pytest.raises(NoSuchUpload):
                await change(
                    store,
                    bucket,
                    PutEntry(b"new", entry(1), b"2"),
                    DeleteEntry(b"old"),
                    AbortUpload(b"k", "none"),
                )
            assert await store.entry(bucket, b"new") is None
            assert await get(store, bucket, b"old") == b"1"

        run(test)

    def test_a_content_of_a_failed_mutation_may_be_committed_again(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            body = pattern(200_000)
            held = content(store, body)
            with pytest.raises(ExpectationFailed):
                await change(store, bucket, PutEntry(b"k", entry(200_000), held), expect=(Present(b"k"),))
            await change(store, bucket, PutEntry(b"k", entry(200_000), held))
            assert await get(store, bucket, b"k") == body

        run(test)

    # listings

    @pytest.mark.requirement("LIST-02")
    def test_keys_ascend_in_utf8_order_long_ones_too(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            names = [
                "a",
                "a/",
                "a/b",
                "B",
                "\uffff",
                "\U00010000",
                "x" * 400,
                "x" * 401,
                "x" * 1024,
                "x" * 399 + "y",
            ]
            keys = [name.encode() for name in names]
            for key in keys:
                await put(store, bucket, key, b"")
            page = await store.list(bucket, b"", b"", b"", 100)
            assert [key for key, _ in page.rows] == sorted(keys)
            assert page.rows[0] == (b"B", b"<Size>0</Size>")
            assert (page.is_truncated, page.last, page.is_last_prefix) == (False, max(keys), False)

        run(test)

    @pytest.mark.requirement("LIST-03", "LIST-04", "LIST-05", "LIST-06")
    def test_common_prefixes_count_once_in_merged_order(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            for key in (b"a/", b"a/1", b"a/b/1", b"a/b/2", b"a/c/1", b"a/d", b"b"):
                await put(store, bucket, key, b"")
            page = await store.list(bucket, b"a/", b"/", b"", 3)
            assert [key for key, _ in page.rows] == [b"a/", b"a/1"]
            assert page.prefixes == [b"a/b/"]
            assert (page.is_truncated, page.last, page.is_last_prefix) == (True, b"a/b/", True)
            rest = await store.list(bucket, b"a/", b"/", b"a/b/\xff", 3)
            assert ([key for key, _ in rest.rows], rest.prefixes) == ([b"a/d"], [b"a/c/"])
            assert (rest.is_truncated, rest.last, rest.is_last_prefix) == (False, b"a/d", False)

        run(test)

    def test_an_empty_page_has_no_last_key(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            page = await store.list(bucket, b"p", b"/", b"z", 3)
            assert (page.rows, page.prefixes, page.is_truncated, page.last) == ([], [], False, b"")

        run(test)

    def test_buckets_do_not_see_each_other(self, run: Run) -> None:
        async def test(store: Store) -> None:
            one, two = await new_bucket(store, "one"), await new_bucket(store, "two")
            await put(store, one, b"k", b"1")
            await put(store, two, b"k" * 500, b"2")
            assert [key for key, _ in (await store.list(one, b"", b"", b"", 9)).rows] == [b"k"]
            assert [key for key, _ in (await store.list(two, b"", b"", b"", 9)).rows] == [b"k" * 500]
            assert await store.entry(two, b"k") is None

        run(test)

    # uploads

    @pytest.mark.requirement("ST-04")
    def test_uploads_and_parts_are_kept_as_given(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            given = upload(b"k", "u1")
            await change(store, bucket, PutUpload(given))
            assert await store.upload(bucket, b"k", "u1") == given
            assert await store.upload(bucket, b"other", "u1") is None
            assert await store.upload(bucket, b"k", "u" * 500) is None
            for number in (3, 1, 10_000, 2):
                await change(store, bucket, PutPart(b"k", "u1", part(number, 2), b"ab"))
            await change(store, bucket, PutPart(b"k", "u1", part(1, 3, "new"), b"abc"))
            parts = await store.parts(bucket, b"k", "u1")
            assert [(one.number, one.size, one.etag) for one in parts] == [
                (1, 3, "new"),
                (2, 2, "p"),
                (3, 2, "p"),
                (10_000, 2, "p"),
            ]
            assert parts[0].checksum == part(1, 3).checksum
            assert [one.number for one in await store.parts(bucket, b"k", "u1", 1, 2)] == [2, 3]
            assert await store.parts(bucket, b"k", "u1", 10_000) == []

        run(test)

    @pytest.mark.requirement("LMU-01")
    def test_uploads_are_listed_by_key_then_by_id_in_pages(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            long = b"k" * 400
            places = [
                (b"a", "2"),
                (b"a", "1"),
                (b"a/x", "5"),
                (b"a/y", "4"),
                (b"b", "3"),
                (long, "9"),
                (long + b"x", "1"),
            ]
            for key, upload_id in places:
                await change(store, bucket, PutUpload(upload(key, upload_id)))

            async def page(*position: Any) -> tuple[list[tuple[bytes, str]], list[bytes], bool]:
                found = await store.uploads(bucket, *position)
                return [(one.key, one.upload_id) for one in found.uploads], found.prefixes, found.is_truncated

            assert await page(b"", b"", b"", None, 100) == (sorted(places), [], False)
            assert await page(b"", b"", b"", None, 1) == ([(b"a", "1")], [], True)
            assert await page(b"", b"", b"a", "1", 1) == ([(b"a", "2")], [], True)
            assert await page(b"", b"", b"a", "11", 1) == ([(b"a", "2")], [], True)
            assert await page(b"", b"", b"a", None, 1) == ([(b"a/x", "5")], [], True)
            assert await page(b"", b"/", b"", None, 3) == ([(b"a", "1"), (b"a", "2")], [b"a/"], True)
            assert await page(b"a/", b"/", b"", None, 3) == ([(b"a/x", "5"), (b"a/y", "4")], [], False)
            assert await page(b"", b"/", b"a/\xff", None, 1) == ([(b"b", "3")], [], True)
            assert await page(b"", b"", long, "9", 9) == ([(long + b"x", "1")], [], False)
            assert await page(b"", b"", long, "9" * 300, 9) == ([(long + b"x", "1")], [], False)
            assert await page(b"", b"", long, None, 9) == ([(long + b"x", "1")], [], False)

        run(test)

    @pytest.mark.requirement("ST-03")
    @pytest.mark.known_mistake(50)
    def test_an_object_of_parts_is_their_concatenation(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            bodies = {1: pattern(300_000), 4: pattern(700_001, 9), 5: b"", 9: b"tail"}
            whole = b"".join(bodies.values())
            await multipart(store, bucket, b"k", bodies, "u1")
            opened = await store.open(bucket, b"k")
            assert opened is not None
            assert opened.inline is None
            assert opened.source is not None
            assert [(one.number, one.size) for one in await opened.source.parts()] == [
                (number, len(body)) for number, body in bodies.items()
            ]
            assert read(opened) == whole
            assert read(await store.open(bucket, b"k"), 299_999, 2) == whole[299_999:300_001]
            assert read(await store.open(bucket, b"k"), 1_000_000, 5) == whole[1_000_000:]
            assert await store.upload(bucket, b"k", "u1") is None
            with pytest.raises(NoSuchUpload):
                await store.parts(bucket, b"k", "u1")

        run(test)

    def test_a_small_object_of_one_part_has_a_source_too(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            await multipart(store, bucket, b"k", {1: b"abc"}, "u1")
            opened = await store.open(bucket, b"k")
            assert opened is not None
            assert opened.inline is None
            assert await store.copy_content(opened) is None
            assert read(opened) == b"abc"

        run(test)

    @pytest.mark.requirement("CPL-13", "CPL-18")
    def test_a_completion_is_found_until_the_object_is_replaced(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            await multipart(store, bucket, b"k", {1: b"abc", 2: b"d"}, "u1")
            found = await store.completed(bucket, b"k", "u1")
            assert found is not None
            assert found[0] == await store.entry(bucket, b"k")
            assert [one.number for one in found[1]] == [1, 2]
            assert await store.completed(bucket, b"k", "u2") is None
            assert await store.completed(bucket, b"other", "u1") is None
            await put(store, bucket, b"k", b"new")
            assert await store.completed(bucket, b"k", "u1") is None
            assert await store.completed(bucket, b"k", "") is None

        run(test)

    def test_completing_drops_the_parts_that_are_not_listed(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            await change(store, bucket, PutUpload(upload(b"k", "u")))
            for number in (1, 2, 3):
                await change(store, bucket, PutPart(b"k", "u", part(number, 1), b"%d" % number))
            parts = await store.parts(bucket, b"k", "u")
            made = entry(2, upload_id="u")
            await change(store, bucket, CompleteUpload(b"k", "u", made, [parts[0], parts[2]]))
            assert await get(store, bucket, b"k") == b"13"

        run(test)

    def test_a_part_that_was_replaced_meanwhile_is_not_completed(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            await change(store, bucket, PutUpload(upload(b"k", "u")))
            await change(store, bucket, PutPart(b"k", "u", part(1, 1), b"1"))
            parts = await store.parts(bucket, b"k", "u")
            await change(store, bucket, PutPart(b"k", "u", part(1, 1), b"2"))
            with pytest.raises(PartChanged):
                await change(store, bucket, CompleteUpload(b"k", "u", entry(1, upload_id="u"), parts))
            assert await store.entry(bucket, b"k") is None
            assert len(await store.parts(bucket, b"k", "u")) == 1

        run(test)

    @pytest.mark.requirement("CONDW-07")
    def test_an_upload_stays_usable_after_a_failed_condition(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            await put(store, bucket, b"k", b"there")
            await change(store, bucket, PutUpload(upload(b"k", "u")))
            await change(store, bucket, PutPart(b"k", "u", part(1, 1), b"1"))
            parts = await store.parts(bucket, b"k", "u")
            complete = CompleteUpload(b"k", "u", entry(1, upload_id="u"), parts)
            with pytest.raises(ExpectationFailed):
                await change(store, bucket, complete, expect=(Absent(b"k"),))
            await change(store, bucket, complete)
            assert await get(store, bucket, b"k") == b"1"

        run(test)

    def test_an_aborted_upload_is_gone(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            for key in (b"k", b"k" * 900):
                await change(store, bucket, PutUpload(upload(key, "u")))
                await change(store, bucket, PutPart(key, "u", part(1, 1), b"1"))
                await change(store, bucket, AbortUpload(key, "u"))
                with pytest.raises(NoSuchUpload):
                    await change(store, bucket, AbortUpload(key, "u"))
                with pytest.raises(NoSuchUpload):
                    await change(store, bucket, PutPart(key, "u", part(1, 1), b"1"))
            assert (await store.uploads(bucket, b"", b"", b"", None, 10)).uploads == []

        run(test)

    @pytest.mark.requirement("CON-02")
    def test_a_reader_of_parts_keeps_them_while_the_object_is_replaced(self, run: Run) -> None:
        async def test(store: Store) -> None:
            bucket = await new_bucket(store)
            bodies = {1: pattern(300_000), 2: pattern(300_000, 5), 3: b"inline"}
            await multipart(store, bucket, b"k", bodies, "u1")
            opened = await store.open(bucket, b"k")
            await put(store, bucket, b"k", b"new")
            await change(store, bucket, DeleteEntry(b"k"))
            await asyncio.sleep(0.05)
            assert read(opened) == b"".join(bodies.values())

        run(test)
