"""docs/security.md lists the known mistakes of S3 servers; each is kept away by a test, or can't happen."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "security.md"
COUNT = 55
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
IMPOSSIBLE = "cannot happen: "


class Row(NamedTuple):
    """One line of the table."""

    number: int
    where: str
    what: str
    kept_away_by: str

    @property
    def is_impossible(self) -> bool:
        """Whether it can't happen here, for the reason given."""
        return self.kept_away_by.startswith(IMPOSSIBLE)


ROWS = [Row(int(number), *rest) for number, *rest in ROW.findall(DOCUMENT.read_text("utf-8"))]


def marks() -> Iterator[tuple[object, str]]:
    """Yield (number, test) for each number that a test cites by `@pytest.mark.known_mistake(...)`."""
    for path in [*TESTS.rglob("test_*.py"), *TESTS.rglob("suite.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.known_mistake":
                        for argument in mark.args:
                            assert isinstance(argument, ast.Constant), f"{path}: marks cite literals"
                            yield argument.value, node.name


CITED = sorted(marks(), key=repr)


def test_every_known_mistake_is_listed_once() -> None:
    assert [row.number for row in ROWS] == list(range(1, COUNT + 1))


def test_every_cited_number_is_listed_as_one_that_can_happen() -> None:
    possible = {row.number for row in ROWS if not row.is_impossible}
    assert [(number, test) for number, test in CITED if number not in possible] == []


@pytest.mark.parametrize("row", [row for row in ROWS if not row.is_impossible], ids=lambda row: row.number)
def test_the_tests_that_are_named_cite_the_mistake(row: Row) -> None:
    named = re.findall(r"`(test_\w+)`", row.kept_away_by)
    assert named != []
    assert [test for test in named if (row.number, test) not in CITED] == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.is_impossible], ids=lambda row: row.number)
def test_what_cannot_happen_has_a_reason(row: Row) -> None:
    assert len(row.kept_away_by.removeprefix(IMPOSSIBLE).split()) > 4
