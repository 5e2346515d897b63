"""The oracle of the proofs is itself tried on journals and observations that are right and wrong."""

from __future__ import annotations

import pytest

from tests.torture.journal import OPEN, Journal, cut, judge

A, B = ("object", "bucket", "a"), ("object", "bucket", "b")
UPLOAD, PART = ("upload", "bucket", "a", "u1"), ("part", "bucket", "a", "u1", 1)


def ask(journal, outcome, changes, creates=None):
    operation = journal.begin("asked", "somebody", {at: (value,) for at, value in changes.items()}, creates)
    journal.end(operation, outcome)
    return operation


def faults(journal, observed, until_ns=None):
    return judge(journal.expectation(until_ns), observed).violations


@pytest.mark.parametrize(
    ("observed", "is_right"),
    [({A: "new"}, True), ({A: "old"}, False), ({}, False), ({A: "new", B: "strange"}, False)],
)
def test_what_was_acknowledged_must_be_there_and_nothing_else(observed, is_right):
    journal = Journal()
    ask(journal, "done", {A: "old"})
    ask(journal, "done", {A: "new"})
    assert (faults(journal, observed) == []) == is_right


@pytest.mark.parametrize(
    ("observed", "is_right"), [({A: "new"}, True), ({A: "old"}, True), ({}, False), ({A: "half"}, False)]
)
def test_what_was_not_answered_has_happened_wholly_or_not_at_all(observed, is_right):
    journal = Journal()
    ask(journal, "done", {A: "old"})
    ask(journal, "unknown", {A: "new"})
    assert (faults(journal, observed) == []) == is_right


@pytest.mark.parametrize(
    ("observed", "is_right"), [({A: 1, B: 1}, True), ({}, True), ({A: 1}, False), ({B: 1}, False)]
)
def test_an_operation_on_several_places_is_all_or_nothing(observed, is_right):
    journal = Journal()
    ask(journal, "done", {A: 1})
    ask(journal, "done", {B: 1})
    ask(journal, "unknown", {A: None, B: None})
    assert (faults(journal, observed) == []) == is_right


def test_an_acknowledged_deletion_stays():
    journal = Journal()
    ask(journal, "done", {A: "old"})
    ask(journal, "done", {A: None})
    assert faults(journal, {}) == []
    assert len(faults(journal, {A: "old"})) == 1


@pytest.mark.parametrize("value", ["first", "second"])
def test_of_two_writes_at_the_same_time_either_may_be_last(value):
    journal = Journal()
    first = journal.begin("asked", "one", {A: ("first",)})
    second = journal.begin("asked", "two", {A: ("second",)})
    journal.end(first, "done")
    journal.end(second, "done")
    assert faults(journal, {A: value}) == []


def test_a_refused_write_must_not_be_seen():
    journal = Journal()
    ask(journal, "nothing", {A: "refused"})
    assert faults(journal, {}) == []
    assert len(faults(journal, {A: "refused"})) == 1


def test_until_a_moment_only_what_was_answered_by_then_is_acknowledged():
    journal = Journal()
    early = ask(journal, "done", {A: "early"})
    late = journal.begin("asked", "somebody", {A: ("late",)})
    journal.end(late, "done")
    later = ask(journal, "done", {B: "later"})
    moment = later.begun_ns - 1
    assert early.ended_ns < late.begun_ns <= moment
    assert len(faults(journal, {A: "early", B: "later"})) == 1
    assert faults(journal, {A: "late"}, moment) == []
    assert faults(journal, {A: "early"}, late.begun_ns) == []
    assert faults(journal, {A: "late"}, late.begun_ns) == []
    assert len(faults(journal, {}, late.begun_ns)) == 1


def test_an_upload_whose_id_was_never_heard_belongs_to_a_request_that_was_not_answered():
    journal = Journal()
    ask(journal, "unknown", {}, ("bucket", "a"))
    assert faults(journal, {}) == []
    assert faults(journal, {UPLOAD: OPEN}) == []
    assert len(faults(journal, {UPLOAD: OPEN, (*UPLOAD[:3], "u2"): OPEN})) == 1


@pytest.mark.parametrize(
    ("observed", "is_right"),
    [({A: 9}, True), ({UPLOAD: OPEN, PART: 1}, True), ({A: 9, UPLOAD: OPEN}, False), ({}, False)],
)
def test_a_complete_is_all_or_nothing(observed, is_right):
    journal = Journal()
    ask(journal, "done", {UPLOAD: OPEN})
    ask(journal, "done", {PART: 1})
    ask(journal, "unknown", {UPLOAD: None, PART: None, A: 9})
    assert (faults(journal, observed) == []) == is_right


def test_after_settling_what_was_found_is_what_must_be_there():
    journal = Journal()
    ask(journal, "unknown", {A: "new"})
    journal.settle(judge(journal.expectation(), {A: "new"}))
    assert (journal.base, len(faults(journal, {}))) == ({A: "new"}, 1)


def test_contents_can_be_cut_and_joined():
    journal = Journal()
    (one, first), (two, second) = journal.content(1, 1000), journal.content(2, 500)
    whole = journal.keep(*cut([one, two], 900, 300))
    assert whole.bytes() == (first + second)[900:1200]
    again = journal.keep(*cut(whole, 50, 100))
    assert again.bytes() == (first + second)[950:1050]
