"""The short form of the proof: a few moments of short recordings; `python -m tests.torture power --long` has all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.torture.power import planted, proving, trace
from tests.torture.power.recording import record

pytestmark = pytest.mark.usefixtures("can_record")


@pytest.mark.requirement("CON-04", "CON-05", "CON-06")
@pytest.mark.parametrize("part", proving.PARTS)
def test_what_was_answered_is_there_after_power_loss(proof: proving.Proof, part: str) -> None:
    getattr(proof, part)()
    assert proof.violations == []
    assert proof.numbers["starts"] > 20
    assert proof.numbers["answers"] >= 4


# The long form plants all of them.
@pytest.mark.parametrize(
    "bug",
    [
        planted.name_of_a_blob_is_not_synced,
        planted.index_is_synced_after_the_answer,
        planted.blob_is_synced_after_the_commit,
        planted.checkpoint_is_written_before_the_sync,
    ],
    ids=lambda bug: bug.__name__,
)
def test_a_planted_bug_is_found(proof: proving.Proof, bug: Callable[[], None]) -> None:
    assert proof.find(bug) != ""


def test_what_is_written_through_memory_are_hints(proof: proving.Proof) -> None:
    """The recorder does not see such writes: no file whose content matters may be written so."""
    recorded = record(proof.folder / "data", lambda _: None)
    mapped = {one.path for one in recorded.operations if isinstance(one, trace.Mapped)}
    assert mapped == {"data/control", "data/index/lock.mdb"}
