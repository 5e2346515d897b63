"""The committed `spec/` is what the catalogue says now."""

from __future__ import annotations

from pathlib import Path

from anys3.conformance.registry import proofs
from anys3.spec.exporting import Publication, render

PUBLISHED = Path(__file__).resolve().parents[2] / "spec"
FILES = render(Publication(checks=proofs()))


def test_the_published_spec_is_that_of_the_catalogue() -> None:
    stale = [
        path
        for path, text in FILES.items()
        if not PUBLISHED.joinpath(path).is_file() or PUBLISHED.joinpath(path).read_bytes() != text.encode()
    ]
    assert stale == [], "run `make docs` and commit spec/"


def test_nothing_else_lies_in_the_published_spec() -> None:
    found = {path.relative_to(PUBLISHED).as_posix() for path in PUBLISHED.rglob("*") if path.is_file()}
    assert found - set(FILES) == set()
