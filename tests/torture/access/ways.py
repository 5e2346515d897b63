"""Ways to say who one is: the right ones, and each of them broken. All are bytes of one request."""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from tests.exemplars import Exemplar
from tests.forms import BOUNDARY, policy_of, render_form, signing_fields
from tests.forms import sign as sign_policy
from tests.rawclient import EMPTY_SHA256, UNSIGNED, RawClient, encode_query, render

SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
TOKENS = [SIGNED_CHUNKS, f"{SIGNED_CHUNKS}-TRAILER", UNSIGNED_TRAILER, UNSIGNED, EMPTY_SHA256]
ECDSA = ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"]
Verdict = tuple[int, str]
MISMATCH = (403, "SignatureDoesNotMatch")
DENIED = (403, "AccessDenied")
MALFORMED = (400, "AuthorizationHeaderMalformed")
MALFORMED_QUERY = (400, "AuthorizationQueryParametersError")
INVALID = (400, "InvalidArgument")
SKEWED = (403, "RequestTimeTooSkewed")
Way = Callable[[RawClient, Exemplar], bytes]
V2_SIGNED = {
    *("acl", "cors", "delete", "location", "partNumber", "tagging", "uploadId", "uploads", "versioning"),
    *("versions", "object-lock", "policy", "lifecycle", "logging", "notification", "website", "torrent"),
    *(
        "accelerate",
        "analytics",
        "inventory",
        "metrics",
        "replication",
        "requestPayment",
        "restore",
        "select",
    ),
    *("select-type", "versionId"),
}


def sent(
    s3: RawClient, one: Exemplar, lines: dict[str, str], query: str | None = None, body: bytes | None = None
) -> bytes:
    """Return the bytes of a request with exactly these headers."""
    query = one.raw_query if query is None else query
    body = one.body if body is None else body
    lines = {"host": s3.host, **lines, "content-length": str(len(body))}
    return render(one.method, one.path + (f"?{query}" if query else ""), lines) + body


def signed(
    s3: RawClient, one: Exemplar, token: str | None = None, method: str | None = None
) -> dict[str, str]:
    """Return the headers of the request, signed."""
    lines = {"host": s3.host, **one.headers}
    if token is not None and token.startswith("STREAMING"):
        lines["x-amz-decoded-content-length"] = str(len(one.body))
    return s3.sign(method or one.method, one.path, one.raw_query, lines, one.body, token)


def with_signature(lines: dict[str, str], change: Callable[[str], str]) -> dict[str, str]:
    """Return the headers with the signature changed."""
    return {**lines, "authorization": lines["authorization"][:-64] + change(lines["authorization"][-64:])}


def forged(lines: dict[str, str]) -> dict[str, str]:
    """Return the headers with a signature of zeros."""
    return with_signature(lines, lambda _: "0" * 64)


def url(
    s3: RawClient,
    one: Exemplar,
    method: str | None = None,
    headers: dict[str, str] | None = None,
    **options: object,
) -> str:
    """Return the query of the request as a presigned URL has it."""
    lines = {**one.headers, **(headers or {})}
    return s3.presign(method or one.method, one.path, one.query, lines, **options).partition("?")[2]  # type: ignore[arg-type]


def other(method: str) -> str:
    """Return another method."""
    return "GET" if method != "GET" else "DELETE"


def elsewhere(one: Exemplar) -> Exemplar:
    """Return the request of another bucket, or of a bucket if it was of none."""
    _, _, rest = one.path[1:].partition("/")
    return replace(one, path="/another-bucket" + (f"/{rest}" if rest else ""))


def in_header(token: str) -> Way:
    """A forged header signature over a payload token."""
    return lambda s3, one: sent(s3, one, forged(signed(s3, one, token)))


def in_query(token: str) -> Way:
    """A forged URL with a payload token in a signed header, as CVE-2026-41145 has it."""

    def make(s3: RawClient, one: Exemplar) -> bytes:
        headers = {"x-amz-content-sha256": token, "x-amz-decoded-content-length": str(len(one.body))}
        return sent(s3, one, {**one.headers, **headers}, url(s3, one, headers=headers)[:-64] + "0" * 64)

    return make


def in_both(token: str) -> Way:
    """A forged URL with a payload token as a parameter."""
    return lambda s3, one: sent(
        s3, one, dict(one.headers), url(s3, one, replace={"X-Amz-Content-Sha256": token})[:-64] + "0" * 64
    )


def by_header(change: Callable[[dict[str, str]], dict[str, str]]) -> Way:
    """A request that was signed rightly, its headers changed afterwards."""
    return lambda s3, one: sent(s3, one, change(signed(s3, one)))


def by_authorization(change: Callable[[str], str]) -> Way:
    """A request that was signed rightly, its Authorization changed afterwards."""
    return by_header(lambda lines: {**lines, "authorization": change(lines["authorization"])})


def by_query(change: Callable[[str], str]) -> Way:
    """A URL that was presigned rightly, its query changed afterwards."""
    return lambda s3, one: sent(s3, one, dict(one.headers), change(url(s3, one)))


def presigned(**options: object) -> Way:
    """A URL that was presigned with something bent."""
    return lambda s3, one: sent(s3, one, dict(one.headers), url(s3, one, **options))


def scoped(old: str, new: str) -> Way:
    """A signature over another scope: right for what it says."""

    def make(s3: RawClient, one: Exemplar) -> bytes:
        lines = signed(s3, one)
        date, names = lines["x-amz-date"], sorted({*lines} - {"authorization"})
        scope = f"{date[:8]}/{s3.region}/s3/aws4_request"
        scope = re.sub(old, new, scope)
        digest = lines["x-amz-content-sha256"]
        signature = s3.signature(one.method, one.path, one.raw_query, lines, names, digest, date, scope)
        lines["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={s3.access_key_id}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return sent(s3, one, lines)

    return make


def without_host(s3: RawClient, one: Exemplar) -> bytes:
    """A signature that does not cover Host."""
    lines = signed(s3, one)
    names = sorted({*lines} - {"authorization", "host"})
    date = lines["x-amz-date"]
    scope = f"{date[:8]}/{s3.region}/s3/aws4_request"
    digest = lines["x-amz-content-sha256"]
    signature = s3.signature(one.method, one.path, one.raw_query, lines, names, digest, date, scope)
    lines["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={s3.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return sent(s3, one, lines)


def twice(s3: RawClient, one: Exemplar) -> bytes:
    """Authorization twice, both right."""
    lines = signed(s3, one)
    data = sent(s3, one, lines)
    line = f"authorization: {lines['authorization']}\r\n".encode()
    return data.replace(line, line + line, 1)


# --- version 2 ------------------------------------------------------------------------------------------------


def v2_signature(s3: RawClient, one: Exemplar, date: str, headers: dict[str, str]) -> str:
    """Return the signature of version 2 of a request."""
    chosen = sorted((name, value) for name, value in one.query if name in V2_SIGNED)
    resource = one.path + "?" * bool(chosen) + "&".join(map("=".join, chosen))
    amz = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-amz-"))
    lines = [
        one.method,
        headers.get("content-md5", ""),
        headers.get("content-type", ""),
        date,
        amz + resource,
    ]
    digest = hmac.digest(s3.secret_access_key.encode(), "\n".join(lines).encode(), "sha1")
    return base64.b64encode(digest).decode()


def v2_header(change: Callable[[str], str] = str, *, method: str = "", late_s: int = 0) -> Way:
    """A header signature of version 2."""

    def make(s3: RawClient, one: Exemplar) -> bytes:
        clock = replace(s3, clock_offset_s=late_s)
        headers = {**one.headers, "x-amz-date": clock.amz_date()}
        made = v2_signature(s3, replace(one, method=method or one.method), "", headers)
        return sent(s3, one, {**headers, "authorization": f"AWS {s3.access_key_id}:{change(made)}"})

    return make


def v2_url(change: Callable[[str], str] = str, *, replayed: bool = False, after_s: int = 300) -> Way:
    """A URL of version 2."""

    def make(s3: RawClient, one: Exemplar) -> bytes:
        expires = str(int(time.time()) + after_s)
        source = replace(one, method=other(one.method)) if replayed else one
        made = change(v2_signature(s3, source, expires, dict(one.headers)))
        pairs = [("AWSAccessKeyId", s3.access_key_id), ("Expires", expires), ("Signature", made)]
        return sent(s3, one, dict(one.headers), encode_query([*one.query, *pairs]))

    return make


def v2_query(s3: RawClient, _one: Exemplar) -> str:
    """Return the query of a SigV2 URL with a signature of nothing."""
    signature = quote(base64.b64encode(bytes(20)).decode(), safe="")
    return f"AWSAccessKeyId={s3.access_key_id}&Expires=9999999999&Signature={signature}"


def swapped(signature: str) -> str:
    """Return a base64 signature with the case of its letters turned."""
    return signature.swapcase()


# --- forms ----------------------------------------------------------------------------------------------------


def form(*, drop: tuple[str, ...] = (), bucket: str = "", after_s: int = 3600, **fields: str) -> Way:
    """The route with a browser's form, which is signed for a key `form`; `fields` replace its fields."""

    def make(s3: RawClient, one: Exemplar) -> bytes:
        signing = signing_fields(s3)
        own = one.path.split("/")[1] or "none"
        policy = policy_of(bucket or own, {"key": "form", **signing}, after_s=after_s)
        signature = sign_policy(s3, policy, signing["x-amz-credential"].partition("/")[2])
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        whole = {"key": "form", **signing, "policy": policy, "x-amz-signature": signature, **given}
        body = render_form([(name, whole[name]) for name in whole if name not in drop], [("a", b"x")])
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        return sent(s3, one, {**one.headers, **headers}, body=body)

    return make


def without_headers(one: Exemplar) -> Exemplar:
    """Return the request without the signature that a form carries in its fields."""
    return replace(one, headers={}, body=b"") if one.is_form else one
