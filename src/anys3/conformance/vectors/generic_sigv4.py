"""Generic SigV4, for the offline vectors: other services than S3 normalise the path and encode it twice.

S3 does neither, and so `anys3.client.signing`, which signs all requests that are sent, does neither.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes

from anys3.client.signing import ALGORITHM, Credentials, Scope, signing_key
from anys3.conformance.vectors import matchers, schema
from anys3.conformance.vectors.placeholders import DefinitionError
from anys3.protocol.sigv4 import canonical_path, canonical_query, canonical_value

_UNSIGNED = {"authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"}


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request with its signature, and the steps that led to it."""

    authorization: str
    canonical_request: str
    string_to_sign: str
    text: str


def sign(
    method: str,
    uri: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    credentials: Credentials,
    scope: Scope,
    amz_date: str,
) -> SignedRequest:
    """Return the request signed. `x-amz-date` and the session token are added unless they are there."""
    headers = list(headers)
    present = {name.lower() for name, _ in headers}
    if "x-amz-date" not in present and "date" not in present:
        headers.append(("X-Amz-Date", amz_date))
    if credentials.session_token is not None and "x-amz-security-token" not in present:
        headers.append(("X-Amz-Security-Token", credentials.session_token))
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(canonical_value(value.encode()).decode())
    names = sorted(values.keys() - _UNSIGNED)
    path, _, query = uri.partition("?")
    payload_hash = ",".join(values.get("x-amz-content-sha256", [])) or hashlib.sha256(body).hexdigest()
    lines = [f"{name}:{','.join(values[name])}" for name in names]
    canonical = "\n".join(
        [
            method,
            canonical_uri(path, scope.service),
            canonical_query(query.encode()).decode(),
            *lines,
            "",
            ";".join(names),
            payload_hash,
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{amz_date}\n{scope}\n{digest}"
    signature = hmac.digest(signing_key(credentials, scope), to_sign.encode(), "sha256").hex()
    authorization = (
        f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    shown = [f"{name}:{value}" for name, value in [*headers, ("Authorization", authorization)]]
    text = "\n".join([f"{method} {uri} HTTP/1.1", *shown, "", body.decode("utf-8", "replace")])
    return SignedRequest(authorization, canonical, to_sign, text)


def canonical_uri(path: str, service: str) -> str:
    """Return the canonical URI of a raw path: normalised by RFC 3986 section 5.2.4, slashes joined, encoded.

    >>> canonical_uri("/a/./b//../c d/", "service"), canonical_uri("/a/./b", "s3")
    ('/a/c%20d/', '/a/./b')
    """
    if service == "s3":
        return canonical_path(path.encode()).decode()
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(segment)
    # RFC 3986 would keep a slash before a last dot segment as well; AWS's own signers do not.
    has_slash = bool(segments) and path.endswith("/")
    normalised = "/" + "/".join(segments) + ("/" if has_slash else "")
    return quote_from_bytes(normalised.encode(), safe="/-_.~")


def judge(signing: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each expectation of a signing vector that does not hold.

    Raises DefinitionError: content that names data, or a broken time.
    """
    request, scope, expect = signing["request"], signing["scope"], signing["expect"]
    amz_date = scope["dateTime"].replace("-", "").replace(":", "")
    found = sign(
        request["method"],
        request["uri"],
        [(name, value) for name, value in request["headers"]],
        _body(request.get("body", "")),
        Credentials(
            signing["credentials"]["accessKeyId"],
            signing["credentials"]["secretAccessKey"],
            signing["credentials"].get("sessionToken"),
        ),
        Scope(amz_date[:8], scope["region"], scope["service"]),
        amz_date,
    )
    pairs = {
        "canonicalRequest": found.canonical_request,
        "stringToSign": found.string_to_sign,
        "authorization": found.authorization,
    }
    sentences = [
        f"{name}: expected {matchers.show(expect[name])}, got {matchers.show(got)}"
        for name, got in pairs.items()
        if name in expect and expect[name] != got
    ]
    if "signedRequest" in expect and _parts(expect["signedRequest"]) != _parts(found.text):
        sentences.append(
            f"signedRequest: expected {matchers.show(expect['signedRequest'])}, got {matchers.show(found.text)}"
        )
    return sentences


def _body(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if "$base64" in value:
        return schema.decoded(value["$base64"], "request.body")
    raise DefinitionError("request.body: a signing vector has no data")


def _parts(request: Any) -> tuple[str, list[tuple[str, str]], str]:
    """Return request line, headers and body, however line ends and the case of names are written."""
    if isinstance(request, dict):
        pairs = [(str(name).lower(), str(value).strip()) for name, value in request.get("headers", [])]
        return f"{request.get('method')} {request.get('uri')}", sorted(pairs), str(request.get("body", ""))
    head, _, body = request.replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return first.removesuffix(" HTTP/1.1"), sorted(pairs), body
