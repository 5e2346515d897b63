"""The catalogue: the spec's TOML files as frozen values, checked while they are read.

What routing and binding need (operations, headers, query names) is read once, at first use. Requirements,
profiles, tiers and limits are read when somebody asks for them. An unknown or missing field of a file is
a ValueError that names the file, so that a misspelt one can't be ignored.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from anys3.spec.rows import make

if TYPE_CHECKING:
    from collections.abc import Mapping

_HERE = Path(__file__).parent
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OWNERS = frozenset({"profile", "annex"})


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
class Reason:
    """Why a requirement matters, and what breaks for whom on a server that does not keep it."""

    id: str
    why: str
    breaks: str


@dataclass(frozen=True, slots=True)
class NonGuarantee:
    """What portable software must not rely on, why not, and what to do instead."""

    id: str
    title: str
    why: str
    instead: str


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


@cache
def requirements() -> tuple[Requirement, ...]:
    """Return all requirements, in the order of the file."""
    rows = _read("requirements.toml")
    return tuple(make(Requirement, id, row, id=id) for id, row in rows.items())


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
def reasons() -> Mapping[str, Reason]:
    """Return why requirements matter, by their id. Raises ValueError: a file of reasons/ is wrong.

    An id that is not a requirement's, or that stands in two files, is wrong too.
    """
    return MappingProxyType(_read_reasons(_HERE / "reasons"))


def reason(id: str) -> Reason | None:
    """Return why one requirement matters, or None if nobody has written it down."""
    return reasons().get(id)


def _read_reasons(directory: Path) -> dict[str, Reason]:
    found: dict[str, Reason] = {}
    for path in sorted(directory.glob("*.toml")):
        for id, row in tomllib.loads(path.read_text("utf-8")).items():
            source = f"{path.name}: {id}"
            if id not in _requirements_by_id():
                raise ValueError(f"{source}: there is no such requirement")
            if id in found:
                raise ValueError(f"{source}: another file has this id too")
            found[id] = make(Reason, source, row, id=id)
    return found


@cache
def non_guarantees() -> tuple[NonGuarantee, ...]:
    """Return what portable software must not rely on, in the order of the file."""
    rows = _read("non-guarantees.toml")
    return tuple(make(NonGuarantee, id, row, id=id) for id, row in rows.items())


@cache
def profiles() -> Mapping[str, Profile]:
    """Return the profiles by name."""
    rows = _read("profiles.toml")
    return MappingProxyType({name: make(Profile, name, row, name=name) for name, row in rows.items()})


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
    return read_tiers(_HERE / "tiers.toml")


def read_tiers(path: Path) -> Mapping[str, Tier]:
    """Return the tiers of a file in the form of tiers.toml: another cut of the same profiles.

    Raises ValueError, naming the file and the tier: a profile, an included tier or a field is unknown; a
    profile is named twice; or the file is not TOML in UTF-8. Raises OSError: it can't be read.
    """
    try:
        rows = tomllib.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    found: dict[str, Tier] = {}
    for name, row in rows.items():
        found[name] = _tier(f"{path.name}: {name}", name, row, found)
    if not found:
        raise ValueError(f"{path.name}: there is no tier in it")
    return MappingProxyType(found)


def _tier(source: str, name: str, row: object, earlier: Mapping[str, Tier]) -> Tier:
    if not isinstance(row, dict):
        raise ValueError(f"{source}: expected a table with title, includes and profiles, found {row!r}")  # noqa: TRY004
    own = make(Tier, source, row, name=name)
    for field_name in ("includes", "profiles"):
        value = row[field_name]
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValueError(f"{source}: {field_name} must be a list of names, found {value!r}")
    if later := sorted(set(own.includes) - set(earlier)):
        raise ValueError(f"{source}: includes {later!r}, which no earlier table of the file is called")
    if wrong := sorted(set(own.profiles) - set(profiles())):
        raise ValueError(f"{source}: unknown profile {wrong!r}")
    inherited = (profile for tier in own.includes for profile in earlier[tier].profiles)
    every = (*dict.fromkeys(inherited), *own.profiles)
    if twice := sorted({profile for profile in every if every.count(profile) > 1}):
        raise ValueError(f"{source}: profile {twice!r} is named twice, or is in an included tier already")
    return Tier(name, own.title, own.includes, every)


@cache
def limits() -> Mapping[str, Limit]:
    """Return the limits by name."""
    rows = _read("limits.toml")
    return MappingProxyType({name: make(Limit, name, row, name=name) for name, row in rows.items()})


@cache
def headers() -> Mapping[str, Header]:
    """Return the known request headers by name, in lower case."""
    rows = _read("headers.toml")
    return MappingProxyType({name: make(Header, name, row, name=name) for name, row in rows.items()})


@cache
def query_names() -> Mapping[str, QueryName]:
    """Return the known query names."""
    found = {}
    for name, row in _read("subresources.toml").items():
        kind = row.pop("kind")
        found[name] = make(QueryName, name, row, name=name, is_subresource=kind == "subresource")
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
        make(Input, f"{stem}.{name}", member if member.keys() & _OWNERS else owner | member, name=name)
        for name, member in row.pop("input", {}).items()
    )
    outputs = _outputs(stem, row.pop("output", {}))
    shapes = {name: _outputs(f"{stem}.{name}", members) for name, members in row.pop("shapes", {}).items()}
    return make(Operation, stem, row, input=inputs, output=outputs, shapes=MappingProxyType(shapes))


def _outputs(source: str, rows: Mapping[str, Mapping[str, Any]]) -> tuple[Output, ...]:
    return tuple(make(Output, f"{source}.{name}", row, name=name) for name, row in rows.items())
