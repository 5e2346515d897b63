"""`anys3 store` as people meet it: what it says, and its exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from anys3 import Server
from anys3.server.refusals import Refusal
from anys3.store.embedded import open_store
from anys3.store.errors import Pause
from tests.moving import world
from tests.moving.test_damage import flip
from tests.moving.world import SAMPLE, Body

TIMEOUT_S = 120


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store with something of everything, that nobody serves."""

    async def make() -> None:
        store = open_store(tmp_path / "data")
        await world.fill(store, SAMPLE)
        await store.close()

    asyncio.run(make())
    return tmp_path / "data"


def anys3(*words: str | Path, code: int = 0) -> tuple[str, str]:
    """Run a command, and return what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANYS3_")}
    done = subprocess.run(
        [sys.executable, "-m", "anys3", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=kept,
        check=False,
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout, done.stderr


def seen(path: Path) -> dict[str, object]:
    """Return what can be seen of a store."""

    async def look() -> dict[str, object]:
        store = open_store(path)
        try:
            return await world.state(store)
        finally:
            await store.close()

    return asyncio.run(look())


def paused(path: Path) -> Pause | None:
    """Return the pause of a store."""

    async def look() -> Pause | None:
        store = open_store(path)
        try:
            return await store.paused()
        finally:
            await store.close()

    return asyncio.run(look())


def test_a_copy_says_what_is_in_it_and_how_to_serve_it(data: Path, tmp_path: Path) -> None:
    out, err = anys3("store", "copy", data, tmp_path / "new")
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == (
        f"{tmp_path}/new: 2 buckets, 3 objects of 488.3 KiB, 2 unfinished uploads with 3 parts, 2 keys"
    )
    assert lines[1].startswith("7 contents copied and verified, 683.6 KiB, in 1 pass")
    assert lines[2:] == [f"now:  anys3 serve {tmp_path}/new"]
    assert seen(tmp_path / "new") == seen(data)
    assert paused(data) is None
    out, _ = anys3("scrub", tmp_path / "new")
    assert "0 damaged, 0 missing, 0 orphans" in out


def test_a_move_says_that_writes_pause_and_leaves_the_source_read_only(data: Path, tmp_path: Path) -> None:
    out, err = anys3("store", "copy", data, tmp_path / "new", "--follow")
    assert err.startswith(f"{data}: writes will pause for about ")
    assert err.endswith("for 60 s at most; reads go on\n")
    assert "and are not taken any more" in out
    assert seen(tmp_path / "new") == seen(data)
    _, err = anys3("serve", data, "--listen", "127.0.0.1:0", code=15)
    assert f"{data} can't be served: it was moved to {tmp_path}/new on 20" in err
    assert f"anys3 store resume {data}" in err
    assert '"action": "store move"' in (data / "audit.log").read_text()
    out, _ = anys3("store", "resume", data)
    assert out.startswith(f"{data} takes changes again. It took none, since it was moved to {tmp_path}/new")
    out, _ = anys3("store", "resume", data)
    assert out == f"{data} takes changes already\n"
    assert paused(data) is None


def test_json_tells_the_same(data: Path, tmp_path: Path) -> None:
    report = json.loads(anys3("store", "copy", data, tmp_path / "new", "--follow", "--json")[0])
    assert {name: report[name] for name in ("buckets", "objects", "bytes", "uploads", "parts", "keys")} == {
        "buckets": 2, "objects": 3, "bytes": 500_017, "uploads": 2, "parts": 3, "keys": 2,
    }  # fmt: skip
    assert (report["is_ready"], report["is_moved"], report["damaged"]) == (True, True, [])
    assert report["serve"] == f"anys3 serve {tmp_path}/new"
    assert report["pause"]["seconds"] > 0


def test_damage_is_named_and_ends_with_12(data: Path, tmp_path: Path) -> None:
    flip(data, Body(300_000))
    new = tmp_path / "new"
    out, _ = anys3("store", "copy", data, new, "--follow", code=12)
    assert out.startswith("damaged  photos/large: blob ")
    assert f"or take it without, by `anys3 store resume {new}`" in out
    told = json.loads(anys3("store", "copy", data, new, "--json", code=12)[0])["damaged"]
    assert [(one["kind"], one["bucket"], one["key"]) for one in told] == [("content", "photos", "large")]
    assert paused(data) is None
    _, err = anys3("serve", new, "--listen", "127.0.0.1:0", code=15)
    assert f"it is being filled with a copy of {data}" in err
    anys3("store", "resume", new)
    objects = seen(new)["objects"]
    assert isinstance(objects, dict)
    assert [key for _, key in objects] == [b"parts", b"small"]


def test_what_lies_beside_a_store_goes_along(data: Path, tmp_path: Path) -> None:
    modes = {"tls-self-signed.pem": 0o644, "tls-self-signed.key": 0o600, "audit.log": 0o600}
    for name, mode in modes.items():
        (data / name).write_text(name)
        (data / name).chmod(mode)
    anys3("store", "copy", data, tmp_path / "new")
    new = [tmp_path / "new" / name for name in modes]
    assert {file.name: file.stat().st_mode & 0o777 for file in new} == modes
    assert [file.read_text() for file in new] == list(modes)


def test_a_target_that_holds_something_is_refused(data: Path, tmp_path: Path) -> None:
    anys3("store", "copy", data, tmp_path / "new")
    _, err = anys3("store", "copy", data, tmp_path / "new", code=11)
    assert err == f"anys3: {tmp_path}/new: it is not empty: give a new TO\n"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    _, err = anys3("store", "copy", data, tmp_path / "other", code=8)
    assert "thesis.txt" in err


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("{data}", "{data}/../data"), 2, "can't be copied onto itself"),
        (("{data}x", "new"), 8, "doesn't exist"),
        (("{data}", "postgresql://a:hunter2@h/db"), 2, "needs --blobs, too"),
        (("postgresql://a:hunter2@h/db", "new"), 2, "needs --from-blobs, too"),
        (("{data}", "new", "--blobs", "ftp://x"), 2, "expected rados://"),
    ],
    ids=["itself", "missing", "blobs", "from-blobs", "scheme"],
)
def test_what_can_not_be_meant_is_refused(
    words: tuple[str, ...], code: int, reason: str, data: Path, tmp_path: Path
) -> None:
    _, err = anys3("store", "copy", *(word.format(data=data) for word in words), code=code)
    assert reason in err
    assert "hunter2" not in err
    assert not (tmp_path / "new").exists()


def test_a_server_inside_a_program_refuses_a_moved_store_too(data: Path, tmp_path: Path) -> None:
    anys3("store", "copy", data, tmp_path / "new", "--follow")
    with pytest.raises(Refusal, match="it was moved to"), Server(data):
        pass
