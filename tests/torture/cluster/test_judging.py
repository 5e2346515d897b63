"""What judges a cluster is itself tried on what is right and wrong."""

from __future__ import annotations

import pytest

from tests.torture.cluster.keys import Key
from tests.torture.cluster.lanes import Event
from tests.torture.cluster.stalls import felt


def key_after(*happened: tuple[str, str | None]) -> Key:
    key = Key("/b/k")
    for name, value in happened:
        getattr(key, name)(value)
    return key


@pytest.mark.parametrize(
    ("seen", "is_right"), [("new", True), ("old", False), (None, False), ("strange", False)]
)
def test_what_was_acknowledged_last_must_be_seen(seen, is_right):
    key = key_after(("acknowledge", "old"), ("acknowledge", "new"))
    assert (key.see(seen) == "") == is_right


@pytest.mark.parametrize(("seen", "is_right"), [("new", True), ("old", True), (None, False)])
def test_what_was_not_answered_may_have_happened(seen, is_right):
    key = key_after(("acknowledge", "old"), ("doubt", "new"))
    assert (key.see(seen) == "") == is_right


def test_what_was_not_answered_may_still_happen_but_not_be_undone():
    key = key_after(("acknowledge", "old"), ("doubt", "new"))
    assert [key.see("old"), key.see("new")] == ["", ""]
    assert "not 'new'" in key.see("old")


def test_what_was_not_answered_must_not_replace_what_was_acknowledged_later():
    key = key_after(("doubt", "unanswered"), ("acknowledge", "later"))
    assert "has replaced what was acknowledged after it" in key.see("unanswered")


def event(begun_s: float, ended_s: float, outcome: str = "ok", kind: str = "GET", server: int = 0) -> Event:
    return Event(begun_s, ended_s, kind, server, outcome)


def test_a_stall_is_the_longest_time_without_a_success_of_a_server():
    events = [event(0, 1), event(1, 2), event(2, 6, "503"), event(6, 7), event(1, 1.5, kind="PUT")]
    events += [event(7, 7.5, kind="PUT")]
    figures = felt(events, 1, broken_s=1.0, repaired_s=5.0, hit=())
    assert (figures.read_stall_s, figures.write_stall_s, figures.back_s) == (5.0, 6.0, 2.0)
    assert figures.errors == {"503": 1}


def test_who_was_hit_is_left_out_of_the_stalls_and_has_to_come_back():
    events = [event(0, 1), event(1, 2), event(2, 3), event(3, 4), event(1, 9, "silent", server=1)]
    events += [event(9, 12, server=1)]
    figures = felt(events, 2, broken_s=1.0, repaired_s=3.0, hit=(1,))
    assert (figures.read_stall_s, figures.back_s) == (1.0, 9.0)
