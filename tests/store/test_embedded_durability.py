"""What the embedded engine promises about crashes, damage, other processes and full devices."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import resource
import signal
import stat
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from anys3.model import AccessKey, Bucket
from anys3.store.embedded import (
    AlreadyServed,
    EmbeddedStore,
    NewerFormat,
    NotAStore,
    lock_directory,
    open_store,
    recover,
    scrub,
)
from anys3.store.errors import Corrupt, ExpectationFailed, NoSuchBucket, StoreError, StoreFull, Unavailable
from anys3.store.mutations import (
    AbortUpload,
    Absent,
    CompleteUpload,
    DeleteEntry,
    Mutation,
    PutEntry,
    PutPart,
    PutUpload,
)
from tests.store.suite import (
    change,
    content,
    entry,
    get,
    multipart,
    new_bucket,
    part,
    pattern,
    put,
    read,
    upload,
)

LARGE = 600_000
processes = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store lies."""
    return tmp_path / "store"


def on_store(path: Path, use: Callable[[EmbeddedStore], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    """Open the store, run a coroutine on it, close it, and return what it returned."""

    async def body() -> Any:
        store = open_store(path, **options)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(body())


def blob_files(path: Path) -> list[Path]:
    """Return the files of blobs, by name."""
    return sorted(file for file in (path / "blobs").glob("*/*"))


def incoming_files(path: Path) -> list[Path]:
    """Return what writers have left."""
    return sorted(file for file in (path / "incoming").glob("*/*"))


async def photos(store: EmbeddedStore) -> Bucket:
    """Return the bucket that a test works in."""
    return await store.bucket("photos") or await new_bucket(store)


# --- the directory ------------------------------------------------------------------------------------


def test_only_the_owner_can_read_a_store(path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        await put(store, await photos(store), b"k", pattern(LARGE))

    on_store(path, use)
    everything = [path, *path.rglob("*")]
    assert len(everything) > 260
    assert [name for name in everything if stat.S_IMODE(name.stat().st_mode) & 0o077] == []


def test_a_directory_of_something_else_is_left_alone(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("x")
    with pytest.raises(NotAStore, match=r"thesis\.tex"):
        open_store(path)
    assert [found.name for found in path.iterdir()] == ["thesis.tex"]


@pytest.mark.known_mistake(52)
def test_a_store_of_a_newer_format_is_refused(path: Path) -> None:
    on_store(path, photos)
    (path / "format").write_text("anys3 store, format 3\n")
    with pytest.raises(NewerFormat, match="format 3"):
        open_store(path)
    with pytest.raises(NewerFormat):
        recover(path)


def test_a_half_made_store_is_finished(path: Path) -> None:
    path.mkdir()
    (path / "format").write_text("anys3 store, format 1\n")
    (path / "blobs" / "00").mkdir(parents=True)
    assert on_store(path, photos).name == "photos"


def test_a_second_server_is_refused_until_the_first_has_gone(path: Path) -> None:
    first = lock_directory(path)
    with pytest.raises(AlreadyServed):
        lock_directory(path)
    first.close()
    lock_directory(path).close()
    assert on_store(path, photos).name == "photos"


# --- restarts and crashes -----------------------------------------------------------------------------


@pytest.mark.requirement("CON-07", "ST-01")
@pytest.mark.known_mistake(52)
def test_everything_survives_a_restart_unchanged(path: Path) -> None:
    async def fill(store: EmbeddedStore) -> Any:
        bucket = await photos(store)
        await store.put_key(AccessKey("AK", "secret", "n"))
        await put(store, bucket, b"small", b"1")
        await put(store, bucket, b"large", pattern(LARGE))
        await multipart(store, bucket, b"parts", {1: pattern(LARGE), 2: b"x"}, "done")
        await change(store, bucket, PutUpload(upload(b"k", "u")))
        await change(store, bucket, PutPart(b"k", "u", part(1, LARGE), content(store, pattern(LARGE))))
        return await state(store)

    async def state(store: EmbeddedStore) -> Any:
        bucket = await photos(store)
        keys = (b"small", b"large", b"parts")
        return (
            bucket,
            await store.keys(),
            store.generation(),
            [await store.entry(bucket, key) for key in keys],
            [await get(store, bucket, key) for key in keys],
            await store.upload(bucket, b"k", "u"),
            await store.parts(bucket, b"k", "u"),
        )

    before = on_store(path, fill)
    recover(path)
    assert on_store(path, state) == before
    assert incoming_files(path) == []
    assert scrub(path).is_clean


def write_until_killed(path: Path, pipe: Any) -> None:
    """Put objects, small and large, and tell of each when it is durable."""

    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        for number in range(100_000):
            size = LARGE if number % 4 == 0 else 1000
            await put(store, bucket, b"k%d" % (number % 50), pattern(size, number + 1))
            pipe.send(number)

    on_store(path, use)


@pytest.mark.requirement("CON-04", "CON-06", "ST-03")
@pytest.mark.known_mistake(43, 47, 52)
@pytest.mark.parametrize("answers", [1, 60, 151])
def test_a_killed_writer_loses_nothing_that_was_answered_and_leaves_nothing_else(
    path: Path, answers: int
) -> None:
    ours, theirs = processes.Pipe(duplex=False)
    writer = processes.Process(target=write_until_killed, args=(path, theirs))
    writer.start()
    theirs.close()
    told = [ours.recv() for _ in range(answers)]
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    with contextlib.suppress(EOFError):
        while True:
            told.append(ours.recv())
    recover(path)
    assert incoming_files(path) == []

    async def use(store: EmbeddedStore) -> dict[bytes, bytes]:
        bucket = await photos(store)
        page = await store.list(bucket, b"", b"", b"", 1000)
        return {key: await get(store, bucket, key) for key, _ in page.rows}

    found = on_store(path, use)
    last = {b"k%d" % (number % 50): number for number in told}
    # The next one may have been committed without its answer having left the process.
    maybe = told[-1] + 1
    for key, number in last.items():
        allowed = {
            pattern(LARGE if n % 4 == 0 else 1000, n + 1) for n in (number, maybe) if key == b"k%d" % (n % 50)
        }
        assert found.pop(key) in allowed
    assert set(found) <= {b"k%d" % (maybe % 50)}
    report = scrub(path)
    assert report.is_clean
    assert report.orphans == []


@pytest.mark.requirement("CON-06")
def test_recovery_removes_only_the_blobs_that_no_row_names(path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        await put(store, await photos(store), b"k", pattern(LARGE))

    on_store(path, use)
    (named,) = blob_files(path)
    incoming = path / "incoming" / "0"
    os.link(named, incoming / named.name)  # the crash came between the commit and the end of the name
    unnamed = path / "blobs" / "ab" / f"{0xAB:016x}"
    unnamed.write_bytes(b"x")
    os.link(unnamed, incoming / unnamed.name)  # between the file and the commit
    (incoming / f"{0xAC:016x}").write_bytes(b"y")  # while it was written
    recover(path)
    assert incoming_files(path) == []
    assert blob_files(path) == [named]


# --- damage -------------------------------------------------------------------------------------------


def flip(file: Path, offset: int) -> None:
    """Change one bit of a file."""
    with file.open("r+b") as opened:
        opened.seek(offset)
        byte = opened.read(1)[0]
        opened.seek(offset)
        opened.write(bytes([byte ^ 1]))


@pytest.fixture
def large(path: Path) -> Path:
    """Make a store with one large object, and return its file."""

    async def use(store: EmbeddedStore) -> None:
        await put(store, await photos(store), b"k", pattern(LARGE))

    on_store(path, use)
    (file,) = blob_files(path)
    return file


@pytest.mark.requirement("CON-08")
@pytest.mark.parametrize("offset", [0, 262_144, LARGE - 1, LARGE, LARGE + 12, LARGE + 20])
def test_a_flipped_bit_is_found_on_reading_and_by_a_scrub(path: Path, large: Path, offset: int) -> None:
    flip(large, offset)

    async def use(store: EmbeddedStore) -> None:
        opened = await store.open(await photos(store), b"k")
        with pytest.raises(Corrupt):
            read(opened)

    on_store(path, use)
    report = scrub(path)
    assert [(damage.bucket, damage.key) for damage in report.damaged] == [("photos", b"k")]
    assert not report.is_clean


@pytest.mark.requirement("CON-08")
def test_damage_elsewhere_does_not_keep_a_range_from_being_read(path: Path, large: Path) -> None:
    flip(large, 300_000)

    async def use(store: EmbeddedStore) -> None:
        opened = await store.open(await photos(store), b"k")
        assert read(opened, 10, 1000) == pattern(LARGE)[10:1010]

    on_store(path, use)


@pytest.mark.parametrize("length", [0, LARGE, LARGE + 43])
def test_a_blob_of_another_length_is_corrupt(path: Path, large: Path, length: int) -> None:
    os.truncate(large, length)

    async def use(store: EmbeddedStore) -> None:
        with pytest.raises(Corrupt):
            await store.open(await photos(store), b"k")

    on_store(path, use)


def test_a_scrub_names_missing_blobs_and_orphans(path: Path, large: Path) -> None:
    large.unlink()
    orphan = path / "blobs" / "01" / f"{1:016x}"
    orphan.write_bytes(b"x")
    report = scrub(path)
    assert [damage.key for damage in report.missing] == [b"k"]
    assert report.orphans == [f"blobs/01/{1:016x}"]

    async def use(store: EmbeddedStore) -> None:
        with pytest.raises(Corrupt):
            await store.open(await photos(store), b"k")

    on_store(path, use)


@pytest.mark.requirement("CON-08")
def test_damaged_inline_bytes_are_found(path: Path) -> None:
    body = b"a very particular body" * 100

    async def use(store: EmbeddedStore) -> None:
        await put(store, await photos(store), b"k", body)

    on_store(path, use)
    data = path / "index" / "data.mdb"
    place = data.read_bytes().index(body)
    flip(data, place + 7)

    async def check(store: EmbeddedStore) -> None:
        with pytest.raises(Corrupt):
            await store.open(await photos(store), b"k")

    on_store(path, check)
    assert [damage.key for damage in scrub(path).damaged] == [b"k"]


# --- freeing ------------------------------------------------------------------------------------------


def test_what_nobody_names_any_more_leaves_the_disk(path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        await put(store, bucket, b"a", pattern(LARGE))
        await put(store, bucket, b"a", pattern(LARGE, 2))
        await put(store, bucket, b"b", pattern(LARGE))
        await change(store, bucket, DeleteEntry(b"b"))
        await multipart(store, bucket, b"c", {n: pattern(200_000) for n in range(1, 4)}, "u")
        await change(store, bucket, DeleteEntry(b"c"))
        await change(store, bucket, PutUpload(upload(b"d", "u")))
        for number in (1, 1, 2):
            held = content(store, pattern(200_000))
            await change(store, bucket, PutPart(b"d", "u", part(number, 200_000), held))
        await change(store, bucket, AbortUpload(b"d", "u"))
        with pytest.raises(ExpectationFailed):
            await put(store, bucket, b"a", pattern(LARGE), Absent(b"a"))
        writer = store.writer(LARGE)
        writer.write(pattern(300_000))
        writer.discard()

    on_store(path, use)
    assert len(blob_files(path)) == 1
    assert incoming_files(path) == []

    async def tables(store: EmbeddedStore) -> dict[str, int]:
        with store.index.env.begin() as txn:
            names = ("blobs", "manifests", "parts", "uploads", "freed", "inline")
            return {name: txn.stat(getattr(store.index, name))["entries"] for name in names}

    assert on_store(path, tables) == {
        "blobs": 1,
        "manifests": 0,
        "parts": 0,
        "uploads": 0,
        "freed": 0,
        "inline": 0,
    }


def test_inline_parts_that_are_freed_later_leave_the_index(path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        await multipart(store, bucket, b"k", dict.fromkeys(range(1, 600), b"x"), "u")
        await put(store, bucket, b"k", b"")

    async def rows(store: EmbeddedStore) -> tuple[int, int]:
        with store.index.env.begin() as txn:
            return tuple(txn.stat(getattr(store.index, name))["entries"] for name in ("inline", "manifests"))

    on_store(path, use)
    assert on_store(path, rows) == (0, 0)


@pytest.mark.requirement("CON-02")
def test_a_pinned_object_of_parts_outlives_its_deletion_until_the_reader_has_gone(path: Path) -> None:
    bodies = {1: pattern(200_000), 2: b"inline", 3: pattern(200_000, 3)}

    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        await multipart(store, bucket, b"k", bodies, "u")
        opened = await store.open(bucket, b"k")
        await change(store, bucket, DeleteEntry(b"k"))
        store._janitor.close()  # it does all that it may, and ends
        assert len(blob_files(path)) == 2
        assert read(opened) == b"".join(bodies.values())

    on_store(path, use)
    on_store(path, photos)
    assert blob_files(path) == []


def read_in_another_process(path: Path, pipe: Any) -> None:
    """Open an object of parts, tell so, and read it when told to."""

    async def use(store: EmbeddedStore) -> None:
        opened = await store.open(await photos(store), b"k")
        pipe.send("open")
        pipe.recv()
        pipe.send(read(opened))

    on_store(path, use, slot=1)


@pytest.mark.requirement("CON-02")
def test_a_reader_in_another_process_keeps_its_parts(path: Path) -> None:
    bodies = {1: pattern(300_000), 2: pattern(300_000, 3)}
    ours, theirs = processes.Pipe()

    async def use(store: EmbeddedStore) -> bytes:
        bucket = await photos(store)
        await multipart(store, bucket, b"k", bodies, "u")
        reader = processes.Process(target=read_in_another_process, args=(path, theirs))
        reader.start()
        assert ours.recv() == "open"
        await change(store, bucket, DeleteEntry(b"k"))
        store._janitor.close()
        ours.send("go")
        found: bytes = ours.recv()
        reader.join()
        return found

    assert on_store(path, use) == b"".join(bodies.values())


def test_the_pin_of_a_killed_reader_does_not_keep_anything(path: Path) -> None:
    ours, theirs = processes.Pipe()

    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        await multipart(store, bucket, b"k", {1: pattern(300_000)}, "u")
        reader = processes.Process(target=read_in_another_process, args=(path, theirs))
        reader.start()
        assert ours.recv() == "open"
        reader.kill()
        reader.join()
        await change(store, bucket, DeleteEntry(b"k"))

    on_store(path, use)
    assert blob_files(path) == []


# --- several processes --------------------------------------------------------------------------------


def race(path: Path, slot: int, pipe: Any) -> None:
    """Try to create the same objects as everybody else, and send which ones were ours."""

    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        pipe.send("ready")
        pipe.recv()
        tries = [
            put(store, bucket, b"k%d" % n, b"%d" % slot, Absent(b"k%d" % n))
            for n in range(40)
            for _ in range(4)
        ]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        pipe.send([at // 4 for at, outcome in enumerate(outcomes) if isinstance(outcome, int)])

    on_store(path, use, slot=slot)


@pytest.mark.requirement("CONDW-02", "CON-03")
@pytest.mark.known_mistake(46)
def test_of_racing_creations_in_two_processes_one_wins(path: Path) -> None:
    on_store(path, photos)
    pipes = [processes.Pipe() for _ in range(2)]
    racers = [processes.Process(target=race, args=(path, slot, pipes[slot][1])) for slot in range(2)]
    for racer in racers:
        racer.start()
    for ours, _ in pipes:
        assert ours.recv() == "ready"
    for ours, _ in pipes:
        ours.send("go")
    won = [ours.recv() for ours, _ in pipes]
    for racer in racers:
        racer.join()
    assert sorted(won[0] + won[1]) == list(range(40))

    async def use(store: EmbeddedStore) -> list[bytes]:
        bucket = await photos(store)
        return [await get(store, bucket, b"k%d" % n) for n in range(40)]

    assert on_store(path, use) == [b"0" if n in won[0] else b"1" for n in range(40)]


def delete_and_make_again(path: Path, name: str) -> None:
    """Do as a command line does, beside a server."""

    async def use(store: EmbeddedStore) -> None:
        found = await store.bucket(name)
        assert found is not None
        await store.delete_bucket(found)
        await store.create_bucket(Bucket(name, 0, 1))

    on_store(path, use, is_server=False)


@pytest.mark.requirement("DB-06")
@pytest.mark.known_mistake(53)
def test_a_change_by_another_process_is_seen_and_decides_what_follows(path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        before = store.generation()
        other = processes.Process(target=delete_and_make_again, args=(path, "photos"))
        other.start()
        other.join()
        assert other.exitcode == 0
        assert store.generation() == before + 2
        with pytest.raises(NoSuchBucket):
            await put(store, bucket, b"k", b"1")
        again = await store.bucket("photos")
        assert again is not None
        assert again.id != bucket.id

    on_store(path, use)


@pytest.mark.requirement("DB-06")
def test_of_a_put_racing_the_deletion_of_its_bucket_one_fails(path: Path) -> None:
    async def use(store: EmbeddedStore) -> list[set[str]]:
        seen = []
        for number in range(30):
            bucket = await new_bucket(store, f"b{number}")
            outcomes = await asyncio.gather(
                put(store, bucket, b"k", b"1"), store.delete_bucket(bucket), return_exceptions=True
            )
            seen.append({type(outcome).__name__ for outcome in outcomes})
        return seen

    allowed = [{"int", "BucketNotEmpty"}, {"NoSuchBucket", "NoneType"}]
    assert [one for one in on_store(path, use) if one not in allowed] == []


# --- the committer ------------------------------------------------------------------------------------


def test_one_bad_mutation_does_not_hurt_the_others_of_its_batch(path: Path) -> None:
    async def use(store: EmbeddedStore) -> Any:
        bucket = await photos(store)
        body = pattern(200_000)
        puts = [put(store, bucket, b"k%d" % n, body if n == 3 else b"%d" % n) for n in range(20)]
        bad = [
            change(store, bucket, PutEntry(b"bad", entry(5), b"not five")),
            change(store, bucket, PutEntry(b"bad2", entry(1), object())),
            change(store, bucket, PutEntry(b"bad3", entry(1), None)),
        ]
        outcomes = await asyncio.gather(*puts[:10], *bad, *puts[10:], return_exceptions=True)
        assert await get(store, bucket, b"k3") == body
        page = await store.list(bucket, b"", b"", b"", 100)
        return [type(outcome).__name__ for outcome in outcomes], len(page.rows)

    kinds, rows = on_store(path, use)
    assert kinds == ["int"] * 10 + ["ValueError", "TypeError", "ValueError"] + ["int"] * 10
    assert rows == 20


def test_a_full_index_refuses_and_stays_usable(path: Path) -> None:
    async def use(store: EmbeddedStore) -> int:
        bucket = await photos(store)
        stored = 0
        with pytest.raises(StoreFull):
            for stored in range(10_000):
                await put(store, bucket, b"k%d" % stored, pattern(100_000, stored + 1))
        for number in range(stored):
            assert await get(store, bucket, b"k%d" % number) == pattern(100_000, number + 1)
        for number in range(stored):
            await change(store, bucket, DeleteEntry(b"k%d" % number))
        return await put(store, bucket, b"again", pattern(100_000))

    assert on_store(path, use, map_size=8 * 1024 * 1024) > 0


def test_a_content_belongs_to_one_entry_only(path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        held = content(store, pattern(200_000))
        await change(store, bucket, PutEntry(b"a", entry(200_000), held))
        with pytest.raises(StoreError):
            await change(store, bucket, PutEntry(b"b", entry(200_000), held))
        assert await get(store, bucket, b"a") == pattern(200_000)
        assert await store.entry(bucket, b"b") is None

    on_store(path, use)


def test_a_mutation_that_names_a_content_twice_changes_nothing(path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        held = content(store, pattern(200_000))
        twice = (PutEntry(b"a", entry(200_000), held), PutEntry(b"b", entry(200_000), held))
        outcomes = await asyncio.gather(
            put(store, bucket, b"before", b"1"),
            store.commit(Mutation(bucket, twice)),
            put(store, bucket, b"after", b"2"),
            return_exceptions=True,
        )
        assert [type(outcome).__name__ for outcome in outcomes] == ["int", "StoreError", "int"]
        page = await store.list(bucket, b"", b"", b"", 10)
        assert [key for key, _ in page.rows] == [b"after", b"before"]

    on_store(path, use)


def test_a_commit_suspends_on_nothing_but_a_future(path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        running = store.commit(Mutation(bucket, (PutEntry(b"k", entry(1), b"x"),)))
        waited = running.send(None)
        assert isinstance(waited, asyncio.Future)
        await asyncio.wait([waited])
        with pytest.raises(StopIteration) as ended:
            running.send(None)
        assert ended.value.value.sequence > 0
        reading = store.open(bucket, b"k")
        with pytest.raises(StopIteration):
            reading.send(None)

    on_store(path, use)


@pytest.mark.known_mistake(49)
def test_an_object_of_ten_thousand_parts_fits(path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        bodies = {number: b"%05d" % number for number in range(1, 10_001)}
        await change(store, bucket, PutUpload(upload(b"k", "u")))
        await asyncio.gather(
            *[change(store, bucket, PutPart(b"k", "u", part(n, 5), body)) for n, body in bodies.items()]
        )
        parts = await store.parts(bucket, b"k", "u")
        made = entry(50_000, upload_id="u", part_count=10_000)
        await change(store, bucket, CompleteUpload(b"k", "u", made, parts))
        assert await get(store, bucket, b"k") == b"".join(bodies.values())
        assert read(await store.open(bucket, b"k"), 49_998, 2) == b"00"
        assert read(await store.open(bucket, b"k"), 25_000, 5) == b"05001"

    on_store(path, use)


@pytest.fixture(autouse=True)
def no_processes_left() -> Iterator[None]:
    """See to it that a failed test leaves no process."""
    yield
    for child in multiprocessing.active_children():
        child.kill()
        child.join()


def fill_a_small_device(path: Path, pipe: Any) -> None:
    """Put objects, small and large, until the device is full, then free some room and go on."""

    async def use(store: EmbeddedStore) -> list[str]:
        bucket = await photos(store)
        await put(store, bucket, b"first", pattern(1000))
        size = (path / "index" / "data.mdb").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 2_000_000, resource.RLIM_INFINITY))
        seen = []
        try:
            for number in range(10_000):
                await put(store, bucket, b"k%d" % number, pattern(100_000))
        except StoreError as error:
            seen.append(type(error).__name__)
        try:
            content(store, pattern(4_000_000))
        except StoreError as error:
            seen.append(type(error).__name__)
        assert await get(store, bucket, b"first") == pattern(1000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await put(store, bucket, b"later", pattern(100_000))
        assert await get(store, bucket, b"later") == pattern(100_000)
        return seen

    pipe.send(on_store(path, use))


def test_a_full_device_refuses_and_the_store_stays_usable(path: Path) -> None:
    ours, theirs = processes.Pipe(duplex=False)
    filler = processes.Process(target=fill_a_small_device, args=(path, theirs))
    filler.start()
    theirs.close()
    of_index, of_blobs = ours.recv()
    assert of_index in ("StoreFull", "Unavailable")  # LMDB calls a write that was cut short an I/O error
    assert of_blobs == "StoreFull"
    filler.join()
    recover(path)
    assert incoming_files(path) == []
    assert scrub(path).is_clean


def test_recovery_leaves_a_working_command_line_alone(path: Path) -> None:
    ours, theirs = processes.Pipe()
    worker = processes.Process(target=write_beside, args=(path, theirs))
    worker.start()
    assert ours.recv() == "written"
    recover(path)
    ours.send("go")
    assert ours.recv() == pattern(LARGE)
    worker.join()


def write_beside(path: Path, pipe: Any) -> None:
    """Write a content as a command line, wait, and commit it."""

    async def use(store: EmbeddedStore) -> bytes:
        bucket = await photos(store)
        held = content(store, pattern(LARGE))
        pipe.send("written")
        pipe.recv()
        await change(store, bucket, PutEntry(b"k", entry(LARGE), held))
        return await get(store, bucket, b"k")

    pipe.send(on_store(path, use, is_server=False))


def test_a_process_may_not_take_the_slot_of_another(path: Path) -> None:
    ours, theirs = processes.Pipe()
    worker = processes.Process(target=hold_slot, args=(path, theirs))
    worker.start()
    assert ours.recv() == "open"
    with pytest.raises(StoreError, match="slot 3"):
        open_store(path, slot=3)
    ours.send("go")
    worker.join()
    on_store(path, photos, slot=3)


def hold_slot(path: Path, pipe: Any) -> None:
    """Hold slot 3."""

    async def use(_: EmbeddedStore) -> None:
        pipe.send("open")
        pipe.recv()

    on_store(path, use, slot=3)


def test_what_was_submitted_before_a_close_is_committed(path: Path) -> None:
    async def use() -> None:
        store = open_store(path)
        bucket = await photos(store)
        waiting = [asyncio.ensure_future(put(store, bucket, b"%d" % n, b"xy")) for n in range(3)]
        await asyncio.sleep(0)
        await store.close()
        assert all([await one for one in waiting])

    async def found(store: EmbeddedStore) -> list[bool]:
        bucket = await photos(store)
        return [await store.entry(bucket, b"%d" % n) is not None for n in range(3)]

    asyncio.run(use())
    assert on_store(path, found) == [True] * 3


def test_what_one_turn_of_the_loop_submits_is_one_transaction(path: Path) -> None:
    async def use(store: EmbeddedStore) -> None:
        bucket = await photos(store)
        before = store.index.env.info()["last_txnid"]
        await asyncio.gather(*(put(store, bucket, b"%d" % n, b"xy") for n in range(64)))
        assert store.index.env.info()["last_txnid"] == before + 1

    on_store(path, use)


def test_a_closed_store_is_unavailable(path: Path) -> None:
    async def use() -> None:
        store = open_store(path)
        bucket = await photos(store)
        await store.close()
        await store.close()
        for asked in (
            store.entry(bucket, b"k"),
            store.open(bucket, b"k"),
            store.list(bucket, b"", b"", b"", 1),
            store.bucket("photos"),
            store.keys(),
            store.uploads(bucket, b"", b"", b"", None, 1),
            put(store, bucket, b"k", b""),
        ):
            with pytest.raises(Unavailable):
                await asked

    asyncio.run(use())
