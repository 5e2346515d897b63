"""The model of the file system, and the images that it allows: against what is known of real ones."""

from __future__ import annotations

import random

import pytest

from tests.torture.power import states, trace
from tests.torture.power.filesystem import ALL, DIRECTORY, Disk
from tests.torture.power.states import image
from tests.torture.power.trace import (
    Allocate,
    Create,
    Link,
    MakeDirectory,
    Operation,
    Remove,
    Rename,
    Resize,
    SyncAll,
    SyncFile,
    SyncNames,
    Write,
)

DATA = b"d" * 4096
NEW = (MakeDirectory("s"), SyncNames(""), Create("s/a", 1))


def disk_after(*operations: Operation, is_journaled: bool = False) -> Disk:
    """Return a disk to which this was done."""
    disk = Disk(is_journaled=is_journaled)
    for operation in operations:
        disk.do(operation)
    return disk


def worst(disk: Disk) -> dict[str, bytes]:
    """Return the files that there are if nothing is kept that waits."""
    return files(disk, states.no_names, states.nothing)


def files(disk: Disk, names: states.NamePolicy, data: states.DataPolicy, seed: int = 0) -> dict[str, bytes]:
    """Return the files of an image."""
    made = image(disk, random.Random(seed), names, data)
    return {path: made.contents[file] for path, file in made.names.items() if file != DIRECTORY}


def test_a_file_that_was_synced_has_no_name_until_its_directory_is() -> None:
    disk = disk_after(*NEW, Write(1, 0, DATA), SyncFile(1))
    assert worst(disk) == {}
    disk.do(SyncNames("s"))
    assert worst(disk) == {"s/a": DATA}


def test_a_name_that_was_synced_has_no_data_until_its_file_is() -> None:
    disk = disk_after(*NEW, Write(1, 0, DATA), SyncNames("s"))
    assert worst(disk) == {"s/a": b""}
    assert files(disk, states.no_names, states.lengths) == {"s/a": bytes(4096)}
    assert files(disk, states.no_names, states.stale) == {"s/a": b"\xa5" * 4096}
    assert files(disk, states.no_names, states.everything) == {"s/a": DATA}


def test_nothing_is_in_a_directory_that_is_not_there() -> None:
    disk = disk_after(MakeDirectory("s"), Create("s/a", 1), SyncFile(1), SyncNames("s"))
    assert (worst(disk), disk.tree([])) == ({}, {})


def test_a_synced_write_is_there_and_no_other_one_with_it() -> None:
    disk = disk_after(*NEW, SyncNames("s"), Write(1, 0, DATA), Write(1, 4096, DATA), SyncFile(1))
    disk.do(Write(1, 0, b"n" * 4096))
    disk.do(Write(1, 4096 + 32, b"m" * 120, is_synced=True))
    found = worst(disk)["s/a"]
    assert (found[:4096], found[4096 + 32 : 4096 + 152]) == (DATA, b"m" * 120)


def test_what_waits_before_a_synced_write_does_not_come_back_over_it() -> None:
    disk = disk_after(*NEW, SyncNames("s"), Write(1, 0, b"1" * 512), Write(1, 0, b"2" * 512, is_synced=True))
    for policy in (states.nothing, states.everything, states.sectors, states.blocks, states.until):
        assert files(disk, states.no_names, policy) == {"s/a": b"2" * 512}


def test_blocks_have_any_of_their_versions_and_are_torn_only_between_sectors() -> None:
    disk = disk_after(*NEW, SyncNames("s"), Write(1, 0, b"0" * 8192), SyncFile(1))
    for version in (b"1", b"2"):
        disk.do(Write(1, 0, version * 8192))
    by_blocks = {files(disk, states.no_names, states.blocks, seed)["s/a"] for seed in range(200)}
    assert {(one[:1], one[4096:4097]) for one in by_blocks} == {
        (a, b) for a in (b"0", b"1", b"2") for b in (b"0", b"1", b"2")
    }
    assert all(len(set(one[:4096])) == 1 for one in by_blocks)
    by_sectors = [files(disk, states.no_names, states.sectors, seed)["s/a"] for seed in range(20)]
    assert any(len(set(one[:4096])) > 1 for one in by_sectors)
    assert all(len(set(one[at : at + 512])) == 1 for one in by_sectors for at in range(0, 8192, 512))


def test_room_that_was_reserved_reads_as_zeroes_and_a_cut_is_a_length() -> None:
    disk = disk_after(*NEW, SyncNames("s"), Allocate(1, 6000), Write(1, 0, DATA), Resize(1, 5000))
    assert files(disk, states.no_names, states.everything) == {"s/a": DATA + bytes(904)}
    disk.do(SyncFile(1))
    assert worst(disk) == {"s/a": DATA + bytes(904)}


def test_a_rename_has_the_old_name_or_the_new_one_or_both_but_never_none() -> None:
    disk = disk_after(*NEW, SyncFile(1), SyncNames("s"), Rename("s/a", "s/b"))
    found = {tuple(sorted(files(disk, states.some_names, states.nothing, seed))) for seed in range(100)}
    assert found == {("s/a",), ("s/b",), ("s/a", "s/b")}


def test_a_removed_name_may_come_back_until_its_directory_is_synced() -> None:
    disk = disk_after(*NEW, SyncFile(1), SyncNames("s"), Remove("s/a"))
    assert (worst(disk), files(disk, states.all_names, states.nothing)) == ({"s/a": b""}, {})
    disk.do(SyncNames("s"))
    assert worst(disk) == {}


def test_a_second_name_is_one_of_the_same_file() -> None:
    disk = disk_after(*NEW, Write(1, 0, DATA), Link("s/a", "s/b"), SyncNames("s"), SyncFile(1), Remove("s/a"))
    assert files(disk, states.all_names, states.nothing) == {"s/b": DATA}


def test_names_come_in_any_order_but_through_a_journal() -> None:
    operations = (*NEW, SyncNames("s"), Create("s/b", 2), Create("s/c", 3))
    loose, journaled = disk_after(*operations), disk_after(*operations, is_journaled=True)
    found = {tuple(sorted(files(loose, states.some_names, states.nothing, seed))) for seed in range(50)}
    assert ("s/a", "s/c") in found
    ordered = {
        tuple(sorted(files(journaled, states.first_names, states.nothing, seed))) for seed in range(50)
    }
    assert ordered == {("s/a", "s/b"), ("s/a", "s/b", "s/c")}


def test_a_journal_brings_earlier_names_along_where_it_is_written() -> None:
    operations = (*NEW, Write(1, 0, DATA), SyncFile(1))
    assert worst(disk_after(*operations, is_journaled=True)) == {"s/a": DATA}
    later = (*operations, Create("s/b", 2), Write(1, 0, DATA), SyncFile(1))
    assert worst(disk_after(*later, is_journaled=True)) == {"s/a": DATA}  # its length is as it was


def test_syncfs_makes_everything_certain() -> None:
    disk = disk_after(*NEW, Write(1, 0, DATA), SyncAll())
    assert (worst(disk), disk.waiting, disk.files[1].waiting) == ({"s/a": DATA}, [], [])


@pytest.mark.parametrize("seed", range(20))
def test_any_image_lies_between_what_is_certain_and_what_was_done(seed: int) -> None:
    some = random.Random(seed)
    disk = disk_after(*NEW, SyncNames("s"), Write(1, 0, b"0" * 9000), SyncFile(1))
    disk.do(Write(1, some.randrange(9000), b"1" * some.randrange(1, 9000)))
    disk.do(Write(1, some.randrange(9000), b"2" * some.randrange(1, 9000)))
    whole = disk.files[1].content(lambda _: ALL, ALL)
    for made in states.images(disk, some, 11, 9):
        found = made.contents[1]
        assert 9000 <= len(found) <= len(whole)
        assert set(found[:9000]) <= set(b"012")
        assert set(found[9000:]) <= {*b"12", 0, *states.STALE}


def test_a_request_was_answered_where_the_last_of_it_was_sent() -> None:
    def head(number: int) -> bytes:
        return b"HTTP/1.1 200 OK\r\nx-amz-request-id: R%d\r\n\r\n" % number

    sent: list[Operation] = [
        trace.Answer("a", head(1), 1),
        trace.Answer("b", head(2), 2),
        trace.Answer("a", b"", 3),
        trace.Answer("a", head(3), 4),
        trace.Answer("c", b"", 5),
    ]
    assert trace.answered_at(sent) == {"R1": 2, "R2": 1, "R3": 3}
