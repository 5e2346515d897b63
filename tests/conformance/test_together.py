"""One failure of a check tells of all its trials."""

from __future__ import annotations

import pytest

from anys3.conformance.kit.together import together
from anys3.conformance.outcomes import Absent, Blocked, Failed


def attempt(*errors: Exception | None) -> int:
    """Make a trial of each error, and return how many were begun."""
    begun = 0
    with together() as each:
        for error in errors:
            with each():
                begun += 1
                if error is not None:
                    raise error
    return begun


def test_trials_that_hold_say_nothing() -> None:
    assert attempt(None, None) == 2


def test_all_failures_are_told() -> None:
    with pytest.raises(Failed, match=r"^one; two$"):
        attempt(Failed("one"), None, Failed("two"))


def test_what_is_absent_everywhere_is_absent() -> None:
    with pytest.raises(Absent, match=r"^one; two$"):
        attempt(Absent("one"), Absent("two"))


def test_what_is_absent_once_has_failed() -> None:
    with pytest.raises(Failed) as found:
        attempt(Absent("one"), Failed("two"))
    assert type(found.value) is Failed


def test_many_failures_are_counted() -> None:
    with pytest.raises(Failed, match=r"and 3 more$"):
        attempt(*(Failed(str(number)) for number in range(15)))


def test_what_blocks_ends_the_check_at_once() -> None:
    with pytest.raises(Blocked, match=r"^none$"):
        attempt(Failed("one"), Blocked("none"), Failed("two"))
