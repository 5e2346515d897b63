"""Matchers: what a vector expects of a JSON value. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from anys3.conformance.vectors.placeholders import DefinitionError

_MAX_SHOWN = 300


class _Absent:
    """The value of a member that is not there."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


def show(value: Any) -> str:
    """Return a value as a report shows it: JSON, cut if it is long."""
    text = repr(value) if isinstance(value, (_Absent, bytes)) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def is_assertion(matcher: Any) -> bool:
    """Whether the matcher is an object whose names all begin with a dollar sign."""
    return isinstance(matcher, dict) and bool(matcher) and all(name.startswith("$") for name in matcher)


def check(matcher: Any, where: str) -> None:
    """Raise DefinitionError if it is no matcher."""
    if isinstance(matcher, list):
        for index, each in enumerate(matcher):
            check(each, f"{where}[{index}]")
    elif isinstance(matcher, dict):
        if any(name.startswith("$") for name in matcher) and not is_assertion(matcher):
            raise DefinitionError(f"{where}: names with and without $ in one object")
        for name, each in matcher.items():
            if name.startswith("$"):
                _check_assertion(name, each, where)
            else:
                check(each, f"{where}.{name}")


def _check_assertion(name: str, wanted: Any, where: str) -> None:
    if name not in _ASSERTIONS:
        raise DefinitionError(f"{where}: unknown assertion {name}; expected one of {', '.join(_ASSERTIONS)}")
    if name in ("$exists", "$absent") and wanted is not True:
        raise DefinitionError(f"{where}: {name} is {show(wanted)}; expected true")
    if name == "$length" and not isinstance(wanted, str) and (type(wanted) is not int or wanted < 0):
        raise DefinitionError(f"{where}: $length is {show(wanted)}; expected a number that is not negative")
    if name == "$matches":
        if not isinstance(wanted, str):
            raise DefinitionError(f"{where}: $matches is {show(wanted)}; expected a string")
        if "${" not in wanted:
            pattern(wanted, where)
    if name == "$contains":
        check(wanted, f"{where}.$contains")
    if name == "$containsAll":
        if not isinstance(wanted, list):
            raise DefinitionError(f"{where}: $containsAll is {show(wanted)}; expected an array")
        check(wanted, f"{where}.$containsAll")


def mismatches(matcher: Any, actual: Any, where: str, *, is_text: bool = False) -> list[str]:
    """Return a sentence for each part that does not match; an empty list means that all does.

    `is_text` is for header values: they are strings, and so a number is expected as its digits. An absent
    list and an empty one are the same, since XML cannot tell them apart.

        >>> mismatches({"Name": "b", "Keys": {"$length": 2}}, {"Name": "b", "Keys": ["k"]}, "response")
        ['response.Keys: expected $length 2, got 1']
    """
    if isinstance(matcher, dict) and not is_assertion(matcher):
        if not isinstance(actual, dict):
            return [f"{where}: expected {show(matcher)}, got {show(actual)}"]
        return [
            sentence
            for name, each in matcher.items()
            for sentence in mismatches(each, actual.get(name, ABSENT), f"{where}.{name}", is_text=is_text)
        ]
    if isinstance(matcher, dict):
        return [
            f"{where}: expected {name} {show(wanted)}, got {_ASSERTIONS[name](wanted, actual, is_text)}"
            for name, wanted in matcher.items()
            if _ASSERTIONS[name](wanted, actual, is_text) is not None
        ]
    if isinstance(matcher, list):
        return _array_mismatches(matcher, actual, where, is_text=is_text)
    return [] if _is_equal(matcher, actual, is_text) else [
        f"{where}: expected {show(matcher)}, got {show(actual)}"
    ]  # fmt: skip


def _array_mismatches(matcher: list[Any], actual: Any, where: str, *, is_text: bool) -> list[str]:
    found = [] if actual is ABSENT else actual
    if not isinstance(found, list):
        return [f"{where}: expected {show(matcher)}, got {show(actual)}"]
    if len(found) != len(matcher):
        return [f"{where}: expected {len(matcher)} elements, got {len(found)}: {show(found)}"]
    return [
        sentence
        for index, (each, element) in enumerate(zip(matcher, found, strict=True))
        for sentence in mismatches(each, element, f"{where}[{index}]", is_text=is_text)
    ]


def _is_equal(wanted: Any, actual: Any, is_text: bool) -> bool:
    if isinstance(wanted, (list, dict)):
        if isinstance(wanted, list):
            return (
                isinstance(actual, list)
                and len(wanted) == len(actual)
                and all(_is_equal(*pair, is_text) for pair in zip(wanted, actual, strict=True))
            )
        return (
            isinstance(actual, dict)
            and wanted.keys() == actual.keys()
            and all(_is_equal(wanted[name], actual[name], is_text) for name in wanted)
        )
    if is_text and isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        wanted = str(wanted)
    if wanted is None:
        return actual is None or actual is ABSENT
    return isinstance(wanted, bool) == isinstance(actual, bool) and bool(wanted == actual)


# Each assertion returns None if it holds, else what was got.


def _exists(_: Any, actual: Any, _is_text: bool) -> str | None:
    return show(actual) if actual is ABSENT else None


def _absent(_: Any, actual: Any, _is_text: bool) -> str | None:
    return None if actual is ABSENT else show(actual)


def _eq(wanted: Any, actual: Any, is_text: bool) -> str | None:
    return None if _is_equal(wanted, actual, is_text) else show(actual)


def _ne(wanted: Any, actual: Any, is_text: bool) -> str | None:
    return show(actual) if _is_equal(wanted, actual, is_text) else None


def _matches(wanted: Any, actual: Any, _is_text: bool) -> str | None:
    if isinstance(actual, str) and pattern(str(wanted), "$matches").search(actual):
        return None
    return show(actual)


def _length(wanted: Any, actual: Any, _is_text: bool) -> str | None:
    if actual is ABSENT:
        return None if int(wanted) == 0 else show(actual)
    if not isinstance(actual, (list, str, dict)):
        return show(actual)
    return None if len(actual) == int(wanted) else str(len(actual))


def _contains(wanted: Any, actual: Any, is_text: bool) -> str | None:
    elements = actual if isinstance(actual, list) else []
    is_found = any(not mismatches(wanted, each, "", is_text=is_text) for each in elements)
    return None if is_found else show(actual)


def _contains_all(wanted: Any, actual: Any, is_text: bool) -> str | None:
    is_found = all(_contains(each, actual, is_text) is None for each in wanted)
    return None if is_found else show(actual)


_ASSERTIONS: Mapping[str, Callable[[Any, Any, bool], str | None]] = {
    "$exists": _exists,
    "$absent": _absent,
    "$eq": _eq,
    "$ne": _ne,
    "$matches": _matches,
    "$length": _length,
    "$contains": _contains,
    "$containsAll": _contains_all,
}


@lru_cache(maxsize=512)
def pattern(text: str, where: str) -> re.Pattern[str]:
    """Return a pattern of the subset common to ECMA-262 and RE2. Raises DefinitionError.

    Python's `$` also matches before a last newline and its classes are Unicode's; theirs do not and are not.

        >>> bool(pattern("a$", "x").search("a")), bool(pattern("a$", "x").search("a" + chr(10)))
        (True, False)
    """
    try:
        return re.compile(_translated(text), re.ASCII)
    except re.error as error:
        raise DefinitionError(f"{where}: {text!r} is not a pattern: {error}") from None


def _translated(text: str) -> str:
    """Return the pattern in Python's words."""
    result, is_class, index = [], False, 0
    while index < len(text):
        character = text[index]
        if character == "\\":
            character = text[index : index + 2]
        elif is_class:
            is_class = character != "]"
            character = f"\\{character}" if character in "[&|~" else character
        elif character == "[":
            is_class = True
        elif character == "$":
            character = r"\Z"
        result.append(character)
        index += 2 if text[index] == "\\" else 1
    return "".join(result)
