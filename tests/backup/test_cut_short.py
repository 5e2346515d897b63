"""A backup that is killed at any step leaves the earlier one whole, or nothing that is taken for one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from anys3.store import embedded
from anys3.store.embedded.backup import backup
from anys3.store.embedded.control import Control
from anys3.store.embedded.examining import examine
from anys3.store.errors import StoreError
from tests.backup.conftest import anys3
from tests.backup.load import BUCKET, content
from tests.processes import ServerProcess, serving
from tests.torture.server import entry

KILLED = -9
NOT_A_STORE = 8
WHOLE = ("b", "c", "d")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with three blobs."""
    with serving(
        tmp_path_factory.mktemp("cut") / "store", "--workers", "2", "--buckets", "bucket"
    ) as process:
        put(process, "a", "b", "c")
        yield process


@pytest.fixture(scope="module")
def earlier(server: ServerProcess) -> Path:
    """A backup from before one of them was replaced, one deleted, and one added."""
    path = server.directory.with_name("earlier")
    backup(server.directory, path, now_ms=1)
    put(server, "c", version=3)
    put(server, "d")
    assert server.s3.request("DELETE", f"{BUCKET}/a").status == 204
    return path


def put(server: ServerProcess, *keys: str, version: int = 1) -> None:
    for key in keys:
        assert server.s3.request("PUT", f"{BUCKET}/{key}", body=content(0, version)).status == 200


def killed_backup(server: ServerProcess, destination: Path, step: int, *planted: str) -> int:
    """Run a backup that kills itself at a step, and return its exit code."""
    changes = (f"dies_at={step}", *planted)
    how = entry(*(f"tests.backup.planted:{change}" for change in changes))
    return anys3("backup", server.directory, destination, entry=how).returncode


def state(destination: Path) -> tuple[str, ...] | str:
    """Return the keys in a backup that is whole, else why it can't be served."""
    if not (destination / "format").exists():
        done = anys3("serve", destination, "--listen", "127.0.0.1:0")
        return "refused" if done.returncode == NOT_A_STORE else f"{done.returncode}: {done.stderr}"
    report = embedded.scrub(destination)
    return tuple(asyncio.run(keys(destination))) if report.is_clean else f"{report.damaged} {report.missing}"


async def keys(destination: Path) -> list[str]:
    """Return what the bucket holds."""
    store = embedded.open_store(destination, is_server=False)
    try:
        pages = [await store.list(bucket, b"", b"", b"", 10) for bucket in await store.buckets()]
        return [key.decode() for page in pages for key, _ in page.rows]
    finally:
        await store.close()


@pytest.mark.parametrize("step", [0, 2, 4, 8, *range(12, 60, 9)])
def test_a_first_backup_that_is_killed_is_none(
    server: ServerProcess, earlier: Path, tmp_path: Path, step: int
) -> None:
    assert earlier.exists()
    place = tmp_path / "backup"
    place.mkdir()
    code = killed_backup(server, place, step)
    is_begun = {one.name for one in place.iterdir()} - {"lock"}
    found = state(place) if is_begun else "empty"
    assert (code, found) in ((KILLED, "empty"), (KILLED, "refused"), (KILLED, WHOLE), (0, WHOLE))
    backup(server.directory, place, now_ms=2)
    assert state(place) == ("b", "c", "d")


@pytest.mark.parametrize("step", range(2, 66, 5))
def test_an_earlier_backup_stays_whole(
    server: ServerProcess, earlier: Path, tmp_path: Path, step: int
) -> None:
    place = tmp_path / "backup"
    shutil.copytree(earlier, place)
    killed_backup(server, place, step)
    assert state(place) in (("a", "b", "c"), ("b", "c", "d"))
    backup(server.directory, place, now_ms=2)
    assert state(place) == ("b", "c", "d")
    assert len([*place.glob("blobs/??/*")]) == 3


def test_the_steps_reach_from_the_earlier_backup_to_the_new_one(
    server: ServerProcess, earlier: Path, tmp_path: Path
) -> None:
    codes, states = [], []
    for step in (0, 30, 200):
        place = tmp_path / str(step)
        shutil.copytree(earlier, place)
        codes.append(killed_backup(server, place, step))
        states.append(state(place))
    assert (codes, states[0], states[2]) == ([KILLED, KILLED, 0], ("a", "b", "c"), ("b", "c", "d"))


def test_a_planted_mark_before_the_contents_is_found_out(server: ServerProcess, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    assert killed_backup(server, place, 25, "format_first") == KILLED
    try:
        found = state(place)
    except StoreError as error:
        found = str(error)
    assert found not in ("refused", WHOLE)


def test_a_planted_removal_before_the_switch_is_found_out(
    server: ServerProcess, earlier: Path, tmp_path: Path
) -> None:
    place = tmp_path / "backup"
    shutil.copytree(earlier, place)
    assert killed_backup(server, place, 1000, "removes_first") == KILLED
    assert state(place) not in (("a", "b", "c"), WHOLE)


def test_a_killed_backup_pins_nothing(server: ServerProcess, tmp_path: Path) -> None:
    assert killed_backup(server, tmp_path / "backup", 16) == KILLED
    left = examine(server.directory).dead_pins
    control = Control(server.directory, None)
    try:
        assert (left, control.oldest_pin()) == (1, None)
    finally:
        control.close()
