"""The examples in the docstrings of the protocol's modules."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from anys3 import protocol

MODULES = [module.name for module in pkgutil.iter_modules(protocol.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    module = importlib.import_module(f"anys3.protocol.{name}")
    assert doctest.testmod(module).failed == 0
