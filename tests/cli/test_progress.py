"""The bar that long commands show."""

from __future__ import annotations

import io
import itertools

import pytest

from anys3.cli import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_share_rate_and_the_time_that_is_left() -> None:
    terminal = Terminal()
    with progress.Bar("copying", 100 << 20, stream=terminal, clock=itertools.count().__next__) as bar:
        bar.update(25 << 20)
        shown = terminal.getvalue()
    assert shown.endswith(" 25 %  25.0 MiB of 100.0 MiB  25.0 MiB/s  0:03")


def test_the_line_is_gone_at_the_end() -> None:
    terminal = Terminal()
    with progress.Bar("copying", stream=terminal, clock=itertools.count().__next__) as bar:
        bar.update(1)
    assert terminal.getvalue().split("\r")[-2:] == [" " * len("copying  1 B  1 B/s  0:01 so far"), ""]


def test_a_log_sees_nothing() -> None:
    log = io.StringIO()
    with progress.Bar("copying", 10, stream=log) as bar:
        bar.update(5)
    assert log.getvalue() == ""


@pytest.mark.parametrize("columns", [20, 40, 60, 79, 200])
def test_a_line_is_never_wider_than_the_terminal(columns: int) -> None:
    assert len(progress.line("copying", 5 << 40, 7 << 40, 100.0, columns)) <= columns
