"""Every check passes on our server, and fails on one that is broken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from anys3.conformance.outcomes import Outcome
from anys3.conformance.registry import checks
from tests.broken_servers import BreakableServer, breakages, judged

BROKEN = [
    pytest.param(name, number, id=f"{name}-{number}")
    for name in checks()
    for number in range(len(breakages().get(name, ())))
]
NOTICED = (Outcome.FAIL, Outcome.ABSENT, Outcome.WARN)


@pytest.mark.parametrize("name", list(checks()))
def test_our_server_passes(breakable: BreakableServer, tmp_path: Path, name: str) -> None:
    result = judged(breakable, checks()[name], tmp_path)
    assert (result.outcome, result.sentence) == (Outcome.PASS, "")


@pytest.mark.parametrize(("name", "number"), BROKEN)
def test_a_broken_server_is_noticed(
    breakable: BreakableServer, tmp_path: Path, name: str, number: int
) -> None:
    breakage = breakages()[name][number]
    result = judged(breakable, checks()[name], tmp_path, breakage)
    assert result.outcome in NOTICED, (breakage.sentence, result.outcome, result.sentence)


def test_each_check_has_a_server_broken_for_it() -> None:
    assert [name for name in checks() if name not in breakages()] == []


def test_each_breakage_is_for_a_check_that_exists() -> None:
    assert [name for name in breakages() if name not in checks()] == []
