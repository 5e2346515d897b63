"""The short form of proof 3: sampled damage to an index and to blobs, and every planted bug is found."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from tests.torture.corruption import hunting, rounds, stores
from tests.torture.corruption.asking import LOUD, RIGHT
from tests.torture.corruption.damaging import Tally, scrub_finds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="damages files under a server's memory map")


def test_a_damaged_index_answers_rightly_or_loudly(tmp_path: Path) -> None:
    tally = Tally()
    with rounds.answering(tmp_path, lambda server: stores.fill_index(server, 40)) as asker:
        file = tmp_path / "store" / "index" / "data.mdb"
        rounds.damage_index(asker, file, tally, step=300, smeared=30, seed=5, end=time.monotonic() + 60)
    assert tally.violations == []
    assert tally.counted["refused"] > 20


def test_a_damaged_blob_answers_rightly_or_loudly(tmp_path: Path) -> None:
    tally = Tally()
    with rounds.answering(tmp_path, stores.fill_blobs) as asker:
        rounds.damage_blobs(
            asker, tmp_path / "store", tally, step=20_000, smeared=4, seed=5, end=time.monotonic() + 60
        )
    assert tally.violations == []
    assert tally.counted["refused"] > 40
    assert tally.counted["silent"] == 0


@pytest.mark.parametrize("name", sorted(hunting.PLANTED))
def test_a_planted_bug_is_found_and_nothing_without_it(tmp_path: Path, name: str) -> None:
    assert hunting.find(tmp_path, name) == (True, True)


@pytest.mark.requirement("CON-08")
def test_damage_is_logged_once_with_bucket_key_and_count(tmp_path: Path) -> None:
    with rounds.answering(tmp_path, stores.fill_blobs) as asker:
        hunting.PLANTED["blocks_are_not_verified"][0](tmp_path / "store")
        verdicts = asker.ask()
    log = (tmp_path / "store.log").read_text()
    lines = re.findall(r"DAMAGED bucket 'photos', key 'blocks': .* so far: (\d+)", log)
    assert [int(number) for number in lines] == list(range(1, verdicts.count(LOUD) + 1))
    assert set(verdicts) == {RIGHT, LOUD}


def test_scrub_finds_a_damaged_row_that_leads_to_long_keys(tmp_path: Path) -> None:
    with rounds.answering(tmp_path, lambda server: stores.fill_index(server, 3)):
        hunting.damage_everywhere(tmp_path / "store", b"k" * 395 + b"\0\3")
    assert scrub_finds(tmp_path / "store") is True


def test_a_store_whose_index_was_cut_is_refused_at_the_start(tmp_path: Path) -> None:
    tally = Tally()
    with rounds.answering(tmp_path, stores.fill_few):
        pass
    rounds.truncate_index(tmp_path, tmp_path / "store", tally, cuts=4)
    assert tally.violations == []
    assert scrub_finds(tmp_path / "store") is False
