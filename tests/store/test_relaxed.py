"""What a relaxed store promises: a killed process loses nothing, power loss takes a few seconds and no more."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from anys3.store.embedded import (
    EmbeddedStore,
    checkpoints,
    lock_directory,
    open_store,
    recover,
    recovery,
    scrub,
)
from anys3.store.errors import Unavailable
from anys3.store.mutations import AbortUpload, DeleteEntry, PutPart, PutUpload
from tests.store.suite import change, content, get, new_bucket, part, pattern, put, upload

LARGE = 600_000
PAGE = 4096
processes = multiprocessing.get_context("spawn")
pytestmark = pytest.mark.skipif(not checkpoints.can_be_relaxed(), reason="the relaxed mode needs Linux")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store lies."""
    return tmp_path / "store"


@pytest.fixture
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave checkpoints to the test."""
    monkeypatch.setattr(checkpoints, "INTERVAL_S", 3600.0)


def body_of(number: int) -> bytes:
    """Return the body of the n-th PUT: one in four is a file of its own."""
    return pattern(LARGE if number % 4 == 0 else 1000, number + 1)


async def fill(store: EmbeddedStore, numbers: range) -> None:
    """Put objects over each other, and delete some."""
    bucket = await store.bucket("photos") or await new_bucket(store)
    for number in numbers:
        await put(store, bucket, b"k%03d" % (number % 41), body_of(number))
        if number % 7 == 3:
            await change(store, bucket, DeleteEntry(b"k%03d" % ((number + 20) % 41)))


async def contents(store: EmbeddedStore) -> dict[bytes, bytes]:
    """Return all objects, read and verified."""
    bucket = await store.bucket("photos")
    assert bucket is not None
    page = await store.list(bucket, b"", b"", b"", 1000)
    return {key: await get(store, bucket, key) for key, _ in page.rows}


def contents_of(path: Path) -> dict[bytes, bytes]:
    """Return all objects of a store that is not open."""

    async def body() -> dict[bytes, bytes]:
        store = open_store(path)
        try:
            return await contents(store)
        finally:
            await store.close()

    return asyncio.run(body())


def put_until_killed(path: Path, is_relaxed: bool, pipe: Any) -> None:
    """Put objects and tell of each that was acknowledged."""

    async def body() -> None:
        store = open_store(path, is_relaxed=is_relaxed)
        bucket = await new_bucket(store)
        for number in range(100_000):
            await put(store, bucket, b"k%03d" % number, body_of(number))
            pipe.send(number)

    asyncio.run(body())


@pytest.mark.requirement("CON-04", "CON-06", "ST-03")
@pytest.mark.parametrize("is_relaxed", [False, True], ids=["durable", "relaxed"])
def test_a_killed_process_loses_nothing_that_was_acknowledged(path: Path, is_relaxed: bool) -> None:
    ours, theirs = processes.Pipe(duplex=False)
    writer = processes.Process(target=put_until_killed, args=(path, is_relaxed, theirs))
    writer.start()
    theirs.close()
    told = [ours.recv() for _ in range(90)]
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    with contextlib.suppress(EOFError):
        while True:
            told.append(ours.recv())
    recover(path)
    found = contents_of(path)
    assert {b"k%03d" % number: body_of(number) for number in told}.items() <= found.items()
    assert len(found) <= len(told) + 1
    report = scrub(path)
    assert (report.is_clean, report.orphans, checkpoints.are_left(path)) == (True, [], False)


def _copy_if_there(source: str, target: str) -> None:
    with contextlib.suppress(
        FileNotFoundError
    ):  # the store goes on meanwhile, and has given up a half-made blob
        shutil.copy2(source, target)


class PowerLoss:
    """Makes of a store what a device may hold after power loss: of each page written since, old or new."""

    def __init__(self, path: Path, copy: Path) -> None:
        self._path = path
        self._copy = copy
        self._old = (path / "index" / "data.mdb").read_bytes()
        self._blobs = set(path.glob("blobs/*/*"))

    def strike(self, seed: int) -> None:
        """Write the copy."""
        some = random.Random(seed)
        shutil.copytree(self._path, self._copy, copy_function=_copy_if_there)
        for blob in set(self._path.glob("blobs/*/*")) - self._blobs:
            (self._copy / blob.relative_to(self._path)).write_bytes(b"")
        new = (self._path / "index" / "data.mdb").read_bytes()
        old = self._old.ljust(len(new), b"\0")
        kept = [old if some.random() < 0.5 else new for _ in range(0, len(new), PAGE)]
        pages = [image[number * PAGE : (number + 1) * PAGE] for number, image in enumerate(kept)]
        (self._copy / "index" / "data.mdb").write_bytes(b"".join(pages))


@pytest.mark.parametrize("seed", range(4))
def test_power_loss_takes_a_relaxed_store_back_to_its_newest_checkpoint(
    path: Path, tmp_path: Path, no_clock: None, seed: int
) -> None:
    copy = tmp_path / "copy"

    async def body() -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        store = open_store(path, is_relaxed=True)
        try:
            await fill(store, range(60))
            store._checkpointer.take()
            await fill(store, range(60, 130))
            store._checkpointer.take()
            loss = PowerLoss(path, copy)
            before = await contents(store)
            await fill(store, range(130, 260))
            loss.strike(seed)
            return before, await contents(store)
        finally:
            await store.close()

    at_checkpoint, at_the_end = asyncio.run(body())
    recover(copy)
    assert contents_of(copy) == at_checkpoint
    assert contents_of(path) == at_the_end != at_checkpoint
    report = scrub(copy)
    assert (report.is_clean, report.orphans, checkpoints.are_left(copy)) == (True, [], False)
    # Ids are given again, and nothing is in their way.
    asyncio.run(_fill_more(copy))
    assert scrub(copy).is_clean


async def _fill_more(path: Path) -> None:
    store = open_store(path)
    try:
        await fill(store, range(200))
    finally:
        await store.close()


@pytest.mark.parametrize("seed", range(2))
def test_parts_that_were_freed_after_the_checkpoint_are_there_again(
    path: Path, tmp_path: Path, no_clock: None, seed: int
) -> None:
    copy = tmp_path / "copy"

    async def body() -> None:
        store = open_store(path, is_relaxed=True)
        try:
            bucket = await new_bucket(store)
            await change(store, bucket, PutUpload(upload(b"k", "u")))
            await change(store, bucket, PutPart(b"k", "u", part(1, LARGE), content(store, pattern(LARGE))))
            store._checkpointer.take()
            loss = PowerLoss(path, copy)
            await change(store, bucket, AbortUpload(b"k", "u"))
            store._janitor.close()  # it does what it may before it ends
            loss.strike(seed)
        finally:
            await store.close()

    async def parts() -> list[int]:
        store = open_store(copy)
        try:
            bucket = await store.bucket("photos")
            assert bucket is not None
            return [one.number for one in await store.parts(bucket, b"k", "u")]
        finally:
            await store.close()

    asyncio.run(body())
    recover(copy)
    assert asyncio.run(parts()) == [1]
    assert scrub(copy).is_clean


def test_a_closed_relaxed_store_has_everything_on_the_device_and_no_checkpoint(path: Path) -> None:
    async def body() -> dict[bytes, bytes]:
        store = open_store(path, is_relaxed=True)
        assert checkpoints.are_left(path)
        await fill(store, range(30))
        found = await contents(store)
        await store.close()
        return found

    assert asyncio.run(body()) == contents_of(path)
    assert not checkpoints.are_left(path)


def test_a_command_line_beside_a_relaxed_server_leaves_its_checkpoint_and_settles_a_dead_ones(
    path: Path, tmp_path: Path, no_clock: None
) -> None:
    copy = tmp_path / "copy"
    lock = lock_directory(path)
    store = open_store(path, is_relaxed=True)
    recovery.prepare_guest(path)
    assert checkpoints.are_left(path)
    shutil.copytree(path, copy)
    store.shut()
    lock.close()
    open_store(copy, is_server=False).shut()
    assert not checkpoints.are_left(copy)


def test_a_damaged_checkpoint_is_told_of(path: Path) -> None:
    open_store(path).shut()
    (path / "checkpoint-0").write_bytes(b"anys3chk and then something else")
    with pytest.raises(Unavailable, match="damaged"):
        recover(path)
