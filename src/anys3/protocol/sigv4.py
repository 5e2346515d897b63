"""AWS Signature Version 4 as S3 uses it: canonical forms, keys and signatures, in bytes.

The path is neither normalised nor encoded twice (AUTH-02). Whoever compares a signature does it with
`hmac.compare_digest`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

ALGORITHM = b"AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = b"UNSIGNED-PAYLOAD"
EMPTY_SHA256 = sha256(b"").hexdigest().encode()
SIGNATURE_LENGTH = 64
"""Hexadecimal digits of a signature."""

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PLAIN_PATH = _UNRESERVED + b"/"
_MAX_CACHED_QUERY = 1024
_HMAC_BLOCK = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def canonical_path(path: bytes) -> bytes:
    """Return the canonical URI of a path as sent: decoded once and encoded once (AUTH-02).

    >>> canonical_path(b"/b/a+b%2B(c)//../%7Ed")
    b'/b/a%2Bb%2B%28c%29//../~d'
    """
    if not path.translate(None, _PLAIN_PATH):
        return path
    return quote_from_bytes(unquote_to_bytes(path), safe="/-_.~").encode()


def canonical_query(query: bytes, without: bytes | None = None) -> bytes:
    """Return the canonical query of a query as sent, without the parameter called `without`.

    Sorted by encoded name, then value; `+` is a space; a parameter without a value is `name=` (AUTH-03).

        >>> canonical_query(b"b=2&a+x&b=%31")
        b'a%20x=&b=1&b=2'
    """
    if not query:
        return query
    if without is None and len(query) <= _MAX_CACHED_QUERY:
        return _cached_query(query)
    return _canonical_query(query, without)


def _canonical_query(query: bytes, without: bytes | None) -> bytes:
    pairs = []
    for piece in query.split(b"&"):
        if piece:
            name, _, value = piece.partition(b"=")
            name = _encode_once(name)
            if without is None or name.lower() != without:
                pairs.append((name, _encode_once(value)))
    pairs.sort()
    return b"&".join([b"%b=%b" % pair for pair in pairs])


@lru_cache(maxsize=2048)
def _cached_query(query: bytes) -> bytes:
    return _canonical_query(query, None)


def _encode_once(text: bytes) -> bytes:
    if not text.translate(None, _UNRESERVED):
        return text
    return quote_from_bytes(unquote_to_bytes(text.replace(b"+", b" ")), safe="-_.~").encode()


def canonical_value(value: bytes) -> bytes:
    """Return a header value trimmed, its inner runs of white space collapsed (AUTH-03)."""
    return b" ".join(value.split())


def signing_key(secret: str, day: bytes, region: str, service: bytes = b"s3") -> bytes:
    """Return the key that is derived from a secret for one day, region and service."""
    key = hmac.digest(b"AWS4" + secret.encode(), day, "sha256")
    key = hmac.digest(key, region.encode(), "sha256")
    key = hmac.digest(key, service, "sha256")
    return hmac.digest(key, b"aws4_request", "sha256")


def sign_policy(secret: str, day: bytes, region: str, policy: bytes) -> bytes:
    """Return the signature of a POST form: over its base64 policy as sent (POST-04)."""
    return hmac.digest(signing_key(secret, day, region), policy, "sha256").hex().encode()


class Signer:
    """Signs requests of one secret, scope and list of signed headers.

    Everything that such requests share is worked out once: the derived key as two padded hash states, and
    the canonical request as a template.
    """

    __slots__ = ("_inner", "_outer", "_prepared", "_template", "_values", "amz_count", "names", "scope")

    def __init__(self, secret: str, day: bytes, region: str, signed_headers: bytes) -> None:
        """Prepare for `signed_headers`, a list with semicolons, lower case, without duplicates."""
        self.scope = b"%b/%b/s3/aws4_request" % (day, region.encode())
        key = signing_key(secret, day, region).ljust(_HMAC_BLOCK, b"\0")
        self._inner = sha256(key.translate(_INNER))
        self._outer = sha256(key.translate(_OUTER))
        self._prepared = self._inner.copy()
        self._prepared.update(ALGORITHM + b"\n")
        self.names: tuple[bytes, ...] = tuple(sorted(signed_headers.split(b";")))
        self.amz_count = sum(name.startswith(b"x-amz-") for name in self.names)
        self._values = _getter(self.names)
        lines = b"".join(b"%b:%%b\n" % name.replace(b"%", b"%%") for name in self.names)
        self._template = b"%b\n%b\n%b\n" + lines + b"\n" + signed_headers.replace(b"%", b"%%") + b"\n%b"

    def values(self, headers: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
        """Return the values of the signed headers, in order. Raises KeyError if one is missing."""
        return self._values(headers)

    def canonical_request(
        self, method: bytes, path: bytes, query: bytes, values: tuple[bytes, ...], payload_hash: bytes
    ) -> bytes:
        """Return the canonical request; `path` and `query` are canonical already."""
        return self._template % (method, path, query, *values, payload_hash)

    def string_to_sign(self, canonical_request: bytes, amz_date: bytes) -> bytes:
        """Return the string to sign."""
        digest = sha256(canonical_request).hexdigest().encode()
        return b"%b\n%b\n%b\n%b" % (ALGORITHM, amz_date, self.scope, digest)

    def sign(self, canonical_request: bytes, amz_date: bytes) -> bytes:
        """Return the signature of a canonical request, in lower-case hexadecimal."""
        digest = sha256(canonical_request).hexdigest().encode()
        inner = self._prepared.copy()
        inner.update(b"%b\n%b\n%b" % (amz_date, self.scope, digest))
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest().encode()

    def mac(self, message: bytes) -> bytes:
        """Return the HMAC of any message under the signing key, in lower-case hexadecimal."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest().encode()


def _getter(names: tuple[bytes, ...]) -> Callable[[Mapping[bytes, bytes]], tuple[bytes, ...]]:
    if len(names) == 1:
        name = names[0]
        return lambda headers: (headers[name],)
    getter: Any = itemgetter(*names)
    return getter  # type: ignore[no-any-return]


class Seal:
    """Signs the chunks of one request's body, each chained to the one before (PAY-06, PAY-07)."""

    __slots__ = ("_chunk_head", "_previous", "_signer", "_trailer_head")

    def __init__(self, signer: Signer, amz_date: bytes, signature: bytes) -> None:
        """Begin the chain with the signature of the request's headers, the seed."""
        self._signer = signer
        stamp = b"\n%b\n%b\n" % (amz_date, signer.scope)
        self._chunk_head = b"AWS4-HMAC-SHA256-PAYLOAD" + stamp
        self._trailer_head = b"AWS4-HMAC-SHA256-TRAILER" + stamp
        self._previous = signature

    def chunk(self, digest: str) -> bytes:
        """Return the signature of the next chunk, whose bytes have that SHA-256, and chain it."""
        message = b"%b%b\n%b\n%b" % (self._chunk_head, self._previous, EMPTY_SHA256, digest.encode())
        self._previous = self._signer.mac(message)
        return self._previous

    def trailer(self, lines: bytes) -> bytes:
        """Return the signature of the trailer: canonical lines `name:value`, each ending in LF."""
        digest = sha256(lines).hexdigest().encode()
        return self._signer.mac(b"%b%b\n%b" % (self._trailer_head, self._previous, digest))
