"""The short form: the whole corpus, some changed inputs, work in proportion, and every planted bug found."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.torture.fuzz import corpus, engines
from tests.torture.fuzz.kit import outcome
from tests.torture.fuzz.planted import FOUND_BY
from tests.torture.fuzz.targets import TARGETS

EXAMPLES = 60
MAX_CORPUS_BYTES = 500_000


@pytest.mark.known_mistake(6, 7, 18)
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_of_the_corpus_is_a_finding(name: str) -> None:
    """CVE-2026-49017, CVE-2026-71190 (Swift), GHSA-v2ch-c8v8-fgr7 (VersityGW): bytes that end a server."""
    assert engines.replay(name) > 0


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs_are_no_findings(name: str) -> None:
    engines.by_hypothesis(name, EXAMPLES)


@pytest.mark.known_mistake(18, 39)
@pytest.mark.parametrize("name", TARGETS)
def test_work_grows_no_faster_than_the_input(name: str) -> None:
    """CVE-2026-71190 (Swift), CVE-2018-1000538 (MinIO): a small request that cost a server dearly."""
    assert engines.grow(name, 1) > 0


def find(name: str) -> None:
    """Look at a target as the short form does. Raises what is found."""
    engines.replay(name)
    engines.grow(name, 1)


@pytest.mark.parametrize(("plant", "name"), FOUND_BY.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_a_planted_bug_is_found(
    plant: Callable[..., None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch.setattr)
    with pytest.raises(Exception, match="."):
        find(name)


def test_the_corpus_is_small_and_holds_nothing_twice() -> None:
    files = sorted(file.stem for file in corpus.FOLDER.iterdir())
    assert files == sorted(TARGETS)
    assert sum(file.stat().st_size for file in corpus.FOLDER.iterdir()) < MAX_CORPUS_BYTES
    assert [name for name in TARGETS if len(set(corpus.read(name))) != len(corpus.read(name))] == []


def test_an_outcome_is_a_value_or_a_refusal_and_everything_else_is_raised() -> None:
    with pytest.raises(json.JSONDecodeError):
        outcome(json.loads, "")
