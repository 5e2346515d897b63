"""The portable part of S3's model: the operations and members of the profiles, none of the annex.

It joins what the operations' files say about requests and answers with request-bodies.toml, and gives what
travels as text its type in S3's model. Smithy and OpenAPI are two ways to write this down.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from anys3.spec import catalogue
from anys3.spec.catalogue import Input, Operation, Output
from anys3.spec.rows import make

_SOURCE = Path(__file__).parents[1] / "request-bodies.toml"
MAX_INTEGER = 2**31 - 1
MAX_LONG = 2**63 - 1

# The server reads these as text, because it decides itself what a wrong one means (CONDR-08, CONDW-10).
_TYPES = {
    "version": "string",
    "CopySourceIfModifiedSince": "timestamp",
    "CopySourceIfUnmodifiedSince": "timestamp",
    "IfMatchLastModifiedTime": "timestamp",
    "IfMatchSize": "long",
    "IfModifiedSince": "timestamp",
    "IfUnmodifiedSince": "timestamp",
    "ResponseExpires": "timestamp",
    "ContentLength": "long",
    "MpuObjectSize": "long",
    "Size": "long",
}

# Other values of this header ask for nothing and are ignored, so the operation's file names none.
_VALUES = {"ChecksumMode": ("ENABLED",)}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a request, an answer or a structure.

    `where` is header, query, prefix-headers, xml or body, and "" inside of a structure. `profile` is "" for
    a member that belongs to its operation's profile.
    """

    name: str
    wire: str
    where: str = ""
    type: str = "string"
    list: str = ""
    shape: str = ""
    profile: str = ""
    required: bool = False
    values: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """What a request's body is: bytes, or a document of the structure `shape` under the element `root`."""

    member: str
    root: str = ""
    shape: str = ""
    is_required: bool = False
    headers: tuple[str, ...] = ()
    checksum: str = ""
    shapes: Mapping[str, tuple[Member, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """An operation as it is published."""

    operation: Operation
    inputs: tuple[Member, ...]
    outputs: tuple[Member, ...]
    body: Body | None

    @property
    def name(self) -> str:
        """The operation's name."""
        return self.operation.name

    @property
    def query_literals(self) -> tuple[str, ...]:
        """The query names that select the operation and are no members: `uploads`, `list-type=2`."""
        bound = {member.wire for member in self.inputs}
        return tuple(
            selector
            for selector in self.operation.selectors
            if not selector.startswith("header:") and selector not in bound
        )


_ABOUT_BODIES = {
    "ContentLength": Member("ContentLength", "content-length", "header", "long"),
    "ContentMD5": Member("ContentMD5", "content-md5", "header"),
    "ChecksumAlgorithm": Member(
        "ChecksumAlgorithm",
        "x-amz-sdk-checksum-algorithm",
        "header",
        values=("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"),
    ),
}


@cache
def calls() -> tuple[Call, ...]:
    """Return the operations of all profiles, in the order of their names."""
    return tuple(_call(operation) for operation in catalogue.operations().values() if operation.profile)


@cache
def shapes() -> Mapping[str, tuple[Member, ...]]:
    """Return the structures that requests and answers hold. Raises ValueError: two differ under one name."""
    found: dict[str, tuple[Member, ...]] = {}
    for call in calls():
        answers = {name: _outputs(rows) for name, rows in call.operation.shapes.items()}
        requests = call.body.shapes if call.body else {}
        for name, members in [*requests.items(), *answers.items()]:
            known = found.setdefault(name, members)
            if _without_required(known) != _without_required(members):
                raise ValueError(f"{call.name}: the structure {name} is another one elsewhere")
            if any(member.required for member in members):
                found[name] = members
    return MappingProxyType(dict(sorted(found.items())))


def _without_required(members: Iterable[Member]) -> list[Member]:
    return [replace(member, required=False) for member in members]


@cache
def bodies() -> Mapping[str, Body]:
    """Return the bodies of requests by the operation's name. Raises ValueError: the file is wrong."""
    rows = tomllib.loads(_SOURCE.read_text("utf-8"))
    if unknown := sorted(rows.keys() - catalogue.operations().keys()):
        raise ValueError(f"{_SOURCE.name}: unknown operation {unknown!r}")
    return MappingProxyType({name: _body(name, row) for name, row in rows.items()})


def _body(operation: str, row: dict[str, Any]) -> Body:
    source = f"{_SOURCE.name}: {operation}"
    found = {
        name: tuple(
            _typed(make(Member, f"{source}.{name}.{one}", member, name=one))
            for one, member in members.items()
        )
        for name, members in row.pop("shapes", {}).items()
    }
    return make(Body, source, row, shapes=MappingProxyType(found))


def _call(operation: Operation) -> Call:
    body = bodies().get(operation.name)
    about = [_ABOUT_BODIES[name] for name in body.headers] if body else []
    inputs = [_input(operation, member) for member in operation.input if not member.annex]
    return Call(operation, (*inputs, *about), _outputs(operation.output), body)


def _input(operation: Operation, row: Input) -> Member:
    profile = "" if row.profile == operation.profile else row.profile
    is_required = row.wire in operation.required
    return _typed(
        Member(row.name, row.wire, row.where, row.type, "", "", profile, is_required, row.values,
               row.least, row.most)
    )  # fmt: skip


def _outputs(rows: Iterable[Output]) -> tuple[Member, ...]:
    return tuple(_typed(Member(row.name, row.wire, row.where, row.type, row.list, row.shape)) for row in rows)


def _typed(member: Member) -> Member:
    """Give a member its type in S3's model, and drop bounds that every number of the type keeps."""
    kind = _TYPES.get(member.name, _TYPES.get(member.type, member.type))
    most = None if member.most in {MAX_INTEGER, MAX_LONG} else member.most
    values = _VALUES.get(member.name, member.values)
    return replace(member, type=kind, most=most, values=values)
