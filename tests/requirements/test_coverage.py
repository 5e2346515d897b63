"""Which requirement is shown by which test, read off the tests' own marks."""

from __future__ import annotations

import ast
from pathlib import Path

from anys3.spec.catalogue import requirements

TESTS = Path(__file__).parents[1]


def cited(mark: str) -> dict[object, list[str]]:
    """Return what `@pytest.mark.<mark>(...)` cites, with the tests that cite it."""
    found: dict[object, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")) + sorted(TESTS.rglob("suite.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"pytest.mark.{mark}":
                for argument in node.args:
                    assert isinstance(argument, ast.Constant), f"{path}: marks cite literals"
                    found.setdefault(argument.value, []).append(str(path.relative_to(TESTS)))
    return found


def test_every_must_of_the_catalogue_is_shown_by_a_test() -> None:
    shown = cited("requirement")
    assert [row.id for row in requirements() if row.level == "MUST" and row.id not in shown] == []


def test_every_cited_requirement_is_in_the_catalogue() -> None:
    known = {row.id for row in requirements()}
    assert sorted(str(name) for name in cited("requirement") if name not in known) == []
