"""The generated input shapes are current."""

from __future__ import annotations

from pathlib import Path

from anys3.wire import shapes
from anys3.wire.generating import generate


def test_the_shapes_are_what_the_catalogue_generates() -> None:
    assert Path(shapes.__file__).read_text("utf-8") == generate(), (
        "run python -m anys3.wire.generating > src/anys3/wire/shapes.py"
    )


def test_the_first_line_says_that_the_shapes_are_generated() -> None:
    assert generate().startswith(
        "# GENERATED from src/anys3/spec/operations by `python -m anys3.wire.generating`"
    )
