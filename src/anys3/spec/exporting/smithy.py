"""The portable model in Smithy 2.0, as its JSON AST: what code generators for clients and servers read.

One service holds all operations; tags on operations and members name the profile and the tier that ask for
them, so that a projection can cut a service for each tier. Form uploads and the CORS preflight are not in it:
neither is an operation that Smithy's restXml can describe.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anys3.spec.errors import ERRORS, ErrorDefinition
from anys3.spec.exporting import portable
from anys3.spec.exporting.data import as_text
from anys3.spec.exporting.portable import Call, Member
from anys3.spec.exporting.publication import Publication

NAMESPACE = "io.anys3.portable"
XML_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
PATHS = {"service": "/", "bucket": "/{Bucket}", "object": "/{Bucket}/{Key+}"}

_UNIT = "smithy.api#Unit"
_SIMPLE = {
    "string": "smithy.api#String",
    "integer": "smithy.api#Integer",
    "long": "smithy.api#Long",
    "boolean": "smithy.api#Boolean",
    "timestamp": "smithy.api#Timestamp",
    "map": f"{NAMESPACE}#Metadata",
    "bytes": f"{NAMESPACE}#StreamingBlob",
}
_LABELS: dict[str, tuple[str, ...]] = {"service": (), "bucket": ("Bucket",), "object": ("Bucket", "Key")}
_HEADER_NAMES = {"content-md5": "Content-MD5", "etag": "ETag"}

Shapes = dict[str, dict[str, Any]]


def render(publication: Publication) -> str:
    """Return s3.smithy.json."""
    shapes = _common() | _errors() | _enums()
    for name, members in portable.shapes().items():
        shapes |= _structure(name, [(one, _tagged(publication, one, _member(one, name))) for one in members])
        shapes |= _lists(members)
    described = [call for call in portable.calls() if call.operation.in_model]
    for call in described:
        shapes |= _operation(publication, call, _uri(call, described))
    shapes["PortableS3"] = _service(described)
    ast = {
        "smithy": "2.0",
        "metadata": {"suppressions": _SUPPRESSIONS},
        "shapes": {f"{NAMESPACE}#{name}": shapes[name] for name in sorted(shapes)},
    }
    return as_text(ast)


# Each stands for warnings of Smithy's validator about what S3 is, and has been since 2006.
_SUPPRESSIONS = [
    {"id": id, "namespace": NAMESPACE, "reason": reason}
    for id, reason in (
        ("DeprecatedTrait", "restXml is S3's protocol."),
        ("HttpChecksumTrait", "S3 names checksums as members, too."),
        ("HttpHeaderTrait", "S3's model has Content-Length as a member."),
        ("UnstableTrait", "httpChecksum is what S3's own model uses."),
    )
]


def _target(name: str) -> dict[str, str]:
    return {"target": f"{NAMESPACE}#{name}"}


def _service(described: Iterable[Call]) -> dict[str, Any]:
    return {
        "type": "service",
        "version": "2006-03-01",
        "operations": [_target(call.name) for call in described],
        "errors": [_target(code) for code in sorted(_error_codes())],
        "traits": {
            "aws.auth#sigv4": {"name": "s3"},
            "aws.protocols#restXml": {"noErrorWrapping": True},
            "smithy.api#documentation": "The part of S3 that portable software can ask for, by profiles. "
            "Any operation can answer any of the errors: decide by status and code, never by the message.",
            "smithy.api#title": "Portable S3",
            "smithy.api#xmlNamespace": {"uri": XML_NAMESPACE},
        },
    }


def _uri(call: Call, described: Iterable[Call]) -> str:
    """Return path and query; x-id, which servers ignore (HTTP-16), tells apart those that are alike."""
    path, literals = PATHS[call.operation.resource], call.query_literals
    alike = [
        other.name
        for other in described
        if (other.operation.method, other.operation.resource, other.query_literals)
        == (call.operation.method, call.operation.resource, literals)
    ]
    query = [*literals, *([f"x-id={call.name}"] if len(alike) > 1 else [])]
    return f"{path}?{'&'.join(query)}" if query else path


def _operation(publication: Publication, call: Call, uri: str) -> Shapes:
    operation, name = call.operation, call.name
    traits: dict[str, Any] = {
        "smithy.api#documentation": operation.title,
        "smithy.api#http": {"method": operation.method, "uri": uri, "code": operation.status},
        "smithy.api#tags": tags(publication, operation.profile),
    }
    if operation.method in {"GET", "HEAD"}:
        traits["smithy.api#readonly"] = {}
    if operation.method in {"PUT", "DELETE"}:
        traits["smithy.api#idempotent"] = {}
    if name == "GetBucketLocation":
        traits["aws.customizations#s3UnwrappedXmlOutput"] = {}
    if checksum := _checksum(call):
        traits["aws.protocols#httpChecksum"] = checksum
    shapes: Shapes = _structure(f"{name}Request", _request(publication, call), {"smithy.api#input": {}})
    shapes |= _lists(call.outputs)
    output = _UNIT
    if call.outputs:
        output = f"{NAMESPACE}#{name}Output"
        root = {"smithy.api#xmlName": operation.root} if operation.root and not _is_payload(call) else {}
        members = [(one, _answer(call, one)) for one in call.outputs]
        shapes |= _structure(f"{name}Output", members, {"smithy.api#output": {}, **root})
    shapes[name] = {
        "type": "operation",
        "input": _target(f"{name}Request"),
        "output": {"target": output},
        "traits": traits,
    }
    return shapes


def tags(publication: Publication, profile: str) -> list[str]:
    """Return the tags of what a profile asks for: its name, and that of the first tier that has it."""
    tier = publication.tier_of(profile)
    return [profile, *([tier.name] if tier else [])]


def _checksum(call: Call) -> dict[str, Any]:
    """Return the httpChecksum trait: how a client protects what it sends, and verifies what it gets."""
    trait: dict[str, Any] = {}
    if call.body and call.body.checksum:
        trait["requestAlgorithmMember"] = "ChecksumAlgorithm"
        trait["requestChecksumRequired"] = call.body.checksum == "required"
    if call.name == "GetObject":
        sums = [one.name.removeprefix("Checksum") for one in call.outputs if one.name.startswith("Checksum")]
        trait["requestValidationModeMember"] = "ChecksumMode"
        trait["responseAlgorithms"] = [name for name in sums if name != "Type"]
    return trait


def _request(publication: Publication, call: Call) -> list[tuple[Member, dict[str, Any]]]:
    labels: list[tuple[Member, dict[str, Any]]] = [
        (Member(name, name, required=True), {"smithy.api#httpLabel": {}})
        for name in _LABELS[call.operation.resource]
    ]
    members = [(one, _location(one)) for one in call.inputs]
    described = [
        (one, _tagged(publication, one, _described(one, where))) for one, where in [*labels, *members]
    ]
    if call.body:
        described.append(_body(call.body))
    return described


def _tagged(publication: Publication, member: Member, value: dict[str, Any]) -> dict[str, Any]:
    """Tag a member that another profile than its operation's asks for."""
    if not member.profile:
        return value
    traits = value.get("traits", {}) | {"smithy.api#tags": tags(publication, member.profile)}
    return value | {"traits": traits}


def _body(body: portable.Body) -> tuple[Member, dict[str, Any]]:
    traits: dict[str, Any] = {"smithy.api#httpPayload": {}}
    if body.is_required:
        traits["smithy.api#required"] = {}
    if not body.root:
        value = {"target": _SIMPLE["bytes"], "traits": traits | {"smithy.api#default": ""}}
        return Member(body.member, ""), value
    traits["smithy.api#xmlName"] = body.root
    return Member(body.member, ""), _target(body.shape) | {"traits": traits}


def _is_payload(call: Call) -> bool:
    """Whether the answer's body is one structure, and not the members of the output."""
    return any(one.wire == call.operation.root and one.shape for one in call.outputs)


def _answer(call: Call, member: Member) -> dict[str, Any]:
    if member.where == "xml" and _is_payload(call):
        return _described(member, {"smithy.api#httpPayload": {}})
    if member.where == "body":
        return _described(member, {"smithy.api#httpPayload": {}, "smithy.api#default": ""})
    if member.where == "xml":
        return _member(member, call.name)
    return _described(member, _location(member))


def _location(member: Member) -> dict[str, Any]:
    if member.where == "query":
        return {"smithy.api#httpQuery": member.wire}
    if member.where == "prefix-headers":
        return {"smithy.api#httpPrefixHeaders": member.wire}
    return {"smithy.api#httpHeader": header_name(member.wire)}


def header_name(wire: str) -> str:
    """Return a header's name as it is usually written: If-Match, ETag, x-amz-date."""
    if wire.lower().startswith("x-amz-"):
        return wire.lower()
    return _HEADER_NAMES.get(wire.lower(), wire.title())


def _member(member: Member, owner: str) -> dict[str, Any]:
    """Return a member that is an element of a document. `owner` is only named in errors."""
    if not member.wire:
        raise ValueError(f"{owner}.{member.name}: no name on the wire")
    traits: dict[str, Any] = {}
    if member.wire != member.name:
        traits["smithy.api#xmlName"] = member.wire
    if member.list == "flattened":
        traits["smithy.api#xmlFlattened"] = {}
    return _described(member, traits)


def _described(member: Member, traits: dict[str, Any]) -> dict[str, Any]:
    found = dict(traits)
    if member.required:
        found["smithy.api#required"] = {}
    if member.least is not None or member.most is not None:
        bounds = {"min": member.least, "max": member.most}
        found["smithy.api#range"] = {name: value for name, value in bounds.items() if value is not None}
    return {"target": _type_of(member)} | ({"traits": found} if found else {})


def _type_of(member: Member) -> str:
    if member.list:
        return f"{NAMESPACE}#{list_name(member)}"
    return _element_type(member)


def _element_type(member: Member) -> str:
    if member.shape:
        return f"{NAMESPACE}#{member.shape}"
    if member.name in _enum_values() and member.type == "string":
        return f"{NAMESPACE}#{member.name}"
    return _SIMPLE[member.type]


def list_name(member: Member) -> str:
    """Return the name of the list of a member's elements: CORSRuleList, AllowedHeaderList."""
    return f"{member.shape or member.wire}List"


def _lists(members: Iterable[Member]) -> Shapes:
    shapes: Shapes = {}
    for member in members:
        if member.list:
            element: dict[str, Any] = {"target": _element_type(member)}
            if member.list != "flattened":
                element["traits"] = {"smithy.api#xmlName": member.list}
            shapes[list_name(member)] = {"type": "list", "member": element}
    return shapes


def _structure(
    name: str, members: Iterable[tuple[Member, dict[str, Any]]], traits: dict[str, Any] | None = None
) -> Shapes:
    shape: dict[str, Any] = {"type": "structure", "members": {one.name: value for one, value in members}}
    return {name: shape | ({"traits": traits} if traits else {})}


def _common() -> Shapes:
    text = {"target": "smithy.api#String"}
    blob = {"type": "blob", "traits": {"smithy.api#streaming": {}}}
    return {"Metadata": {"type": "map", "key": text, "value": text}, "StreamingBlob": blob}


def _enum_values() -> dict[str, tuple[str, ...]]:
    members = [one for call in portable.calls() for one in call.inputs if one.values]
    return {one.name: one.values for one in members}


def _enums() -> Shapes:
    return {
        name: {
            "type": "enum",
            "members": {
                value.upper(): {"target": _UNIT, "traits": {"smithy.api#enumValue": value}}
                for value in values
            },
        }
        for name, values in _enum_values().items()
    }


def _error_codes() -> dict[str, ErrorDefinition]:
    """Return the errors that Smithy can have: 304 is an answer without a document."""
    return {code: row for code, row in ERRORS.items() if row.status >= 400}


def _errors() -> Shapes:
    names = ("Message", "RequestId", "Resource")
    return {
        code: {
            "type": "structure",
            "members": {name: {"target": "smithy.api#String"} for name in names},
            "traits": {
                "smithy.api#documentation": row.message,
                "smithy.api#error": "client" if row.status < 500 else "server",
                "smithy.api#httpError": row.status,
            },
        }
        for code, row in _error_codes().items()
    }
