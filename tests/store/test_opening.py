"""From URLs to stores: what can't be meant is refused in words, and no password is ever shown."""

from __future__ import annotations

import asyncio
import doctest
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.model import AccessKey, Bucket
from anys3.store import opening, urls
from anys3.store.errors import Unavailable
from anys3.store.interface import Store
from anys3.store.opening import Location, check_blobs, check_index, open_blobs, open_worker, take
from anys3.store.starting import Unreachable, Unsuitable
from anys3.store.urls import redact, redact_in
from tests.engines.postgresql import Database

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8)
KEY = AccessKey("AKIAOPENEDBESIDE0001", "a-secret-that-is-long-enough-for-this-00", "beside", created_ms=0)
SHARED = {"index": "postgresql://db/x", "blobs": "file:b"}


def test_the_examples_are_right() -> None:
    assert doctest.testmod(urls).failed == 0


@given(SECRETS)
def test_a_password_is_never_shown_whatever_it_holds(secret: str) -> None:
    secret = f"Qz{secret}Qz"  # no part of the rest
    url = f"postgresql://me:{secret}@h1,h2:5433/db?pool=5"
    assert secret not in redact(url)
    assert secret not in redact_in(f"no login at {url} with {secret}", url)
    for check, mistaken in ((check_index, f"mysql:/me:{secret}@h/db"), (check_blobs, url)):
        with pytest.raises(ValueError, match="expected") as refused:
            check(mistaken)
        assert secret not in str(refused.value)


def test_where_the_server_is_stays_readable() -> None:
    for url in ("postgresql://me@h1,h2:5433/db?pool=5", "rados://pool?conf=/a@b.conf", "file:/srv/a:b@c"):
        assert redact(url) == url


@pytest.mark.parametrize("url", ["mysql://h/db", "postgresql", "postgresql:h", "http://h", "", "/srv"])
def test_an_unknown_index_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected postgresql://"):
        check_index(url)


@pytest.mark.parametrize("url", ["gs://b", "/srv/blobs", "", "C:\\blobs"])
def test_an_unknown_place_for_blobs_is_refused_with_those_that_there_are(url: str) -> None:
    with pytest.raises(ValueError, match="expected rados://POOL.*s3://BUCKET.*file:DIR"):
        check_blobs(url)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (Location(index="postgresql://me:hunter2@db/x"), "needs --blobs"),
        (Location(blobs="file:b"), "--memory"),
        (Location(Path("d"), blobs="file:b", is_relaxed=True), "relaxed"),
        (Location(**SHARED, is_relaxed=True), "relaxed"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_go_together_is_refused(location: Location, words: str) -> None:
    with pytest.raises(Unsuitable, match=words) as refused:
        take(location)
    assert "hunter2" not in f"{refused.value} {location} {location!r} {dict(location.describe())}"


def test_what_can_not_be_reached_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    away = Location(tmp_path / "d", blobs=f"file:{tmp_path}/file/b")
    no_index = Location(index="postgresql://me:hunter2@127.0.0.1:1/x", blobs=f"file:{tmp_path}/b")
    take(away).close()
    for location, words in ((away, "written, read and removed"), (no_index, "PostgreSQL 15")):
        with pytest.raises(Unreachable, match=words) as refused:
            asyncio.run(open_worker(location, 0, is_first=True))
        assert "hunter2" not in str(refused.value)


def test_a_directory_that_is_not_mounted_is_no_empty_place_for_blobs(
    postgresql: Database, tmp_path: Path
) -> None:
    blobs = tmp_path / "blobs"
    location = Location(index=postgresql.new_database(), blobs=f"file:{blobs}")

    async def use(work: Callable[[Store], Coroutine[Any, Any, Any]], *, is_first: bool) -> Any:
        store = await open_worker(location, 0, is_first=is_first)
        try:
            return await work(store)
        finally:
            await store.close()

    asyncio.run(use(lambda store: store.create_bucket(Bucket("photos", 0, 1)), is_first=True))
    blobs.rename(tmp_path / "away")
    blobs.mkdir()
    with pytest.raises(Unreachable, match="is it mounted"):
        asyncio.run(use(lambda store: store.keys(), is_first=True))
    with pytest.raises(Unavailable, match="is it mounted"):
        asyncio.run(use(lambda store: asyncio.to_thread(_write_large, store), is_first=False))
    assert list(blobs.iterdir()) == []
    blobs.rmdir()
    (tmp_path / "away").rename(blobs)
    asyncio.run(use(lambda store: asyncio.to_thread(_write_large, store), is_first=True))


def test_a_directory_with_something_else_in_it_is_no_place_for_blobs(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "letter.txt").write_text("mine")
    location = Location(tmp_path / "d", blobs=f"file:{tmp_path}/b")
    with take(location), pytest.raises(Unsuitable, match="it holds 'letter.txt'"):
        asyncio.run(open_worker(location, 0, is_first=True))


def test_a_url_that_an_engine_can_not_read_is_unsuitable() -> None:
    for url in ("s3://b", "rados:///", "file:"):
        with pytest.raises(Unsuitable):
            open_blobs(url)


def test_a_worker_that_starts_again_does_not_wait_for_the_blobs(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    location = Location(tmp_path / "d", blobs=f"file:{tmp_path}/file/b")

    async def use() -> int:
        with take(location):
            store = await open_worker(location, 0)
            try:
                return len(await store.keys())
            finally:
                await store.close()

    assert asyncio.run(use()) == 0


def test_a_command_changes_keys_without_knowing_where_the_blobs_lie(
    postgresql: Database, tmp_path: Path
) -> None:
    index = postgresql.new_database()

    async def change() -> AccessKey | None:
        store = await opening.open_worker(Location(index=index, blobs=f"file:{tmp_path}"), 0)
        beside = await opening.open_beside(Location(index=index))
        try:
            await beside.put_key(KEY)
            with pytest.raises(Unavailable):
                await asyncio.to_thread(_write_large, beside)
            return await store.key(KEY.access_key_id)
        finally:
            await beside.close()
            await store.close()

    assert asyncio.run(change()) == KEY


def _write_large(store) -> None:
    writer = store.writer(1 << 20)
    writer.write(bytes(1 << 20))
    writer.finish()
