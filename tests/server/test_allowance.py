"""How often something dear may happen."""

from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

from anys3.server import allowance
from anys3.server.allowance import Allowance

TIMES = st.lists(st.floats(0, 2_000_000_000, allow_nan=False), max_size=60)


def test_the_examples_in_its_docstring_are_true() -> None:
    assert doctest.testmod(allowance).failed == 0


@given(st.integers(1, 10), st.floats(0.01, 100), st.lists(st.floats(0, 10, allow_nan=False), max_size=60))
def test_no_more_is_allowed_than_at_once_and_each_second_together(
    most: int, each_s: float, waits: list[float]
) -> None:
    one = Allowance(most, each_s)
    now, taken = 1_000_000_000.0, 0
    for wait in waits:
        now += wait
        taken += one.take(now)
    assert taken <= most + sum(waits) * each_s + 1e-3


@given(st.integers(1, 10), TIMES)
def test_a_clock_that_jumps_never_gives_more_than_is_allowed_at_once(most: int, times: list[float]) -> None:
    one = Allowance(most, 1.0)
    for now in times:
        assert sum(one.take(now) for _ in range(most + 5)) <= most
