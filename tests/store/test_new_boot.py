"""The first start after the kernel was restarted: what power loss has brought back is removed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from anys3.store.embedded import checkpoints, open_store, recover, scrub
from anys3.store.mutations import DeleteEntry
from tests.store.suite import change, new_bucket, pattern, put

pytestmark = pytest.mark.skipif(
    not checkpoints.can_be_relaxed(), reason="the kernel does not tell its starts"
)


def make(path: Path) -> Path:
    """Make a store with a deleted blob, and put its file back as power loss does; return the file."""
    kept = path.with_name("kept")

    async def body() -> None:
        store = open_store(path)
        bucket = await new_bucket(store)
        await put(store, bucket, b"stays", pattern(200_000, 1))
        await put(store, bucket, b"goes", pattern(200_000, 2))
        blobs.append(find(path, 2))
        shutil.copy(blobs[0], kept)
        await change(store, bucket, DeleteEntry(b"goes"))
        await store.close()

    recover(path)
    blobs: list[Path] = []
    asyncio.run(body())
    assert not blobs[0].exists()
    shutil.copy(kept, blobs[0])
    return blobs[0]


def find(path: Path, seed: int) -> Path:
    """Return the file that holds a pattern."""
    return next(file for file in path.glob("blobs/*/*") if file.read_bytes().startswith(pattern(1000, seed)))


def test_a_removal_that_power_loss_has_undone_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    blob = make(path)
    monkeypatch.setattr(checkpoints, "boot_id", lambda: b"another run of the kernel".ljust(36))
    recover(path)
    report = scrub(path)
    assert (blob.exists(), report.objects, report.is_clean, report.orphans) == (False, 1, True, [])


def test_within_one_run_of_the_kernel_no_start_looks_at_all_blobs(tmp_path: Path) -> None:
    blob = make(tmp_path / "store")
    recover(tmp_path / "store")
    assert blob.exists()
