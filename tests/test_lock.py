"""requirements.lock: what a release is built and run with, by version and hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
LOCKED = re.compile(r"^([a-z0-9._-]+)==(\S+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
ENTRIES = {name: (version, rest) for name, version, rest in LOCKED.findall(LOCK)}


def wanted() -> list[Requirement]:
    """Return what the project asks for: to run, with every extra, and to be built."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = list(project["project"]["dependencies"]) + project["build-system"]["requires"]
    for extra in project["project"]["optional-dependencies"].values():
        texts += extra
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_every_dependency_is_locked_to_a_version_that_fits(requirement: Requirement) -> None:
    assert requirement.name in ENTRIES, "run `make lock`"
    assert requirement.specifier.contains(ENTRIES[requirement.name][0])


@pytest.mark.parametrize("name", ENTRIES)
def test_every_locked_version_has_hashes(name: str) -> None:
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", ENTRIES[name][1])) >= 1


def test_the_lock_names_no_place_to_get_things_from() -> None:
    assert "://" not in LOCK
    assert "--index-url" not in LOCK
