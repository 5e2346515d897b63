"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from anys3.spec import catalogue, errors
from anys3.wire import encoding


@pytest.mark.parametrize("module", [catalogue, errors, encoding])
def test_the_examples_of_the_docstrings_are_true(module: ModuleType) -> None:
    failed, attempted = doctest.testmod(module)
    assert (failed, attempted > 0) == (0, True)
