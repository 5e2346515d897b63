"""Every way to sign: what is accepted carries the one right signature, over all that it must cover."""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import replace
from urllib.parse import quote, unquote_to_bytes

from anys3.protocol import authentication, claims, claims_v4, diagnosis, queries
from anys3.protocol.http import Request
from anys3.protocol.sigv2 import _SIGNED_PARAMETERS
from anys3.spec.errors import S3Error
from tests.torture.fuzz.kit import (
    KEY,
    NOW_S,
    REGION,
    SCOPE,
    SECRET,
    SIGNED,
    bent,
    hold,
    outcome,
    read_request,
    same,
    signature_of,
)

REALM = claims.Realm(REGION, allow_sigv2=True)
HOLE = b"{SIG}"
PLACE = b"X-Amz-Signature="
SHA1_HOLE = b"{SHA1}"


def judge(request: Request) -> claims.Proof:
    """Return the proof of a request, as the application gets it. Raises S3Error."""
    query = queries.parse(request.query)
    claim = authentication.read(request, query)
    if claim.access_key_id is None:
        raise S3Error("AccessDenied")
    key = KEY if claim.access_key_id == KEY.access_key_id else None
    try:
        return claim.prove(request, key, REALM, NOW_S)
    except S3Error as error:
        if error.code == "SignatureDoesNotMatch" and key is not None:
            told = diagnosis.explain(request, claim, key, REALM) or ""
            hold(SECRET not in told, "the explanation tells the secret")
        hold(SECRET not in str(error.message) + str(error.details), "the refusal tells the secret")
        raise


def copy_of(request: Request, **changes: object) -> Request:
    """Return the request with some fields changed; its headers are its own."""
    changed = {"headers": dict(request.headers), **changes}
    return replace(request, **changed)  # type: ignore[arg-type]


def refuses(request: Request, why: str) -> None:
    """Make sure that a request is refused, whatever was proven before."""
    code, _ = outcome(judge, request)
    hold(code != "", f"accepted: {why}")


def sigv4_header(data: bytes) -> None:
    """Judge a request with an Authorization header; `{SIG}` in it stands for the right signature."""
    claims_v4._claims.clear()
    request = read_request(data)
    if request is None:
        return
    header = request.headers.get(b"authorization", b"")
    signed, scope = SIGNED.search(header), SCOPE.search(header)
    right = None
    if signed and scope:
        names = signed[1].split(b";")
        digest = request.headers.get(b"x-amz-content-sha256", b"")
        date = request.headers.get(b"x-amz-date", b"")
        right = signature_of(request, names, digest, date, scope[0].partition(b"/")[2])
        request.headers[b"authorization"] = header.replace(HOLE, right or b"0" * 64)
    first, proof = outcome(judge, request)
    again, _ = outcome(judge, request)
    same(again, first, "judged again")
    if proof is None:
        return
    if header.startswith(b"AWS "):
        return
    hold(signed is not None and scope is not None, "accepted without a scope or a list of headers")
    assert signed
    assert scope
    names = signed[1].split(b";")
    if b"x-amz-date" in request.headers:
        hold(right is not None and request.headers[b"authorization"].endswith(right), "accepted a wrong one")
    hold(scope[4] == b"s3" and scope[5] == b"aws4_request", "accepted another service")
    hold(scope[3] in (REGION.encode(), b"us-east-1"), "accepted another region")
    needed = {name for name in request.headers if name.startswith(b"x-amz-")} | {b"host"}
    hold(needed <= set(names), f"accepted with unsigned headers: {needed - set(names)}")
    sent = request.headers[b"authorization"]
    for wrong in bent(sent[-64:]):
        lines = {**request.headers, b"authorization": sent[:-64] + wrong}
        refuses(copy_of(request, headers=lines), f"signature {wrong!r}")
    replayed(request)


def replayed(request: Request) -> None:
    """Make sure that the signature is for this very request."""
    method = b"GET" if request.method != b"GET" else b"DELETE"
    refuses(copy_of(request, method=method), "another method")
    refuses(copy_of(request, path=request.path + b"x"), "another path")
    query = b"&".join(filter(None, [request.query, b"acl"]))
    refuses(copy_of(request, query=query), "another query")
    refuses(copy_of(request, headers={**request.headers, b"host": b"other"}), "another host")
    refuses(copy_of(request, headers={**request.headers, b"x-amz-unsigned": b"1"}), "an unsigned header")


def sigv4_query(data: bytes) -> None:
    """Judge a presigned URL; `{SIG}` in its query stands for the right signature."""
    request = read_request(data)
    if request is None:
        return
    code, parameters = outcome(queries.parse, request.query)
    if code:
        return
    lower: dict[str, str] = {}
    for name, value in parameters.items():
        lower.setdefault(name.lower(), value)
    names = lower.get("x-amz-signedheaders", "").encode().split(b";")
    scope = lower.get("x-amz-credential", "").encode().partition(b"/")[2]
    date = lower.get("x-amz-date", "").encode()
    sent = request.headers.get(b"x-amz-content-sha256") if b"x-amz-content-sha256" in names else None
    in_query = lower.get("x-amz-content-sha256")
    digests = [in_query.encode()] if in_query is not None else [sent or b"UNSIGNED-PAYLOAD"]
    digests.append(b"UNSIGNED-PAYLOAD")
    rights = [
        signature_of(request, names, digest, date, scope, without=b"x-amz-signature") for digest in digests
    ]
    request = copy_of(request, query=request.query.replace(HOLE, rights[0] or b"0" * 64))
    code, proof = outcome(judge, request)
    if proof is None or "authorization" in request.headers or not is_v4(lower):
        return
    given = {name.lower(): value for name, value in queries.parse(request.query).items()}["x-amz-signature"]
    allowed = rights if in_query is not None else rights[:1]
    hold(given.encode() in [one for one in allowed if one], "accepted a wrong one")
    hold(int(lower["x-amz-expires"]) <= 604_800, "accepted a life of more than a week")
    for wrong in bent(given.encode()):
        query = request.query.replace(given.encode(), wrong)
        refuses(copy_of(request, query=query), f"signature {wrong!r}")
    replayed(request)
    late = NOW_S + 604_800 + 901
    refused = outcome(
        lambda: authentication.read(request, queries.parse(request.query)).prove(request, KEY, REALM, late)
    )
    hold(refused[0] != "", "accepted after a week")


def is_v4(parameters: dict[str, str]) -> bool:
    """Return whether the query carries a signature of version 4."""
    return "x-amz-signature" in parameters


def v2_message(request: Request, date: bytes) -> bytes:
    """Return the string to sign of version 2 for a path-style request."""
    amz = sorted(name for name in request.headers if name.startswith(b"x-amz-"))
    pairs = [tuple(map(unquote_to_bytes, piece.partition(b"="))) for piece in request.query.split(b"&")]
    signed = sorted((pair for pair in pairs if pair[0] in _SIGNED_PARAMETERS), key=lambda pair: pair[0])
    resource = request.path + (b"?" + b"&".join(map(b"".join, signed)) if signed else b"")
    lines = [request.method, *(request.headers.get(name, b"") for name in (b"content-md5", b"content-type"))]
    heads = b"".join(name + b":" + request.headers[name] + b"\n" for name in amz)
    return b"\n".join([*lines, date, heads + resource])


def sigv2(data: bytes) -> None:
    """Judge version 2, in a header or a query; `{SHA1}` stands for the right signature."""
    request = read_request(data)
    if request is None:
        return
    header = request.headers.get(b"authorization", b"")
    if header:
        date = b"" if b"x-amz-date" in request.headers else request.headers.get(b"date", b"")
    else:
        found = re.search(rb"(?:^|&)Expires=([0-9]+)", request.query)
        date = found[1] if found else b""
    right = base64.b64encode(hmac.digest(SECRET.encode(), v2_message(request, date), "sha1"))
    if header:
        lines = {**request.headers, b"authorization": header.replace(SHA1_HOLE, right)}
        request = copy_of(request, headers=lines)
    else:
        query = request.query.replace(SHA1_HOLE, quote(right.decode(), safe="").encode())
        request = copy_of(request, query=query)
    code, proof = outcome(judge, request)
    if code or proof is None or b"AWS4" in header or b"-signature=" in request.query.lower():
        return
    has_bound_date = not (b"x-amz-date" in request.headers and b"date" in request.headers)
    if header and has_bound_date and request.path.count(b"/") != 1:
        same(request.headers[b"authorization"].rpartition(b":")[2], right, "accepted a wrong one")
    for wrong in [right.swapcase(), right[:-1], right + b"=", right[:-2] + b"=", b"A" * 28]:
        if header:
            lines = {**request.headers, b"authorization": header.replace(SHA1_HOLE, wrong)}
            changed = copy_of(request, headers=lines)
        else:
            given = quote(right.decode(), safe="").encode()
            query = request.query.replace(given, quote(wrong.decode(), safe="").encode())
            changed = copy_of(request, query=query)
        if changed.headers != request.headers or changed.query != request.query:
            refuses(changed, f"signature {wrong!r}")
    method = b"GET" if request.method != b"GET" else b"DELETE"
    refuses(copy_of(request, method=method), "another method")
    refuses(copy_of(request, path=request.path + b"x"), "another path")
    refuses(
        copy_of(request, headers={**request.headers, b"x-amz-unsigned": b"1"}), "a header that is not signed"
    )
