"""The checker of linearisability is itself checked: with wrong histories, and with ones made from the models."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.torture.races.checker import Model, check
from tests.torture.races.history import Operation, Value, by_subject, dump, load
from tests.torture.races.models import Bucket, Key, Upload
from tests.torture.races.wrong import OLD, RIGHT, WRONG, get, op, put


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_history_is_refused(name: str) -> None:
    model, operations = WRONG[name]
    verdict = check(model, operations)
    assert not verdict.is_linearisable
    assert verdict.stuck
    assert "none of these can be next" in verdict.explain()


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_history_is_accepted(name: str) -> None:
    assert check(*RIGHT[name]).is_linearisable


def test_a_history_survives_being_written_down() -> None:
    operations = [replace(one, subject=name) for name, (_, history) in WRONG.items() for one in history]
    read = [load(dump(one)) for one in operations]
    assert read == operations
    assert list(by_subject(read)) == list(WRONG)


# --- histories made from a model ------------------------------------------------------------------------

BODIES = ("old", "x", "y", "z")
_key_calls = st.one_of(
    st.tuples(
        st.just("put"),
        st.tuples(
            st.sampled_from(BODIES),
            st.sampled_from(("w0", "w1")),
            st.booleans(),
            st.sampled_from((None, None, "*", *BODIES)),
            st.just(""),
        ).filter(lambda given: not (given[2] and given[3])),
    ),
    st.tuples(st.just("delete"), st.tuples(st.sampled_from((None, None, "*", "old", "x")))),
    st.tuples(st.sampled_from(("get", "head", "tags")), st.just(())),
    st.tuples(st.just("tag"), st.tuples(st.sampled_from(("", "t")))),
    st.tuples(st.just("complete"), st.sampled_from((("u", "u", "u", False, ""), ("v", "v", "v", True, "")))),
    st.tuples(st.just("abort"), st.tuples(st.sampled_from("uv"))),
)
_names = st.tuples(st.sampled_from("kl"))
_bucket_calls = st.one_of(
    st.tuples(
        st.sampled_from(("create", "delete", "head", "list", "uploads", "cors")),
        st.just(()),
    ),
    st.tuples(st.sampled_from(("put", "remove", "get", "begin", "part")), _names),
    st.tuples(st.just("set_cors"), st.tuples(st.sampled_from((None, "r")))),
)
_parts = st.tuples(st.integers(1, 2), st.sampled_from("pq"))
_upload_calls = st.one_of(
    st.tuples(st.just("part"), _parts),
    st.tuples(st.just("complete"), st.tuples(st.tuples(_parts))),
    st.tuples(st.sampled_from(("parts", "abort", "get")), st.just(())),
)
Calls = list[tuple[str, tuple[Value, ...]]]


def _outcomes(model: Model, state: object, name: str, given: tuple[Value, ...]) -> tuple[str, Value]:
    """Return what the model itself answers to a call: the one outcome that it takes."""
    expected, seen, _ = _answer(model, state, name, given)
    outcome = expected[0] if isinstance(expected, tuple) else expected
    return outcome, seen if outcome == "ok" else None


def _answer(model: Model, state: object, name: str, given: tuple[Value, ...]) -> tuple[Value, Value, object]:
    if name == "create":
        return ("BucketAlreadyOwnedByYou" if state else "ok"), None, None
    if isinstance(model, Bucket) and not state:
        return "NoSuchBucket", None, None
    answer: tuple[Value, Value, object] = getattr(model, f"_{name}")(state, *given)
    return answer


def _history(model: Model, calls: Calls, chance: random.Random) -> list[Operation]:
    """Return a history in which each call happens at its place, and is answered whenever."""
    state = model.begin()
    made = []
    for place, (name, values) in enumerate(calls):
        outcome, seen = _outcomes(model, state, name, values)
        moment = 10 * place
        begin, end = moment - chance.randrange(60), moment + chance.randrange(60)
        one = Operation(f"c{place}", "s", name, values, outcome, seen, begin, end)
        after = model.step(state, one)
        assert after is not None
        state = after
        made.append(_forgotten(one) if outcome == "ok" and chance.random() < 0.1 else one)
    chance.shuffle(made)
    return made


def _forgotten(one: Operation) -> Operation:
    return replace(one, outcome="unknown", seen=None, end=None)


_cases = st.one_of(
    st.tuples(st.just(Key(OLD)), st.lists(_key_calls, max_size=25)),
    st.tuples(st.just(Key()), st.lists(_key_calls, max_size=25)),
    st.tuples(st.just(Bucket()), st.lists(_bucket_calls, max_size=25)),
    st.tuples(st.just(Upload()), st.lists(_upload_calls, max_size=25)),
)


@settings(max_examples=150, deadline=None)
@given(case=_cases, chance=st.randoms(use_true_random=False))
def test_what_a_model_does_is_accepted_however_the_calls_overlap(
    case: tuple[Model, Calls], chance: random.Random
) -> None:
    model, calls = case
    verdict = check(model, _history(model, calls, chance))
    assert verdict.is_linearisable, verdict.explain()


@settings(max_examples=150, deadline=None)
@given(case=_cases, chance=st.randoms(use_true_random=False))
def test_the_checker_agrees_with_trying_every_order(case: tuple[Model, Calls], chance: random.Random) -> None:
    """Histories of six calls, their outcomes mixed up among them: some are right by chance, most are wrong."""
    model, calls = case
    operations = _history(model, calls[:6], chance)
    mixed = [_with_outcome_of(one, chance.choice(operations)) for one in operations]
    assert check(model, mixed).is_linearisable == _by_force(model, mixed)


def _with_outcome_of(one: Operation, other: Operation) -> Operation:
    if "unknown" in (one.outcome, other.outcome):
        return one
    return replace(one, outcome=other.outcome, seen=other.seen)


def _by_force(model: Model, operations: list[Operation]) -> bool:
    """Try each order of all calls that were answered, with any of the others in between."""
    certain = [one for one in operations if one.end is not None]
    open_ones = [one for one in operations if one.end is None]
    for count in range(len(open_ones) + 1):
        for chosen in permutations(open_ones, count):
            if any(_holds(model, order) for order in permutations([*certain, *chosen])):
                return True
    return False


def _holds(model: Model, order: tuple[Operation, ...]) -> bool:
    state = model.begin()
    latest = -1_000_000
    for one in order:
        latest = max(latest, one.begin)
        if one.end is not None and latest > one.end:
            return False
        after = model.step(state, one)
        if after is None:
            return False
        state = after
    return True


# --- size -----------------------------------------------------------------------------------------------


def _long_history(length: int) -> list[Operation]:
    """Return writes by eight clients, each overlapping the seven before, and reads of what is there."""
    made = []
    for number in range(length):
        begin = 10 * number
        made.append(put(f"w{number % 8}", begin - 35, begin + 35, f"b{number}"))
        made.append(get(f"r{number % 8}", begin, begin + 9, f"b{number}"))
    return made


def test_thousands_of_operations_on_one_key_are_checked_in_few_steps() -> None:
    operations = _long_history(2_000)
    verdict = check(Key(OLD), operations)
    assert verdict.is_linearisable
    assert verdict.tried < 10 * len(operations)


def test_a_wrong_read_among_hundreds_is_found() -> None:
    operations = _long_history(600)
    operations.append(get("c", 5_100, 5_101, "b400"))
    verdict = check(Key(OLD), operations)
    assert not verdict.is_linearisable
    assert any(one.client == "c" for one in verdict.stuck)


def test_unanswered_operations_may_pile_up() -> None:
    operations = _long_history(300)
    operations += [
        op(f"u{number}", 10 * number, None, "put", f"u{number}", "w", False, None, "", outcome="unknown")
        for number in range(0, 300, 20)
    ]
    assert check(Key(OLD), operations).is_linearisable
