"""The measurement of large buckets, on a small one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anys3.store.embedded import open_store
from bench import scale

pytest.importorskip("isal")


@pytest.mark.parametrize("number", [0, 1, 21, 9_999_999])
def test_keys_are_20_to_40_bytes_long_and_in_order(number: int) -> None:
    keys = [scale.flat_key(number), scale.prefixed_key(number, 10_000_000)]
    following = [scale.flat_key(number + 1), scale.prefixed_key(number + 1, 10_000_000)]
    assert [20 <= len(key) <= 40 for key in keys] == [True, True]
    assert [key < after for key, after in zip(keys, following, strict=True)] == [True, True]


def test_the_bucket_of_prefixes_has_a_thousand_of_them() -> None:
    assert len({scale.prefixed_key(n, 5_000).split(b"/")[0] for n in range(5_000)}) == 1_000


def test_a_bucket_is_built_once_measured_in_turn_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scale.main(["--keys", "2_000", "--rounds", "1", "--share", "0.01", "--directory", str(tmp_path)])
    printed = capsys.readouterr().out
    rows = {operation.name for operation in scale.OPERATIONS if f"\n{operation.name} " in printed}
    assert rows == {operation.name for operation in scale.OPERATIONS}
    assert "start to first answer at 2,000 keys" in printed
    note = json.loads((tmp_path / "large.scale.json").read_text())
    assert scale.built(tmp_path / "large", 2_000) == note


async def _count(directory: Path, name: str) -> int:
    store = open_store(directory)
    try:
        bucket = await store.bucket(name)
        assert bucket is not None
        return len((await store.list(bucket, b"", b"", b"", 10_000)).rows)
    finally:
        await store.close()


@pytest.mark.parametrize("name", ["flat", "prefixed"])
def test_what_is_built_is_all_there(tmp_path: Path, name: str) -> None:
    import asyncio

    scale.built(tmp_path / "store", 1_500)
    assert asyncio.run(_count(tmp_path / "store", name)) == 1_500
