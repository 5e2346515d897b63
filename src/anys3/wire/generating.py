"""Writes `shapes.py` from the catalogue: `python -m anys3.wire.generating > src/anys3/wire/shapes.py`."""

from __future__ import annotations

import sys

from anys3.spec import catalogue

_HEAD = '''# GENERATED from src/anys3/spec/operations by `python -m anys3.wire.generating`; do not edit.
"""What each operation can be asked, one class each. An instance holds only what its request said."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_METADATA: Mapping[bytes, bytes] = MappingProxyType({})
'''

_EMPTY = {"int": "0", "bytes": 'b""', "str": '""'}


def generate() -> str:
    """Return the text of `shapes.py` as the catalogue wants it."""
    return _HEAD + "".join(_class(operation) for operation in catalogue.operations().values())


def _class(operation: catalogue.Operation) -> str:
    lines = [f"    {_attribute(member, operation)}\n" for member in operation.input]
    body = f"\n{''.join(lines)}" if lines else ""
    return f'\n\nclass {operation.name}Input:\n    """The input of {operation.name}."""\n{body}'


def _attribute(member: catalogue.Input, operation: catalogue.Operation) -> str:
    if member.type == "map":
        return f"{member.attribute}: Mapping[bytes, bytes] = NO_METADATA"
    if member.type == "boolean":
        return f"{member.attribute}: bool = False"
    kind = "int" if member.type == "integer" else "bytes" if member.where == "header" else "str"
    if member.wire in operation.required:
        return f"{member.attribute}: {kind} = {_EMPTY[kind]}"
    return f"{member.attribute}: {kind} | None = None"


if __name__ == "__main__":
    sys.stdout.write(generate())
