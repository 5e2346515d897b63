"""Where a backup may be made, what it holds, and what it says of damage."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from anys3.store import embedded
from anys3.store.embedded.backup import backup
from anys3.store.errors import StoreFull
from tests import uploads
from tests.backup.conftest import anys3
from tests.backup.load import BUCKET, content, listing
from tests.processes import ServerProcess, serving

ALREADY_SERVED, NEWER_FORMAT, NOT_A_STORE, CONFLICT, DAMAGED = 3, 6, 8, 11, 12


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of one worker, with one bucket."""
    with serving(tmp_path / "store", "--workers", "1", "--buckets", "bucket") as process:
        yield process


@pytest.fixture
def backed_up(server: ServerProcess, tmp_path: Path) -> Path:
    """A backup of a store of one blob and one small object."""
    put(server, "blob", content(0, 1))
    put(server, "small", b"small")
    assert anys3("backup", server.directory, tmp_path / "backup").returncode == 0
    return tmp_path / "backup"


def put(server: ServerProcess, key: str, body: bytes) -> None:
    assert server.s3.request("PUT", f"{BUCKET}/{key}", body=body).status == 200


def blob_of(store: Path) -> Path:
    (found,) = store.glob("blobs/??/*")
    return found


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_a_backup_is_a_store_that_others_cannot_enter(backed_up: Path) -> None:
    with serving(backed_up) as restored:
        got = restored.s3.request("GET", f"{BUCKET}/blob").body
    modes = {path.stat().st_mode & 0o077 for path in (backed_up, *backed_up.rglob("*"))}
    assert (got, modes) == (content(0, 1), {0})


def test_json_tells_what_was_done(server: ServerProcess, backed_up: Path) -> None:
    put(server, "blob", content(0, 3))
    told = json.loads(anys3("backup", server.directory, backed_up, "--json").stdout)
    timed = {name: told.pop(name) for name in ("seconds", "bytes", "moment")}
    assert told == {
        "is_clean": True,
        "destination": str(backed_up),
        "objects": 2,
        "uploads": 0,
        "parts": 0,
        "blobs": {"copied": 1, "kept": 0, "removed": 1, "elsewhere": 0},
        "damaged": [],
        "missing": [],
    }
    assert (timed["bytes"] > 300_000, timed["moment"]["sequence"] >= 3) == (True, True)


def test_what_is_unchanged_is_not_copied_again(server: ServerProcess, backed_up: Path) -> None:
    before = blob_of(backed_up).stat().st_ino
    told = json.loads(anys3("backup", server.directory, backed_up, "--json").stdout)
    assert (told["blobs"], blob_of(backed_up).stat().st_ino) == (
        {"copied": 0, "kept": 1, "removed": 0, "elsewhere": 0},
        before,
    )


def test_an_unfinished_upload_can_be_completed_in_the_backup(server: ServerProcess, tmp_path: Path) -> None:
    upload = uploads.begin(server.s3, BUCKET[1:])
    etag = upload.put(1, content(0, 1))
    assert anys3("backup", server.directory, tmp_path / "backup").returncode == 0
    with serving(tmp_path / "backup") as restored:
        there = uploads.Upload(restored.s3, upload.bucket, upload.key, upload.upload_id)
        assert there.complete([(1, etag)]).status == 200
        assert restored.s3.request("GET", f"{BUCKET}/{upload.key}").body == content(0, 1)


def test_the_backup_of_a_relaxed_store_needs_no_checkpoint(tmp_path: Path) -> None:
    with serving(tmp_path / "store", "--durability", "relaxed", "--buckets", "bucket") as server:
        put(server, "blob", content(0, 1))
        assert list(server.directory.glob("checkpoint-*"))
        assert anys3("backup", server.directory, tmp_path / "backup").returncode == 0
    assert (list((tmp_path / "backup").glob("*checkpoint*")), keys(tmp_path / "backup")) == ([], ["blob"])


def keys(store: Path) -> list[str]:
    with serving(store) as restored:
        return listing(restored.s3)


def test_a_store_that_is_not_served_can_be_backed_up(server: ServerProcess, tmp_path: Path) -> None:
    put(server, "blob", content(0, 1))
    server.stop()
    assert anys3("backup", server.directory, tmp_path / "backup").returncode == 0
    assert keys(tmp_path / "backup") == ["blob"]


def test_the_certificate_and_the_audit_log_go_along_and_the_credentials_are_made_anew(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    store, copy = tmp_path / "store", tmp_path / "backup"
    made = anys3("key", "list", "--dir", store)
    assert made.returncode == NOT_A_STORE
    embedded.recover(store)
    for name in ("tls-self-signed.pem", "tls-self-signed.key", "audit.log"):
        (store / name).write_text(name)
    assert anys3("backup", store, copy).returncode == 0
    assert {file.name for file in copy.iterdir() if file.is_file()} - {"lock", "control"} == {
        "audit.log", "backup.json", "format", "tls-self-signed.key", "tls-self-signed.pem",
    }  # fmt: skip


def test_links_share_the_files_with_the_store(server: ServerProcess, tmp_path: Path) -> None:
    put(server, "blob", content(0, 1))
    assert anys3("backup", server.directory, tmp_path / "backup", "--link").returncode == 0
    assert blob_of(tmp_path / "backup").samefile(blob_of(server.directory))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_makes_belongs_to_the_owner_of_the_store(server: ServerProcess, tmp_path: Path) -> None:
    put(server, "blob", content(0, 1))
    server.stop()
    for path in (server.directory, *server.directory.rglob("*")):
        os.chown(path, 12345, 12345)
    codes = [anys3("backup", server.directory, tmp_path / "backup").returncode for _ in range(2)]
    made = (tmp_path / "backup", *(tmp_path / "backup").rglob("*"))
    made = (*made, *server.directory.rglob("*"))  # nor is anything of the store root's now
    assert (codes, {path.stat().st_uid for path in made}) == ([0, 0], {12345})


# --- damage -------------------------------------------------------------------------------------------


def test_a_damaged_blob_is_named_and_the_rest_is_copied(server: ServerProcess, tmp_path: Path) -> None:
    put(server, "blob", content(0, 1))
    flip(blob_of(server.directory), 280_000)
    put(server, "other", content(0, 3))
    done = anys3("backup", server.directory, tmp_path / "backup", "--json")
    told = json.loads(done.stdout)
    (damage,) = told["damaged"]
    assert (done.returncode, damage["bucket"], damage["key"]) == (DAMAGED, "bucket", "blob")
    assert "damaged between 262144 and 524288" in damage["reason"]
    with serving(tmp_path / "backup") as restored:
        first = restored.s3.request("GET", f"{BUCKET}/blob", headers={"range": "bytes=0-99"}).body
        other = restored.s3.request("GET", f"{BUCKET}/other").body
    assert (first, other) == (content(0, 1)[:100], content(0, 3))


def test_a_missing_blob_is_named(server: ServerProcess, tmp_path: Path) -> None:
    put(server, "blob", content(0, 1))
    blob_of(server.directory).unlink()
    done = anys3("backup", server.directory, tmp_path / "backup")
    assert (done.returncode, done.stdout.splitlines()[0].split(":")[0]) == (DAMAGED, "missing  bucket/blob")


def test_a_good_copy_is_kept_when_the_stores_own_is_damaged(server: ServerProcess, backed_up: Path) -> None:
    flip(blob_of(server.directory), 5)
    assert anys3("backup", server.directory, backed_up).returncode == 0
    with serving(backed_up) as restored:
        assert restored.s3.request("GET", f"{BUCKET}/blob").body == content(0, 1)


def test_a_torn_copy_is_made_again(server: ServerProcess, backed_up: Path) -> None:
    os.truncate(blob_of(backed_up), 100_000)
    assert anys3("backup", server.directory, backed_up).returncode == 0
    assert embedded.scrub(backed_up).is_clean


def test_a_damaged_index_takes_no_good_ones_place(server: ServerProcess, backed_up: Path) -> None:
    server.stop()
    data = server.directory / "index" / "data.mdb"
    flip(data, data.read_bytes().rindex(b"small") + 40)
    done = anys3("backup", server.directory, backed_up)
    assert (done.returncode, "no backup was made" in done.stderr) == (DAMAGED, True)
    assert keys(backed_up) == ["blob", "small"]


# --- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["store/backup", "store", "."])
def test_a_backup_lies_outside_of_its_store(server: ServerProcess, tmp_path: Path, where: str) -> None:
    assert anys3("backup", server.directory, tmp_path / where).returncode == CONFLICT


def test_a_directory_of_somebody_elses_is_left_as_it_is(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").write_text("dear")
    done = anys3("backup", server.directory, tmp_path / "home")
    assert (done.returncode, [one.name for one in (tmp_path / "home").iterdir()]) == (NOT_A_STORE, ["letter"])


def test_another_store_is_no_place_for_a_backup(server: ServerProcess, tmp_path: Path) -> None:
    embedded.recover(tmp_path / "other")
    assert anys3("backup", server.directory, tmp_path / "other").returncode == CONFLICT


def test_the_backup_of_another_store_is_left_as_it_is(backed_up: Path, tmp_path: Path) -> None:
    embedded.recover(tmp_path / "other")
    assert anys3("backup", tmp_path / "other", backed_up).returncode == CONFLICT
    assert keys(backed_up) == ["blob", "small"]


def test_a_backup_that_is_served_is_left_alone(server: ServerProcess, backed_up: Path) -> None:
    with serving(backed_up):
        assert anys3("backup", server.directory, backed_up).returncode == ALREADY_SERVED


def test_a_backup_that_was_written_to_is_not_replaced(server: ServerProcess, backed_up: Path) -> None:
    with serving(backed_up) as restored:
        put(restored, "new", b"only here")
    assert anys3("backup", server.directory, backed_up).returncode == CONFLICT
    assert "new" in keys(backed_up)


def test_a_backup_that_was_only_read_is_brought_up_to_date(server: ServerProcess, backed_up: Path) -> None:
    assert keys(backed_up) == ["blob", "small"]
    put(server, "new", b"new")
    assert anys3("backup", server.directory, backed_up).returncode == 0
    assert keys(backed_up) == ["blob", "new", "small"]


def test_a_later_moment_is_not_replaced_by_an_earlier_one(server: ServerProcess, backed_up: Path) -> None:
    server.stop()
    kept = backed_up.with_name("kept")
    shutil.copytree(server.directory, kept)
    server.start()
    put(server, "later", b"later")
    assert anys3("backup", server.directory, backed_up).returncode == 0
    server.stop()
    shutil.rmtree(server.directory)
    kept.rename(server.directory)
    assert anys3("backup", server.directory, backed_up).returncode == CONFLICT
    assert "later" in keys(backed_up)


def test_ids_that_were_given_again_are_noticed(server: ServerProcess, backed_up: Path) -> None:
    """A relaxed store that goes back gives the ids of the blobs that it loses to others."""
    lost = blob_of(backed_up)
    server.stop()
    shutil.rmtree(server.directory)
    server.start()
    put(server, "another", content(0, 5))
    put(server, "more", b"that the sequence is higher")
    put(server, "more", b"than that of the backup")
    assert blob_of(server.directory).name == lost.name
    done = anys3("backup", server.directory, backed_up)
    assert (done.returncode, "another blob" in done.stderr) == (CONFLICT, True)
    assert keys(backed_up) == ["blob", "small"]


def test_a_newer_format_is_refused(server: ServerProcess, backed_up: Path) -> None:
    (backed_up / "format").write_text("anys3 store, format 99\n")
    assert anys3("backup", server.directory, backed_up).returncode == NEWER_FORMAT


def test_what_is_no_store_has_no_backup(tmp_path: Path) -> None:
    done = anys3("backup", tmp_path / "nothing", tmp_path / "backup")
    assert (done.returncode, (tmp_path / "backup").exists()) == (NOT_A_STORE, False)


def test_room_is_asked_for_before_anything_is_copied(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, "blob", content(0, 1))
    real = os.statvfs(tmp_path)
    values = list(real)
    values[4] = 250_000 // real.f_frsize  # f_bavail: enough for the index, not for the blob
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(values))
    with pytest.raises(StoreFull, match="no room for the backup"):
        backup(server.directory, tmp_path / "backup", now_ms=1)
    assert list((tmp_path / "backup").glob("blobs/??/*")) == []
