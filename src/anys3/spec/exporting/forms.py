"""The two operations that browsers make by themselves, for OpenAPI: form uploads and the CORS preflight."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_FIELDS = {
    "key": "The object's key; `${filename}` in it stands for the file's name.",
    "policy": "The policy document in Base64; it is what is signed.",
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": "Access key id and scope.",
    "x-amz-date": "When the policy was signed.",
    "x-amz-signature": "The signature of the policy.",
    "success_action_status": "200, 201 or 204: what to answer.",
    "success_action_redirect": "Where to send the browser instead.",
    "Content-Type": "The object's type; that of the file part is not used.",
    "Cache-Control": "Kept with the object.",
    "Content-Disposition": "Kept with the object.",
    "Content-Encoding": "Kept with the object.",
    "Expires": "Kept with the object.",
}
_SIGNED = ["key", "policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "file"]

PREFLIGHT_HEADERS = {
    name: {"name": name, "in": "header", "required": is_required, "description": text, "schema": _TEXT}
    for name, is_required, text in (
        ("Origin", True, "Where the page comes from."),
        ("Access-Control-Request-Method", True, "The method that the page wants to use."),
        ("Access-Control-Request-Headers", False, "The headers that the page wants to send."),
    )
}
"""The parameters of a preflight, by their name in the document's components."""


def form_operation() -> dict[str, Any]:
    """Return body and answers of PostObject (POST-01 to POST-13)."""
    fields = {name: _TEXT | {"description": text} for name, text in _FIELDS.items()}
    schema = {
        "type": "object",
        "description": "Fields named x-amz-meta-* are user metadata. `file` comes last.",
        "properties": {**fields, "file": {"type": "string", "contentMediaType": "application/octet-stream"}},
        "required": _SIGNED,
        "additionalProperties": _TEXT,
    }
    etag = {"ETag": {"schema": _TEXT}, "Location": {"schema": _TEXT}}
    document = {
        "type": "object",
        "xml": {"name": "PostResponse"},
        "properties": {name: _TEXT for name in ("Location", "Bucket", "Key", "ETag")},  # noqa: C420
    }
    answers = {
        "200": "The file is stored; success_action_status asks for this.",
        "201": "The same, with a document.",
        "204": "The file is stored.",
        "303": "The file is stored; success_action_redirect asks for this.",
    }
    responses: dict[str, Any] = {
        status: {"description": text, "headers": etag} for status, text in answers.items()
    }
    responses["201"]["content"] = {"application/xml": {"schema": document}}
    for status in ("4XX", "5XX"):
        responses[status] = {"$ref": "#/components/responses/Error"}
    body = {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    return {"security": [{}], "requestBody": body, "responses": responses}


def preflight_operation() -> dict[str, Any]:
    """Return parameters and answers of a CORS preflight (CORS-01 to CORS-10)."""
    names = (
        "Access-Control-Allow-Origin",
        "Access-Control-Allow-Methods",
        "Access-Control-Allow-Headers",
        "Access-Control-Max-Age",
        "Vary",
    )
    allowed = {"description": "A rule allows it.", "headers": {name: {"schema": _TEXT} for name in names}}
    refused = {"$ref": "#/components/responses/Error"}
    return {
        "security": [{}],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in PREFLIGHT_HEADERS],
        "responses": {"200": allowed, "4XX": refused, "5XX": refused},
    }
