"""The examples in the docstrings of the vectors' modules."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from anys3.conformance import vectors

MODULES = [module.name for module in pkgutil.iter_modules(vectors.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    module = importlib.import_module(f"anys3.conformance.vectors.{name}")
    assert doctest.testmod(module).failed == 0
