"""Signatures made by botocore, AWS's published examples, and everything that must be refused."""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
from typing import Any
from unittest import mock
from urllib.parse import quote, urlencode, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st

from anys3.model import AccessKey
from anys3.protocol import authentication, queries
from anys3.protocol.http import Request
from anys3.spec.errors import S3Error

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEY = AccessKey("AKIAIOSFODNN7EXAMPLE", SECRET, "test")
REALM = authentication.Realm("eu-test-1", allow_sigv2=True)
STRICT = authentication.Realm("eu-test-1", allow_sigv2=False)
NOW = dt.datetime(2026, 11, 21, 4, 0, 0, tzinfo=dt.UTC)
NOW_S = int(NOW.timestamp())
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
AWS_KEY = AccessKey(
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "the key of AWS's examples"
)
AWS_NOW_S = int(dt.datetime(2013, 5, 24, tzinfo=dt.UTC).timestamp())

keys = st.text(
    st.sampled_from(list("abcXYZ019-_.~ +%/'()*!?#&=;:@,$\"<>\\^`{|}\t\xe9\u20ac\u0301\U0001f600")),
    min_size=1,
    max_size=30,
)
values = st.text(st.sampled_from(list("az09-_.~ +%/'()*!é=&;,")), max_size=12)
pairs = st.lists(
    st.tuples(st.text(st.sampled_from("abz-._ %é+"), min_size=1, max_size=6), values), max_size=5
)
names = st.from_regex(r"x-amz-meta-[a-z0-9-]{1,8}", fullmatch=True)
header_values = st.text(st.sampled_from(list("az09 ,;=/+%")), max_size=12)
headers_of = st.dictionaries(names, header_values, max_size=4)


def request_of(method: str, url: str, headers: dict[str, str]) -> Request:
    """Return the request that a client sends for a URL, as the shell would hand it over."""
    parts = urlsplit(url)
    path, query = parts.path.encode(), parts.query.encode()
    sent = {name.lower().encode(): value.encode().strip() for name, value in headers.items()}
    sent.setdefault(b"host", parts.netloc.encode())
    target = path + b"?" + query if query else path
    return Request(method.encode(), target, path, query, sent, body=None, id="1")  # type: ignore[arg-type]


def signed(
    signer: Any, method: str, url: str, headers: dict[str, str] | None = None, now: dt.datetime = NOW
) -> Request:
    """Return a request that botocore signed at a time of ours."""
    aws = AWSRequest(method=method, url=url, headers=headers or {})
    with (
        mock.patch.object(botocore.auth, "get_current_datetime", return_value=now),
        mock.patch.object(botocore.auth.time, "time", return_value=now.timestamp()),
        mock.patch.object(
            botocore.auth, "formatdate", return_value=now.strftime("%a, %d %b %Y %H:%M:%S GMT")
        ),
    ):
        signer.add_auth(aws)
    kept = {name: ",".join(aws.headers.get_all(name)) for name in aws.headers.keys()}  # noqa: SIM118
    return request_of(method, aws.url, kept)


CREDENTIALS = Credentials(KEY.access_key_id, SECRET)


def v4(region: str = "eu-test-1", credentials: Credentials = CREDENTIALS) -> Any:
    return botocore.auth.S3SigV4Auth(credentials, "s3", region)


def v4_url(region: str = "eu-test-1", expires: int = 300, credentials: Credentials = CREDENTIALS) -> Any:
    return botocore.auth.S3SigV4QueryAuth(credentials, "s3", region, expires=expires)


def v2_url() -> Any:
    return botocore.auth.HmacV1QueryAuth(CREDENTIALS, expires=300)


def prove(
    request: Request,
    key: AccessKey | None = KEY,
    realm: authentication.Realm = REALM,
    now_s: int = NOW_S,
    resource: bytes | None = None,
) -> authentication.Proof:
    claim = authentication.read(request, queries.parse(request.query))
    return claim.prove(request, key, realm, now_s, resource=resource)


def refusal(request: Request, **given: Any) -> S3Error:
    with pytest.raises(S3Error) as caught:
        prove(request, **given)
    return caught.value


def url_of(key: str, query: list[tuple[str, str]]) -> str:
    path = "http://s3.test:9000/bucket/" + quote(key, safe="/-_.~")
    return path + ("?" + urlencode(query, quote_via=quote, safe="-_.~") if query else "")


def with_authorization(value: str, **more: str) -> Request:
    headers = {"x-amz-date": "20261121T040000Z", "x-amz-content-sha256": EMPTY, "authorization": value}
    return request_of("GET", "http://s3.test:9000/b/k", headers | more)


SCOPE = "AKIAIOSFODNN7EXAMPLE/20261121/eu-test-1/s3/aws4_request"
SIGNED = "host;x-amz-content-sha256;x-amz-date"


def authorization(credential: str = SCOPE, names: str = SIGNED, signature: str = "0" * 64) -> str:
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"


# Signatures of botocore


@pytest.mark.requirement("AUTH-01", "AUTH-02", "AUTH-03")
@given(key=keys, query=pairs, headers=headers_of)
@example(key="a b+c%20//../~'()*!\U0001f600", query=[("a", ""), ("a", "b"), ("A", " +")], headers={})
@example(key="..", query=[], headers={"x-amz-meta-a": "1  2"})
def test_what_botocore_signs_in_the_header_is_accepted(
    key: str, query: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    request = signed(v4(), "GET", url_of(key, query), headers)
    assert prove(request).payload_hash == EMPTY.encode()


@pytest.mark.requirement("PRE-01", "PRE-07")
@given(key=keys, query=st.dictionaries(st.sampled_from(["list-type", "prefix", "a b"]), values, max_size=3))
def test_what_botocore_presigns_is_accepted_and_nothing_else(key: str, query: dict[str, str]) -> None:
    request = signed(v4_url(), "GET", url_of(key, list(query.items())))
    assert prove(request).payload_hash == b""
    request.path += b"x"
    assert refusal(request).code == "SignatureDoesNotMatch"


@pytest.mark.requirement("PRE-11", "AUTH-13")
@given(key=keys, headers=st.dictionaries(names, header_values.map(str.strip), max_size=4))
def test_what_botocore_signs_with_sigv2_is_accepted_and_nothing_else(
    key: str, headers: dict[str, str]
) -> None:
    url = url_of(key, [("uploads", ""), ("prefix", "x")])
    in_header = signed(botocore.auth.HmacV1Auth(CREDENTIALS), "PUT", url, headers)
    in_query = signed(v2_url(), "PUT", url, headers)
    prove(in_header)
    in_query.headers = {b"host": b"s3.test:9000"}
    proof = prove(in_query)
    assert proof.signed_query_headers == {name.encode(): value.encode() for name, value in headers.items()}
    in_header.method = in_query.method = b"GET"
    assert refusal(in_header).code == refusal(in_query).code == "SignatureDoesNotMatch"


@pytest.mark.requirement("PRE-11")
def test_sigv2_signs_the_bucket_of_a_virtual_host_and_the_response_overrides() -> None:
    request = signed(v2_url(), "GET", "http://s3.test/bucket/k?response-content-type=text%2Fplain")
    request.path = b"/k"
    prove(request, resource=b"/bucket/k")
    assert refusal(request).code == "SignatureDoesNotMatch"
    request.query = request.query.replace(b"plain", b"html")
    assert refusal(request, resource=b"/bucket/k").code == "SignatureDoesNotMatch"


# AWS's published examples (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html)

AWS_HEADERS = {"host": "examplebucket.s3.amazonaws.com", "x-amz-date": "20130524T000000Z"}
AWS_SCOPE = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
PUT_SHA256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
AWS_EXAMPLES = [
    (
        "GET",
        "/test.txt",
        {"range": "bytes=0-9", "x-amz-content-sha256": EMPTY},
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    (
        "PUT",
        "/test%24file.text",
        {
            "date": "Fri, 24 May 2013 00:00:00 GMT",
            "x-amz-content-sha256": PUT_SHA256,
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
        },
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    (
        "GET",
        "/?lifecycle",
        {"x-amz-content-sha256": EMPTY},
        SIGNED,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    (
        "GET",
        "/?max-keys=2&prefix=J",
        {"x-amz-content-sha256": EMPTY},
        SIGNED,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
]


@pytest.mark.requirement("AUTH-01", "AUTH-16")
@pytest.mark.parametrize(("method", "target", "headers", "names", "signature"), AWS_EXAMPLES)
def test_the_examples_of_aws_are_accepted(
    method: str, target: str, headers: dict[str, str], names: str, signature: str
) -> None:
    sent = AWS_HEADERS | headers | {"authorization": authorization(AWS_SCOPE, names, signature)}
    prove(
        request_of(method, "http://examplebucket.s3.amazonaws.com" + target, sent), AWS_KEY, now_s=AWS_NOW_S
    )


@pytest.mark.requirement("PRE-01")
def test_the_presigned_example_of_aws_is_accepted() -> None:
    url = (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
        "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
        "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    prove(request_of("GET", url, {}), AWS_KEY, now_s=AWS_NOW_S + 3600)


# The Authorization header


@pytest.mark.requirement("AUTH-01")
@pytest.mark.parametrize(
    "form",
    [
        "AWS4-HMAC-SHA256 Credential={0},SignedHeaders={1},Signature={2}",
        "AWS4-HMAC-SHA256 Credential={0},  SignedHeaders={1},\tSignature={2}",
        "AWS4-HMAC-SHA256 Signature={2}, SignedHeaders={1}, Credential={0}",
        "AWS4-HMAC-SHA256 SignedHeaders={1},Credential={0}, Signature={2}",
    ],
)
def test_the_fields_may_stand_in_any_order_with_or_without_white_space(form: str) -> None:
    request = signed(v4(), "GET", "http://s3.test/b/k")
    fields = request.headers[b"authorization"].decode().split(" ", 1)[1].split(", ")
    parts = [field.partition("=")[2] for field in fields]
    request.headers[b"authorization"] = form.format(*parts).encode()
    prove(request)
    prove(request)
    request.method = b"PUT"
    assert refusal(request).code == "SignatureDoesNotMatch"


@pytest.mark.requirement("AUTH-07")
@pytest.mark.known_mistake(9, 18)
@pytest.mark.parametrize(
    "value",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential",
        f"AWS4-HMAC-SHA256 Credential={SCOPE}",
        f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders={SIGNED}",
        f"AWS4-HMAC-SHA256 Credential={SCOPE}, Signature=" + "0" * 64,
        f"AWS4-HMAC-SHA256 SignedHeaders={SIGNED}, Signature=" + "0" * 64,
        authorization() + ",",
        authorization() + ", Credential=x",
        authorization() + ", Extra=1",
        authorization("AKIA"),
        authorization("AKIA/20261121/eu-test-1/s3"),
        authorization("/20261121/eu-test-1/s3/aws4_request"),
        authorization("AKIA/2026112/eu-test-1/s3/aws4_request"),
        authorization("AKIA/20261121//s3/aws4_request"),
        authorization("AKIA/20261121/eu-test-1/ec2/aws4_request"),
        authorization("AKIA/20261121/eu-test-1/s3/aws4_reques"),
        authorization("AKIA%2F20261121%2Feu-test-1%2Fs3%2Faws4_request"),
        authorization(names=""),
        authorization(names=";"),
        authorization(names=SIGNED + ";"),
        authorization(names="host;;x-amz-date"),
        authorization(names="Host;x-amz-date"),
        authorization(names="host;host;x-amz-date"),
        authorization(names="host; x-amz-date"),
        authorization("AKIA/20261120/eu-test-1/s3/aws4_request"),
        "AWS4-HMAC-SHA256 " + "," * 7000,
        "AWS4-HMAC-SHA256 Credential=" + "/" * 7000 + f",SignedHeaders={SIGNED},Signature=0",
        f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders=" + "a;" * 3500 + ",Signature=0",
    ],
)
def test_a_malformed_authorization_header_is_refused(value: str) -> None:
    assert refusal(with_authorization(value)).code == "AuthorizationHeaderMalformed"


@pytest.mark.requirement("AUTH-13")
@pytest.mark.known_mistake(9, 10, 14)
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "AWS",
        "AWS ",
        "AWS x",
        "AWS :",
        "AWS a:",
        "AWS :b",
        "AWSAKIA:c2ln",
        "AWS4-HMAC-SHA256Credential=x",
        "AWS4-ECDSA-P256-SHA256 Credential=x",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer rustfs rpc",
        "Basic YTpi",
        "aws4-hmac-sha256 " + authorization()[17:],
    ],
)
def test_an_unknown_scheme_is_refused(value: str) -> None:
    assert refusal(with_authorization(value)).code == "InvalidArgument"


@pytest.mark.known_mistake(13)
@given(st.binary(max_size=64))
def test_whatever_stands_for_the_signature_no_other_than_the_right_one_passes(signature: bytes) -> None:
    request = with_authorization(authorization())
    request.headers[b"authorization"] = request.headers[b"authorization"][:-64] + signature.rjust(64, b"0")
    with pytest.raises(S3Error):
        prove(request)


@pytest.mark.known_mistake(13)
@pytest.mark.parametrize("at", range(64))
def test_a_signature_that_is_right_but_for_one_digit_is_refused(at: int) -> None:
    """RustFS GHSA-3p3x: what was compared ended at the first difference, or before the end."""
    request = signed(v4(), "GET", "http://s3.test/b/k")
    right = request.headers[b"authorization"]
    head, digits = right[:-64], right[-64:]
    other = b"0" if digits[at : at + 1] != b"0" else b"1"
    request.headers[b"authorization"] = head + digits[:at] + other + digits[at + 1 :]
    assert refusal(request).code == "SignatureDoesNotMatch"
    request.headers[b"authorization"] = head + digits[:at]
    assert refusal(request).code == "SignatureDoesNotMatch"
    request.headers[b"authorization"] = right
    prove(request)


@pytest.mark.requirement("AUTH-05", "AUTH-06", "AUTH-09")
def test_a_wrong_signature_an_unknown_key_and_a_wrong_clock_are_refused_every_time() -> None:
    request = signed(v4(), "GET", "http://s3.test/b/k")
    other = AccessKey(KEY.access_key_id, "other", "other")
    prove(request)
    assert refusal(request, key=None).code == "InvalidAccessKeyId"
    assert refusal(request, key=other).code == "SignatureDoesNotMatch"
    prove(request, now_s=NOW_S + 900)
    prove(request, now_s=NOW_S - 900)
    assert refusal(request, now_s=NOW_S - 901).code == "RequestTimeTooSkewed"
    late = refusal(request, now_s=NOW_S + 901)
    assert (late.code, late.details["ServerTime"]) == ("RequestTimeTooSkewed", "2026-11-21T04:15:01.000Z")
    request.headers[b"authorization"] = request.headers[b"authorization"][:-1] + b"g"
    assert refusal(request).code == "SignatureDoesNotMatch"


@pytest.mark.requirement("AUTH-05")
@pytest.mark.known_mistake(15)
@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("method", b"DELETE"),
        ("path", b"/b/other"),
        ("path", b"/b//k"),
        ("query", b"acl"),
        ("query", b"a=1&b=3"),
    ],
)
def test_a_changed_method_path_or_query_is_refused(part: str, value: bytes) -> None:
    request = signed(v4(), "GET", "http://s3.test/b/k?a=1&b=2")
    prove(request)
    setattr(request, part, value)
    assert refusal(request).code == "SignatureDoesNotMatch"


@pytest.mark.requirement("AUTH-05")
@pytest.mark.parametrize("name", [b"host", b"x-amz-content-sha256", b"x-amz-meta-a", b"content-type"])
def test_a_changed_or_missing_signed_header_is_refused(name: bytes) -> None:
    headers = {"x-amz-meta-a": "1", "content-type": "text/plain"}
    request = signed(v4(), "PUT", "http://s3.test/b/k", headers)
    prove(request)
    value = request.headers[name]
    request.headers[name] = value + b"x"
    assert refusal(request).code == "SignatureDoesNotMatch"
    del request.headers[name]
    assert refusal(request).code in {"SignatureDoesNotMatch", "InvalidRequest"}


@pytest.mark.requirement("AUTH-04")
@pytest.mark.known_mistake(8, 37)
@pytest.mark.parametrize(
    "name", [b"x-amz-copy-source", b"x-amz-tagging", b"x-amz-acl", b"x-amz-meta-x", b"x-amz-"]
)
def test_an_amz_header_that_is_not_signed_is_refused(name: bytes) -> None:
    request = signed(v4(), "PUT", "http://s3.test/b/k")
    prove(request)
    request.headers[b"foo-x-amz-bar"] = b"no header of ours"
    prove(request)
    request.headers[name] = b"/b/secret"
    error = refusal(request)
    assert (error.code, error.details["HeadersNotSigned"]) == ("AccessDenied", name.decode())


@pytest.mark.requirement("AUTH-04")
def test_the_host_must_be_signed() -> None:
    error = refusal(with_authorization(authorization(names="x-amz-content-sha256;x-amz-date")))
    assert (error.code, error.details["HeadersNotSigned"]) == ("AccessDenied", "host")


@pytest.mark.requirement("AUTH-08", "AUTH-15", "AUTH-16")
def test_only_the_region_and_its_alias_are_accepted() -> None:
    prove(signed(v4("us-east-1"), "GET", "http://s3.test/b/k"))
    error = refusal(signed(v4("xx-nowhere-9"), "GET", "http://s3.test/b/k"))
    assert (error.code, error.details["Region"]) == ("AuthorizationHeaderMalformed", "eu-test-1")
    assert error.headers == b"x-amz-bucket-region: eu-test-1\r\n"


@pytest.mark.requirement("AUTH-10")
@pytest.mark.parametrize(
    "date", ["", "now", "20261121", "20261121T040000", "20261321T040000Z", "20261121T2500"]
)
def test_an_unparsable_date_is_refused(date: str) -> None:
    request = with_authorization(
        authorization(), **{"x-amz-date": date, "date": "Sat, 21 Nov 2026 04:00:00 GMT"}
    )
    assert refusal(request).code == "AccessDenied"
    del request.headers[b"x-amz-date"]
    request.headers[b"date"] = b"yesterday"
    assert refusal(request).code == "AccessDenied"


@pytest.mark.requirement("AUTH-11")
def test_a_date_header_alone_is_accepted() -> None:
    request = signed(v4(), "GET", "http://s3.test/b/k", {"Date": "Sat, 21 Nov 2026 04:00:00 GMT"})
    assert b"x-amz-date" not in request.headers
    prove(request)
    assert refusal(request, now_s=NOW_S + 1000).code == "RequestTimeTooSkewed"


@pytest.mark.requirement("AUTH-12")
def test_a_request_without_any_signature_is_anonymous() -> None:
    claim = authentication.read(request_of("GET", "http://s3.test/b/k?acl", {}), {"acl": ""})
    assert (claim.kind, claim.access_key_id) == ("anonymous", None)


@pytest.mark.requirement("AUTH-13", "PRE-11")
def test_sigv2_is_refused_where_it_is_not_allowed() -> None:
    in_header = signed(botocore.auth.HmacV1Auth(CREDENTIALS), "GET", "http://s3.test/b/k")
    error = refusal(in_header, realm=STRICT)
    assert error.code == "InvalidRequest"
    assert "s3v4" in error.message
    assert refusal(signed(v2_url(), "GET", "http://s3.test/b/k"), realm=STRICT).code == "InvalidRequest"


@pytest.mark.requirement("AUTH-13")
@pytest.mark.parametrize(
    "query", ["X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Signature=0", "AWSAccessKeyId=x", "Signature=x"]
)
def test_header_and_query_authentication_at_once_are_refused(query: str) -> None:
    request = signed(v4(), "GET", "http://s3.test/b/k?" + query)
    assert refusal(request).code == "InvalidArgument"


@pytest.mark.requirement("AUTH-14", "PRE-13")
@pytest.mark.known_mistake(10)
def test_a_session_token_is_refused() -> None:
    credentials = Credentials(KEY.access_key_id, SECRET, "token")
    assert refusal(signed(v4(credentials=credentials), "GET", "http://s3.test/b/k")).code == "InvalidToken"
    assert (
        refusal(signed(v4_url(credentials=credentials), "GET", "http://s3.test/b/k")).code == "InvalidToken"
    )
    anonymous = request_of("GET", "http://s3.test/b/k", {"x-amz-security-token": "t"})
    assert refusal(anonymous).code == "InvalidToken"
    assert read_form_refusal({"x-amz-security-token": "t"}) == "InvalidToken"


@pytest.mark.requirement("PAY-01")
def test_the_payload_hash_is_required() -> None:
    request = signed(v4(), "GET", "http://s3.test/b/k")
    del request.headers[b"x-amz-content-sha256"]
    assert refusal(request).code == "InvalidRequest"


@pytest.mark.known_mistake(1, 2, 3, 4)
@pytest.mark.parametrize(
    "payload_hash",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    ],
)
def test_the_signature_is_verified_whatever_the_payload_mode(payload_hash: str) -> None:
    """CVE-2025-31489 and CVE-2026-41145: an unsigned trailer mode went without any check."""
    in_header = with_authorization(authorization(), **{"x-amz-content-sha256": payload_hash})
    assert refusal(in_header).code == "SignatureDoesNotMatch"
    in_query = signed(v4_url(), "PUT", "http://s3.test/b/k")
    in_query.headers[b"x-amz-content-sha256"] = payload_hash.encode()
    prove(in_query)
    in_query.query = in_query.query[:-64] + b"0" * 64
    assert refusal(in_query).code == "SignatureDoesNotMatch"


# Presigned URLs

URL = "http://s3.test:9000/b/k"


def presigned(**changes: str | None) -> Request:
    parameters: dict[str, str | None] = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": SCOPE,
        "X-Amz-Date": "20261121T040000Z",
        "X-Amz-Expires": "300",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0" * 64,
    }
    for name, value in changes.items():
        parameters["X-Amz-" + name] = value
    kept = {name: value for name, value in parameters.items() if value is not None}
    return request_of("GET", URL + "?" + urlencode(kept), {})


@pytest.mark.requirement("PRE-03")
@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"])
def test_a_presigned_url_needs_all_six_parameters(name: str) -> None:
    assert refusal(presigned()).code == "SignatureDoesNotMatch"
    assert refusal(presigned(**{name: None})).code == "AuthorizationQueryParametersError"


@pytest.mark.requirement("PRE-04", "PRE-10", "PRE-13")
@pytest.mark.known_mistake(9)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Expires", "soon"),
        ("Expires", "-1"),
        ("Expires", "604801"),
        ("Expires", "1.5"),
        ("Expires", ""),
        ("Expires", "\u0661"),
        ("Expires", "9" * 5000),
        ("Algorithm", "AWS4-ECDSA-P256-SHA256"),
        ("Date", "2026-11-21"),
        ("Date", "20261122T040000Z"),
        ("Credential", "AKIA"),
        ("Credential", quote(SCOPE, safe="")),
        ("Credential", SCOPE.replace("eu-test-1", "xx-nowhere-9")),
        ("Credential", SCOPE.replace("s3", "ec2")),
        ("SignedHeaders", ";"),
        ("SignedHeaders", "host;"),
        ("SignedHeaders", "Host"),
    ],
)
def test_a_malformed_presigned_url_is_refused(name: str, value: str) -> None:
    assert refusal(presigned(**{name: value})).code == "AuthorizationQueryParametersError"


@pytest.mark.requirement("PRE-05", "PRE-06")
def test_a_presigned_url_holds_from_a_little_before_its_date_until_it_expires() -> None:
    request = signed(v4_url(), "GET", URL)
    prove(request, now_s=NOW_S - 900)
    prove(request, now_s=NOW_S + 300)
    assert refusal(request, now_s=NOW_S - 901).code == "AccessDenied"
    error = refusal(request, now_s=NOW_S + 301)
    assert (error.code, error.details["Expires"]) == ("AccessDenied", "2026-11-21T04:05:00.000Z")
    assert refusal(request, key=None).code == "InvalidAccessKeyId"


@pytest.mark.requirement("PRE-08")
@pytest.mark.known_mistake(8)
@pytest.mark.parametrize("name", [b"x-amz-copy-source", b"x-amz-tagging", b"x-amz-acl", b"x-amz-meta-x"])
def test_a_header_added_to_a_presigned_url_is_refused(name: bytes) -> None:
    """CVE-2026-71191: a holder of a presigned PUT could copy another object by adding a header."""
    request = signed(v4_url(), "PUT", URL)
    request.headers[b"x-amz-content-sha256"] = b"UNSIGNED-PAYLOAD"
    prove(request)
    request.headers[name] = b"/b/secret"
    assert refusal(request).details["HeadersNotSigned"] == name.decode()


@pytest.mark.requirement("PRE-09", "PRE-12", "PAY-15")
def test_signed_query_parameters_act_like_headers_that_no_header_overrides() -> None:
    request = signed(v4_url(), "PUT", URL + "?x-amz-meta-foo=b%20r&x-amz-sdk-checksum-algorithm=CRC32")
    assert prove(request).signed_query_headers == {b"x-amz-meta-foo": b"b r"}
    request.headers[b"x-amz-meta-foo"] = b"b r"
    prove(request)
    request.headers[b"x-amz-meta-foo"] = b"other"
    assert refusal(request).code == "AccessDenied"


@pytest.mark.requirement("PRE-02")
@pytest.mark.parametrize("where", ["query", "signed header"])
def test_a_payload_hash_given_in_a_presigned_url_is_passed_on(where: str) -> None:
    url = URL + "?X-Amz-Content-Sha256=" + EMPTY if where == "query" else URL
    headers = {"x-amz-content-sha256": EMPTY} if where == "signed header" else {}
    proof = prove(signed(v4_url(), "PUT", url, headers))
    assert (proof.payload_hash, proof.signed_query_headers) == (EMPTY.encode(), {})


@pytest.mark.requirement("PRE-07")
def test_a_signed_header_of_a_presigned_url_must_be_sent_as_signed() -> None:
    request = signed(v4_url(), "PUT", URL, {"content-type": "text/plain"})
    prove(request)
    request.headers[b"content-type"] = b"text/html"
    assert refusal(request).code == "SignatureDoesNotMatch"
    del request.headers[b"content-type"]
    assert refusal(request).code == "SignatureDoesNotMatch"


@pytest.mark.requirement("PRE-11")
@pytest.mark.parametrize("lost", ["AWSAccessKeyId", "Signature", "Expires"])
def test_half_a_sigv2_url_is_never_anonymous(lost: str) -> None:
    request = signed(v2_url(), "GET", URL)
    query = dict(queries.parse(request.query))
    del query[lost]
    request.query = urlencode(query).encode()
    assert refusal(request).code == "AccessDenied"


@pytest.mark.requirement("PRE-11")
def test_a_sigv2_url_expires_and_an_unencoded_plus_in_it_is_understood() -> None:
    request = signed(v2_url(), "GET", URL)
    request.query = request.query.replace(b"%2B", b"+")
    prove(request, now_s=NOW_S + 300)
    assert refusal(request, now_s=NOW_S + 301).code == "AccessDenied"
    assert refusal(request, key=None).code == "InvalidAccessKeyId"
    request.headers[b"x-amz-copy-source"] = b"/b/secret"
    assert refusal(request).code == "SignatureDoesNotMatch"


@pytest.mark.requirement("PRE-11")
def test_a_sigv2_header_must_be_fresh() -> None:
    request = signed(botocore.auth.HmacV1Auth(CREDENTIALS), "GET", URL)
    assert refusal(request, now_s=NOW_S + 901).code == "RequestTimeTooSkewed"
    assert refusal(request, key=None).code == "InvalidAccessKeyId"
    del request.headers[b"date"]
    assert refusal(request).code == "AccessDenied"


# POST forms


def form_of(signature: str | None = None, **changes: str | None) -> dict[str, str]:
    aws = AWSRequest(method="POST", url=URL)
    aws.context["s3-presign-post-policy"] = {"expiration": "2030-01-01T00:00:00Z", "conditions": []}
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=NOW):
        botocore.auth.S3SigV4PostAuth(CREDENTIALS, "s3", "eu-test-1").add_auth(aws)
    fields: dict[str, str | None] = dict(aws.context["s3-presign-post-fields"])
    if signature is not None:
        fields["x-amz-signature"] = signature
    for name, value in changes.items():
        fields[name.replace("_", "-")] = value
    return {name: value for name, value in fields.items() if value is not None}


def prove_form(
    fields: dict[str, str], key: AccessKey | None = KEY, realm: authentication.Realm = REALM
) -> None:
    authentication.read_form(fields).prove(request_of("POST", URL, {}), key, realm, NOW_S)


def form_refusal(fields: dict[str, str], key: AccessKey | None = KEY) -> str:
    with pytest.raises(S3Error) as caught:
        prove_form(fields, key)
    return caught.value.code


def read_form_refusal(fields: dict[str, str]) -> str:
    with pytest.raises(S3Error) as caught:
        authentication.read_form(fields)
    return caught.value.code


@pytest.mark.requirement("POST-01", "POST-04")
@pytest.mark.known_mistake(34)
def test_the_policy_of_a_form_is_verified() -> None:
    prove_form(form_of())
    assert form_refusal(form_of(), None) == "InvalidAccessKeyId"
    assert form_refusal(form_of("0" * 64)) == "SignatureDoesNotMatch"
    other = base64.b64encode(json.dumps({"expiration": "2031-01-01T00:00:00Z", "conditions": []}).encode())
    assert form_refusal(form_of(policy=other.decode())) == "SignatureDoesNotMatch"


@pytest.mark.requirement("POST-09", "POST-13")
@pytest.mark.parametrize(
    "name", ["policy", "x-amz-signature", "x-amz-credential", "x-amz-algorithm", "x-amz-date"]
)
def test_a_form_with_some_fields_of_a_signature_needs_all_of_them(name: str) -> None:
    fields = form_of()
    del fields[name]
    assert read_form_refusal(fields) == "InvalidArgument"
    assert read_form_refusal(form_of() | {name: ""}) == "InvalidArgument"


@pytest.mark.requirement("POST-13")
def test_a_form_signed_for_another_region_service_or_day_is_refused() -> None:
    elsewhere = form_of(x_amz_credential=SCOPE.replace("eu-test-1", "xx-nowhere-9"))
    assert form_refusal(elsewhere) == "AuthorizationQueryParametersError"
    assert read_form_refusal(form_of(x_amz_credential=SCOPE.replace("s3", "ec2"))) == "InvalidArgument"
    assert read_form_refusal(form_of(x_amz_date="20261120T040000Z")) == "InvalidArgument"
    assert read_form_refusal(form_of(x_amz_algorithm="AWS4-HMAC-SHA1")) == "InvalidArgument"


@pytest.mark.requirement("POST-09")
def test_a_form_without_a_signature_is_refused() -> None:
    assert read_form_refusal({"key": "a", "policy": "e30="}) == "AccessDenied"


@pytest.mark.requirement("POST-09")
def test_a_form_signed_with_sigv2_is_verified_where_it_is_allowed() -> None:
    policy = base64.b64encode(b'{"conditions": []}').decode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), policy.encode(), "sha1")).decode()
    fields = {"awsaccesskeyid": KEY.access_key_id, "policy": policy, "signature": signature}
    prove_form(fields)
    assert form_refusal(fields | {"signature": "AAAA"}) == "SignatureDoesNotMatch"
    with pytest.raises(S3Error, match="InvalidRequest"):
        prove_form(fields, realm=STRICT)
    del fields["policy"]
    assert read_form_refusal(fields) == "InvalidArgument"
