"""A report read back from its JSON."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from anys3.conformance.report import FORMAT, Report

_T = TypeVar("_T")
_DERIVED = {"Report": {"format", "verdict", "requirements", "counts"}, "TierResult": {"must_count"}}
"""What the JSON says besides: it follows from the rest."""


def from_json(text: str) -> Report:
    """Return the report that `anys3 check --json` wrote. Raises ValueError, which says what is wrong.

    What follows from other fields (verdict, counts) is worked out anew, and not believed.
    """
    try:
        row = json.loads(text)
    except RecursionError:
        raise ValueError("no JSON report: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from None
    if not isinstance(row, dict) or "format" not in row:
        raise ValueError("no report of `anys3 check --json`: it has no `format`")
    if row["format"] != FORMAT:
        raise ValueError(f"a report of format {row['format']!r}: this version reads format {FORMAT}")
    report = _made(Report, row, "report")
    if not report.is_partial and report.asked not in {tier.name for tier in report.tiers}:
        raise ValueError(f"report.asked: no tier of the report is called {report.asked!r}")
    return report


def _made(kind: type[_T], row: object, where: str) -> _T:
    """Return a dataclass from an object of JSON, every field checked."""
    if not isinstance(row, dict):
        raise ValueError(f"{where}: expected an object, found {row!r:.60}")  # noqa: TRY004
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := row.keys() - fields.keys() - _DERIVED.get(kind.__name__, set()):
        raise ValueError(f"{where}: unknown fields {sorted(unknown)!r}")
    types_of = typing.get_type_hints(kind)
    values = {}
    for name, field in fields.items():
        if name in row:
            values[name] = _value(types_of[name], row[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}: no {name!r}")
    return kind(**values)


def _value(kind: Any, found: object, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin is tuple:
        return _tuple(typing.get_args(kind), found, where)
    if origin is not None and origin is not types.UnionType:
        return _mapping(typing.get_args(kind), found, where)
    if dataclasses.is_dataclass(kind):
        return _made(typing.cast("type[Any]", kind), found, where)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _checked(kind, found, where, f"one of {[one.value for one in kind]}")
    return _scalar(kind, found, where)


def _tuple(kinds: tuple[Any, ...], found: object, where: str) -> tuple[Any, ...]:
    if not isinstance(found, list):
        raise ValueError(f"{where}: expected a list, found {found!r:.60}")  # noqa: TRY004
    if kinds[-1] is Ellipsis:
        return tuple(_value(kinds[0], one, f"{where}[{number}]") for number, one in enumerate(found))
    if len(found) != len(kinds):
        raise ValueError(f"{where}: expected {len(kinds)} values, found {len(found)}")
    return tuple(_value(kind, one, where) for kind, one in zip(kinds, found, strict=True))


def _mapping(kinds: tuple[Any, ...], found: object, where: str) -> Mapping[Any, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{where}: expected an object, found {found!r:.60}")  # noqa: TRY004
    return {
        _value(kinds[0], name, where): _value(kinds[1], one, f"{where}.{name}") for name, one in found.items()
    }


def _checked(make: Callable[[Any], _T], found: object, where: str, expected: str) -> _T:
    try:
        return make(found)
    except ValueError:
        raise ValueError(f"{where}: expected {expected}, found {found!r:.60}") from None


def _scalar(kind: type, found: object, where: str) -> Any:
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if kind is float and is_number:
        return float(typing.cast("float", found))
    if type(found) is kind:
        return found
    raise ValueError(f"{where}: expected {kind.__name__}, found {found!r:.60}")
