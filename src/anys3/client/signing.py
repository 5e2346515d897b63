"""Requests signed with SigV4, and bent where a check wants them wrong.

The canonical forms are `anys3.protocol.sigv4`'s; tests hold every signature here against botocore's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from anys3.protocol.sigv4 import canonical_path, canonical_query, canonical_value

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
ALGORITHM = "AWS4-HMAC-SHA256"

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair, with its session token if it is a temporary one. The secret is not in its repr."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is for: `{day}/{region}/{service}/aws4_request`."""

    day: str
    region: str
    service: str = "s3"
    terminator: str = "aws4_request"

    def __str__(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/{self.terminator}"


def sign(
    method: str,
    path: str,
    raw_query: str,
    headers: Headers,
    *,
    credentials: Credentials,
    scope: Scope,
    amz_date: str,
    payload_hash: str,
    signed_names: Iterable[str] | None = None,
) -> str:
    """Return the value of the Authorization header.

    `headers` are those that will be sent, `host` and the `x-amz-*` among them. All of them are signed but
    `content-length`, `expect`, `connection` and `transfer-encoding`, unless `signed_names` says which.
    """
    names = sorted(set(signed_names) if signed_names is not None else signable(headers))
    signature = _signature(
        method, path, raw_query, headers, names, credentials, scope, amz_date, payload_hash
    )
    return (
        f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )


def signable(headers: Headers) -> set[str]:
    """Return the names of the headers that are signed by default."""
    return {name.lower() for name, _ in headers} - {
        "content-length", "expect", "connection", "transfer-encoding", "authorization",
    }  # fmt: skip


def presign(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Headers,
    *,
    credentials: Credentials,
    scope: Scope,
    amz_date: str,
    expires_s: int | str,
    replace: Mapping[str, str | None] | None = None,
    payload_hash: str = UNSIGNED_PAYLOAD,
) -> str:
    """Return path and query of a presigned URL; `headers`, `host` among them, are signed.

    `replace` gives X-Amz-* parameters other values, or leaves them out (None), before signing.
    """
    names = sorted({name.lower() for name, _ in headers})
    parameters: dict[str, str | None] = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key_id}/{scope}",
        "X-Amz-Date": amz_date,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": ";".join(names),
        "X-Amz-Security-Token": credentials.session_token,
        **(replace or {}),
    }
    pairs = [*query, *((name, value) for name, value in parameters.items() if value is not None)]
    raw_query = encode_query(pairs)
    signature = _signature(
        method, path, raw_query, headers, names, credentials, scope, amz_date, payload_hash
    )
    if replace and "X-Amz-Signature" in replace:
        return f"{path}?{raw_query}"
    return f"{path}?{raw_query}&X-Amz-Signature={signature}"


def chunked(
    chunks: Sequence[bytes],
    *,
    mode: str,
    seed: str = "",
    credentials: Credentials | None = None,
    scope: Scope | None = None,
    amz_date: str = "",
    trailers: Headers = (),
) -> bytes:
    """Return an aws-chunked body of those chunks, the last empty one added.

    `seed` is the signature of the headers; it and `credentials`, `scope` and `amz_date` are needed in the
    modes that sign chunks.
    """
    chain = None
    if mode in (STREAMING_SIGNED, STREAMING_SIGNED_TRAILER):
        assert credentials is not None
        assert scope is not None
        chain = _Chain(signing_key(credentials, scope), f"{amz_date}\n{scope}", seed)
    wire = []
    for chunk in [*chunks, b""]:
        extension = f";chunk-signature={chain.chunk(chunk)}" if chain else ""
        wire.append(f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b""))
    for name, value in trailers:
        wire.append(f"{name}:{value}\r\n".encode())
    if trailers and chain:
        lines = "".join(f"{name}:{value}\n" for name, value in trailers)
        wire.append(f"x-amz-trailer-signature:{chain.trailer(lines)}\r\n".encode())
    return b"".join([*wire, b"\r\n"])


def sign_policy(policy: str, credentials: Credentials, scope: Scope) -> str:
    """Return the signature of a POST form: over its base64 policy."""
    return hmac.digest(signing_key(credentials, scope), policy.encode(), "sha256").hex()


def signing_key(credentials: Credentials, scope: Scope) -> bytes:
    """Return the key that is derived from the secret for a scope."""
    key = b"AWS4" + credentials.secret_access_key.encode()
    for part in (scope.day, scope.region, scope.service, scope.terminator):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def encode_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a raw query, percent-encoded as SigV4 wants it."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)


def encode_path(bucket: str, key: str = "") -> str:
    """Return the path of a bucket or object, percent-encoded as SDKs do.

    Lone surrogates stand for bytes that are no UTF-8, as `surrogateescape` makes them.
    """
    name = quote(bucket, safe="-_.~", errors="surrogateescape")
    return f"/{name}/{quote(key, safe='/-_.~', errors='surrogateescape')}" if key else f"/{name}"


def canonical_request(
    method: str, path: str, raw_query: str, headers: Headers, names: Sequence[str], payload_hash: str
) -> str:
    """Return the canonical request, in ISO 8859-1 as it stands for bytes."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(canonical_value(value.encode("latin-1")).decode("latin-1"))
    lines = [f"{name}:{','.join(values.get(name, ['']))}" for name in names]
    return "\n".join(
        [
            method,
            canonical_path(path.encode("latin-1")).decode("latin-1"),
            canonical_query(raw_query.encode("latin-1")).decode("latin-1"),
            *lines,
            "",
            ";".join(names),
            payload_hash,
        ]
    )


def string_to_sign(canonical: str, scope: Scope, amz_date: str) -> str:
    """Return the string to sign."""
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return f"{ALGORITHM}\n{amz_date}\n{scope}\n{digest}"


def _signature(
    method: str,
    path: str,
    raw_query: str,
    headers: Headers,
    names: Sequence[str],
    credentials: Credentials,
    scope: Scope,
    amz_date: str,
    payload_hash: str,
) -> str:
    canonical = canonical_request(method, path, raw_query, headers, names, payload_hash)
    text = string_to_sign(canonical, scope, amz_date)
    return hmac.digest(signing_key(credentials, scope), text.encode(), "sha256").hex()


class _Chain:
    """Signs chunks and trailer, each chained to the one before."""

    def __init__(self, key: bytes, stamp: str, seed: str) -> None:
        self._key = key
        self._stamp = stamp
        self._previous = seed

    def chunk(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self._previous = self._mac(f"{ALGORITHM}-PAYLOAD", f"{EMPTY_SHA256}\n{digest}")
        return self._previous

    def trailer(self, lines: str) -> str:
        return self._mac("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(lines.encode()).hexdigest())

    def _mac(self, algorithm: str, rest: str) -> str:
        text = f"{algorithm}\n{self._stamp}\n{self._previous}\n{rest}"
        return hmac.digest(self._key, text.encode(), "sha256").hex()
