"""Rows of the spec's TOML files as frozen values; a misspelt or missing field can't be ignored."""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

_RENAMED = {"in": "where", "min": "least", "max": "most", "class": "kind"}
_T = TypeVar("_T")


@cache
def _fields(kind: Any) -> tuple[frozenset[str], frozenset[str]]:
    every = fields(kind)
    needed = (one.name for one in every if one.default is MISSING and one.default_factory is MISSING)
    return frozenset(one.name for one in every), frozenset(needed)


def make(kind: type[_T], source: str, row: Mapping[str, Any], **more: object) -> _T:
    """Return the row as a value of that kind. Raises ValueError: a field is unknown or missing."""
    values: dict[str, Any] = {
        _RENAMED.get(name, name): tuple(value) if isinstance(value, list) else value
        for name, value in row.items()
    }
    values.update(more)
    every, needed = _fields(cast("Any", kind))
    if unknown := sorted(values.keys() - every):
        raise ValueError(f"{source}: unknown field {unknown!r}")
    if missing := sorted(needed - values.keys()):
        raise ValueError(f"{source}: no field {missing!r}")
    return kind(**values)
