"""Who may do what: nobody, other schemes, tokens, other principals (AUTH-12 to AUTH-14, AUTH-17)."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from urllib.parse import quote

from anys3.client import signing
from anys3.client.signing import STREAMING_UNSIGNED_TRAILER
from anys3.conformance.digests import md5_base64
from anys3.conformance.ground import Identity
from anys3.conformance.outcomes import Skipped
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, require
from anys3.protocol import sigv2

_DENIED = "403 AccessDenied"
_REFUSED = ("400 InvalidToken", "403")
_V2_REFUSED = "400 InvalidRequest"
_NO_SECRET = "wrong/secret+of/nobody+000000000000000001"  # noqa: S105 -- nobody has it


def _deletion(key: str) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of DeleteObjects for one key."""
    body = f"<Delete><Object><Key>{key}</Key></Object></Delete>".encode()
    md5 = md5_base64(body)
    return body, {"content-md5": md5}


def _expect_reads_denied(probe: Probe, who: Identity | None, key: str) -> None:
    for method, path, query in (
        ("GET", probe.path(key), ""),
        ("HEAD", probe.path(key), ""),
        ("GET", probe.path(key + "-none"), ""),
        ("GET", probe.path(), "list-type=2&max-keys=1"),
        ("HEAD", probe.path(), ""),
    ):
        reply = probe.request(method, path, query, identity=who)
        reply.expect(_DENIED, about=f"{method} {_name(who)}")


def _name(who: Identity | None) -> str:
    return "by another principal" if who else "without credentials"


def _expect_writes_denied(probe: Probe, who: Identity | None, key: str) -> None:
    body, headers = _deletion(key)
    new = probe.key("new")
    tried = (
        probe.request("PUT", probe.path(new), body=CONTENT, identity=who),
        probe.request("PUT", probe.path(key), body=b"other", identity=who),
        probe.request("DELETE", probe.path(key), identity=who),
    )
    for reply in tried:
        reply.expect(_DENIED, about=f"{reply.exchange.method} {_name(who)}")
    upload = probe.request("POST", probe.path(new), "uploads=", identity=who)
    upload.expect(_DENIED, "501", about=f"a multipart upload, started {_name(who)}")
    many = probe.request("POST", probe.path(), "delete=", headers, body, identity=who)
    # Many servers judge each key by itself, and answer 200 with an error for each.
    if many.status != 200 or many.texts("Error/Code") != ["AccessDenied"]:
        many.expect(_DENIED, about=f"DeleteObjects {_name(who)}")
    probe.expect_no_object(new, about="the object of a refused PUT")
    probe.expect_content(key, CONTENT, about="the object that refused requests were about")


@check("AUTH-12", operation="GetObject")
def nobody_reads(probe: Probe) -> None:
    """Without credentials, objects can't be read and a bucket can't be listed, and none is told to exist."""
    _expect_reads_denied(probe, None, probe.shared_object())


@check("AUTH-12", operation="PutObject")
def nobody_writes(probe: Probe) -> None:
    """Without credentials, nothing can be stored, replaced or deleted."""
    _expect_writes_denied(probe, None, probe.given_object())


@check("AUTH-12", operation="PutObject")
def nobody_streams(probe: Probe) -> None:
    """A stream without credentials stores nothing, whatever its payload token says."""
    headers = {
        "x-amz-content-sha256": STREAMING_UNSIGNED_TRAILER,
        "x-amz-decoded-content-length": "0",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    trailers = [("x-amz-checksum-crc32", "AAAAAA==")]
    wire = signing.chunked([], mode=STREAMING_UNSIGNED_TRAILER, trailers=trailers)
    key = probe.key()
    reply = probe.request("PUT", probe.path(key), (), headers, wire, identity=None)
    reply.expect(_DENIED, about="PUT of a stream without credentials")
    probe.expect_no_object(key, about="the object of a stream without credentials")


@check("AUTH-12", operation="ListBuckets")
def nobody_learns_of_buckets(probe: Probe) -> None:
    """Without credentials, buckets are not listed, and those that do not exist give no data."""
    missing = f"/{probe.bucket[:50]}-none-there"
    for path in ("/", missing, f"{missing}/object"):
        reply = probe.request("GET", path, identity=None)
        reply.expect("403", "404", "307", about="GET without credentials")
        require(
            b"<Buckets" not in reply.body and b"<ListBucketResult" not in reply.body,
            f"GET {path} without credentials: expected no data, got a list",
        )


def _v2(probe: Probe, method: str, path: str, *, key_id: str = "", secret: str = "") -> Reply:
    """Send a request that is signed with SigV2; by default rightly."""
    known = probe.main.credentials
    date = formatdate(usegmt=True)
    token = {"x-amz-security-token": known.session_token} if known.session_token else {}
    signed = {name.encode(): value.encode() for name, value in token.items()}
    message = sigv2.string_to_sign(method.encode(), signed, date.encode(), path.encode())
    signature = sigv2.sign(secret or known.secret_access_key, message).decode()
    headers = {"date": date, **token, "authorization": f"AWS {key_id or known.access_key_id}:{signature}"}
    return probe.request(method, path, headers=headers, identity=None)


@check("AUTH-13", operation="GetObject")
def sigv2_is_refused_or_verified(probe: Probe) -> None:
    """SigV2 is refused, or, as a documented extension, verified: a wrong signature opens nothing."""
    key = probe.given_object()
    path = probe.path(key)
    right = _v2(probe, "GET", path).expect(_V2_REFUSED, "200", about="GET with SigV2")
    wrong = _v2(probe, "GET", path, secret=_NO_SECRET)
    unknown = _v2(probe, "GET", path, key_id="AKIAA3NOBODY00000001")
    deleting = _v2(probe, "DELETE", path, secret=_NO_SECRET)
    if right.status == 200:
        probe.report("SigV2 is accepted, and verified; that must be documented as an extension")
    mismatch = (_V2_REFUSED, "403 SignatureDoesNotMatch")
    wrong.expect(*mismatch, about="GET with a wrong SigV2 signature")
    deleting.expect(*mismatch, about="DELETE with a wrong SigV2 signature")
    unknown.expect(_V2_REFUSED, "403 InvalidAccessKeyId", about="GET with SigV2 and an unknown key id")
    probe.expect_content(key, CONTENT, about="the object that a wrong SigV2 signature was to delete")


@check("AUTH-13", operation="GetObject")
def unknown_schemes(probe: Probe) -> None:
    """An Authorization header of a scheme that is not S3's is refused."""
    path = probe.path(probe.shared_object())
    for line in ("Basic dXNlcjpwYXNzd29yZA==", "Bearer e30.e30.", "AWS5-HMAC-SHA256 Credential=a"):
        reply = probe.request("GET", path, headers={"authorization": line}, identity=None)
        reply.expect("400 InvalidArgument", about=f"GET with Authorization: {line.partition(' ')[0]} ...")


@check("AUTH-13", operation="PutObject")
def unknown_schemes_store_nothing(probe: Probe) -> None:
    """A stream with a token of another scheme in its Authorization header stores nothing."""
    headers = {
        "authorization": "Bearer eyJhbGciOiJub25lIn0.e30.",
        "x-amz-content-sha256": STREAMING_UNSIGNED_TRAILER,
        "x-amz-decoded-content-length": "0",
    }
    reply = probe.request("PUT", probe.path(probe.key()), (), headers, b"0\r\n\r\n", identity=None)
    reply.expect("4xx", "501", about="PUT of a stream with Authorization: Bearer ...")
    probe.expect_no_object(probe.key(), about="the object of a refused stream")


@check("AUTH-13", operation="GetObject")
def two_signatures_at_once(probe: Probe) -> None:
    """A request with a signature in its header and one in its query is refused."""
    path = probe.path(probe.shared_object())
    presigned = probe.presign("GET", path).partition("?")[2]
    key_id = quote(probe.main.credentials.access_key_id, safe="")
    v2 = f"AWSAccessKeyId={key_id}&Expires=9999999999&Signature=AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"
    for query, kind in ((presigned, "SigV4"), (v2, "SigV2")):
        reply = probe.request("GET", path, query)
        about = f"GET signed in its header and by {kind} in its query"
        reply.expect("400 InvalidArgument", "501", about=about)  # without presigned URLs there is but one


def _own_token(probe: Probe) -> str:
    """Return a JSON web token that its sender signed with its own secret."""
    claims = {"accessKey": probe.main.credentials.access_key_id, "exp": 9_999_999_999, "sub": "root"}
    parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    text = ".".join(parts)
    secret = probe.main.credentials.secret_access_key.encode()
    return f"{text}.{_base64url(hmac.digest(secret, text.encode(), 'sha256'))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@check("AUTH-14", operation="GetObject")
def unverifiable_tokens(probe: Probe) -> None:
    """A session token that the server did not issue is refused, signed by its sender or not."""
    path = probe.path(probe.shared_object())
    for token, kind in (("not-a-token", "made up"), (_own_token(probe), "signed by its sender")):
        headers = {"x-amz-security-token": token}
        about = f"a session token that is {kind}"
        probe.request("GET", path, headers=headers).expect(*_REFUSED, about=f"GET with {about}")
        probe.request("PUT", probe.path(probe.key("new")), headers=headers, body=CONTENT).expect(
            *_REFUSED, about=f"PUT with {about}"
        )
        alone = probe.request("GET", path, headers=headers, identity=None)
        alone.expect(*_REFUSED, about=f"GET without a signature, with {about}")
    probe.expect_no_object(probe.key("new"), about="the object of a request with a false token")


@check("AUTH-17", operation="GetObject", needs=("second",))
def others_do_not_read(probe: Probe) -> None:
    """Another principal can't read or list a bucket that it was not granted."""
    _expect_reads_denied(probe, probe.second, probe.shared_object())


@check("AUTH-17", operation="PutObject", needs=("second",))
def others_do_not_write(probe: Probe) -> None:
    """Another principal can't store, replace or delete in a bucket that it was not granted."""
    _expect_writes_denied(probe, probe.second, probe.given_object())


@contextmanager
def _bucket_of_the_second(probe: Probe) -> Iterator[str]:
    """Make the spare bucket as the second identity, and take it away with the key `copy` in it."""
    path = probe.path(bucket=probe.spare)
    reply = probe.request("PUT", path, body=probe.location_document(), identity=probe.second)
    if reply.status == 403:
        raise Skipped("needs a second identity that may create buckets")
    with probe.setting_up("the second identity could not make a bucket"):
        reply.expect("200")
    try:
        yield probe.spare
    finally:
        probe.request("DELETE", f"{path}/copy", identity=probe.second)
        probe.request("DELETE", path, identity=probe.second)


def _expect_secret_kept(reply: Reply, about: str) -> None:
    require(CONTENT not in reply.body, f"{about}: expected nothing of the object, got its content")
    reply.expect("400", "403", "404", about=about)


@check("AUTH-17", operation="CopyObject", needs=("second", "buckets"), lock="spare")
def others_do_not_copy(probe: Probe) -> None:
    """Another principal can't copy from a bucket that it was not granted into its own."""
    source = f"{probe.bucket}/{quote(probe.shared_object())}"
    with _bucket_of_the_second(probe) as bucket:
        target = probe.path("copy", bucket)
        for said in (f"/{source}", source, f"/{bucket}/../{source}", f"/{bucket}/%2E%2E/{source}"):
            headers = {"x-amz-copy-source": said}
            reply = probe.request("PUT", target, headers=headers, identity=probe.second)
            reply.expect("400", "403", "404", about=f"a copy of another's object, named {said[:40]}...")
        reply = probe.request("GET", target, identity=probe.second)
        _expect_secret_kept(reply, "GET of the copy that was refused")


@check("AUTH-17", operation="UploadPartCopy", needs=("second", "buckets"), lock="spare", where="multipart")
def others_do_not_copy_parts(probe: Probe) -> None:
    """Another principal can't copy a part from a bucket that it was not granted into its own upload."""
    source = f"/{probe.bucket}/{quote(probe.shared_object())}"
    with _bucket_of_the_second(probe) as bucket:
        path = probe.path("copy", bucket)
        with probe.setting_up("the second identity could not start an upload"):
            started = probe.request("POST", path, "uploads", identity=probe.second).expect("200")
            upload_id = started.need_text("UploadId")
        query = [("partNumber", "1"), ("uploadId", upload_id)]
        try:
            headers = {"x-amz-copy-source": source}
            reply = probe.request("PUT", path, query, headers, identity=probe.second)
        finally:
            probe.request("DELETE", path, [("uploadId", upload_id)], identity=probe.second)
        reply.expect("400", "403", "404", about="a part copied from another principal's object")


@check("AUTH-17", operation="GetObject", needs=("second", "buckets"), lock="spare")
def paths_do_not_cross_buckets(probe: Probe) -> None:
    """No `..` in a key leads from one's own bucket into another principal's."""
    source = f"{probe.bucket}/{quote(probe.shared_object())}"
    with _bucket_of_the_second(probe) as bucket:
        for dots in ("..", "%2E%2E", "a/../.."):
            reply = probe.request("GET", f"/{bucket}/{dots}/{source}", identity=probe.second)
            _expect_secret_kept(reply, f"GET of a key that leads out of its bucket by {dots}")
