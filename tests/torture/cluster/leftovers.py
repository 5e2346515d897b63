"""Blobs that nothing names, and names without a blob: none may be left when the janitors have had their time."""

from __future__ import annotations

import time

from anys3.store.embedded import remote
from anys3.store.embedded.engine import open_store
from tests.torture import disk
from tests.torture.cluster.mixes import Place

SETTLE_S = 90.0
"""How long the janitors may take: what a killed server had in its hands goes after its lease has ended."""
NAMED = """
SELECT blob FROM anys3.object WHERE blob IS NOT NULL
UNION SELECT blob FROM anys3.part WHERE blob IS NOT NULL
"""


def find(place: Place, settle_s: float = SETTLE_S) -> list[str]:
    """Return what is left of blobs, or missing, beside servers to which nobody writes; waits for the janitors."""
    deadline = time.monotonic() + settle_s
    while True:
        named, there = _named(place), place.blob_names()
        if missing := sorted(named - there):
            return [f"{len(missing)} blobs are named and not there: {missing[:5]}"]
        left = sorted(there - named)
        if not left:
            return []
        if time.monotonic() > deadline:
            return [f"{len(left)} blobs are left that nothing names: {left[:5]}"]
        time.sleep(0.5)


def _named(place: Place) -> set[str]:
    """Return the names of the blobs that the index refers to."""
    if place.database is not None:
        return set(place.database.psql(NAMED, place.dsn).split())
    path = place.folder / "store"
    known = remote.remembered(path)
    assert known is not None
    store = open_store(path, is_server=False)
    try:
        with store.index.env.begin() as txn:
            named = {f"{known.prefix}-{blob_id:016x}" for blob_id in disk.name_all(store.index, txn).blobs}
        return named | {known.mark}
    finally:
        store.shut()
