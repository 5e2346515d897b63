"""An embedded index whose large contents lie on an engine for blobs keeps the contract, and forgets no blob."""

from __future__ import annotations

import asyncio
import copy
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from anys3.store.embedded import EmbeddedStore, confirm, janitor, open_store, prepare, recover
from anys3.store.embedded.control import Control
from anys3.store.embedded.remote import FILE, RemoteFiles
from anys3.store.errors import Corrupt, Unavailable
from anys3.store.files import open_blobs
from anys3.store.interface import Store
from anys3.store.mutations import AbortUpload, DeleteEntry, PutPart, PutUpload
from anys3.store.opening import Location, open_worker, take
from anys3.store.starting import Unreachable, Unsuitable
from anys3.store.upkeep import backup, scrub
from tests.store.noting_suite import NotingSuite, RunAgain, run_again_on
from tests.store.pausing_suite import Beside, PausingSuite, run_two
from tests.store.suite import (
    Suite,
    change,
    content,
    get,
    multipart,
    new_bucket,
    part,
    pattern,
    put,
    read,
    run,
    upload,
)

__all__ = ["run", "run_two"]
LARGE = 600_000
PATIENCE_S = 60.0


class TestEmbeddedRemote(Suite, PausingSuite, NotingSuite):
    """The contract, with blobs in a shared directory."""

    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> Callable[[], Store]:
        """Return a function that makes an empty store."""
        return lambda: opened(tmp_path)

    @pytest.fixture
    def run_again(self, store_factory: Callable[[], Store]) -> RunAgain:
        """Return a function that runs two coroutines on one store, opened anew for the second."""
        return run_again_on(store_factory, store_factory)

    @pytest.fixture
    def beside(self) -> Beside:
        """Return a function that makes another way to a store: LMDB wants to be opened once a process."""

        def another(store: Store) -> Store:
            assert isinstance(store, EmbeddedStore)
            assert isinstance(store.files, RemoteFiles)
            index = copy.copy(store.index)
            index.close = lambda: None  # type: ignore[method-assign]
            control = Control(store.path, None)
            elsewhere = (store.files.blobs, store.files.prefix)
            return EmbeddedStore(store.path, index, control, sweeps=False, elsewhere=elsewhere)

        return another


def opened(place: Path, **options: Any) -> EmbeddedStore:
    """Open the store in `place/store`, whose blobs lie in `place/blobs`, as a server does."""
    url = f"file:{place / 'blobs'}"
    prepare(place / "store", url)
    recover(place / "store")
    engine = open_blobs(url)
    confirm(place / "store", engine)
    return open_store(place / "store", blobs=engine, **options)


def on_store(place: Path, use: Callable[[EmbeddedStore], Coroutine[Any, Any, Any]]) -> Any:
    """Open the store, run a coroutine on it, close it, and return what it returned."""

    async def main() -> Any:
        store = opened(place)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(main())


def blobs(place: Path) -> list[str]:
    """Return the names of all blobs but the mark of the place."""
    return sorted(
        name for name in open_blobs(f"file:{place / 'blobs'}").names() if not name.endswith("-store")
    )


def markers(place: Path) -> list[str]:
    """Return the names of all markers."""
    return sorted(file.name for file in (place / "store" / "incoming").glob("*/*"))


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait until something holds; False if it does not in time."""
    limit = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < limit:
        time.sleep(0.01)
    return holds()


def test_a_large_content_lies_on_the_engine_and_a_small_one_in_the_index(tmp_path: Path) -> None:
    async def use(store: EmbeddedStore) -> list[bytes | None]:
        bucket = await new_bucket(store)
        await put(store, bucket, b"large", pattern(LARGE))
        await put(store, bucket, b"small", b"s" * store.inline_max)
        return [await get(store, bucket, b"large"), await get(store, bucket, b"small")]

    assert on_store(tmp_path, use) == [pattern(LARGE), b"s" * 131_072]
    assert (len(blobs(tmp_path)), markers(tmp_path)) == (1, [])
    assert not [file for file in (tmp_path / "store" / "blobs").rglob("*") if file.is_file()]


def test_what_is_overwritten_deleted_or_aborted_goes_from_the_engine(tmp_path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await new_bucket(store)
        for seed in (1, 2):
            await put(store, bucket, b"k", pattern(LARGE, seed))
        await multipart(store, bucket, b"parts", {1: pattern(LARGE), 2: pattern(LARGE, 2)}, "made")
        await change(store, bucket, PutUpload(upload(b"u", "id")))
        await change(store, bucket, PutPart(b"u", "id", part(1, LARGE), content(store, pattern(LARGE))))
        assert len(blobs(tmp_path)) in (4, 5)
        await change(store, bucket, DeleteEntry(b"k"))
        await change(store, bucket, DeleteEntry(b"parts"))
        await change(store, bucket, AbortUpload(b"u", "id"))
        assert await asyncio.to_thread(eventually, lambda: not blobs(tmp_path))

    on_store(tmp_path, use)
    assert markers(tmp_path) == []


def test_a_reader_keeps_a_blob_that_is_deleted_meanwhile(tmp_path: Path) -> None:
    async def use(store: EmbeddedStore) -> bytes:
        bucket = await new_bucket(store)
        await put(store, bucket, b"k", pattern(LARGE))
        held = await store.open(bucket, b"k")
        await change(store, bucket, DeleteEntry(b"k"))
        await put(store, bucket, b"other", pattern(LARGE))
        await change(store, bucket, DeleteEntry(b"other"))
        assert held is not None
        assert held.source is not None
        found = read(held)
        assert await asyncio.to_thread(eventually, lambda: not blobs(tmp_path))
        return found

    assert on_store(tmp_path, use) == pattern(LARGE)


def test_what_nobody_named_is_removed_and_its_marker_goes_last(tmp_path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        writer = store.writer(LARGE)
        writer.write(pattern(LARGE))
        writer.finish()
        assert (len(blobs(tmp_path)), len(markers(tmp_path))) == (1, 1)
        writer.discard()
        assert await asyncio.to_thread(eventually, lambda: not markers(tmp_path))
        assert blobs(tmp_path) == []

    on_store(tmp_path, use)


def test_a_marker_is_there_before_the_blob_and_a_start_removes_both(tmp_path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        writer = store.writer(LARGE)
        writer.write(pattern(LARGE))
        store.kept = [writer, writer.finish()]  # type: ignore[attr-defined]
        store.files._waiting.clear()  # as if the process had been killed now

    on_store(tmp_path, use)
    left = markers(tmp_path)
    assert [name.rpartition("-")[2] for name in blobs(tmp_path)] == left
    for number in (1, 7):  # markers of workers that there are no more
        (tmp_path / "store" / "incoming" / str(number)).mkdir()
    (tmp_path / "store" / "incoming" / "0" / left[0]).rename(tmp_path / "store" / "incoming" / "7" / left[0])

    async def wait(_: EmbeddedStore) -> bool:
        return await asyncio.to_thread(eventually, lambda: not markers(tmp_path))

    assert on_store(tmp_path, wait)
    assert blobs(tmp_path) == []


def test_ids_are_never_given_twice_though_an_earlier_index_counts_again(tmp_path: Path) -> None:
    async def use(store: EmbeddedStore) -> int:
        return store.files.new()[0]

    first = on_store(tmp_path, use)
    (tmp_path / "store").rename(tmp_path / "away")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / FILE).write_bytes((tmp_path / "away" / FILE).read_bytes())
    (tmp_path / "store" / "format").write_bytes((tmp_path / "away" / "format").read_bytes())
    second = on_store(tmp_path, use)
    assert first % 2**40 == second % 2**40
    assert first != second


def test_a_damaged_blob_is_refused_and_a_missing_one_is_no_absent_object(tmp_path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await new_bucket(store)
        await put(store, bucket, b"k", pattern(LARGE))
        (file,) = (file for file in (tmp_path / "blobs").rglob("*") if file.stat().st_size > LARGE)
        data = bytearray(file.read_bytes())
        data[300_000] ^= 1
        file.write_bytes(data)
        with pytest.raises(Corrupt, match="photos.*'k'.*damaged between 262144 and"):
            await get(store, bucket, b"k")
        file.unlink()
        with pytest.raises(Corrupt, match="photos.*'k'.*does not exist"):
            await get(store, bucket, b"k")

    on_store(tmp_path, use)


def test_an_engine_that_is_away_for_a_while_is_unavailable_and_needs_no_restart(tmp_path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await new_bucket(store)
        await put(store, bucket, b"k", pattern(LARGE))
        await put(store, bucket, b"gone", pattern(LARGE))
        (tmp_path / "blobs").rename(tmp_path / "away")
        try:
            with pytest.raises(Unavailable):
                await get(store, bucket, b"k")
            with pytest.raises(Unavailable):
                await put(store, bucket, b"new", pattern(LARGE))
            await change(store, bucket, DeleteEntry(b"gone"))
        finally:
            (tmp_path / "away").rename(tmp_path / "blobs")
        assert await get(store, bucket, b"k") == pattern(LARGE)
        assert await asyncio.to_thread(eventually, lambda: len(blobs(tmp_path)) == 1)
        assert await asyncio.to_thread(eventually, lambda: not markers(tmp_path))

    on_store(tmp_path, use)


def test_what_a_command_frees_without_the_engine_is_removed_by_the_next_start(tmp_path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await new_bucket(store)
        await change(store, bucket, PutUpload(upload(b"u", "id")))
        await change(store, bucket, PutPart(b"u", "id", part(1, LARGE), content(store, pattern(LARGE))))

    async def delete() -> None:
        store = open_store(tmp_path / "store", is_server=False)
        bucket = await store.bucket("photos")
        assert bucket is not None
        await store.delete_bucket(bucket)
        await store.close()

    async def wait(_: EmbeddedStore) -> bool:
        return await asyncio.to_thread(eventually, lambda: not blobs(tmp_path))

    on_store(tmp_path, use)
    asyncio.run(delete())
    assert len(blobs(tmp_path)) == 1
    assert on_store(tmp_path, wait)


def test_what_a_command_frees_beside_a_server_is_removed_by_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "_SWEEP_S", 0.1)
    command = [sys.executable, "-m", "anys3", "bucket", "delete", "photos", "--dir", str(tmp_path / "store")]

    async def use(store: EmbeddedStore) -> None:
        bucket = await new_bucket(store)
        await change(store, bucket, PutUpload(upload(b"u", "id")))
        await change(store, bucket, PutPart(b"u", "id", part(1, LARGE), content(store, pattern(LARGE))))
        assert await asyncio.to_thread(eventually, lambda: not markers(tmp_path))
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=PATIENCE_S)
        assert await asyncio.to_thread(eventually, lambda: not blobs(tmp_path))

    on_store(tmp_path, use)


# --- which place it is --------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a store lies that has its blobs elsewhere."""
    opened(tmp_path).shut()
    return tmp_path


def test_the_directory_remembers_where_its_blobs_lie_without_secrets(place: Path) -> None:
    record = json.loads((place / "store" / FILE).read_text())
    assert record["blobs"] == f"file:{place / 'blobs'}"
    prepare(place / "s3", "s3://user:secret@bucket/p?endpoint=http://x&secret_key=secret")
    assert "secret" not in (place / "s3" / FILE).read_text().replace("secret_key=***", "")


@pytest.mark.parametrize(("url", "words"), [("file:other", "not at"), ("", "give that as --blobs")])
def test_another_place_is_refused(place: Path, url: str, words: str) -> None:
    with pytest.raises(Unsuitable, match=words):
        prepare(place / "store", url)
    with pytest.raises(Unsuitable, match="made for blobs that lie elsewhere"):
        open_store(place / "store")


def test_one_place_may_be_given_in_other_words(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for url in ("file:blobs", f"file://{place}/blobs", f"file:{place}/store/../blobs"):
        prepare(place / "store", url)
    prepare(place / "rados", "rados://pool?conf=/etc/a.conf")
    prepare(place / "rados", "rados://pool?conf=/etc/b.conf&timeout=3")
    assert (
        json.loads((place / "rados" / FILE).read_text())["blobs"] == "rados://pool?conf=/etc/b.conf&timeout=3"
    )
    with pytest.raises(Unsuitable):
        prepare(place / "rados", "rados://pool?namespace=other")


def test_a_store_with_files_of_its_own_is_not_given_another_place(tmp_path: Path) -> None:
    async def use() -> None:
        store = open_store(tmp_path / "store")
        await put(store, await new_bucket(store), b"k", pattern(LARGE))
        await store.close()

    open_store(tmp_path / "store").shut()
    prepare(tmp_path / "store", "")
    asyncio.run(use())
    with pytest.raises(Unsuitable, match="anys3 store copy"):
        prepare(tmp_path / "store", "file:elsewhere")
    assert [each.name for each in tmp_path.iterdir()] == ["store"]


# --- scrub and backup ---------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Where a store lies with a large object, one of two parts, and a small one."""

    async def use(store: EmbeddedStore) -> None:
        bucket = await new_bucket(store)
        await put(store, bucket, b"large", pattern(LARGE))
        await put(store, bucket, b"small", b"s")
        await multipart(store, bucket, b"parts", {1: pattern(LARGE, 2), 2: b"end"}, "id")

    on_store(tmp_path, use)
    return tmp_path


def file_of(place: Path, number: int) -> Path:
    """Return the file of a blob, by its number in the order of names."""
    return sorted(
        each for each in (place / "blobs").rglob("*") if each.is_file() and each.stat().st_size > LARGE
    )[number]


def test_a_scrub_reads_blobs_that_lie_elsewhere(filled: Path) -> None:
    whole = scrub(filled / "store", lambda _: None)
    assert (whole.objects, whole.bytes, whole.is_clean, whole.orphans) == (3, 2 * LARGE + 4, True, [])
    record = json.loads((filled / "store" / FILE).read_text())
    orphan, other = f"{record['prefix']}-{7:016x}", f"{'0' * 16}-{7:016x}"
    for name in (orphan, other):
        sink = open_blobs(f"file:{filled / 'blobs'}").sink(name, 1)
        sink.write(b"1")
        sink.finish()
    damaged, missing = file_of(filled, 0), file_of(filled, 1)
    damaged.write_bytes(bytes(damaged.stat().st_size))
    missing.unlink()
    report = scrub(filled / "store", lambda _: None)
    assert sorted([report.damaged[0].key, report.missing[0].key]) == [b"large", b"parts"]
    assert report.damaged[0].file.startswith(f"blob {record['prefix']}-")
    assert (len(report.damaged), len(report.missing), report.orphans) == (1, 1, [f"blob {orphan}"])


def test_a_scrub_that_can_not_reach_the_blobs_says_so_and_calls_none_missing(filled: Path) -> None:
    (filled / "blobs").rename(filled / "away")
    with pytest.raises(Unreachable, match="there is nothing of the store .*mounted"):
        scrub(filled / "store", lambda _: None)


def test_a_start_without_the_place_of_the_blobs_is_refused(filled: Path) -> None:
    (filled / "blobs").rename(filled / "away")
    location = Location(filled / "store", blobs=f"file:{filled / 'blobs'}")
    with take(location), pytest.raises(Unreachable, match="mounted"):
        asyncio.run(open_worker(location, 0, is_first=True))
    open_blobs(location.blobs).check()  # another store's
    with take(location), pytest.raises(Unreachable, match="there is nothing of the store .*mounted"):
        asyncio.run(open_worker(location, 0, is_first=True))
    shutil.rmtree(filled / "blobs")
    (filled / "away").rename(filled / "blobs")

    async def use() -> None:
        with take(location):
            await (await open_worker(location, 0, is_first=True)).close()

    asyncio.run(use())


def test_a_backup_without_the_blobs_has_to_be_asked_for_and_is_a_store(filled: Path) -> None:
    with pytest.raises(Unsuitable, match="--index-only"):
        backup(filled / "store", filled / "backup", now_ms=1)
    assert not (filled / "backup").exists()
    report = backup(filled / "store", filled / "backup", now_ms=1, is_index_only=True)
    assert (report.is_clean, report.elsewhere, report.copied, report.objects) == (True, 2, 0, 3)
    shutil.rmtree(filled / "store")
    (filled / "backup").rename(filled / "store")

    async def use(store: EmbeddedStore) -> bytes:
        bucket = await store.bucket("photos")
        assert bucket is not None
        await put(store, bucket, b"more", pattern(LARGE, 3))
        return await get(store, bucket, b"large")

    assert on_store(filled, use) == pattern(LARGE)
    assert scrub(filled / "store", lambda _: None).is_clean


def test_a_backup_of_the_index_alone_is_for_stores_with_blobs_elsewhere(tmp_path: Path) -> None:
    open_store(tmp_path / "store").shut()
    with pytest.raises(Unsuitable, match="--index-only is for"):
        backup(tmp_path / "store", tmp_path / "backup", now_ms=1, is_index_only=True)
