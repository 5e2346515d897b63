"""Blobs that nothing names any more are kept for as long as the index's URL says (`keep=`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from anys3.model import Bucket, Entry
from anys3.store.files import FileBlobs
from anys3.store.mutations import DeleteEntry, Mutation, PutEntry
from anys3.store.postgresql import Address, open_store
from anys3.store.starting import Unsuitable
from tests.engines.postgresql import Database
from tests.store.postgresql_stores import beat

SIZE = 100_000
ENTRY = Entry(SIZE, 0, "e", b"", b"", b"<Size>100000</Size>")


class Watched(FileBlobs):
    """Blobs that tell when some were removed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.removed: list[str] = []

    def remove(self, names: Sequence[str]) -> None:
        super().remove(names)
        self.removed += names


async def delete_one(dsn: str, blobs: Watched, freed_before: str, database: Database) -> None:
    """Put an object and delete it, make that look older, and let the janitor take two turns."""
    store = await open_store(dsn, blobs)
    bucket = await store.create_bucket(Bucket("bucket", 0, 0))
    writer = store.writer(SIZE)
    await asyncio.to_thread(writer.write, bytes(SIZE))
    content = await asyncio.to_thread(writer.finish)
    await store.commit(Mutation(bucket, (PutEntry(b"key", ENTRY, content),)))
    await store.commit(Mutation(bucket, (DeleteEntry(b"key"),)))
    database.psql(
        f"UPDATE anys3.freed SET freed_at = now() - interval '{freed_before}'", dsn.partition("?")[0]
    )
    await store._side.do(store._janitor.end())  # it takes no turns of its own meanwhile
    for _ in range(3):
        await beat(store)
        await store._side.do(store._janitor.turn())
    await store.close()


@pytest.mark.parametrize(
    ("keep", "freed_before", "count"),
    [("0", "0", 1), ("1h", "59 minutes", 0), ("1h", "61 minutes", 1), ("2d", "47 hours", 0)],
)
def test_a_blob_is_removed_when_its_time_is_over(
    postgresql: Database, tmp_path: Path, keep: str, freed_before: str, count: int
) -> None:
    dsn, blobs = postgresql.new_database(), Watched(tmp_path / "blobs")
    asyncio.run(delete_one(f"{dsn}?keep={keep}", blobs, freed_before, postgresql))
    assert (len(blobs.removed), len(list(blobs.names()))) == (count, 1 - count)


@pytest.mark.parametrize("text", ["", "-1", "1w", "1.5h", "ever"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Unsuitable, match="keep="):
        Address(f"postgresql://localhost/anys3?keep={text}")
