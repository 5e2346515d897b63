"""The documentation says what the program does."""

from __future__ import annotations

from pathlib import Path

from anys3.cli import reference
from anys3.server.refusals import MEANINGS, Exit

ROOT = Path(__file__).resolve().parents[2]


def test_docs_cli_md_is_what_the_help_says() -> None:
    written = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert written == reference.render().rstrip("\n") + "\n", "run `make docs`"


def test_every_exit_code_is_distinct_and_explained() -> None:
    assert set(MEANINGS) == set(Exit)
    assert len({code.value for code in Exit}) == len(Exit.__members__)


def test_every_dependency_has_its_reason() -> None:
    reasons = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text("utf-8")
    names = ("httptools", "uvloop", "lmdb", "isal", "awscrt", "cryptography", "pytest", "boto3")
    assert [name for name in names if f"`{name}`" not in reasons] == []
