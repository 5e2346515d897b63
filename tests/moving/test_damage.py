"""What is damaged is named and not copied, and nothing is served, or moved, that lacks it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anys3.model import Bucket, Checksum, Entry, Part
from anys3.store.embedded import open_store
from anys3.store.errors import Corrupt
from anys3.store.interface import Store
from anys3.store.memory import MemoryBytes, MemoryStore
from anys3.store.moving import Copy, Report
from anys3.store.moving.verifying import Mismatch, Sums, check_parts
from tests.moving import world
from tests.moving.stores import Watched
from tests.moving.test_following import many_passes
from tests.moving.world import SAMPLE, Body, BucketPlan, ObjectPlan, StorePlan

PLAN = StorePlan(
    (
        BucketPlan(
            "photos",
            (
                ObjectPlan(b"a", (Body(300_000),)),
                ObjectPlan(b"b", (Body(300_000, 2),)),
                ObjectPlan(b"c", (Body(300_000, 3), Body(5)), "u1", (1, 2)),
                ObjectPlan(b"d", (Body(300_000, 4),), "u2", (1,), is_unfinished=True),
                ObjectPlan(b"e", (Body(5),)),
            ),
        ),
    )
)


def flip(path: Path, body: Body) -> None:
    """Change a byte of the one blob that holds these bytes."""
    (found,) = [file for file in (path / "blobs").glob("*/*") if file.read_bytes().startswith(body.bytes)]
    data = bytearray(found.read_bytes())
    data[200_000] ^= 1
    found.write_bytes(data)


@pytest.mark.parametrize("follows", [False, True], ids=["copied", "moved"])
def test_damaged_contents_are_named_and_the_others_copied(follows: bool, tmp_path: Path) -> None:
    async def test() -> Report:
        source = open_store(tmp_path / "data")
        target = MemoryStore()
        await world.fill(source, PLAN)
        for seed in (2, 3, 4):
            flip(tmp_path / "data", Body(300_000, seed))
        report = await Copy(source, target, ("here", "there")).run(follows=follows)
        assert await source.paused() is None
        await source.close()
        photos = await target.bucket("photos")
        assert photos is not None
        assert [key for key, _ in await target.entries(photos, b"", 9)] == [b"a", b"e"]
        assert await target.paused() is not None
        return report

    report = asyncio.run(test())
    assert [(one.bucket, one.key, one.upload_id) for one in report.damaged] == [
        ("photos", b"b", ""),
        ("photos", b"c", ""),
        ("photos", b"d", "u2"),
    ]
    assert all("is damaged between" in one.reason for one in report.damaged)
    assert not report.is_ready
    assert not report.is_moved


class Lying(MemoryStore):
    """A store whose bytes are not those of its rows, though it does not know."""

    async def open(self, bucket: Bucket, key: bytes) -> Any:
        """Return the object with other bytes if its key says so."""
        opened = await super().open(bucket, key)
        if opened is None or key != b"b":
            return opened
        content = opened.entry.content
        assert isinstance(content, MemoryBytes)
        return opened._replace(inline=b"x" * opened.entry.size, source=None)


def test_damage_that_was_found_by_an_early_pass_is_told_until_it_is_written_over() -> None:
    async def test(key: bytes) -> Report:
        source, target = Lying(), MemoryStore()
        await world.fill(source, PLAN)

        async def call(method: Any, *args: Any, **others: Any) -> Any:
            if method.__name__ == "noted" and source.kept.pause is None:
                (photos,) = await source.buckets()
                await world.delete(source, photos, key)
            return await method(*args, **others)

        ours: Any = Watched(source, call)
        with many_passes():
            return await Copy(ours, target, ("here", "there")).run(follows=True)

    report = asyncio.run(test(b"a"))
    assert ([one.key for one in report.damaged], len(report.passes), report.is_moved) == ([b"b"], 5, False)
    assert (report.last.objects, report.last.uploads) == (3, 1)
    report = asyncio.run(test(b"b"))
    assert (report.damaged, len(report.passes), report.is_moved) == ([], 6, True)


def test_bytes_that_do_not_make_the_objects_etag_are_not_copied() -> None:
    async def test() -> Report:
        source, target = Lying(), MemoryStore()
        await world.fill(source, PLAN)
        return await Copy(source, target, ("here", "there")).run(follows=True)

    report = asyncio.run(test())
    (damage,) = report.damaged
    assert damage.key == b"b"
    assert "and its ETag" in damage.reason
    assert not report.is_moved


@pytest.mark.parametrize(
    ("sums", "data", "reason"),
    [
        (Sums(3, world.md5(b"abc"), None), b"abcd", "has 4 bytes"),
        (Sums(3, world.md5(b"abd"), None), b"abc", "its MD5 is"),
        (
            Sums(3, world.md5(b"abc"), Checksum("SHA1", "FULL_OBJECT", "AAAA")),
            b"abc",
            "its SHA1 is",
        ),
    ],
    ids=["size", "MD5", "checksum"],
)
def test_bytes_are_compared_with_all_that_their_row_says(sums: Sums, data: bytes, reason: str) -> None:
    sums.update(data)
    with pytest.raises(Mismatch, match=reason):
        sums.check()


async def of_parts(store: Store) -> tuple[Entry, list[Part]]:
    """Return the row of an object made of parts, and those of its parts."""
    await world.fill(store, SAMPLE)
    photos = await store.bucket("photos")
    assert photos is not None
    found = await store.completed(photos, b"parts", "u1")
    assert found is not None
    return found


def test_the_row_of_an_object_is_compared_with_those_of_its_parts() -> None:
    entry, parts = asyncio.run(of_parts(MemoryStore()))
    check_parts(entry, parts)
    with pytest.raises(Mismatch, match="its parts have 200000 bytes"):
        check_parts(entry, parts[:1])
    with pytest.raises(Mismatch, match="the ETag of its parts"):
        check_parts(entry._replace(etag="x-2"), parts)
    with pytest.raises(Mismatch, match="is no MD5"):
        check_parts(entry, [replace(parts[0], etag="x"), parts[1]])
    assert entry.checksum is not None
    with pytest.raises(Mismatch, match="the CRC32 of its parts"):
        check_parts(entry._replace(checksum=entry.checksum._replace(value="AAAAAA==")), parts)


def test_a_damaged_index_ends_the_copy() -> None:
    class Damaged(MemoryStore):
        async def entries(self, *_: object) -> list[tuple[bytes, Entry]]:
            raise Corrupt("a row is damaged")

    async def test() -> None:
        source, target = Damaged(), MemoryStore()
        await world.fill(source, PLAN)
        with pytest.raises(Corrupt, match="a row is damaged"):
            await Copy(source, target, ("here", "there")).run(follows=True)
        assert await source.paused() is None
        assert await target.paused() is not None

    asyncio.run(test())
