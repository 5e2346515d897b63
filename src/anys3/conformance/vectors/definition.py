"""Vectors as the format defines them, checked whole before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anys3.conformance.vectors import content, placeholders, schema
from anys3.conformance.vectors.content import Blob
from anys3.conformance.vectors.placeholders import DefinitionError

TIERS = ("tier-1", "tier-2", "tier-3")
IDENTITIES = ("main", "anonymous", "invalid")
RESOURCE_ATTRIBUTES = {
    "$bucket": ("name",),
    "$object": ("key", "etag", "versionId"),
    "$credential": ("accessKeyId", "canonicalId", "displayName"),
}


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """What the runner makes before step 1: a kind (`$bucket`) and its members."""

    kind: str
    members: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a kind (`$operation` or `$http`) and its members, placeholders not filled in."""

    kind: str
    members: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Vector:
    """One vector. `signing` holds the members of an offline one, which has no steps."""

    id: str
    group: str
    title: str
    tags: tuple[str, ...]
    prerequisites: tuple[Prerequisite, ...] = ()
    data: Mapping[str, Blob] | None = None
    steps: tuple[Step, ...] = ()
    signing: Mapping[str, Any] | None = None


def parse(row: Any) -> Vector:
    """Return the vector that a JSON value defines. Raises DefinitionError."""
    schema.an_object(row, "vector")
    is_signing = row.get("kind") == "signing"
    schema.members(row, "vector", _COMMON | (_SIGNING if is_signing else _API), _OPTIONAL | (
        {} if is_signing else _API_OPTIONAL
    ))  # fmt: skip
    if not re.fullmatch(re.escape(row["group"]) + r"-[0-9]{4,}", row["id"]):
        raise DefinitionError(f"vector.id is {row['id']!r}; expected {row['group']}-NNNN, after its group")
    if sum(tag in TIERS for tag in row["tags"]) != 1:
        raise DefinitionError(f"vector.tags are {row['tags']}; expected exactly one of {', '.join(TIERS)}")
    head = (row["id"], row["group"], row["title"], tuple(row["tags"]))
    if is_signing:
        return Vector(*head, signing={name: row[name] for name in _SIGNING})
    vector = Vector(
        *head,
        tuple(Prerequisite(*next(iter(each.items()))) for each in row.get("prerequisites", [])),
        {name: _blob(each, row["data"], f"data.{name}") for name, each in row.get("data", {}).items()},
        tuple(Step(*next(iter(each.items()))) for each in row["steps"]),
    )
    _check_names(vector)
    return vector


def _blob(row: Mapping[str, Any], data: Mapping[str, Any], where: str) -> Blob:
    kind, inner = next(iter(row.items()))
    if kind == "$prng":
        return content.Prng(inner["seed"], inner["size"])
    if kind == "$pattern":
        return _pattern(inner, f"{where}.$pattern")
    source = data.get(inner["of"])
    if source is None or "$slice" in source:
        raise DefinitionError(
            f"{where}.$slice.of is {inner['of']!r}; expected the name of a $prng or $pattern"
        )
    of = _blob(source, data, f"data.{inner['of']}")
    assert isinstance(of, (content.Prng, content.Pattern))
    if inner["offset"] + inner["length"] > of.size:
        end = inner["offset"] + inner["length"]
        raise DefinitionError(f"{where}.$slice ends at {end}; expected at most {of.size}")
    return content.Slice(of, inner["offset"], inner["length"])


def _pattern(inner: Mapping[str, Any], where: str) -> content.Pattern:
    if ("pattern" in inner) == ("patternBase64" in inner):
        raise DefinitionError(f"{where}: expected pattern or patternBase64")
    if "pattern" in inner:
        pattern = inner["pattern"].encode()
    else:
        pattern = schema.decoded(inner["patternBase64"], f"{where}.patternBase64")
    if not pattern and inner["size"]:
        raise DefinitionError(f"{where}: the pattern is empty")
    return content.Pattern(pattern, inner["size"])


def _check_names(vector: Vector) -> None:
    """Raise DefinitionError if a placeholder, a handle or a name of data leads nowhere."""
    data = vector.data or {}
    known = {"env.endpoint", "env.region"}
    known.update(f"data.{name}.{field}" for name in data for field in content.FIELDS)
    handles: dict[str, str] = {}
    for index, made in enumerate(vector.prerequisites):
        where = f"prerequisites[{index}].{made.kind}"
        placeholders.check(dict(made.members), known, where)
        _check_data(made.members, data, where)
        handle = made.members["handle"]
        if handle in handles or (made.kind == "$credential" and handle in IDENTITIES):
            raise DefinitionError(f"{where}.handle: {handle!r} is taken")
        if made.kind == "$object" and handles.get(made.members["bucket"]) != "$bucket":
            raise DefinitionError(f"{where}.bucket is {made.members['bucket']!r}; expected a bucket's handle")
        handles[handle] = made.kind
        known.update(f"res.{handle}.{attribute}" for attribute in RESOURCE_ATTRIBUTES[made.kind])
    for index, step in enumerate(vector.steps):
        where = f"steps[{index}].{step.kind}"
        _check_step(step, known, handles, where)
        _check_data(step.members, data, where)
        known.update(f"cap.{name}" for name in step.members.get("capture", {}))


def _check_step(step: Step, known: set[str], handles: Mapping[str, str], where: str) -> None:
    captured = {f"cap.{name}" for name in step.members.get("capture", {})}
    for name, value in step.members.items():
        placeholders.check(value, known | captured if name == "expect" else known, f"{where}.{name}")
    identity = step.members.get("identity", "main")
    if identity not in IDENTITIES and handles.get(identity) != "$credential":
        raise DefinitionError(
            f"{where}.identity is {identity!r}; expected main, anonymous, invalid or a handle"
        )
    if identity == "anonymous" and "presign" in step.members:
        raise DefinitionError(f"{where}: anonymous cannot presign")
    expect = step.members.get("expect", {})
    if step.kind == "$http" and "response" in expect:
        raise DefinitionError(f"{where}.expect.response: only $operation has one")


def _check_data(value: Any, data: Mapping[str, Blob], where: str) -> None:
    if isinstance(value, Mapping):
        if "$data" in value and value["$data"] not in data and "${" not in str(value["$data"]):
            raise DefinitionError(f"{where}: there is no data {value['$data']!r}")
        for name, each in value.items():
            _check_data(each, data, f"{where}.{name}")
    elif isinstance(value, list):
        for each in value:
            _check_data(each, data, where)


def _an_error(value: Any, where: str) -> None:
    if isinstance(value, str):
        schema.a_name(value, where)
    else:
        schema.members(value, where, {}, {"code": schema.matcher, "message": schema.matcher})


def _a_status(value: Any, where: str) -> None:
    if isinstance(value, dict):
        schema.matcher(value, where)
    else:
        schema.an_integer(value, where)


def _a_body(value: Any, where: str) -> None:
    if isinstance(value, dict) and not value.keys() & {"$data", "$base64"}:
        digests = {"$size": schema.a((int, str), "a number"), "$md5": schema.a_string}
        schema.members(value, where, {}, digests | {"$sha256": schema.a_string})
        if not value:
            raise DefinitionError(f"{where} is empty; expected content or a digest")
    else:
        schema.content(value, where)


def _a_header(value: Any, where: str) -> None:
    if isinstance(value, list):
        schema.array_of(schema.a_string)(value, where)
    else:
        schema.a((str, int), "a string")(value, where)


def _headers(value: Any, where: str) -> None:
    """Check headers: an object, or ordered pairs."""
    if isinstance(value, list):
        schema.array_of(_a_pair)(value, where)
    else:
        schema.map_of(_a_header)(value, where)


def _a_pair(value: Any, where: str) -> None:
    schema.array_of(schema.a_string)(value, where)
    if len(value) != 2:
        raise DefinitionError(f"{where} has {len(value)} elements; expected a name and a value")


def _a_query(value: Any, where: str) -> None:
    """Check a query: raw text, an object, or ordered pairs."""
    if isinstance(value, dict):
        schema.map_of(_a_query_value)(value, where)
    elif isinstance(value, list):
        schema.array_of(_a_pair)(value, where)
    else:
        schema.a_string(value, where)


def _a_query_value(value: Any, where: str) -> None:
    if value is not None and not isinstance(value, bool):
        _a_header(value, where)
    elif value is False:
        raise DefinitionError(f"{where} is false; expected text or null")


def _header_matchers(value: Any, where: str) -> None:
    schema.matchers_of_members(value, where)
    for name in value:
        if name != name.lower():
            raise DefinitionError(f"{where}: {name!r} is not in lower case")


def _a_presign(value: Any, where: str) -> None:
    schema.members(value, where, {"expiresIn": schema.an_integer}, {})


def _a_bucket(value: Any, where: str) -> None:
    versioning = schema.one_of("Enabled", "Suspended")
    schema.members(
        value, where, {"handle": schema.a_name}, {"versioning": versioning, "objectLock": schema.a_boolean}
    )


def _an_object(value: Any, where: str) -> None:
    schema.members(
        value,
        where,
        {"handle": schema.a_name, "bucket": schema.a_name, "key": schema.a_name},
        {
            "body": schema.content,
            "contentType": schema.a_string,
            "metadata": schema.map_of(schema.a_string),
        },
    )


def _a_credential(value: Any, where: str) -> None:
    schema.members(value, where, {"handle": schema.a_name}, {})


def _a_prerequisite(value: Any, where: str) -> None:
    kinds = {"$bucket": _a_bucket, "$object": _an_object, "$credential": _a_credential}
    schema.one_member(value, where, kinds)


def _a_datum(value: Any, where: str) -> None:
    schema.one_member(value, where, {"$prng": _a_prng, "$pattern": _a_pattern, "$slice": _a_slice})


def _a_prng(value: Any, where: str) -> None:
    schema.members(value, where, {"seed": schema.a_string, "size": schema.a_size}, {})


def _a_pattern(value: Any, where: str) -> None:
    patterns = {"pattern": schema.a_string, "patternBase64": schema.base64_text}
    schema.members(value, where, {"size": schema.a_size}, patterns)


def _a_slice(value: Any, where: str) -> None:
    schema.members(value, where, {"of": schema.a_name, "offset": schema.a_size, "length": schema.a_size}, {})


def _expect(value: Any, where: str) -> None:
    parts = {"status": _a_status, "error": _an_error, "headers": _header_matchers, "body": _a_body}
    schema.members(value, where, {}, parts | {"response": schema.matcher})


_ANY_STEP: dict[str, schema.Check] = {
    "identity": schema.a_name,
    "capture": schema.map_of(schema.a_name),
    "expect": _expect,
}


def _an_operation(value: Any, where: str) -> None:
    optional = {"params": schema.an_object, "presign": _a_presign}
    schema.members(value, where, {"name": schema.a_name}, optional | _ANY_STEP)


def _an_http(value: Any, where: str) -> None:
    optional = {"query": _a_query, "headers": _headers, "body": schema.content, "sign": schema.a_boolean}
    schema.members(value, where, {"method": schema.a_name, "path": schema.a_name}, optional | _ANY_STEP)


def _a_step(value: Any, where: str) -> None:
    schema.one_member(value, where, {"$operation": _an_operation, "$http": _an_http})


def _a_signed_request(value: Any, where: str) -> None:
    parts = {"method": schema.a_name, "uri": schema.a_name, "headers": schema.array_of(_a_pair)}
    schema.members(value, where, parts, {"body": schema.content})


def _credentials(value: Any, where: str) -> None:
    keys = {"accessKeyId": schema.a_name, "secretAccessKey": schema.a_name}
    schema.members(value, where, keys, {"sessionToken": schema.a_string})


def _scope(value: Any, where: str) -> None:
    parts = {"dateTime": schema.a_name, "region": schema.a_name, "service": schema.a_name}
    schema.members(value, where, parts, {})


def _signature(value: Any, where: str) -> None:
    optional = {"canonicalRequest": schema.a_string, "stringToSign": schema.a_string}
    schema.members(
        value,
        where,
        {"authorization": schema.a_string},
        optional | {"signedRequest": schema.a((str, dict), "a string or an object")},
    )


def _steps(value: Any, where: str) -> None:
    schema.array_of(_a_step)(value, where)
    if not value:
        raise DefinitionError(f"{where} is empty")


_COMMON: dict[str, schema.Check] = {
    "id": schema.a_name,
    "group": schema.a_name,
    "kind": schema.one_of("api", "signing"),
    "title": schema.a_string,
    "tags": schema.array_of(schema.a_name),
}
_OPTIONAL: dict[str, schema.Check] = {"description": schema.a_string, "source": schema.a_string}
_API: dict[str, schema.Check] = {"steps": _steps}
_API_OPTIONAL: dict[str, schema.Check] = {
    "prerequisites": schema.array_of(_a_prerequisite),
    "data": schema.map_of(_a_datum),
}
_SIGNING: dict[str, schema.Check] = {
    "request": _a_signed_request,
    "credentials": _credentials,
    "scope": _scope,
    "expect": _signature,
}
