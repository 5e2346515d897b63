"""Small checks of JSON values, each of which says where it found what, and what was expected."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from anys3.conformance.vectors import matchers
from anys3.conformance.vectors.placeholders import DefinitionError

Check = Callable[[Any, str], None]


def members(value: Any, where: str, required: Mapping[str, Check], optional: Mapping[str, Check]) -> None:
    """Check an object: all required members, no unknown ones, each as its own check wants it."""
    an_object(value, where)
    for name in required:
        if name not in value:
            raise DefinitionError(f"{where}: no {name!r}")
    for name, each in value.items():
        found = required.get(name) or optional.get(name)
        if found is None:
            expected = ", ".join([*required, *optional])
            raise DefinitionError(f"{where}: unknown key {name!r}; expected {expected}")
        found(each, f"{where}.{name}")


def one_member(value: Any, where: str, expected: Mapping[str, Check]) -> tuple[str, Any]:
    """Return name and value of the one member of an object, checked."""
    an_object(value, where)
    if len(value) != 1 or next(iter(value)) not in expected:
        raise DefinitionError(
            f"{where}: expected one key of {', '.join(expected)}; got {', '.join(value) or 'none'}"
        )
    name, inner = next(iter(value.items()))
    expected[name](inner, f"{where}.{name}")
    return name, inner


def a(kind: type | tuple[type, ...], name: str) -> Check:
    """Return a check of a JSON type. A boolean is no number."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise DefinitionError(f"{where} is {matchers.show(value)}; expected {name}")

    return check


a_string = a(str, "a string")
an_integer = a(int, "an integer")
a_boolean = a(bool, "true or false")
an_object = a(dict, "an object")
an_array = a(list, "an array")


def a_size(value: Any, where: str) -> None:
    """Check a number of bytes."""
    an_integer(value, where)
    if value < 0:
        raise DefinitionError(f"{where} is {value}; expected no negative number")


def a_name(value: Any, where: str) -> None:
    """Check a string that is not empty."""
    a_string(value, where)
    if not value:
        raise DefinitionError(f"{where} is empty")


def one_of(*choices: str) -> Check:
    """Return a check of a string of a short list."""

    def check(value: Any, where: str) -> None:
        if value not in choices or not isinstance(value, str):
            raise DefinitionError(f"{where} is {matchers.show(value)}; expected {' or '.join(choices)}")

    return check


def array_of(check: Check) -> Check:
    """Return a check of an array, each element as `check` wants it."""

    def check_all(value: Any, where: str) -> None:
        an_array(value, where)
        for index, each in enumerate(value):
            check(each, f"{where}[{index}]")

    return check_all


def map_of(check: Check) -> Check:
    """Return a check of an object of any names, each value as `check` wants it."""

    def check_all(value: Any, where: str) -> None:
        an_object(value, where)
        for name, each in value.items():
            check(each, f"{where}.{name}")

    return check_all


def base64_text(value: Any, where: str) -> None:
    """Check base64 in its strict form."""
    a_string(value, where)
    decoded(value, where)


def decoded(value: str, where: str) -> bytes:
    """Return the bytes that base64 text stands for. Raises DefinitionError."""
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise DefinitionError(f"{where} is {matchers.show(value)}; expected base64") from None


def content(value: Any, where: str) -> None:
    """Check content: a string, `{"$data": name}` or `{"$base64": text}`."""
    if not isinstance(value, str):
        if not isinstance(value, dict):
            raise DefinitionError(f"{where} is {matchers.show(value)}; expected content")
        one_member(value, where, {"$data": a_name, "$base64": a_string})


def matcher(value: Any, where: str) -> None:
    """Check a matcher."""
    matchers.check(value, where)


def matchers_of_members(value: Any, where: str) -> None:
    """Check an object of matchers."""
    an_object(value, where)
    matcher(value, where)
