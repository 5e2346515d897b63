"""The short form: some cycles stay flat, and each planted leak is seen."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.torture.soak import planted
from tests.torture.soak.cycles import soak
from tests.torture.soak.flatness import Sample, growth

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory and processes are read from /proc")
REST = Sample(memory_kib=50_000, descriptors=30, threads=12, files=0, index_pages=10, readers=3)


@linux
def test_memory_descriptors_and_disk_stay_flat_under_mixed_work_and_faults(tmp_path: Path) -> None:
    soaked = soak(tmp_path / "data", 1, seconds=120, cycle_s=0.7, cycles=8)
    assert soaked.violations == []
    assert soaked.cycles == 8
    assert soaked.operations > 50


@linux
@pytest.mark.parametrize("name", planted.NAMES)
def test_a_planted_leak_is_found(tmp_path: Path, name: str) -> None:
    soaked = soak(
        tmp_path / "data", 1, seconds=60, cycle_s=0.4, cycles=8, workers=1, planted=name, has_faults=False
    )
    assert re.search(planted.NAMES[name], " ".join(soaked.violations))


def test_what_is_flat_is_no_growth() -> None:
    assert growth([replace(REST, memory_kib=50_000 + 900 * (number % 5)) for number in range(30)]) == []


def test_what_settles_after_a_while_is_no_growth() -> None:
    assert growth([replace(REST, threads=min(30, 12 + 8 * number)) for number in range(30)]) == []


@pytest.mark.parametrize(
    ("name", "a_cycle"),
    [
        ("memory_kib", 2000),
        ("descriptors", 1),
        ("threads", 1),
        ("files", 1),
        ("index_pages", 5),
        ("readers", 2),
    ],
)
def test_what_rises_a_little_each_time_is_growth(name: str, a_cycle: int) -> None:
    samples = [replace(REST, **{name: getattr(REST, name) + a_cycle * number}) for number in range(40)]
    assert [each.split()[0] for each in growth(samples)] == [name]


def test_a_few_samples_prove_nothing() -> None:
    assert growth([REST] * 5) != []
