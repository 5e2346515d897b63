"""Regions of shared memory: what a worker counts, and what the next one in its place goes on with."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from anys3.protocol.http import Request
from anys3.server.bodies import EMPTY, BufferedBody
from anys3.server.exposition import render
from anys3.server.figures import collected, combined
from anys3.server.tallies import CELLS, OPERATIONS, TEXT_MAX, Tallies
from anys3.spec import errors
from anys3.store.figures import Figure


def request(operation: str, body: bytes = b"") -> Request:
    return Request(
        b"PUT", b"/", b"/", b"", {}, BufferedBody(body) if body else EMPTY, "ID", operation=operation
    )


def test_the_next_worker_in_a_place_goes_on_with_what_was_counted() -> None:
    tallies = Tallies(2)
    first = tallies.of(1)
    first.note(request("PutObject", b"12345"), 200, 0)
    first.note(request("GetObject"), 404, 11)
    first.show(3, is_up=True)
    following = tallies.of(1)
    following.note(request("PutObject", b"1"), 200, 0)
    following.note(request("HeadObject"), 200, 0)
    assert sorted(tallies.of(1).requests()) == [
        ("GetObject", 404, 1),
        ("HeadObject", 200, 1),
        ("PutObject", 200, 2),
    ]
    assert following.byte_counts == (6, 11)
    assert list(tallies.of(0).requests()) == []


def test_a_forked_process_counts_in_the_same_memory() -> None:
    tallies = Tallies(1)
    child = os.fork()
    if child == 0:
        tallies.of(0).note(request("GetObject"), 200, 0)
        os._exit(0)
    os.waitpid(child, 0)
    assert list(tallies.of(0).requests()) == [("GetObject", 200, 1)]


def test_every_operation_with_every_status_has_a_cell() -> None:
    statuses = {200, 204, 206, 304, *(each.status for each in errors.ERRORS.values())}
    assert len(OPERATIONS) * len(statuses) <= CELLS
    tally = Tallies(1).of(0)
    for operation in OPERATIONS:
        for status in statuses:
            tally.note(request(operation), status, 0)
    assert sorted(tally.requests()) == sorted((name, status, 1) for name in OPERATIONS for status in statuses)


def test_what_finds_no_cell_is_nobody_elses() -> None:
    tally = Tallies(1).of(0)
    for status in range(100, 100 + CELLS // 2 + 3):
        tally.note(request("GetObject"), status, 0)
        tally.note(request("unknown"), status, 0)
    assert {count for _, _, count in tally.requests()} == {1}


def test_figures_are_read_as_they_were_told() -> None:
    tally = Tallies(1).of(0)
    told = [
        Figure("anys3_a_total", 'with "quotes"\n', 1 << 53, (("kind", 'é\\"\n'),)),
        Figure("anys3_b", "", 0.5, over="least"),
    ]
    assert tally.figures() == []
    tally.tell(told[:1])
    tally.tell(told)
    assert tally.figures() == told


def test_figures_without_an_end_leave_those_before_them() -> None:
    tally = Tallies(1).of(0)
    tally.tell([Figure("anys3_a", "", 1)])
    with pytest.raises(ValueError, match="take"):
        tally.tell([Figure("anys3_a", "x" * TEXT_MAX, 1)])
    assert tally.figures() == [Figure("anys3_a", "", 1)]


def test_figures_that_were_half_written_do_not_count() -> None:
    tally = Tallies(1).of(0)
    tally.tell([Figure("anys3_a", "", 1)])
    tally._words[5] += 1  # as if a killed worker had not written what it says it had
    assert tally.figures() == []


def test_processes_are_summed_or_the_least_or_the_most_of_them_is_told() -> None:
    def of(value: float) -> list[Figure]:
        return [
            Figure("anys3_a_total", "", value),
            Figure("anys3_b", "", value, over="least"),
            Figure("anys3_c", "", value, over="most"),
        ]

    assert [each.value for each in combined([*of(2), *of(3)])] == [5, 2, 3]


def test_a_worker_that_shows_itself_no_more_has_nothing_now_but_what_it_counted() -> None:
    tallies = Tallies(2)
    for slot in (0, 1):
        tally = tallies.of(slot)
        tally.note(request("GetObject"), 200, 7)
        tally.tell([Figure("anys3_a_total", "", 1), Figure("anys3_b", "", 1)])
        tally.show(5, is_up=slot == 0)
    assert not tallies.is_up
    tallies.of(1)._words[0] = 1  # the machine's first millisecond
    found = {figure.name: figure.value for figure in collected(tallies)}
    assert found["anys3_workers"] == 1
    assert found["anys3_store_up"] == 1
    assert found["anys3_connections"] == 5
    assert found["anys3_b"] == 1
    assert found["anys3_requests_total"] == 2
    assert found["anys3_response_bytes_total"] == 14
    assert found["anys3_a_total"] == 2


NAMES = st.from_regex(r"anys3_[a-z]{1,9}(_total)?", fullmatch=True)
LABELS = st.lists(
    st.tuples(st.from_regex(r"[a-z]{1,9}", fullmatch=True), st.text()), unique_by=lambda x: x[0]
)
FIGURES = st.builds(
    Figure,
    NAMES,
    st.text(st.characters(exclude_characters="\r")),
    st.floats(allow_nan=False, allow_infinity=False),
    LABELS.map(tuple),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(FIGURES, max_size=4, unique_by=lambda each: each.name))
def test_prometheus_reads_what_is_rendered(figures: list[Figure]) -> None:
    families = list(text_string_to_metric_families(render(figures)))
    found = [
        (sample.name, family.type, sample.labels, sample.value)
        for family in families
        for sample in family.samples
    ]
    assert found == [
        (each.name, "counter" if each.is_counter else "gauge", dict(each.labels), each.value)
        for each in figures
    ]
