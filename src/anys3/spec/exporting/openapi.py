"""The portable model as an OpenAPI 3.1 document.

OpenAPI selects operations by path and method alone, S3 also by query names and headers. Operations that share
a path therefore stand under paths with a fragment that names what selects them (`/{Bucket}#uploads`). A
fragment is never sent; the names in it are required parameters as well, so a tool that drops it is right.
"""

from __future__ import annotations

from typing import Any

from anys3.spec import catalogue
from anys3.spec.catalogue import Operation
from anys3.spec.errors import ERRORS
from anys3.spec.exporting import portable
from anys3.spec.exporting.data import as_text
from anys3.spec.exporting.forms import PREFLIGHT_HEADERS, form_operation, preflight_operation
from anys3.spec.exporting.portable import Body, Call, Member
from anys3.spec.exporting.publication import Publication
from anys3.spec.exporting.smithy import XML_NAMESPACE, header_name, tags

__all__ = ["render"]

_PATHS = {"service": "/", "bucket": "/{Bucket}", "object": "/{Bucket}/{Key}", "any": "/{Bucket}/{Key}"}
_LABELS = {"/": (), "/{Bucket}": ("Bucket",), "/{Bucket}/{Key}": ("Bucket", "Key")}
_DESCRIPTION = """\
The part of S3 that portable software can ask for, by profiles: the tags. The requirements that say how each \
operation behaves are in the pages beside this file.

How to read the paths: S3 selects an operation by method, path, query names and headers, OpenAPI by method and \
path alone. What follows a `#` in a path here is not sent; it lists the query names and headers that select the \
operation, and each is a required parameter too. `Key` is everything behind the bucket, slashes included. In \
virtual-hosted style the bucket stands in the host name instead.
"""
_KEY = "The object's key, 1 to 1,024 bytes in UTF-8, percent-encoded; `/` is sent as it is."
_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
    "bytes": {},
}
_HTTP_DATE = {"type": "string", "description": "A date of HTTP: Fri, 20 Nov 2026 12:00:00 GMT."}


def render(publication: Publication) -> str:
    """Return s3.openapi.json."""
    paths: dict[str, dict[str, Any]] = {}
    for call in portable.calls():
        for path in _paths(call.operation):
            item = paths.setdefault(path, _labels(path))
            item[call.operation.method.lower()] = _operation(publication, call, path)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Portable S3",
            "version": "2006-03-01",
            "description": _DESCRIPTION,
            "license": {"name": "CC BY 4.0", "identifier": "CC-BY-4.0"},
        },
        "servers": [
            {
                "url": "{endpoint}",
                "variables": {
                    "endpoint": {"default": "http://127.0.0.1:9000", "description": "Any endpoint."}
                },
            }
        ],
        "security": [{"sigv4": []}, {"presigned": []}],
        "tags": [
            {"name": row.name, "description": f"{row.title}. {row.description}"}
            for row in catalogue.profiles().values()
        ],
        "paths": dict(sorted(paths.items())),
        "components": _components(),
    }
    return as_text(document)


def _paths(operation: Operation) -> tuple[str, ...]:
    """Return the paths of an operation, with what selects it behind `#`."""
    names = [selector.removeprefix("header:") for selector in operation.selectors]
    fragment = f"#{'&'.join(names)}" if names else ""
    if operation.resource == "any":
        return "/{Bucket}", "/{Bucket}/{Key}"
    return (_PATHS[operation.resource] + fragment,)


def _labels(path: str) -> dict[str, Any]:
    names = _LABELS[path.partition("#")[0]]
    return {"parameters": [{"$ref": f"#/components/parameters/{name}"} for name in names]} if names else {}


def _operation(publication: Publication, call: Call, path: str) -> dict[str, Any]:
    operation = call.operation
    described: dict[str, Any] = {
        "operationId": call.name + ("OfBucket" if operation.resource == "any" and "Key" not in path else ""),
        "summary": operation.title,
        "tags": [operation.profile],
    }
    tier = tags(publication, operation.profile)[1:]
    if tier:
        described["x-tier"] = tier[0]
    if operation.name == "PostObject":
        return described | form_operation()
    if operation.name == "CorsPreflight":
        return described | preflight_operation()
    if parameters := [*map(_selector, call.query_literals), *(_parameter(one) for one in call.inputs)]:
        described["parameters"] = parameters
    if call.body:
        described["requestBody"] = _request_body(call.body)
    described["responses"] = _responses(call)
    return described


def _selector(literal: str) -> dict[str, Any]:
    name, _, value = literal.partition("=")
    return {
        "name": name,
        "in": "query",
        "required": True,
        "allowEmptyValue": not value,
        "description": "Selects the operation.",
        "schema": {"type": "string", "enum": [value]},
    }


def _parameter(member: Member) -> dict[str, Any]:
    is_query = member.where == "query"
    found: dict[str, Any] = {
        "name": member.wire if is_query else header_name(member.wire),
        "in": "query" if is_query else "header",
    }
    if member.where == "prefix-headers":
        found["name"] += "*"
        found["description"] = "User metadata: any number of headers, `*` stands for the rest of the name."
    if member.required:
        found["required"] = True
    if member.profile:
        found["description"] = f"Belongs to the profile `{member.profile}`."
    return found | {"schema": _value(member)}


def _value(member: Member) -> dict[str, Any]:
    """Return the schema of what a header or a parameter holds."""
    if member.type == "timestamp":
        return dict(_HTTP_DATE)
    schema = dict(_SCALARS["string" if member.type == "map" else member.type])
    if member.values:
        schema["enum"] = list(member.values)
    if member.least is not None:
        schema["minimum"] = member.least
    if member.most is not None:
        schema["maximum"] = member.most
    return schema


def _request_body(body: Body) -> dict[str, Any]:
    if not body.root:
        return {"content": {"*/*": {"schema": {}}}, "description": "The content, of any type."}
    schema = {"$ref": f"#/components/schemas/{body.shape}"}
    content = {"application/xml": {"schema": schema}}
    return {"required": body.is_required, "content": content, "description": f"The document `{body.root}`."}


def _responses(call: Call) -> dict[str, Any]:
    operation = call.operation
    ok: dict[str, Any] = {"description": operation.title}
    if headers := {
        header_name(one.wire) + ("*" if one.where == "prefix-headers" else ""): {"schema": _value(one)}
        for one in call.outputs
        if one.where in {"header", "prefix-headers"}
    }:
        ok["headers"] = headers
    if any(one.where == "body" for one in call.outputs):
        ok["content"] = {"*/*": {"schema": {}}}
    elif operation.root:
        ok["content"] = {"application/xml": {"schema": _document(call)}}
    found = {str(operation.status): ok}
    if any(one.name == "Range" for one in call.inputs):
        found["206"] = ok | {"description": "The slice that Range asks for."}
    if any(one.name == "IfNoneMatch" for one in call.inputs) and operation.method in {"GET", "HEAD"}:
        found["304"] = {"description": ERRORS["NotModified"].message}
    kind = "EmptyError" if operation.method == "HEAD" else "Error"
    return found | {status: {"$ref": f"#/components/responses/{kind}"} for status in ("4XX", "5XX")}


def _document(call: Call) -> dict[str, Any]:
    """Return the schema of the answer's document."""
    members = [one for one in call.outputs if one.where == "xml"]
    root = call.operation.root
    if len(members) == 1 and members[0].wire == root and members[0].shape:
        return {"$ref": f"#/components/schemas/{members[0].shape}"}
    xml = {"name": root, "namespace": XML_NAMESPACE}
    if len(members) == 1 and members[0].wire == root:
        return {"type": "string", "xml": xml}
    return {"type": "object", "xml": xml, "properties": {one.wire: _element(one) for one in members}}


def _element(member: Member) -> dict[str, Any]:
    """Return the schema of an element, or of repeated ones."""
    single: dict[str, Any] = dict(_SCALARS.get(member.type, {}))
    if member.shape:
        single = {"$ref": f"#/components/schemas/{member.shape}"}
    if not member.list:
        return single
    if member.list == "flattened":
        return {"type": "array", "items": single | {"xml": {"name": member.wire}}}
    items = single | {"xml": {"name": member.list}}
    return {"type": "array", "items": items, "xml": {"name": member.wire, "wrapped": True}}


def _components() -> dict[str, Any]:
    roots = {body.shape: body.root for body in portable.bodies().values() if body.root}
    schemas = {name: _structure(members, roots.get(name, "")) for name, members in portable.shapes().items()}
    schemas["ErrorDocument"] = _error_document()
    schemas["ErrorCode"] = _error_code()
    return {
        "schemas": dict(sorted(schemas.items())),
        "parameters": {
            "Bucket": _label("Bucket", "The bucket's name.", {"minLength": 3, "maxLength": 63}),
            "Key": _label("Key", _KEY, {"minLength": 1}),
            **PREFLIGHT_HEADERS,
        },
        "responses": {
            "Error": {
                "description": "A refusal. Decide by status and `Code`.",
                "content": {"application/xml": {"schema": {"$ref": "#/components/schemas/ErrorDocument"}}},
            },
            "EmptyError": {"description": "A refusal. Answers to HEAD have no body: decide by the status."},
        },
        "securitySchemes": {
            "sigv4": _scheme("Authorization", "header", "AWS Signature Version 4, service `s3`."),
            "presigned": _scheme("X-Amz-Signature", "query", "The same in the query: profile `presign`."),
        },
    }


def _scheme(name: str, where: str, description: str) -> dict[str, Any]:
    return {"type": "apiKey", "name": name, "in": where, "description": description}


def _label(name: str, description: str, bounds: dict[str, int]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema | bounds,
    }


def _structure(members: tuple[Member, ...], root: str) -> dict[str, Any]:
    properties = {one.wire: _element(one) for one in members}
    found: dict[str, Any] = {"type": "object", "properties": properties}
    if required := [one.wire for one in members if one.required]:
        found["required"] = required
    if root:
        found["xml"] = {"name": root, "namespace": XML_NAMESPACE}
    return found


def _error_document() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "xml": {"name": "Error"},
        "description": "Further elements (Key, BucketName, ...) inform people; they are not agreed upon.",
        "required": ["Code", "Message", "RequestId"],
        "properties": {
            "Code": {"$ref": "#/components/schemas/ErrorCode"},
            "Message": text,
            "Resource": text,
            "RequestId": text,
        },
    }


def _error_code() -> dict[str, Any]:
    rows = [row for row in ERRORS.values() if row.status >= 400]
    statuses = sorted({row.status for row in rows})
    words = "; ".join(
        f"{status}: {', '.join(sorted(row.code for row in rows if row.status == status))}"
        for status in statuses
    )
    return {
        "type": "string",
        "description": f"The codes by status. {words}.",
        "examples": sorted(row.code for row in rows),
    }
