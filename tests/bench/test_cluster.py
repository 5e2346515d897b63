"""The kit's targets whose store lies on engines, and the rows that `python -m bench.cluster list` loads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from anys3.store.files import open_blobs
from anys3.store.postgresql import Address, connect, open_store
from bench import cluster, cluster_list, scale, targets
from tests.engines.postgresql import Database

KEYS = 3000


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("anys3:index=postgresql,blobs=rados", ("postgresql", "rados", 0)),
        ("anys3:index=postgresql,replicas=2,blobs=s3", ("postgresql", "s3", 2)),
        ("anys3:blobs=file", ("", "file", 0)),
        ("anys3", ("", "", 0)),
    ],
)
def test_a_targets_name_says_its_engines(name: str, values: tuple[str, str, int]) -> None:
    found = targets.variant(name)
    assert (found.index, found.blobs, found.replicas) == values


@pytest.mark.parametrize(
    "name", ["anys3:index=mysql,blobs=file", "anys3:blobs=tape", "anys3:index=postgresql"]
)
def test_engines_that_there_are_not_are_refused(name: str) -> None:
    with pytest.raises(RuntimeError, match="is no target"):
        targets.variant(name)


def test_numbers_of_keys_are_written_short() -> None:
    assert cluster.counts("10k,1m,7") == [10_000, 1_000_000, 7]


def test_loaded_rows_are_rows_of_the_store(postgresql: Database, tmp_path: Path) -> None:
    dsn = postgresql.new_database()

    async def load() -> tuple[list[bytes], int, bytes | None]:
        store = await open_store(dsn, open_blobs(f"file:{tmp_path / 'blobs'}"))
        connection = await connect(Address(dsn))
        bucket, _, _ = await cluster_list.fill(connection, "anys3", KEYS)
        await connection.close()
        page = await store.list(bucket, b"", b"", scale.prefixed_key(99, KEYS), 2)
        prefixes = await store.list(bucket, b"", b"/", b"", 2000)
        opened = await store.open(bucket, page.rows[0][0])
        await store.close()
        assert opened is not None
        return [key for key, _ in page.rows], len(prefixes.prefixes), opened.inline

    keys, prefixes, body = asyncio.run(load())
    assert keys == [scale.prefixed_key(100, KEYS), scale.prefixed_key(101, KEYS)]
    assert (prefixes, body) == (scale.PREFIXES, scale.entries()[100 % 16][1])
