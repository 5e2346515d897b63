"""The guard against rot: what it complains of, and one short run."""

from __future__ import annotations

import subprocess

import pytest

from bench import smoke


@pytest.mark.parametrize(
    ("pairs", "complaints"),
    [
        (((30.0, 31.0), (31.0, 30.0), (30.0, 60.0)), 0),
        (((30.0, 36.0), (30.0, 36.0), (30.0, 20.0)), 1),
        (((50.0, 50.0),), 1),
        (((40.0, 50.0),), 2),
    ],
    ids=["one slow pair", "slower than the parent", "above the budget", "both"],
)
def test_it_complains_of_the_median_of_pairs_and_of_the_budget(
    pairs: tuple[tuple[float, float], ...], complaints: int
) -> None:
    assert len(smoke.Row("get-4k", pairs, 35).complaints(0.15, 0.3)) == complaints


def test_every_operation_of_the_budget_has_a_load() -> None:
    assert set(smoke.budget()["operations"]) == set(smoke.LOADS)


def test_a_short_run_compares_this_tree_with_a_commit(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        smoke.git("rev-parse", "HEAD")
    except (OSError, subprocess.SubprocessError):
        pytest.skip("needs a clone of the repository")
    code = smoke.main(["--against", "HEAD", "--rounds", "1", "--share", "0.02"])
    printed = capsys.readouterr().out
    assert code in (0, 1)
    assert [line.split()[0] for line in printed.splitlines()[2:7]] == list(smoke.LOADS)
    assert "anys3-smoke-" not in smoke.git("worktree", "list")
