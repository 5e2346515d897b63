"""A store is opened from where it lies, also by commands that know less than its servers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from anys3.model import AccessKey
from anys3.store import opening
from anys3.store.interface import Unavailable
from anys3.store.opening import Location
from tests.engines.postgresql import Database

KEY = AccessKey("AKIAOPENEDBESIDE0001", "a-secret-that-is-long-enough-for-this-00", "beside", created_ms=0)


def test_a_command_changes_keys_without_knowing_where_the_blobs_lie(
    postgresql: Database, tmp_path: Path
) -> None:
    index = postgresql.new_database()

    async def change() -> AccessKey | None:
        store = await opening.open_worker(Location(index=index, blobs=f"file:{tmp_path}"), 0)
        beside = await opening.open_beside(Location(index=index))
        try:
            await beside.put_key(KEY)
            with pytest.raises(Unavailable):
                await asyncio.to_thread(_write_large, beside)
            return await store.key(KEY.access_key_id)
        finally:
            await beside.close()
            await store.close()

    assert asyncio.run(change()) == KEY


def _write_large(store) -> None:
    writer = store.writer(1 << 20)
    writer.write(bytes(1 << 20))
    writer.finish()
