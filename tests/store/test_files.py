"""Blobs as files keep the contract, and say the truth about a directory that is not there."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anys3.store.blobs import BlobMissing, Blobs
from anys3.store.errors import StoreError, StoreFull, Unavailable
from anys3.store.files import FileBlobs, open_blobs
from anys3.store.files.layout import directory_of, prepare
from tests.store.blobs_suite import BYTES, MIB, ContentsSuite, Replace, new_name, present, read, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory that does not exist yet."""
    return tmp_path / "shared" / "blobs"


@pytest.fixture
def blobs(root: Path) -> FileBlobs:
    """An engine on it."""
    return FileBlobs(root)


def files_of(root: Path) -> list[str]:
    """Return what lies in the directories of blobs."""
    return sorted(name for _, _, names in os.walk(root / "blobs") for name in names)


def names_in(path: Path | str) -> list[str]:
    """Return what lies in a directory."""
    return sorted(found.name for found in Path(path).iterdir())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for all tests of the contract: making one takes 256 others."""
    return tmp_path_factory.mktemp("shared")


class TestFiles(ContentsSuite):
    """The contract, in a directory."""

    @pytest.fixture
    def open_blobs(self, shared: Path) -> Callable[[], Blobs]:
        """Open the directory."""
        return lambda: open_blobs(f"file:{shared}")

    @pytest.fixture
    def replace(self, shared: Path) -> Replace:
        """Write to the file of a blob."""
        return lambda name, data: (directory_of(shared, name) / name).write_bytes(data) and None


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:/srv/a", "/srv/a"),
        ("file:///srv/a%20b/", "/srv/a b"),
        ("file:a/b", f"{Path.cwd()}/a/b"),
        ("file:.", f"{Path.cwd()}"),
    ],
)
def test_a_url_names_a_directory(url: str, path: str) -> None:
    assert open_blobs(url)._root == Path(path)


@pytest.mark.parametrize("url", ["file:", "file://host/srv", "files:/srv", "/srv", ""])
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected file:DIR"):
        open_blobs(url)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "x" * 65, "a.new"])
def test_a_name_that_may_lead_elsewhere_is_refused(blobs: FileBlobs, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        blobs.sink(name, 1)


def test_the_directory_is_made_on_first_use(root: Path, blobs: FileBlobs) -> None:
    assert not root.exists()
    write(blobs, b"x")
    assert names_in(root) == ["blobs", "format"]
    assert (root / "format").read_text() == "anys3 blobs, format 1\n"
    assert len(names_in(root / "blobs")) == 256


def test_many_servers_make_the_directory_at_once(root: Path) -> None:
    engines = [FileBlobs(root) for _ in range(8)]
    threads = [threading.Thread(target=write, args=(engine, b"x")) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files_of(root)) == len(engines)
    assert names_in(root) == ["blobs", "format"]


def test_a_layout_that_was_cut_short_is_finished(root: Path, blobs: FileBlobs) -> None:
    (root / "blobs" / "07").mkdir(parents=True)
    (root / "format.0123456789abcdef").touch()
    name = write(blobs, b"x")
    assert present(FileBlobs(root), [name]) == [name]


def test_a_directory_that_holds_something_else_is_left_alone(root: Path, blobs: FileBlobs) -> None:
    root.mkdir(parents=True)
    (root / "letters").touch()
    with pytest.raises(StoreError, match="not empty: it holds 'letters'"):
        blobs.check()
    assert names_in(root) == ["letters"]


@pytest.mark.parametrize(
    ("mark", "message"), [("anys3 blobs, format 2\n", "knows up to 1"), ("anys3 store, format 1\n", "says")]
)
def test_another_format_is_left_alone(root: Path, blobs: FileBlobs, mark: str, message: str) -> None:
    root.mkdir(parents=True)
    (root / "format").write_text(mark)
    with pytest.raises(StoreError, match=message):
        blobs.check()
    assert names_in(root) == ["format"]


def test_nothing_is_missing_while_the_file_system_is_not_mounted(root: Path, blobs: FileBlobs) -> None:
    name = write(blobs, BYTES[:MIB])
    root.rename(root.with_name("elsewhere"))
    root.mkdir()
    with pytest.raises(Unavailable, match="mounted"):
        read(blobs, name, 0, 1)
    with pytest.raises(Unavailable, match="mounted"):
        blobs.remove([name])
    with pytest.raises(Unavailable, match="mounted"):
        list(blobs.names())
    with pytest.raises(Unavailable):
        write(blobs, b"x")
    root.rmdir()
    root.with_name("elsewhere").rename(root)
    assert read(blobs, name, 0, MIB) == BYTES[:MIB]


def test_a_directory_that_is_a_file_is_unavailable(root: Path, blobs: FileBlobs) -> None:
    root.parent.mkdir(parents=True)
    root.touch()
    with pytest.raises(Unavailable):
        blobs.check()


def test_a_name_is_never_used_twice(root: Path, blobs: FileBlobs) -> None:
    name = write(blobs, b"first")
    second = blobs.sink(name, 6)
    second.write(b"second")
    with pytest.raises(Unavailable, match="exists"):
        second.finish()
    second.discard()
    assert read(blobs, name, 0, 5) == b"first"
    assert files_of(root) == [name]


def test_two_writers_of_one_name_do_not_meet(root: Path, blobs: FileBlobs) -> None:
    name = new_name()
    first = blobs.sink(name, 5)
    with pytest.raises(Unavailable, match="exists"):
        blobs.sink(name, 6)
    first.write(b"first")
    first.finish()
    assert read(blobs, name, 0, 5) == b"first"


def test_a_link_whose_answer_was_lost_is_none_that_failed(blobs: FileBlobs) -> None:
    name = new_name()
    sink = blobs.sink(name, None)
    sink.write(b"x")
    os.link(sink._new, sink._path)
    sink.finish()
    assert read(blobs, name, 0, 1) == b"x"
    assert present(blobs, [name]) == [name]


def test_a_blob_that_was_removed_while_it_was_written_does_not_come_back(
    root: Path, blobs: FileBlobs
) -> None:
    name = new_name()
    sink = blobs.sink(name, None)
    sink.write(b"x")
    blobs.remove([name])
    with pytest.raises(Unavailable):
        sink.finish()
    sink.discard()
    assert files_of(root) == []


def test_room_is_reserved_for_a_known_length(root: Path, blobs: FileBlobs) -> None:
    sink = blobs.sink(new_name(), 8 * MIB)
    assert sink._new.stat().st_blocks * 512 >= 8 * MIB
    sink.write(b"x")
    sink.finish()
    assert sink._path.stat().st_size == 1


def test_more_than_there_is_room_for_is_refused_at_once(root: Path, blobs: FileBlobs) -> None:
    with pytest.raises(StoreFull, match="no room"):
        blobs.sink(new_name(), 1 << 60)
    assert files_of(root) == []


@pytest.fixture
def _files_of_1_mib() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("_files_of_1_mib")
def test_a_device_that_is_full_is_told(root: Path, blobs: FileBlobs) -> None:
    sink = blobs.sink(new_name(), None)
    with pytest.raises(StoreFull):
        sink.write(BYTES)
    sink.discard()
    assert files_of(root) == []


def test_descriptors_are_given_back(blobs: FileBlobs) -> None:
    name = write(blobs, b"x")
    before = len(names_in("/proc/self/fd"))
    for _ in range(20):
        blobs.sink(new_name(), None)
        blobs.reader(name, 0, 1)
        with pytest.raises(BlobMissing):
            read(blobs, name, 1, 1)
    assert len(names_in("/proc/self/fd")) == before


KILLED = """
import os, signal, sys
from anys3.store.files import open_blobs
sink = open_blobs("file:" + sys.argv[1]).sink(sys.argv[2], None)
sink.write(bytes(1 << 20))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_listed_and_removed(root: Path, blobs: FileBlobs) -> None:
    name = new_name()
    ended = subprocess.run([sys.executable, "-c", KILLED, str(root), name], check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert files_of(root) == [f"{name}.new"]
    assert present(blobs, [name]) == [name]
    blobs.remove([name])
    assert files_of(root) == []


def test_preparing_is_repeatable(root: Path) -> None:
    prepare(root)
    prepare(root)
    assert names_in(root) == ["blobs", "format"]
