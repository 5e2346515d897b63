"""What the doctor says of a store's directory."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from anys3.server import doctor, doctor_machine, tls
from anys3.server.findings import Finding, Level
from anys3.store import embedded
from anys3.store.embedded.examining import examine
from tests.backup.conftest import anys3, wait_for
from tests.processes import ServerProcess, serving

NEWER_FORMAT, NOT_A_STORE, UNHEALTHY = 6, 8, 13
linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="asks the Linux kernel who holds what"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away and mount")

PINS = "from anys3.store.embedded.control import Control; c = Control(path, None); c.pin(1)"
READS = "from anys3.store.embedded.index import Index; i = Index(path); t = i.env.begin(); i.counters(t)"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A new store that nobody serves."""
    embedded.recover(tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with serving(tmp_path / "store", "--workers", "2", "--buckets", "bucket") as process:
        yield process


def findings(directory: Path, tls_cert: Path | None = None) -> dict[str, Finding]:
    """Return the worst finding of each id."""
    found: dict[str, Finding] = {}
    for finding in doctor.of_directory(directory, time.time(), tls_cert):
        assert finding.id not in found or not found[finding.id].is_bad
        found[finding.id] = finding
    return found


@contextmanager
def another_process(doing: str, store: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that does something to a store, and then waits."""
    text = (
        f"from pathlib import Path; path = Path({str(store)!r}); {doing}; print('done', flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def contents(directory: Path) -> dict[str, bytes]:
    files = [path for path in directory.rglob("*") if path.is_file() and path.name != "lock.mdb"]
    return {str(path): path.read_bytes() for path in files}


def test_a_new_store_is_well_and_stays_as_it_is(store: Path) -> None:
    before = contents(store)
    machine = {"room", "inodes", "file-system", "sync", "memory", "descriptors"}
    bad = [finding for finding in findings(store).values() if finding.is_bad and finding.id not in machine]
    assert (bad, contents(store)) == ([], before)


# --- permissions --------------------------------------------------------------------------------------


def test_a_directory_that_others_can_enter_is_told(store: Path) -> None:
    store.chmod(0o755)
    assert (findings(store)["mode"].level, findings(store)["mode"].advice) == (
        "warning",
        f"chmod 700 {store}",
    )


@pytest.mark.parametrize("name", ["credentials", "tls-self-signed.key", "index/data.mdb"])
def test_a_secret_that_others_can_read_is_told(store: Path, name: str) -> None:
    (store / name).touch()
    (store / name).chmod(0o640)
    assert (findings(store)["secrets"].level, name in findings(store)["secrets"].found) == ("problem", True)


@as_root
def test_a_file_of_another_user_is_told(store: Path) -> None:
    os.chown(store / "index" / "lock.mdb", 12345, 12345)
    assert (findings(store)["owner"].level, "chown -R 0:0" in findings(store)["owner"].advice) == (
        "problem",
        True,
    )


@as_root
def test_a_store_that_this_user_cannot_read_is_told(store: Path) -> None:
    text = (
        "import os, sys; from anys3.cli import doctor, main; from anys3.server import doctor as _\n"
        f"os.setuid(12345); sys.exit(main(['doctor', {str(store)!r}, '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["id"], finding["level"], done.returncode) == ("readable", "problem", UNHEALTHY)


# --- the machine --------------------------------------------------------------------------------------


@pytest.fixture
def small_memory(tmp_path: Path) -> Iterator[Path]:
    """A file system in memory, of 70 MiB and 800 files."""
    place = tmp_path / "small"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=70m,nr_inodes=800", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("a file system can't be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@linux
def test_a_full_file_system_in_memory_is_told_in_three_ways(small_memory: Path) -> None:
    embedded.recover(small_memory / "store")
    (small_memory / "filler").write_bytes(bytes(10 << 20))
    found = findings(small_memory / "store")
    levels = {name: found[name].level for name in ("room", "inodes", "file-system")}
    assert levels == {"room": "problem", "inodes": "warning", "file-system": "warning"}


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [
        (10 << 30, 100 << 30, "ok"),
        (3 << 30, 100 << 30, "warning"),
        (500 << 20, 1 << 30, "warning"),
        (1, 2, "problem"),
    ],
)
def test_room_is_judged_by_share_and_by_bytes(free: int, total: int, level: Level) -> None:
    assert doctor_machine.of_room(free, total).level == level


@pytest.mark.parametrize(
    ("kind", "level"),
    [("ext4", "ok"), ("xfs", "ok"), ("nfs4", "problem"), ("cifs", "problem"), ("overlay", "warning"),
     ("tmpfs", "warning"), ("fuse.something", "note")],
)  # fmt: skip
def test_file_systems_are_told_apart(kind: str, level: Level) -> None:
    assert doctor_machine.of_kind(kind).level == level


@pytest.mark.parametrize(
    ("times", "level"),
    [([1.0, 2.0, 90.0], "ok"), ([30.0] * 3, "note"), ([150.0] * 3, "warning"), ([0.001] * 3, "note")],
)
def test_a_sync_is_judged_by_its_median(times: list[float], level: Level) -> None:
    assert doctor_machine.of_syncs(times).level == level


def test_syncs_are_measured_in_the_directory_itself(store: Path) -> None:
    assert "4 KiB are synced in" in findings(store)["sync"].found


@pytest.mark.parametrize(("ahead_s", "level"), [(-5, "ok"), (60, "warning"), (3600, "problem")])
def test_a_clock_behind_the_newest_change_is_told(store: Path, ahead_s: int, level: Level) -> None:
    moment = time.time() + ahead_s
    os.utime(store / "index" / "data.mdb", (moment, moment))
    assert findings(store)["clock"].level == level


@pytest.mark.parametrize(("state", "level"), [(0, "ok"), (5, "note"), (-1, "note")])
def test_the_state_of_the_kernels_clock_is_told(state: int, level: Level) -> None:
    assert doctor_machine.of_clock_state(state).level == level


@linux
def test_a_low_limit_of_open_files_is_told(store: Path) -> None:
    command = f"ulimit -n 1000; exec {sys.executable} -m anys3 doctor {store} --json"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    told = {finding["id"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert (told["descriptors"]["level"], done.returncode) == ("warning", UNHEALTHY)


def test_memory_is_that_of_the_control_group_too(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n")
    whole = doctor_machine.memory_available(tmp_path)
    (tmp_path / "sys" / "fs" / "cgroup").mkdir(parents=True)
    (tmp_path / "sys" / "fs" / "cgroup" / "memory.max").write_text("400000000\n")
    (tmp_path / "sys" / "fs" / "cgroup" / "memory.current").write_text("100000000\n")
    bounded = doctor_machine.memory_available(tmp_path)
    assert (whole, bounded) == (8_192_000_000, 300_000_000)
    assert [doctor_machine.of_memory(bounded or 0, workers).level for workers in (1, 2)] == ["ok", "warning"]


# --- who uses it --------------------------------------------------------------------------------------


@linux
def test_a_server_and_its_workers_are_told(server: ServerProcess) -> None:
    assert findings(server.directory)["served"].found == "it is served now by 2 workers"


@linux
def test_a_reader_that_was_killed_is_told(server: ServerProcess) -> None:
    with another_process(READS, server.directory) as reader:
        alive = findings(server.directory)["readers"].level
        reader.send_signal(signal.SIGKILL)
        reader.wait()
        assert (alive, findings(server.directory)["readers"].level) == ("ok", "warning")


@linux
def test_a_pin_that_was_left_behind_is_told(server: ServerProcess) -> None:
    with another_process(PINS, server.directory) as reader:
        alive = findings(server.directory)
        reader.send_signal(signal.SIGKILL)
        reader.wait()
        assert ("pins" in alive, findings(server.directory)["pins"].level) == (False, "note")


@linux
def test_what_waits_to_be_removed_is_counted(server: ServerProcess) -> None:
    assert server.s3.request("PUT", "/bucket/blob", body=bytes(300_000)).status == 200
    with another_process(PINS, server.directory):
        assert server.s3.request("DELETE", "/bucket/blob").status == 204
        told = findings(server.directory)["outbox"].found
    assert told == "1 deleted or replaced contents wait to be removed; readers that keep them: 1"


# --- what lies about ----------------------------------------------------------------------------------


def test_what_an_unfinished_write_left_is_told(store: Path) -> None:
    (store / "incoming" / "7").mkdir()
    (store / "incoming" / "7" / "0000000000000001").touch()
    assert findings(store)["incoming"].level == "note"


def test_a_blob_without_an_object_is_told(store: Path) -> None:
    (store / "blobs" / "aa" / "00000000000000aa").touch()
    assert (
        findings(store)["orphans"].level,
        "blobs/aa/00000000000000aa" in findings(store)["orphans"].found,
    ) == (
        "note",
        True,
    )


def test_an_index_that_cannot_be_read_is_told(store: Path) -> None:
    with (store / "index" / "data.mdb").open("r+b") as file:
        file.write(bytes(8192))
    assert (findings(store)["index"].level, "restore a backup" in findings(store)["index"].advice) == (
        "problem",
        True,
    )


def test_what_a_backup_left_is_told(store: Path) -> None:
    (store / "backup.new").mkdir()
    assert findings(store)["backup"].level == "note"


@pytest.fixture
def relaxed(tmp_path: Path) -> Iterator[ServerProcess]:
    """A relaxed server with a change in it."""
    if not embedded.can_be_relaxed():
        pytest.skip("the relaxed mode needs Linux")
    with serving(tmp_path / "store", "--durability", "relaxed", "--buckets", "bucket") as process:
        yield process


def test_the_relaxed_mode_is_told(relaxed: ServerProcess) -> None:
    assert "served with --durability relaxed" in findings(relaxed.directory)["relaxed"].found


def _killed(_: Path) -> None:
    """Nothing but the kill."""


def _copied(directory: Path) -> None:
    shutil.copytree(directory, directory.with_name("copy"))
    shutil.rmtree(directory)
    directory.with_name("copy").rename(directory)


def _torn(directory: Path) -> None:
    for file in directory.glob("checkpoint-*"):
        file.write_bytes(b"torn")


@pytest.mark.parametrize(("then", "level"), [(_killed, "note"), (_copied, "warning"), (_torn, "problem")])
def test_the_end_of_a_relaxed_server_is_told(
    relaxed: ServerProcess, then: Callable[[Path], None], level: Level
) -> None:
    relaxed.kill()
    wait_for(lambda: not examine(relaxed.directory).is_served)  # its worker, too, has ended
    then(relaxed.directory)
    assert findings(relaxed.directory)["relaxed"].level == level


# --- certificates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age_days", "level"), [(0, "ok"), (380, "warning"), (400, "problem")])
def test_the_life_of_certificates_is_told(store: Path, tmp_path: Path, age_days: int, level: Level) -> None:
    pytest.importorskip("cryptography")
    certificate, _ = tls.self_signed(["s3.test"], datetime.now(UTC) - timedelta(days=age_days))
    (store / tls.CHAIN_NAME).write_bytes(certificate)
    (tmp_path / "given.pem").write_bytes(certificate)
    own = findings(store)["certificate"]
    given = doctor.of_certificate(tmp_path / "given.pem", time.time(), is_own=False)
    assert (own.level, given.level, "s3.test" in own.found) == (level, level, True)


def test_a_certificate_that_is_none_is_told(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    (tmp_path / "none.pem").write_text("none")
    assert findings(store, tmp_path / "none.pem")["certificate"].level == "problem"


# --- the command --------------------------------------------------------------------------------------


def test_the_exit_code_tells_whether_something_is_to_be_done(store: Path) -> None:
    store.chmod(0o755)
    done = anys3("doctor", store)
    assert (done.returncode, "-> chmod 700" in done.stdout) == (UNHEALTHY, True)


def test_json_has_a_finding_for_each_thing_looked_at(store: Path) -> None:
    told = json.loads(anys3("doctor", store, "--json").stdout)
    assert (set(told), {tuple(finding) for finding in told["findings"]}) == (
        {"what", "worst", "findings"},
        {("id", "level", "found", "advice")},
    )


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    assert anys3("doctor", tmp_path).returncode == NOT_A_STORE


def test_a_store_of_a_newer_version_is_refused(store: Path) -> None:
    (store / "format").write_text("anys3 store, format 99\n")
    assert anys3("doctor", store).returncode == NEWER_FORMAT


@pytest.mark.parametrize("lasts_s", [None, 1000.0], ids=["moved", "paused"])
def test_a_store_that_takes_no_changes_is_a_warning(store: Path, lasts_s: float | None) -> None:
    async def pause() -> None:
        opened = embedded.open_store(store, is_server=False)
        await opened.pause("it was moved to /mnt/new", lasts_s=lasts_s)
        await opened.close()

    assert "pause" not in findings(store)
    asyncio.run(pause())
    found = findings(store)["pause"]
    assert (found.level, found.found.split(": ")[1]) == ("warning", "it was moved to /mnt/new")
    assert ("until somebody ends that" in found.found) == (lasts_s is None)
