"""A backup under load is one moment of the store; and bugs planted in it are noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anys3.store import embedded
from anys3.store.embedded import device
from anys3.store.embedded.backup import backup
from tests.backup import planted
from tests.backup.conftest import PATIENCE_S, anys3, wait_for
from tests.backup.load import BUCKET, Load, content, violations
from tests.processes import ServerProcess, serving

RUNS = 3


def backup_under_load(server: ServerProcess, destination: Path) -> list[str]:
    """Take backups while writers write, open each with a server, and return what is wrong with them."""
    found = []
    for run in range(RUNS):
        with Load(server.port, 3 * run) as load:
            wait_for(lambda load=load: min(load.begun().values()) > 8)
            before = load.done()
            result = anys3("backup", server.directory, destination, "--json")
            after = load.begun()
        assert [writer.failure for writer in load.writers] == [""] * 3
        found += [] if result.returncode == 0 else [result.stderr + result.stdout]
        found += opened(destination, before, after)
    return found


def opened(destination: Path, before: dict[int, tuple[int, int]], after: dict[int, int]) -> list[str]:
    """Return what is wrong with a backup that was taken between the two."""
    report = embedded.scrub(destination)
    with serving(destination) as restored:
        found = violations(restored.s3, before, after)
    return found + [str(one) for one in (*report.damaged, *report.missing, *report.orphans)]


def test_every_backup_under_load_is_one_moment(server: ServerProcess, tmp_path: Path) -> None:
    assert backup_under_load(server, tmp_path / "backup") == []


def put(server: ServerProcess, first: int, behind: int) -> None:
    for number in range(first, behind):
        answer = server.s3.request("PUT", f"{BUCKET}/{number}", body=content(0, 1001))
        assert answer.status == 200


def blobs_of(store: Path) -> set[str]:
    return {file.name for file in (store / "blobs").glob("??/*")}


def backup_with_changes(server: ServerProcess, destination: Path, patience_s: float) -> list[str]:
    """Replace every object between the copy of the index and that of the blobs; return what is wrong then."""
    put(server, 0, 12)
    before = blobs_of(server.directory)
    is_changed = []

    def change(step: str, done: int, _total: int) -> None:
        if step == "copying" and not done and not is_changed:
            is_changed.append(True)
            put(server, 0, 12)
            wait_for(lambda: not before & blobs_of(server.directory), patience_s)

    report = backup(server.directory, destination, now_ms=1, progress=change)
    found = embedded.scrub(destination)
    assert is_changed
    return [str(one) for one in (*report.damaged, *report.missing, *found.damaged, *found.missing)]


def test_what_is_replaced_meanwhile_is_in_the_backup(server: ServerProcess, tmp_path: Path) -> None:
    assert backup_with_changes(server, tmp_path / "backup", patience_s=0.5) == []


@pytest.mark.parametrize(
    "bug", [planted.no_pin, planted.index_copied_last, planted.a_blob_left_out], ids=lambda bug: bug.__name__
)
def test_a_backup_with_a_planted_bug_is_found_out(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: Callable[[Any], None]
) -> None:
    bug(monkeypatch.setattr)
    assert backup_with_changes(
        server, tmp_path / "backup", patience_s=PATIENCE_S if bug is planted.no_pin else 0.2
    )


def test_the_room_is_given_back_after_the_backup(server: ServerProcess, tmp_path: Path) -> None:
    backup_with_changes(server, tmp_path / "backup", patience_s=0.1)
    put(server, 12, 13)  # wakes the janitor, which looks again each second by itself
    assert wait_for(lambda: len(blobs_of(server.directory)) == 13)


# --- the order of syncs -------------------------------------------------------------------------------


class Recorder:
    """Notes in which order files are synced and renamed."""

    def __init__(self, patch: planted.Patch) -> None:
        self.events: list[tuple[str, str]] = []
        sync, sync_directory, replace = device.sync_file, device.sync_directory, os.replace

        def noting_sync(descriptor: int) -> None:
            self.events.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
            sync(descriptor)

        def noting_directory(path: Path) -> None:
            self.events.append(("sync", str(path)))
            sync_directory(path)

        def noting_replace(old: Path, new: Path) -> None:
            self.events.append((str(old), str(new)))
            replace(old, new)

        patch(device, "sync_file", noting_sync)
        patch(device, "sync_directory", noting_directory)
        patch(os, "replace", noting_replace)

    def too_late(self, destination: Path) -> list[str]:
        """Return the blobs that were not wholly on the device when the index was switched."""
        at = {event: number for number, event in enumerate(self.events)}
        switch = at[f"{destination}/backup.new/index/data.mdb", f"{destination}/index/data.mdb"]
        late = []
        for old, new in [event for event in self.events if "/blobs/" in event[1] and event[0] != "sync"]:
            named, synced = at[old, new], at.get(("sync", old), switch)
            folder = at.get(("sync", str(Path(new).parent)), switch)
            if not synced < named < folder < switch:
                late.append(new)
        return late


def recorded(
    server: ServerProcess,
    destination: Path,
    patch: planted.Patch,
    bug: Callable[[Any], None] = lambda _: None,
) -> list[str]:
    put(server, 0, 5)
    recorder = Recorder(patch)
    bug(patch)  # above the recorder, which so sees what really happens
    backup(server.directory, destination, now_ms=1)
    assert len([new for old, new in recorder.events if "/blobs/" in new and old != "sync"]) == 5
    return recorder.too_late(destination)


linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to name descriptors")


@linux
def test_the_index_is_switched_after_all_is_synced(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recorded(server, tmp_path / "backup", monkeypatch.setattr) == []


@linux
@pytest.mark.parametrize(
    "bug", [planted.blobs_not_synced, planted.names_not_synced], ids=lambda bug: bug.__name__
)
def test_a_sync_that_is_left_out_is_found_out(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: Callable[[Any], None]
) -> None:
    assert len(recorded(server, tmp_path / "backup", monkeypatch.setattr, bug)) == 5
