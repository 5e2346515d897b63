"""Presigned URLs: PRE-01 to PRE-04, PRE-08 to PRE-13. What binds and ends them is in presigned_bounds."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from anys3.conformance.ground import Identity
from anys3.conformance.kit.bent import unknown_identity, with_other_secret
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require
from anys3.protocol import sigv2

_INVALID = "400 AuthorizationQueryParametersError"
_SIX = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)
_WEEK_S = 604_800
_HASH = "X-Amz-Content-Sha256"


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _get(probe: Probe, **bent: str | None) -> Reply:
    """GET an object by a URL whose X-Amz-* parameters (`expires` for X-Amz-Expires) are bent."""
    replaced = {f"X-Amz-{name.title()}": value for name, value in bent.items()}
    return probe.open("GET", probe.presign("GET", probe.path(probe.shared_object()), replaced=replaced))


@check("PRE-01", operation="PutObject")
def objects_by_url(probe: Probe) -> None:
    """An object is put, got, listed and deleted by presigned URLs alone, without any other credentials."""
    key = probe.key()
    path = probe.path(key)

    def opened(method: str, body: bytes = b"") -> Reply:
        return probe.open(method, probe.presign(method, path), body=body)

    opened("PUT", CONTENT).expect("200", about="PUT by a presigned URL")
    equal(opened("GET").expect("200").body, CONTENT, "the object that a presigned URL gets")
    head = opened("HEAD").expect("200", about="HEAD by a presigned URL")
    equal(head.header("content-length"), str(len(CONTENT)), "content-length of HEAD by a presigned URL")
    query = [("list-type", "2"), ("prefix", probe.prefix)]
    listing = probe.open("GET", probe.presign("GET", probe.path(), query))
    equal(listing.expect("200").texts("Contents/Key"), [key], "the keys that a presigned URL lists")
    opened("DELETE").expect("204", about="DELETE by a presigned URL")
    opened("GET").expect("404 NoSuchKey", about="GET by a presigned URL after DELETE by another")


@check("PRE-01", operation="UploadPart")
def parts_by_url(probe: Probe) -> None:
    """A part is uploaded by a presigned URL."""
    upload = probe.given_upload()
    query = [("partNumber", "1"), ("uploadId", upload.id)]
    reply = probe.open("PUT", probe.presign("PUT", upload.path, query), body=CONTENT)
    etag = reply.expect("200", about="UploadPart by a presigned URL").etag
    parts = probe.request("GET", upload.path, [("uploadId", upload.id)]).expect("200")
    found = [value.strip('"') for value in parts.texts("Part/ETag")]
    equal(found, [etag.strip('"')], "the ETags of the parts after one was uploaded by a presigned URL")


@check("PRE-02", operation="PutObject")
def hash_in_query(probe: Probe) -> None:
    """A hash in the signed query is verified: another body is refused, and the right one stored."""
    query = [(_HASH, _digest(CONTENT))]
    url = probe.presign("PUT", probe.path(probe.key()), query, payload_hash=_digest(CONTENT))
    _expect_verified(probe, url, {}, f"a presigned PUT with {_HASH} in its query")


@check("PRE-02", operation="PutObject")
def hash_in_header(probe: Probe) -> None:
    """A hash in a signed header is verified: another body is refused, and the right one stored."""
    headers = {_HASH.lower(): _digest(CONTENT)}
    url = probe.presign("PUT", probe.path(probe.key()), (), headers, payload_hash=_digest(CONTENT))
    _expect_verified(probe, url, headers, f"a presigned PUT with {_HASH.lower()} as a signed header")


def _expect_verified(probe: Probe, url: str, headers: dict[str, str], about: str) -> None:
    right = probe.open("PUT", url, headers, CONTENT).expect("200", about=about)
    require(right.etag, f"{about}: expected an ETag, got an empty one")
    wrong = probe.open("PUT", url, headers, b"other" + CONTENT)
    wrong.expect("400 XAmzContentSHA256Mismatch", about=f"{about}, of another body")
    probe.expect_content(probe.key(), CONTENT, about=f"the object after {about}, of another body")


@check("PRE-03", operation="GetObject")
def missing_parameters(probe: Probe) -> None:
    """A URL that lacks one of the six parameters is refused."""
    path = probe.path(probe.shared_object())
    with together() as each:
        for name in _SIX:
            with each():
                reply = probe.open("GET", probe.presign("GET", path, replaced={name: None}))
                reply.expect(_INVALID, about=f"a presigned GET without {name}")


@check("PRE-04", operation="GetObject")
def expires_out_of_range(probe: Probe) -> None:
    """A life that is no number, negative or longer than a week is refused; a week is not."""
    with together() as each:
        for value in ("soon", "-1", str(_WEEK_S + 1)):
            with each():
                about = f"a presigned GET with X-Amz-Expires={value}"
                _get(probe, expires=value).expect(_INVALID, about=about)
    _get(probe, expires=str(_WEEK_S)).expect("200", about=f"a presigned GET with X-Amz-Expires={_WEEK_S}")


@check("PRE-08", operation="PutObject")
def unsigned_amz_headers(probe: Probe) -> None:
    """An `x-amz-*` header that was not signed is refused, and nothing is stored or copied."""
    key = probe.key()
    url = probe.presign("PUT", probe.path(key))
    about = "a presigned PUT with x-amz-meta-x, which is not signed"
    reply = probe.open("PUT", url, {"x-amz-meta-x": "1"}, CONTENT).expect("403 AccessDenied", about=about)
    if not reply.text("HeadersNotSigned"):
        probe.report("the refusal of an unsigned header does not name it in HeadersNotSigned")
    source = probe.path(probe.shared_object(b"What nobody was allowed to copy.\n"))
    copying = probe.open("PUT", url, {"x-amz-copy-source": source})
    copying.expect("403 AccessDenied", about="a presigned PUT with x-amz-copy-source, which is not signed")
    probe.expect_no_object(key, about="the object of presigned PUTs with unsigned headers")


@check("PRE-08", operation="PutObject")
def other_headers_need_none(probe: Probe) -> None:
    """Headers that are not `x-amz-*` may be sent unsigned, as browsers do."""
    url = probe.presign("PUT", probe.path(probe.key()))
    reply = probe.open("PUT", url, {"content-type": "text/x-a3"}, CONTENT)
    reply.expect("200", about="a presigned PUT with a content-type that was not signed")
    hashed = probe.open("PUT", url, {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, CONTENT)
    if hashed.status != 200:
        probe.report(f"an unsigned x-amz-content-sha256 on a presigned URL is refused, with {hashed.said}")


@check("PRE-09", operation="PutObject")
def parameters_act_like_headers(probe: Probe) -> None:
    """Metadata in the signed query is stored as if it were sent in headers."""
    key = probe.key()
    url = probe.presign("PUT", probe.path(key), [("x-amz-meta-foo", "a b")])
    probe.open("PUT", url, body=CONTENT).expect(
        "200", about="a presigned PUT with x-amz-meta-foo in its query"
    )
    found = probe.head(key).expect("200").header("x-amz-meta-foo")
    equal(found, "a b", "x-amz-meta-foo of an object, given in the query of a presigned PUT")


@check("PRE-10", operation="GetObject")
def credential_of_wrong_form(probe: Probe) -> None:
    """A Credential that is no scope of S3, or is encoded twice, is refused."""
    date = probe.main.amz_date()
    right = f"{probe.main.credentials.access_key_id}/{probe.main.scope(date)}"
    bends: dict[str, Callable[[str], str]] = {
        "without its end": lambda text: text.rpartition("/")[0],
        "without a scope": lambda text: text.partition("/")[0],
        "with another end": lambda text: text.replace("aws4_request", "aws5_request"),
        "encoded twice": lambda text: text.replace("/", "%2F"),
    }
    with together() as each:
        for name, bend in bends.items():
            with each():
                reply = _get(probe, credential=bend(right))
                reply.expect(_INVALID, about=f"a presigned GET with a Credential {name}")


@check("PRE-10", operation="GetObject")
def credential_of_another_service(probe: Probe) -> None:
    """A Credential of another service is refused, though its signature is right for that."""
    path = probe.path(probe.shared_object())
    stranger = replace(probe.main, service="ec2")
    reply = probe.open("GET", probe.presign("GET", path, identity=stranger))
    reply.expect(_INVALID, about="a presigned GET with a Credential of the service ec2")


@check("PRE-10", operation="GetObject")
def credential_of_another_region(probe: Probe) -> None:
    """A Credential of a region that the server does not serve is refused."""
    path = probe.path(probe.shared_object())
    stranger = replace(probe.main, region="xx-nowhere-9")
    reply = probe.open("GET", probe.presign("GET", path, identity=stranger))
    if reply.status == 200:  # AUTH-08 lets a provider document that it accepts any region
        probe.report("a URL of the region xx-nowhere-9 is accepted; that must be documented")
        return
    reply.expect(_INVALID, about="a presigned GET with a Credential of the region xx-nowhere-9")


def _v2_url(method: str, path: str, who: Identity, life_s: int = 300) -> str:
    """Return a SigV2 URL."""
    expires = str(int(time.time()) + life_s)
    token = who.credentials.session_token
    signed = {b"x-amz-security-token": token.encode()} if token else {}
    message = sigv2.string_to_sign(method.encode(), signed, expires.encode(), path.encode())
    signature = sigv2.sign(who.credentials.secret_access_key, message).decode()
    rest = f"&x-amz-security-token={quote(token, safe='')}" if token else ""
    return (
        f"{path}?AWSAccessKeyId={quote(who.credentials.access_key_id, safe='')}"
        f"&Expires={expires}&Signature={quote(signature, safe='')}{rest}"
    )


@check("PRE-11", operation="GetObject")
def sigv2_urls(probe: Probe) -> None:
    """A SigV2 URL is refused, or, as a documented extension, verified: a wrong or old one opens nothing."""
    path = probe.path(probe.shared_object())
    refused = ("400 InvalidRequest", "403")
    forger = with_other_secret(probe.main)
    right = probe.open("GET", _v2_url("GET", path, probe.main))
    right.expect("200", *refused, about="GET by a SigV2 URL")
    if right.status == 200:
        probe.report("SigV2 URLs are accepted, and verified; that must be documented as an extension")
    forged = probe.open("GET", _v2_url("GET", path, forger))
    forged.expect(*refused, about="GET by a SigV2 URL with a wrong signature")
    expired = probe.open("GET", _v2_url("GET", path, probe.main, -3600))
    expired.expect(*refused, about="GET by a SigV2 URL that expired an hour ago")
    new = probe.path(probe.key())
    writing = probe.open("PUT", _v2_url("PUT", new, forger), body=CONTENT)
    writing.expect(*refused, about="PUT by a SigV2 URL with a wrong signature")
    probe.expect_no_object(probe.key(), about="the object of a SigV2 URL with a wrong signature")


@check("PRE-12", operation="PutObject")
def header_repeats_parameter(probe: Probe) -> None:
    """A header never overrides the `x-amz-*` parameter of its name in the signed query."""
    key = probe.key()
    url = probe.presign("PUT", probe.path(key), [("x-amz-meta-a", "signed")])
    reply = probe.open("PUT", url, {"x-amz-meta-a": "other"}, CONTENT)
    about = "a presigned PUT with x-amz-meta-a in its query, and another in a header"
    reply.expect("403 AccessDenied", "403 SignatureDoesNotMatch", about=about)
    probe.expect_no_object(key, about=f"the object of {about}")


@check("PRE-13", operation="GetObject")
def unknown_key_id(probe: Probe) -> None:
    """A URL with an access key id that the server does not know is refused."""
    path = probe.path(probe.shared_object())
    reply = probe.open("GET", probe.presign("GET", path, identity=unknown_identity(probe.main)))
    reply.expect("403 InvalidAccessKeyId", about="a presigned GET with an unknown access key id")


@check("PRE-13", operation="GetObject")
def credential_of_another_day(probe: Probe) -> None:
    """A URL whose Credential is of another day than its X-Amz-Date is refused."""
    date = probe.main.amz_date()
    scope = replace(probe.main.scope(date), day="20200101")
    credential = f"{probe.main.credentials.access_key_id}/{scope}"
    reply = _get(probe, credential=credential)
    reply.expect(_INVALID, "403", about="a presigned GET with a Credential of 20200101")


@check("PRE-13", operation="GetObject")
def unverifiable_token(probe: Probe) -> None:
    """A URL with a session token that the server did not issue is refused."""
    path = probe.path(probe.shared_object())
    url = probe.presign("GET", path, replaced={"X-Amz-Security-Token": "not-a-token"})
    about = "a presigned GET with a session token that is made up"
    probe.open("GET", url).expect("400 InvalidToken", "403", about=about)
