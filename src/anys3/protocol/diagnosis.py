"""Say why a signature does not match: by trying what clients and proxies are known to do to requests.

The secret is known here, so each suspicion can be proved: the signature sent is that of the request as it
would have been. Nothing is accepted because of it, and no signature or secret is ever named. One change is
tried at a time, so that a stranger's wrong guess costs little.
"""

from __future__ import annotations

import hmac
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from urllib.parse import quote_from_bytes, unquote_to_bytes

from anys3.model import AccessKey
from anys3.protocol.claims import Claim, Realm, text
from anys3.protocol.claims_v4 import HeaderClaim, QueryClaim, ScopedClaim
from anys3.protocol.dates import iso, parse_http_date
from anys3.protocol.http import Request
from anys3.protocol.sigv4 import (
    EMPTY_SHA256,
    SIGNATURE_LENGTH,
    UNSIGNED_PAYLOAD,
    Signer,
    canonical_path,
    canonical_query,
    canonical_value,
)

_LOCAL_NAMES = (b"localhost", b"127.0.0.1", b"[::1]")
_METHODS = (b"GET", b"HEAD", b"PUT", b"POST", b"DELETE")
_HOST = "A proxy must pass the Host header on as it is, and the client must sign the one it sends."
_PROXY = "A proxy or the HTTP library changes it after signing: keep it out of the signature, or unchanged."

# Headers that something between signing and arrival is known to change, and what they may have been.
_CHANGED: dict[bytes, tuple[bytes, ...]] = {
    b"accept": (b"", b"*/*"),
    b"accept-encoding": (b"", b"identity", b"gzip", b"gzip, deflate", b"gzip,deflate", b"gzip, deflate, br"),
    b"connection": (b"", b"close", b"keep-alive", b"Keep-Alive"),
    b"content-encoding": (b"", b"aws-chunked"),
    b"content-length": (b"", b"0"),
    b"content-type": (b"", b"application/octet-stream", b"binary/octet-stream", b"application/xml"),
    b"expect": (b"", b"100-continue"),
    b"range": (b"",),
    b"te": (b"",),
    b"transfer-encoding": (b"", b"chunked"),
    b"user-agent": (b"",),
}


@dataclass(frozen=True, slots=True)
class _Signed:
    """What goes into a SigV4 signature."""

    method: bytes
    path: bytes
    query: bytes
    values: tuple[bytes, ...]
    payload_hash: bytes
    amz_date: bytes

    def matches(self, signer: Signer, signature: bytes) -> bool:
        """Return whether the signature is that of these."""
        canonical = signer.canonical_request(
            self.method, self.path, self.query, self.values, self.payload_hash
        )
        return hmac.compare_digest(signer.sign(canonical, self.amz_date), signature)


def explain(request: Request, claim: Claim, key: AccessKey, realm: Realm) -> str | None:
    """Return in one or two sentences why a SigV4 signature does not match; None if no known cause fits.

    For claims that failed with SignatureDoesNotMatch only: scope and time are right already.
    """
    del realm
    if not isinstance(claim, HeaderClaim | QueryClaim):
        return None
    signer = claim.signer(key.secret_access_key)
    missing = [name for name in signer.names if name not in request.headers]
    if missing:
        return f"The signed header {text(missing[0])} did not arrive: a proxy or the HTTP library drops it."
    signed, signature = _read(request, claim, signer)
    for reason, suspect in _suspects(request, claim, signer, signed):
        if suspect != signed and suspect.matches(signer, signature):
            return reason
    return _explain_secret(claim, key, signed, signature)


def _read(request: Request, claim: ScopedClaim, signer: Signer) -> tuple[_Signed, bytes]:
    """Return what the request should have been signed as, and the signature that was sent."""
    headers = request.headers
    values = tuple(map(canonical_value, signer.values(headers)))
    path = canonical_path(request.path)
    if isinstance(claim, QueryClaim):
        query = canonical_query(request.query, without=b"x-amz-signature")
        payload_hash = UNSIGNED_PAYLOAD
        if b"x-amz-content-sha256" in signer.names:
            payload_hash = headers[b"x-amz-content-sha256"]
        return _Signed(request.method, path, query, values, payload_hash, claim.amz_date), claim.signature
    query = canonical_query(request.query)
    payload_hash = headers.get(b"x-amz-content-sha256", b"")
    amz_date = headers.get(b"x-amz-date") or _amz_date(headers.get(b"date", b""))
    # A claim with a prefix is shared by all requests that begin so: the signature is in the request.
    signature = headers[b"authorization"][-SIGNATURE_LENGTH:]
    if isinstance(claim, HeaderClaim) and claim.prefix is None:
        signature = claim.signature
    return _Signed(request.method, path, query, values, payload_hash, amz_date), signature


def _suspects(
    request: Request, claim: ScopedClaim, signer: Signer, signed: _Signed
) -> Iterator[tuple[str, _Signed]]:
    """Yield what else may have been signed, and what that would mean, the likeliest first."""
    yield from _hosts(request, signer, signed)
    for method in _METHODS:
        yield (
            f"It was signed for the method {text(method)}, but {text(request.method)} arrived.",
            replace(signed, method=method),
        )
    yield from _paths(request.path, signed)
    yield from _queries(request.query, signed, is_presigned=isinstance(claim, QueryClaim))
    yield from _headers(signer, signed)
    yield from _payload_hashes(request, signed)
    date = _amz_date(request.headers.get(b"date", b""))
    if date:
        yield "The Date header was signed, but x-amz-date counts.", replace(signed, amz_date=date)


def _hosts(request: Request, signer: Signer, signed: _Signed) -> Iterator[tuple[str, _Signed]]:
    host = request.headers[b"host"]
    name, colon, port = host.rpartition(b":")
    if not colon or not port.isdigit():
        name, port = host, b""
    forwarded = request.headers.get(b"x-forwarded-host", b"").partition(b",")[0].strip()
    candidates = [forwarded, name, name.lower(), name + b":80", name + b":443"]
    for local in _LOCAL_NAMES:
        candidates += [local, local + b":" + port] if port else [local]
    for candidate in candidates:
        if candidate:
            reason = f"It was signed for the host {text(candidate)!r}, but {text(host)!r} arrived. {_HOST}"
            yield reason, _with_value(signer, signed, b"host", candidate)


def _paths(path: bytes, signed: _Signed) -> Iterator[tuple[str, _Signed]]:
    decoded = unquote_to_bytes(path)
    normal = posixpath.normpath(decoded).lstrip(b"/")
    if decoded.endswith(b"/") and normal:
        normal += b"/"
    variants = {
        "The path was signed as it was sent; it must be signed with every byte encoded once.": path,
        "The path was encoded twice for the signature; S3 wants it encoded once.": _encode(signed.path),
        "The path was signed without percent-encoding.": decoded,
        "The path was normalised (`//`, `.` or `..`) for the signature or on its way; S3 wants it as it is.": (
            _encode(b"/" + normal)
        ),
        "The path was signed with a slash at its end that did not arrive.": signed.path + b"/",
        "The path arrived with a slash at its end that was not signed.": signed.path.rstrip(b"/") or b"/",
        "The path was signed with `+` for a space.": signed.path.replace(b"%20", b"+"),
        "A space was signed where a `+` arrived, unencoded: encode it as %2B.": (
            signed.path.replace(b"%2B", b"%20")
        ),
        "The slashes of the key were encoded for the signature; they must not be.": (
            _encode_key_slashes(signed.path)
        ),
        "The escapes of the path were signed in lower case; S3 wants upper case.": _lower_escapes(
            signed.path
        ),
    }
    for reason, variant in variants.items():
        yield reason, replace(signed, path=variant)


def _queries(query: bytes, signed: _Signed, *, is_presigned: bool) -> Iterator[tuple[str, _Signed]]:
    if not query:
        return
    if not is_presigned:
        yield "The query was not signed.", replace(signed, query=b"")
        yield (
            "The query was signed as it was sent; it must be sorted and encoded.",
            replace(signed, query=query),
        )
        yield "The query was signed without percent-encoding.", replace(signed, query=unquote_to_bytes(query))
    bare = b"&".join(sorted(pair.removesuffix(b"=") for pair in signed.query.split(b"&")))
    yield (
        "A parameter without a value was signed without the `=` behind its name.",
        replace(signed, query=bare),
    )
    yield (
        "A `+` of the query was signed as a plus; unencoded it means a space: encode it as %2B.",
        replace(signed, query=signed.query.replace(b"%20", b"%2B")),
    )
    yield (
        "The query was signed with `+` for a space.",
        replace(signed, query=signed.query.replace(b"%20", b"+")),
    )
    unsorted = [pair for pair in signed.query.split(b"&") if not pair.startswith(b"x-id=")]
    yield "The parameter x-id was added after signing.", replace(signed, query=b"&".join(unsorted))


def _headers(signer: Signer, signed: _Signed) -> Iterator[tuple[str, _Signed]]:
    for name, value in zip(signer.names, signed.values, strict=True):
        others = _CHANGED.get(name, ())
        if name == b"content-type":
            others += (
                value.partition(b";")[0].strip(),
                value + b"; charset=utf-8",
                value + b";charset=UTF-8",
            )
        for other in others:
            yield (
                f"The signed header {text(name)} was {text(other)!r} when it was signed. {_PROXY}",
                _with_value(signer, signed, name, other),
            )


def _payload_hashes(request: Request, signed: _Signed) -> Iterator[tuple[str, _Signed]]:
    reason = "The payload hash that was signed is not the one that arrived: it was signed as "
    candidates = {"UNSIGNED-PAYLOAD": UNSIGNED_PAYLOAD, "the SHA-256 of an empty body": EMPTY_SHA256}
    buffered = request.body.buffered
    if buffered:
        candidates["the SHA-256 of the body"] = sha256(buffered).hexdigest().encode()
    sent = request.headers.get(b"x-amz-content-sha256")
    if sent is not None:
        candidates["the unsigned x-amz-content-sha256 header"] = sent
    for what, candidate in candidates.items():
        yield f"{reason}{what}.", replace(signed, payload_hash=candidate)


def _explain_secret(claim: ScopedClaim, key: AccessKey, signed: _Signed, signature: bytes) -> str | None:
    """Try the secret as files and shells spoil it."""
    for behind, what in (("\n", "a line end"), ("\r\n", "a line end"), (" ", "a space")):
        if signed.matches(claim.signer(key.secret_access_key + behind), signature):
            return f"The client's secret key has {what} behind it."
    return None


def _with_value(signer: Signer, signed: _Signed, name: bytes, value: bytes) -> _Signed:
    index = signer.names.index(name)
    return replace(signed, values=(*signed.values[:index], value, *signed.values[index + 1 :]))


def _encode(path: bytes) -> bytes:
    return quote_from_bytes(path, safe="/-_.~").encode()


def _encode_key_slashes(path: bytes) -> bytes:
    bucket, slash, key = path[1:].partition(b"/")
    return b"/" + bucket + slash + key.replace(b"/", b"%2F")


def _lower_escapes(path: bytes) -> bytes:
    head, *escaped = path.split(b"%")
    return b"%".join([head, *(piece[:2].lower() + piece[2:] for piece in escaped)])


def _amz_date(http_date: bytes) -> bytes:
    time_s = parse_http_date(http_date)
    if time_s is None:
        return b""
    return iso(time_s * 1000)[:19].replace("-", "").replace(":", "").encode() + b"Z"
