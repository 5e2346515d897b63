"""LMDB's file, read page by page: an intact one is never suspected, whatever was done to it; damage is seen."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anys3.store.embedded import pages

pytestmark = pytest.mark.skipif(
    not pages.IS_KNOWN, reason="another build of LMDB: its format is not read here"
)
PAGE = 4096
TABLES = (b"one", b"two", b"three")
KEYS = st.one_of(
    st.integers(0, 300).map(lambda number: b"%05d" % number),
    st.binary(min_size=1, max_size=12),
    st.integers(1, 511).map(lambda size: b"k" * size),
)
VALUES = st.one_of(
    st.integers(0, 400), st.integers(0, 2100), st.integers(2000, 20_000)
)  # bytes; a third lies on pages of its own
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(TABLES), st.sampled_from(["put", "put", "delete", "commit", "abort"]), KEYS, VALUES
    ),
    max_size=150,
)


@contextmanager
def environment(folder: Path) -> Iterator[Any]:
    """An environment as the index has it, in a folder of its own."""
    with lmdb.open(str(folder), map_size=64 << 20, max_dbs=8, meminit=False, sync=False) as env:
        yield env


def inspected(env: Any, folder: Path) -> tuple[list[pages.PageDamage], dict[tuple[str, bytes], bytes]]:
    """Return what is suspected in the file, and the rows that were found."""
    rows: dict[tuple[str, bytes], bytes] = {}
    descriptor = os.open(folder / "data.mdb", os.O_RDONLY)
    try:
        with env.begin() as txn:
            look = pages.Inspection(
                descriptor, PAGE, txn.id(), lambda table, key, value: rows.update({(table, key): value})
            )
            look.run()
    finally:
        os.close(descriptor)
    return look.damaged, rows


def apply(env: Any, changes: list[tuple[bytes, str, bytes, int]]) -> dict[tuple[str, bytes], bytes]:
    """Make changes in transactions, and return the rows that must be there."""
    tables = {name: env.open_db(name) for name in TABLES}
    committed: dict[tuple[str, bytes], bytes] = {}
    now = dict(committed)
    txn = env.begin(write=True)
    for name, what, key, size in changes:
        if what == "put":
            value = key[:1] * size
            txn.put(key, value, db=tables[name])
            now[name.decode(), key] = value
        elif what == "delete":
            txn.delete(key, db=tables[name])
            now.pop((name.decode(), key), None)
        elif what == "commit":
            txn.commit()
            committed = dict(now)
            txn = env.begin(write=True)
        else:
            txn.abort()
            now = dict(committed)
            txn = env.begin(write=True)
    txn.commit()
    return now


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(CHANGES)
def test_what_lmdb_wrote_is_never_suspected_and_all_its_rows_are_found(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[bytes, str, bytes, int]]
) -> None:
    folder = tmp_path_factory.mktemp("index")
    with environment(folder) as env:
        expected = apply(env, changes)
        assert inspected(env, folder) == ([], expected)


@pytest.mark.parametrize("seed", range(4))
def test_a_file_of_many_pages_that_was_changed_for_long_is_not_suspected(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    expected: dict[tuple[str, bytes], bytes] = {}
    with environment(tmp_path) as env:
        tables = {name: env.open_db(name) for name in TABLES}
        for _ in range(60):
            with env.begin(write=True) as txn:
                for _ in range(draw.randrange(200)):
                    name = draw.choice(TABLES)
                    key = draw.choice((b"%09d", b"%d" + b"-" * draw.randrange(400))) % draw.randrange(3000)
                    if draw.random() < 0.6:
                        value = draw.randbytes(draw.choice((5, 50, 300, 1500, 5000)))
                        txn.put(key, value, db=tables[name])
                        expected[name.decode(), key] = value
                    else:
                        txn.delete(key, db=tables[name])
                        expected.pop((name.decode(), key), None)
            damaged, rows = inspected(env, tmp_path)
            assert (damaged, rows == expected) == ([], True)


@pytest.fixture
def intact(tmp_path: Path) -> Iterator[tuple[Any, Path]]:
    """An environment with a table of several leaves, long values, and free pages."""
    with environment(tmp_path) as env:
        table = env.open_db(b"one")
        for step in range(3):
            with env.begin(write=True) as txn:
                for number in range(400):
                    txn.put(b"%05d" % number, bytes([step]) * (40 + number % 7), db=table)
                txn.put(b"long", bytes(30_000), db=table)
        yield env, tmp_path


def changed(folder: Path, at: int, mask: int) -> None:
    """Flip bits of one byte of the file."""
    with (folder / "data.mdb").open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("within", [*range(8), *range(10, 16)])  # number, flags, lower, upper
def test_a_flipped_bit_of_a_pages_header_is_seen(intact: tuple[Any, Path], within: int, bit: int) -> None:
    env, folder = intact
    leaf = used_leaf(folder)
    changed(folder, leaf * PAGE + within, 1 << bit)
    damaged, _ = inspected(env, folder)
    assert damaged != []


@pytest.mark.parametrize("bit", range(16))
def test_a_flipped_bit_of_a_pointer_to_a_row_is_seen(intact: tuple[Any, Path], bit: int) -> None:
    env, folder = intact
    leaf = used_leaf(folder)
    changed(folder, leaf * PAGE + 16 + bit // 8, 1 << bit % 8)
    damaged, _ = inspected(env, folder)
    assert damaged != []


def test_a_table_whose_record_says_other_flags_is_seen(intact: tuple[Any, Path]) -> None:
    env, folder = intact
    changed(folder, record_of(folder, b"one") + 4, 0x04)
    damaged, _ = inspected(env, folder)
    assert [(one.table, "flags" in one.reason) for one in damaged] == [("main tree", True)]


@pytest.mark.parametrize("bit", range(17, 64))
def test_a_commit_that_counts_far_more_pages_than_the_file_has_is_seen(
    intact: tuple[Any, Path], bit: int
) -> None:
    env, folder = intact
    newest = env.info()["last_txnid"] % 2
    changed(folder, newest * PAGE + 136 + bit // 8, 1 << bit % 8)
    descriptor = os.open(folder / "data.mdb", os.O_RDONLY)
    try:
        _, damaged = pages.metas(descriptor, PAGE)
    finally:
        os.close(descriptor)
    assert [(one.table, one.page) for one in damaged] == [("meta", newest)]


def test_a_commit_whose_end_could_not_be_written_is_no_damage(intact: tuple[Any, Path]) -> None:
    """LMDB then gives the meta page its old number and its old count of pages, but leaves the new roots in it."""
    env, folder = intact
    older = (env.info()["last_txnid"] + 1) % 2
    with (folder / "data.mdb").open("r+b") as file:
        file.seek(older * PAGE + 88 + 40)  # the root of its main tree
        file.write(struct.pack("=Q", env.info()["last_pgno"] + 2))
    damaged, rows = inspected(env, folder)
    assert (damaged, len(rows)) == ([], 401)


def test_meta_pages_are_those_of_one_moment_however_many_commits_come_meanwhile(
    intact: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    env, folder = intact
    table = env.open_db(b"one")
    reads = []
    real = pages._read

    def read_slowly(descriptor: int, number: int, page_size: int, count: int = 1) -> bytes:
        """Let two commits come between the first pages that are read."""
        raw = real(descriptor, number, page_size, count)
        if len(reads) < 4:
            for _ in range(2):
                with env.begin(write=True) as txn:
                    txn.put(b"%d" % len(reads), b"", db=table)
                reads.append(number)
        return raw

    monkeypatch.setattr(pages, "_read", read_slowly)
    with (folder / "data.mdb").open("rb") as file:
        assert pages.metas(file.fileno(), PAGE)[1] == []
    assert len(reads) == 4


def test_a_root_of_the_newest_commit_that_cannot_be_is_seen(intact: tuple[Any, Path]) -> None:
    env, folder = intact
    newest = env.info()["last_txnid"] % 2
    with (folder / "data.mdb").open("r+b") as file:
        file.seek(newest * PAGE + 88 + 40)
        file.write(struct.pack("=Q", env.info()["last_pgno"] + 2))
        file.flush()
        _, damaged = pages.metas(file.fileno(), PAGE)
    assert [(one.table, one.page) for one in damaged] == [("meta", newest)]


def record_of(folder: Path, table: bytes) -> int:
    """Return where in the file the newest commit's record of a table begins: in the main tree, of one page here."""
    raw = (folder / "data.mdb").read_bytes()
    metas = [struct.unpack_from("=16xIIQQ48s48sQQ", raw, at) for at in (0, PAGE)]
    newest = max(metas, key=lambda meta: meta[7])
    [root] = struct.unpack_from("=Q", newest[5], 40)
    return raw.index(table, root * PAGE, (root + 1) * PAGE) + len(table)


def used_leaf(folder: Path) -> int:
    """Return the number of the first leaf of the table, whose root is a branch."""
    raw = (folder / "data.mdb").read_bytes()
    [root] = struct.unpack_from("=Q", raw, record_of(folder, b"one") + 40)
    _, _, flags, _, _, first = struct.unpack_from("=QHHHHH", raw, root * PAGE)
    assert flags == 1
    low, high = struct.unpack_from("=HH", raw, root * PAGE + first)
    return int(low | high << 16)
