"""The recorder: what a process does to a store is recorded whole, in its order, with its data."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.power import states, trace
from tests.torture.power.filesystem import DIRECTORY, Disk
from tests.torture.power.states import image

PROGRAM = """
import os, sys, threading
top = sys.argv[1]
os.mkdir(top)
os.mkdir(top + "/d")
a = os.open(top + "/a", os.O_RDWR | os.O_CREAT, 0o600)
os.write(a, b"one")
os.pwrite(a, b"two", 5000)
os.writev(a, [b"th", b"ree"])
os.posix_fallocate(a, 0, 6000)
os.ftruncate(a, 5900)
os.fdatasync(a)
os.link(top + "/a", top + "/d/a")
os.chdir(top)
os.rename("d/a", "d/b")
directory = os.open("d", os.O_RDONLY | os.O_DIRECTORY)
os.fsync(directory)
b = os.open("b", os.O_WRONLY | os.O_CREAT | os.O_DSYNC, dir_fd=directory)
os.pwrite(b, b"synced", 2)
os.unlink("a")
if os.fork() == 0:
    again = os.open(top + "/again", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    thread = threading.Thread(target=lambda: [os.write(again, b"x"), os.write(again, b"y")])
    thread.start(); thread.join()
    os.replace(top + "/again", top + "/last")
    os._exit(0)
os.wait()
with open(top + "/last", "ab") as file: file.write(b"z")
open(top + "/../beside", "w").close()
"""


@pytest.fixture(scope="module")
def recorded(
    can_record: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[trace.Operation]]:
    """The directory that a program made, and what was recorded of that."""
    folder = tmp_path_factory.mktemp("recorder")
    words = [
        sys.executable,
        "-m",
        "tests.torture.power.recorder",
        str(folder / "recording"),
        str(folder / "store"),
    ]
    subprocess.run([*words, sys.executable, "-c", PROGRAM, str(folder / "store")], check=True, timeout=60)
    return folder / "store", trace.read(folder / "recording")


def test_what_was_recorded_makes_what_is_there(recorded: tuple[Path, list[trace.Operation]]) -> None:
    path, operations = recorded
    disk = Disk()
    for operation in operations:
        disk.do(operation)
    made = image(disk, random.Random(0), states.all_names, states.everything)
    files = {name: made.contents[file] for name, file in made.names.items() if file != DIRECTORY}
    assert files == {
        f"store/{one.relative_to(path)}": one.read_bytes() for one in path.rglob("*") if one.is_file()
    }
    assert files["store/last"] == b"xyz"


def test_operations_are_in_the_order_in_which_they_happened(
    recorded: tuple[Path, list[trace.Operation]],
) -> None:
    assert recorded[1] == [
        trace.MakeDirectory("store"),
        trace.MakeDirectory("store/d"),
        trace.Create("store/a", 1),
        trace.Write(1, 0, b"one"),
        trace.Write(1, 5000, b"two"),
        trace.Write(1, 3, b"three"),
        trace.Allocate(1, 6000),
        trace.Resize(1, 5900),
        trace.SyncFile(1),
        trace.Link("store/a", "store/d/a"),
        trace.Rename("store/d/a", "store/d/b"),
        trace.SyncNames("store/d"),
        trace.Write(1, 2, b"synced", is_synced=True),
        trace.Remove("store/a"),
        trace.Create("store/again", 2),
        trace.Write(2, 0, b"x"),
        trace.Write(2, 1, b"y"),
        trace.Rename("store/again", "store/last"),
        trace.Write(2, 2, b"z"),
    ]
