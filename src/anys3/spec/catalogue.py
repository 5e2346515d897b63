"""The catalogue: the spec's TOML files as frozen values, checked while they are read.

What routing and binding need (operations, headers, query names) is read once, at first use. Requirements,
profiles, tiers and limits are read when somebody asks for them. An unknown or missing field of a file is
a ValueError that names the file, so that a misspelt one can't be ignored.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

_HERE = Path(__file__).parent
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OWNERS = frozenset({"profile", "annex"})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement: what a server MUST, SHOULD or MAY do, and how we know."""

    id: str
    level: str
    tier: int
    profile: str
    group: str
    statement: str
    expected: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a server can claim, and a client can need, as one."""

    name: str
    title: str
    description: str
    needed_by: str
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """A named set of profiles, those of the tiers that it includes among them."""

    name: str
    title: str
    includes: tuple[str, ...]
    profiles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """An inclusive range that the server keeps; `most` is 0 where there is no upper limit."""

    name: str
    least: int
    most: int
    counts: str


@dataclass(frozen=True, slots=True)
class Input:
    """A member of an operation's input: where it stands in a request, and which values it may have.

    `where` is header, query or prefix-headers; `wire` is the name there, headers in lower case. `empty` is
    "" (an empty value is a value), "absent", or the code of the error that it causes. A value outside
    `values`, or `least` to `most`, is refused with the code `refusal`. `profile` or `annex` names what a
    server must serve to act on it; one that does not serve it ignores it (`unserved`), accepts the values
    of `neutral`, and refuses others.
    """

    name: str
    where: str
    wire: str
    type: str = "string"
    profile: str = ""
    annex: str = ""
    least: int | None = None
    most: int | None = None
    values: tuple[str, ...] = ()
    refusal: str = "InvalidArgument"
    empty: str = ""
    neutral: tuple[str, ...] = ()
    unserved: str = "refused"
    in_model: bool = True

    @property
    def attribute(self) -> str:
        """The member's name in Python: `if_none_match` for IfNoneMatch."""
        return attribute_of(self.name)


@dataclass(frozen=True, slots=True)
class Output:
    """A member of an answer, or of a structure in it.

    `where` is header, prefix-headers, xml or body, and "" inside of a structure. `list` is "" for a single
    value, "flattened" for repeated elements, else the name of the elements inside of a wrapping one.
    """

    name: str
    wire: str
    where: str = ""
    type: str = "string"
    list: str = ""
    shape: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation. Compared by identity: the router hands out the same objects again and again.

    `resource` is service, bucket, object or any. `selectors` are the query names (with `=value` where the
    value matters) and headers (`header:` before the name) that make a request this operation.
    `unserved` names inputs that this server does not act on.
    """

    name: str
    title: str
    method: str
    resource: str
    selectors: tuple[str, ...]
    permission: str
    status: int
    body: str
    profile: str = ""
    annex: str = ""
    anonymous: str = ""
    root: str = ""
    in_model: bool = True
    takes_any_query: bool = False
    input: tuple[Input, ...] = ()
    output: tuple[Output, ...] = ()
    shapes: Mapping[str, tuple[Output, ...]] = field(default_factory=dict)
    unserved: frozenset[str] = frozenset()

    @property
    def is_write(self) -> bool:
        """Whether it can change something."""
        return self.permission in {"write", "owner", "create-bucket"}

    @property
    def required(self) -> frozenset[str]:
        """The wire names of the inputs that every request of this operation has."""
        names = (selector.removeprefix("header:").partition("=")[0] for selector in self.selectors)
        return frozenset(names) & {member.wire for member in self.input}


@dataclass(frozen=True, slots=True)
class Header:
    """A request header and what is done about it; the head of headers.toml explains the fields."""

    name: str
    kind: str
    layer: str = ""
    elsewhere: str = "refused"
    reason: str = ""
    when: str = ""
    neutral: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    refusal: str = "NotImplemented"
    refusal_on: Mapping[str, str] = field(default_factory=dict)
    unknown: str = "InvalidArgument"
    in_model: bool = True


@dataclass(frozen=True, slots=True)
class QueryName:
    """A query name and what is done about it; the head of subresources.toml explains the fields."""

    name: str
    kind: str
    is_subresource: bool
    profile: str = ""
    annex: str = ""
    elsewhere: str = "ignored"
    reason: str = ""
    in_model: bool = True


def attribute_of(name: str) -> str:
    """Return S3's CamelCase word in snake_case.

    >>> attribute_of("IfNoneMatch"), attribute_of("ChecksumCRC64NVME"), attribute_of("ETag")
    ('if_none_match', 'checksum_crc64nvme', 'etag')
    """
    return _WORDS.sub("_", name).lower().replace("e_tag", "etag")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(_HERE.joinpath(name).read_text("utf-8"))


_RENAMED = {"in": "where", "min": "least", "max": "most", "class": "kind"}


@cache
def _fields(kind: Any) -> tuple[frozenset[str], frozenset[str]]:
    every = fields(kind)
    needed = (one.name for one in every if one.default is MISSING and one.default_factory is MISSING)
    return frozenset(one.name for one in every), frozenset(needed)


def _make(kind: type[_T], source: str, row: Mapping[str, Any], **more: object) -> _T:
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


@cache
def requirements() -> tuple[Requirement, ...]:
    """Return all requirements, in the order of the file."""
    rows = _read("requirements.toml")
    return tuple(_make(Requirement, id, row, id=id) for id, row in rows.items())


def requirement(id: str) -> Requirement:
    """Return one requirement. Raises KeyError: no such id."""
    return _requirements_by_id()[id]


@cache
def _requirements_by_id() -> dict[str, Requirement]:
    return {row.id: row for row in requirements()}


@cache
def issued_ids() -> tuple[str, ...]:
    """Return every id that was ever given to a requirement, in the order of issue."""
    return tuple(_HERE.joinpath("issued-ids.txt").read_text("ascii").split())


@cache
def profiles() -> Mapping[str, Profile]:
    """Return the profiles by name."""
    rows = _read("profiles.toml")
    return MappingProxyType({name: _make(Profile, name, row, name=name) for name, row in rows.items()})


@cache
def requirements_of(profile: str, group: str = "") -> str:
    """Return the ids of a profile's requirements in words, `TAG-01 to TAG-08`; of one group, if it has that."""
    of_profile = [row for row in requirements() if row.profile == profile]
    rows = [row for row in of_profile if row.group == group] or of_profile
    spans: dict[str, list[str]] = {}
    for row in rows:
        spans.setdefault(row.id.rpartition("-")[0], []).append(row.id)
    return ", ".join(f"{ids[0]} to {ids[-1]}" if len(ids) > 1 else ids[0] for ids in spans.values())


@cache
def tiers() -> Mapping[str, Tier]:
    """Return the tiers by name, each with the profiles of those that it includes. Raises ValueError."""
    found: dict[str, Tier] = {}
    for name, row in _read("tiers.toml").items():
        own = _make(Tier, name, row, name=name)
        if wrong := set(own.profiles) - set(profiles()):
            raise ValueError(f"{name}: unknown profile {sorted(wrong)!r}")
        inherited = [profile for tier in own.includes for profile in found[tier].profiles]
        found[name] = Tier(name, own.title, own.includes, (*inherited, *own.profiles))
    return MappingProxyType(found)


@cache
def limits() -> Mapping[str, Limit]:
    """Return the limits by name."""
    rows = _read("limits.toml")
    return MappingProxyType({name: _make(Limit, name, row, name=name) for name, row in rows.items()})


@cache
def headers() -> Mapping[str, Header]:
    """Return the known request headers by name, in lower case."""
    rows = _read("headers.toml")
    return MappingProxyType({name: _make(Header, name, row, name=name) for name, row in rows.items()})


@cache
def query_names() -> Mapping[str, QueryName]:
    """Return the known query names."""
    found = {}
    for name, row in _read("subresources.toml").items():
        kind = row.pop("kind")
        found[name] = _make(QueryName, name, row, name=name, is_subresource=kind == "subresource")
    return MappingProxyType(found)


@cache
def operations() -> Mapping[str, Operation]:
    """Return the operations by name. Raises ValueError: one of their files is wrong."""
    paths = sorted(_HERE.joinpath("operations").glob("*.toml"))
    found = [_operation(path.stem, tomllib.loads(path.read_text("utf-8"))) for path in paths]
    return MappingProxyType({operation.name: operation for operation in found})


@cache
def annex_names() -> frozenset[str]:
    """Return the names of the annex: calls beyond every profile that can be served or not."""
    inputs = {member.annex for operation in operations().values() for member in operation.input}
    return frozenset(inputs | {operation.annex for operation in operations().values()}) - {""}


def _operation(stem: str, row: dict[str, Any]) -> Operation:
    if row.get("name") != stem:
        raise ValueError(f"{stem}.toml: it names {row.get('name')!r}")
    owner = {name: row[name] for name in _OWNERS if name in row}
    if len(owner) != 1:
        raise ValueError(f"{stem}.toml: expected either a profile or an annex, found {owner!r}")
    inputs = tuple(
        _make(Input, f"{stem}.{name}", member if member.keys() & _OWNERS else owner | member, name=name)
        for name, member in row.pop("input", {}).items()
    )
    outputs = _outputs(stem, row.pop("output", {}))
    shapes = {name: _outputs(f"{stem}.{name}", members) for name, members in row.pop("shapes", {}).items()}
    return _make(Operation, stem, row, input=inputs, output=outputs, shapes=MappingProxyType(shapes))


def _outputs(source: str, rows: Mapping[str, Mapping[str, Any]]) -> tuple[Output, ...]:
    return tuple(_make(Output, f"{source}.{name}", row, name=name) for name, row in rows.items())
