"""A store of format 1, whose rows have no checksums, is opened, read and written, and refused by format 1 then."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import lmdb
import pytest

from anys3.model import AccessKey
from anys3.store.embedded import open_store, scrub
from anys3.store.embedded.format import Counters
from anys3.store.embedded.index import Index
from anys3.store.embedded.rows import TRAILER_SIZE
from anys3.store.errors import Corrupt
from anys3.store.mutations import Mutation, PutEntry, PutUpload
from tests.store.suite import entry, new_bucket, upload

LONG = b"k" * 900


def make_old(path: Path) -> None:
    """Turn the rows of a store into those of format 1."""
    index = Index(path)
    counters = index.counters()
    with index.env.begin(write=True) as txn:
        for rows in index.rows:
            with txn.cursor(db=rows.db) as cursor:
                found = list(cursor)
            for place, row in found:
                old = row[1:-TRAILER_SIZE]
                is_versioned = rows.table in ("entries", "uploads") and not place.endswith(b"\0\3")
                txn.put(place, b"\1" + old if is_versioned else old, db=rows.db)
        txn.put(b"counters", struct.pack(">IQQQQ", 1, *counters[1:5]), db=index.meta)
    index.close()


@pytest.mark.requirement("CON-07")
@pytest.mark.known_mistake(52)
def test_a_store_of_format_1_is_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "store"

    async def fill() -> None:
        store = open_store(path)
        bucket = await new_bucket(store)
        for key, body in ((b"a", b"1"), (LONG, b"22"), (b"z", b"")):
            await store.commit(Mutation(bucket, (PutEntry(key, entry(len(body)), body),)))
        await store.commit(Mutation(bucket, (PutUpload(upload(b"u", "u")),)))
        await store.put_key(AccessKey("AK", "s", "n"))
        await store.close()

    async def use() -> tuple[list[bytes], list[bytes | None], int, Counters]:
        store = open_store(path)
        (bucket,) = await store.buckets()
        await store.commit(Mutation(bucket, (PutEntry(b"new", entry(3), b"new"),)))
        page = await store.list(bucket, b"", b"", b"", 10)
        bodies = [opened.inline for key, _ in page.rows if (opened := await store.open(bucket, key))]
        uploads = await store.uploads(bucket, b"", b"", b"", None, 10)
        counters = store.index.counters()
        assert len(await store.keys()) == 1
        await store.close()
        return [key for key, _ in page.rows], bodies, len(uploads.uploads), counters

    asyncio.run(fill())
    make_old(path)
    keys, bodies, uploads, counters = asyncio.run(use())
    assert (keys, bodies, uploads) == ([b"a", LONG, b"new", b"z"], [b"1", b"22", b"new", b""], 1)
    assert (counters.format, counters.oldest) == (2, 1)
    assert scrub(path).is_clean


def test_keys_are_noted_in_a_store_that_had_no_room_for_notes(tmp_path: Path) -> None:
    path = tmp_path / "store"

    async def use() -> list[tuple[int, bytes]]:
        store = open_store(path)
        bucket = await new_bucket(store, "new")
        notes = await store.begin_noting(1000)
        await store.commit(Mutation(bucket, (PutEntry(LONG, entry(1), b"1"),)))
        noted = await store.noted(notes, 10)
        await store.close()
        return [(one - bucket.id, key) for one, key in noted]

    asyncio.run(open_store(path).close())
    with lmdb.open(str(path / "index"), max_dbs=16) as env, env.begin(write=True) as txn:
        txn.drop(env.open_db(b"noted", txn=txn), delete=True)
    assert asyncio.run(use()) == [(0, LONG)]
    assert scrub(path).is_clean


def test_a_store_of_format_2_takes_no_row_without_a_checksum(tmp_path: Path) -> None:
    path = tmp_path / "store"

    async def use() -> None:
        store = open_store(path)
        bucket = await new_bucket(store)
        await store.commit(Mutation(bucket, (PutEntry(b"a", entry(1), b"1"),)))
        entries = store.index.rows.entries
        with store.index.env.begin(write=True) as txn:
            place = bucket.id.to_bytes(8, "big") + b"a"
            txn.put(place, b"\1" + txn.get(place, db=entries.db)[1:-TRAILER_SIZE], db=entries.db)
        with pytest.raises(Corrupt, match="key 'a'"):
            await store.open(bucket, b"a")
        await store.close()

    asyncio.run(use())
