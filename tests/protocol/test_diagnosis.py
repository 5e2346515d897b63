"""Why a signature does not match: each known cause is named, and nothing that helps a stranger."""

from __future__ import annotations

from typing import Any

import pytest

from anys3.model import AccessKey
from anys3.protocol import authentication, diagnosis, queries
from anys3.protocol.http import Request
from anys3.protocol.sigv4 import EMPTY_SHA256, Signer
from anys3.spec.errors import S3Error

KEY = AccessKey("AKIA", "secret", "test")
REALM = authentication.Realm("us-east-1", allow_sigv2=True)
NOW_S = 1_795_233_600
DATE = b"20261121T040000Z"
DAY = DATE[:8]
BASE = b"host;x-amz-content-sha256;x-amz-date"


class BufferedBody:
    """A body that lies in memory."""

    def __init__(self, data: bytes) -> None:
        self.buffered = data
        self.length = len(data)
        self.held = len(data)


def signed_as(
    *,
    method: bytes = b"GET",
    path: bytes = b"/b/k",
    query: bytes = b"",
    headers: dict[bytes, bytes] | None = None,
    payload_hash: bytes = EMPTY_SHA256,
    date: bytes = DATE,
    secret: str = "secret",
) -> Request:
    """Return a request whose signature is that of these canonical parts."""
    sent = {b"host": b"s3.test:9000", b"x-amz-content-sha256": payload_hash, b"x-amz-date": date}
    sent |= headers or {}
    names = b";".join(sorted(sent))
    signer = Signer(secret, DAY, "us-east-1", names)
    canonical = signer.canonical_request(method, path, query, signer.values(sent), payload_hash)
    sent[b"authorization"] = (
        b"AWS4-HMAC-SHA256 Credential=AKIA/20261121/us-east-1/s3/aws4_request, "
        b"SignedHeaders=" + names + b", Signature=" + signer.sign(canonical, date)
    )
    return Request(method, path, path, query, sent, BufferedBody(b"body"), id="1")  # type: ignore[arg-type]


def explanation(request: Request, key: AccessKey = KEY) -> str | None:
    """Return why a request is refused, after making sure that it is refused for its signature."""
    claim = authentication.read(request, queries.parse(request.query))
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        claim.prove(request, key, REALM, NOW_S)
    reason = diagnosis.explain(request, claim, key, REALM)
    assert reason is None or "secret" not in reason.replace("secret key", "")
    return reason


@pytest.mark.requirement("AUTH-05")
@pytest.mark.parametrize(
    ("as_signed", "as_sent", "words"),
    [
        ({"headers": {b"host": b"s3.test"}}, {b"host": b"s3.test:9000"}, "host 's3.test'"),
        ({"headers": {b"host": b"localhost:9000"}}, {b"host": b"s3.test:9000"}, "host 'localhost:9000'"),
        ({"headers": {b"host": b"127.0.0.1"}}, {b"host": b"s3.test"}, "host '127.0.0.1'"),
        ({"headers": {b"host": b"s3.test:443"}}, {b"host": b"s3.test"}, "host 's3.test:443'"),
        (
            {"headers": {b"host": b"public.test"}},
            {b"host": b"inner", b"x-forwarded-host": b"public.test"},
            "host 'public.test'",
        ),
        ({"headers": {b"accept-encoding": b"gzip"}}, {b"accept-encoding": b"gzip, br"}, "accept-encoding"),
        ({"headers": {b"user-agent": b""}}, {b"user-agent": b"proxy"}, "user-agent"),
        ({"headers": {b"content-type": b"a/b"}}, {b"content-type": b"a/b; charset=utf-8"}, "content-type"),
    ],
)
def test_a_header_that_changed_on_its_way_is_named(
    as_signed: dict[str, Any], as_sent: dict[bytes, bytes], words: str
) -> None:
    request = signed_as(**as_signed)
    request.headers |= as_sent
    reason = explanation(request)
    assert words in (reason or "")


@pytest.mark.parametrize(
    ("signed_path", "sent_path", "words"),
    [
        (b"/b/a%2520b", b"/b/a%20b", "twice"),
        (b"/b/a b", b"/b/a%20b", "without percent-encoding"),
        (b"/b/(a)", b"/b/(a)", "as it was sent"),
        (b"/b/a/c", b"/b/a//./c", "normalised"),
        (b"/b/a/", b"/b/a//", "normalised"),
        (b"/b/k/", b"/b/k", "did not arrive"),
        (b"/b/k", b"/b/k/", "slash at its end that was not signed"),
        (b"/b/a+b", b"/b/a%20b", "`+` for a space"),
        (b"/b/a%20b", b"/b/a+b", "%2B"),
        (b"/b/a%2Fb", b"/b/a/b", "slashes of the key"),
        (b"/b/%c3%a9", b"/b/%C3%A9", "upper case"),
    ],
)
def test_a_path_that_was_signed_otherwise_is_explained(
    signed_path: bytes, sent_path: bytes, words: str
) -> None:
    request = signed_as(path=signed_path)
    request.path = sent_path
    assert words in (explanation(request) or "")


@pytest.mark.parametrize(
    ("signed_query", "sent_query", "words"),
    [
        (b"", b"acl", "not signed"),
        (b"b=1&a=2", b"b=1&a=2", "sorted"),
        (b"acl", b"acl", "as it was sent"),
        (b"a=&b=%2F", b"b=/&a=&x-id=GetObject", "x-id"),
        (b"a=1&acl", b"acl&a=1", "without the `=`"),
        (b"a=1%2B2", b"a=1+2", "as a plus"),
        (b"a=1+2", b"a=1%202", "`+` for a space"),
    ],
)
def test_a_query_that_was_signed_otherwise_is_explained(
    signed_query: bytes, sent_query: bytes, words: str
) -> None:
    request = signed_as(query=signed_query)
    request.query = sent_query
    assert words in (explanation(request) or "")


def test_another_method_is_named() -> None:
    request = signed_as(method=b"GET")
    request.method = b"HEAD"
    assert "method GET" in (explanation(request) or "")


def test_another_clock_is_named() -> None:
    request = signed_as(date=b"20261121T040001Z", headers={b"date": b"Sat, 21 Nov 2026 04:00:01 GMT"})
    request.headers[b"x-amz-date"] = DATE
    # x-amz-date is signed as a header, too, so it must be as signed there: only the time of the string differs.
    names = b"date;host;x-amz-content-sha256;x-amz-date"
    signer = Signer("secret", DAY, "us-east-1", names)
    canonical = signer.canonical_request(b"GET", b"/b/k", b"", signer.values(request.headers), EMPTY_SHA256)
    right = signer.sign(canonical, b"20261121T040001Z")
    request.headers[b"authorization"] = request.headers[b"authorization"][:-64] + right
    assert "Date header" in (explanation(request) or "")


def test_a_signed_header_that_did_not_arrive_is_named() -> None:
    request = signed_as(headers={b"x-custom": b"1"})
    del request.headers[b"x-custom"]
    assert "x-custom" in (explanation(request) or "")


@pytest.mark.parametrize("behind", ["\n", "\r\n", " "])
def test_a_secret_with_white_space_behind_it_is_noticed(behind: str) -> None:
    assert "behind it" in (explanation(signed_as(secret="secret" + behind)) or "")


def test_a_payload_that_was_signed_otherwise_is_explained() -> None:
    request = signed_as(payload_hash=b"UNSIGNED-PAYLOAD", headers={b"x-amz-content-sha256": EMPTY_SHA256})
    assert "UNSIGNED-PAYLOAD" in (explanation(request) or "")


def test_a_presigned_url_used_with_another_method_is_explained() -> None:
    names = b"host"
    query = (
        b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20261121%2Fus-east-1%2Fs3%2Faws4_request"
        b"&X-Amz-Date=20261121T040000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host"
    )
    signer = Signer("secret", DAY, "us-east-1", names)
    canonical = signer.canonical_request(b"PUT", b"/b/k", query, (b"s3.test",), b"UNSIGNED-PAYLOAD")
    query += b"&X-Amz-Signature=" + signer.sign(canonical, DATE)
    request = Request(
        b"GET",
        b"",
        b"/b/k",
        query,
        {b"host": b"s3.test"},
        BufferedBody(b""),
        id="1",  # type: ignore[arg-type]
    )
    assert "method PUT" in (explanation(request) or "")
    request.method = b"PUT"
    authentication.read(request, queries.parse(query)).prove(request, KEY, REALM, NOW_S)


@pytest.mark.known_mistake(42)
def test_another_secret_has_no_explanation() -> None:
    assert explanation(signed_as(secret="another")) is None
    claim = authentication.read(signed_as(), {})
    unsigned = Request(b"GET", b"/", b"/", b"", {b"host": b"s3.test"}, BufferedBody(b""), id="1")  # type: ignore[arg-type]
    anonymous = authentication.read(unsigned, {})
    assert diagnosis.explain(signed_as(), anonymous, KEY, REALM) is None
    assert diagnosis.explain(signed_as(), claim, KEY, REALM) is None


def test_the_signature_explained_is_that_of_the_request_and_not_that_of_an_earlier_one() -> None:
    good = signed_as()
    authentication.read(good, {}).prove(good, KEY, REALM, NOW_S)
    request = signed_as(method=b"PUT")
    request.method = b"GET"
    assert "method PUT" in (explanation(request) or "")
