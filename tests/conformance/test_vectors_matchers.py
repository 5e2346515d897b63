"""Matchers of vectors: what holds and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.conformance.vectors import matchers
from anys3.conformance.vectors.matchers import ABSENT
from anys3.conformance.vectors.placeholders import DefinitionError

names = st.text(max_size=5).filter(lambda name: not name.startswith("$"))
json_values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def matches(matcher: Any, actual: Any) -> bool:
    return not matchers.mismatches(matcher, actual, "x")


@given(json_values)
def test_every_value_matches_itself(value: Any) -> None:
    matchers.check(value, "x")
    assert matches(value, value)
    assert matches({"$eq": value}, value)
    assert not matches({"$ne": value}, value)


@given(st.dictionaries(names, json_values, max_size=4), st.dictionaries(names, json_values, max_size=4))
def test_an_object_matches_every_object_that_holds_it(part: dict[str, Any], more: dict[str, Any]) -> None:
    assert matches(part, more | part)
    assert matches({"$eq": part}, more | part) == (more.keys() <= part.keys())


@given(st.lists(json_values, max_size=4), json_values)
def test_an_array_matches_in_its_length_and_order_only(elements: list[Any], one: Any) -> None:
    assert matches(elements, elements)
    assert not matches([*elements, one], elements)
    assert matches({"$contains": one}, [*elements, one])
    assert matches({"$containsAll": [one, *elements]}, [*elements, one])
    assert matches({"$length": len(elements)}, elements)
    assert not matches({"$length": len(elements) + 1}, elements)


@given(json_values)
def test_what_is_there_exists_and_is_not_absent(value: Any) -> None:
    assert matches({"$exists": True}, value)
    assert not matches({"$absent": True}, value)


@given(json_values, json_values)
def test_a_mismatch_says_expected_and_got(wanted: Any, actual: Any) -> None:
    sentences = matchers.mismatches({"$eq": wanted}, actual, "place")
    assert all(each.startswith("place: expected $eq ") and ", got " in each for each in sentences)


@pytest.mark.parametrize(
    ("matcher", "actual", "holds"),
    [
        (1, True, False),
        (True, 1, False),
        (1, "1", False),
        ("a", "A", False),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": 1}, {}, False),
        ({}, {"a": 1}, True),
        ({}, "text", False),
        ({"a": 1}, [], False),
        ([1, 2], [2, 1], False),
        ([{"a": 1}], [{"a": 1, "b": 2}], True),
        ({"$eq": [{"a": 1}]}, [{"a": 1, "b": 2}], False),
        ({"a": {"$absent": True}}, {}, True),
        ({"a": {"$exists": True}}, {}, False),
        ({"a": {"$ne": 1}}, {}, True),
        ({"a": {"$eq": 1}}, {}, False),
        ({"a": None}, {}, True),
        ({"a": []}, {}, True),
        ({"a": {"$length": 0}}, {}, True),
        ({"a": {"$length": 1}}, {}, False),
        ({"$length": 3}, "abc", True),
        ({"$length": 3}, 3, False),
        ({"$contains": {"k": {"$matches": "^a"}}}, [{"k": "b"}, {"k": "ab"}], True),
        ({"$contains": 1}, "1", False),
        ({"$containsAll": [1, 3]}, [1, 2], False),
        ({"$containsAll": []}, [], True),
        ({"$matches": "b+"}, "abbc", True),
        ({"$matches": "b+"}, 5, False),
        ({"$matches": "^a", "$ne": "ab", "$length": 2}, "ac", True),
        ({"$matches": "^a", "$ne": "ab", "$length": 2}, "ab", False),
    ],
)
def test_a_matcher_holds_or_does_not(matcher: Any, actual: Any, holds: bool) -> None:
    matchers.check(matcher, "x")
    assert matches(matcher, actual) == holds


@pytest.mark.parametrize(
    ("text", "subject", "holds"),
    [
        ("a$", "a", True),
        ("a$", "a\n", False),
        ("a\\$", "a$", True),
        ("[$]", "$", True),
        ("[[]", "[", True),
        ("[a&&b]", "&", True),
        ("[^]]x", "yx", True),
        ("\\d", "٣", False),
        ("\\w", "é", False),
        ("^(a|b){2}$", "ba", True),
        ("\\[a\\]$", "[a]", True),
    ],
)
def test_patterns_are_those_of_ecma_262_and_re2(text: str, subject: str, holds: bool) -> None:
    assert matches({"$matches": text}, subject) == holds


@pytest.mark.parametrize(
    ("matcher", "complaint"),
    [
        ({"$zebra": 1}, "unknown assertion"),
        ({"$eq": 1, "a": 2}, "with and without"),
        ({"$exists": False}, "expected true"),
        ({"$absent": 1}, "expected true"),
        ({"$length": -1}, "not negative"),
        ({"$length": True}, "not negative"),
        ({"$matches": 1}, "expected a string"),
        ({"$matches": "["}, "not a pattern"),
        ({"$containsAll": 1}, "expected an array"),
        ({"$contains": {"$zebra": 1}}, "unknown assertion"),
        ([{"a": [{"$zebra": 1}]}], r"x\[0\].a\[0\]: unknown assertion"),
    ],
)
def test_what_is_no_matcher_is_a_definition_error(matcher: Any, complaint: str) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        matchers.check(matcher, "x")


def test_a_header_is_text_and_matches_a_number_by_its_digits() -> None:
    assert matchers.mismatches({"a": 5, "b": {"$ne": 6}}, {"a": "5", "b": "5"}, "headers", is_text=True) == []
    assert matchers.mismatches({"a": 5}, {"a": "05"}, "headers", is_text=True) == [
        'headers.a: expected 5, got "05"'
    ]


@given(json_values | st.just(ABSENT))
def test_any_value_can_be_shown(value: Any) -> None:
    assert len(matchers.show(value)) <= 303
