"""Placeholders in the strings of a vector: found before anything runs, filled in step by step."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")


class DefinitionError(Exception):
    """The vector is not what the format says; the message says where, and what was expected."""


def names(value: Any) -> Iterator[str]:
    """Yield the name in each placeholder, wherever it is in a JSON value. Raises DefinitionError.

    >>> list(names({"a": ["${env.region}/${cap.x}", "$${literal}"]}))
    ['env.region', 'cap.x']
    """
    for text in _strings(value):
        for found in _TOKEN.finditer(text):
            if found[1] is not None:
                yield _name(found, text)


def check(value: Any, known: Collection[str], where: str) -> None:
    """Raise DefinitionError if a placeholder names something that is not known at that place."""
    for name in names(value):
        if name not in known:
            raise DefinitionError(f"{where}: ${{{name}}} names nothing that is known there")


def resolve(value: Any, lookup: Callable[[str], Any]) -> Any:
    """Return the JSON value with its placeholders filled in, those in the names of members as well.

    A string that is one placeholder and nothing else takes the type of what it names (a number stays one).
    Whatever `lookup` raises is raised.

        >>> resolve({"a": "${n}", "b": "n=${n} $${n}"}, {"n": 5}.__getitem__)
        {'a': 5, 'b': 'n=5 ${n}'}
    """
    if isinstance(value, str):
        return _filled(value, lookup)
    if isinstance(value, list):
        return [resolve(each, lookup) for each in value]
    if isinstance(value, dict):
        return {str(_filled(name, lookup)): resolve(each, lookup) for name, each in value.items()}
    return value


def _filled(text: str, lookup: Callable[[str], Any]) -> Any:
    if "${" not in text:
        return text
    alone = _TOKEN.fullmatch(text)
    if alone is not None and alone[1] is not None:
        return lookup(_name(alone, text))
    return _TOKEN.sub(lambda found: "${" if found[1] is None else str(lookup(_name(found, text))), text)


def _name(found: re.Match[str], text: str) -> str:
    if not found[2] or not found[1]:
        raise DefinitionError(f"{text!r}: expected ${{name}}; a literal one is written $${{")
    return found[1]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _strings(each)
