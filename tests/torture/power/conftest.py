"""What the short forms share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.costs.tracing import reason_to_skip
from tests.torture.power import proving
from tests.torture.power.filtering import NUMBERS
from tests.torture.power.replay import Bench


@pytest.fixture(scope="session")
def can_record() -> None:
    """Skip where the kernel lets nobody trace, or is not known."""
    reason = reason_to_skip()
    if not reason and (sys.platform != "linux" or not NUMBERS):
        reason = "the recorder knows Linux on x86_64 and aarch64"
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def bench(can_record: None) -> Iterator[Bench]:
    """A place to lay images out and to start them."""
    with proving.bench() as made:
        yield made


@pytest.fixture
def proof(bench: Bench, tmp_path: Path) -> proving.Proof:
    """The proof in its short form."""
    return proving.Proof(tmp_path, bench, 1, proving.SHORT)
