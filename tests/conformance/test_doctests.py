"""The examples in the docstrings of the checker, its client and the command line."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from anys3 import cli, client, conformance

MODULES = [
    module.name
    for package in (client, conformance, cli)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
