"""Upload ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import uploads

RANDOM = bytes(range(16))

times_us = st.integers(0, 2**56 - 1)
randoms = st.binary(min_size=8, max_size=32)


@pytest.mark.requirement("LMU-01")
@given(times_us, times_us, randoms, randoms)
def test_ids_of_a_key_ascend_with_time(first: int, second: int, one: bytes, other: bytes) -> None:
    ids = [uploads.new_id(first, 1, b"k", one), uploads.new_id(second, 1, b"k", other)]
    assert first == second or (first < second) == (ids[0] < ids[1])


@pytest.mark.requirement("LMU-03")
@given(times_us, st.integers(1, 2**63), st.binary(min_size=1), randoms)
def test_an_id_belongs_to_its_key_in_its_bucket_only(
    now_us: int, bucket_id: int, key: bytes, random: bytes
) -> None:
    upload_id = uploads.new_id(now_us, bucket_id, key, random)
    assert upload_id.isascii()
    assert uploads.belongs(upload_id, bucket_id, key) is True
    assert uploads.belongs(upload_id, bucket_id + 1, key) is False
    assert uploads.belongs(upload_id, bucket_id, key + b"x") is False


def test_a_bucket_number_and_a_key_are_told_apart() -> None:
    upload_id = uploads.new_id(0, 1, b"1/k", RANDOM)
    assert uploads.belongs(upload_id, 11, b"/k") is False


@pytest.mark.requirement("LMU-03")
@pytest.mark.parametrize(
    "upload_id", ["", "x", "../" * 12, "0" * 37, "0" * 39, "0" * 88, "0" * 38 + "\n", "A" * 38]
)
def test_what_is_no_upload_id_is_told_from_one_of_another_key(upload_id: str) -> None:
    assert uploads.belongs(upload_id, 1, b"k") is None
