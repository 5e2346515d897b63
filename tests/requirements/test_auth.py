"""SigV4 in the Authorization header, and what is not that: AUTH."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, formatdate
from xml.etree import ElementTree

import pytest

import anys3
from tests.rawclient import EMPTY_SHA256, UNSIGNED, RawClient, Response, key_path, render

HARD_KEYS = [
    "a b",
    "a+b",
    "100%",
    "a//b",
    "//a",
    "../a",
    "a/./b",
    "a~b",
    "'(*)!'",
    "\U0001f600",
    "a%2Fb",
    "é",
    "a&b=c?d#e",
]


def signed(
    s3: RawClient,
    method: str,
    path: str,
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> dict[str, str]:
    """Return the headers of a signed request."""
    return s3.sign(method, path, query, {"host": s3.host, **(headers or {})}, body)


def get(s3: RawClient, path: str, lines: dict[str, str]) -> Response:
    """Send a GET with exactly these headers."""
    return s3.send(render("GET", path, lines))


def bent(s3: RawClient, path: str, bend: Callable[[str], str]) -> Response:
    """Send a signed GET whose Authorization header is bent."""
    lines = signed(s3, "GET", path)
    return get(s3, path, {**lines, "authorization": bend(lines["authorization"])})


def fields(authorization: str) -> list[str]:
    """Return Credential=..., SignedHeaders=..., Signature=... of a header."""
    return authorization.split(" ", 1)[1].split(", ")


def v2_authorization(s3: RawClient, method: str, path: str, date: str, secret: str | None = None) -> str:
    """Return a SigV2 Authorization header for a request without any other header."""
    text = f"{method}\n\n\n{date}\n{path}".encode()
    digest = hmac.digest((secret or s3.secret_access_key).encode(), text, "sha1")
    return f"AWS {s3.access_key_id}:{base64.b64encode(digest).decode()}"


@pytest.mark.requirement("AUTH-01")
@pytest.mark.parametrize("separator", [", ", ",", ",   ", " , "])
def test_white_space_between_the_fields_does_not_matter(s3: RawClient, separator: str) -> None:
    response = bent(s3, "/", lambda line: "AWS4-HMAC-SHA256 " + separator.join(fields(line)))
    assert response.status == 200


@pytest.mark.requirement("AUTH-01")
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_the_fields_may_come_in_any_order(s3: RawClient, order: tuple[int, ...]) -> None:
    response = bent(s3, "/", lambda line: "AWS4-HMAC-SHA256 " + ", ".join(fields(line)[at] for at in order))
    assert response.status == 200


@pytest.mark.requirement("AUTH-02")
@pytest.mark.parametrize("key", HARD_KEYS)
def test_the_path_is_decoded_once_and_encoded_once_for_the_signature(
    s3: RawClient, bucket: str, key: str
) -> None:
    assert s3.request("PUT", key_path(bucket, key), body=b"x").status == 200
    assert s3.request("GET", key_path(bucket, key)).body == b"x"
    assert s3.request("DELETE", key_path(bucket, key)).status == 204


@pytest.mark.requirement("AUTH-02")
@pytest.mark.parametrize("path", ["/a~b", "/a%7eb", "/a%7Eb", "/%61~b"])
def test_a_path_may_be_escaped_more_than_it_is_signed(s3: RawClient, bucket: str, path: str) -> None:
    s3.request("PUT", f"/{bucket}/a~b", body=b"x")
    assert s3.request("GET", f"/{bucket}{path}").body == b"x"


@pytest.mark.requirement("AUTH-03")
@pytest.mark.parametrize(
    "query",
    [
        "prefix=b&list-type=2&delimiter=%2F",
        "list-type=2&prefix=",
        "list-type=2&prefix",
        "uploads",
        "uploads=",
        "list-type=2&prefix=a%20b%2Bc",
        "list-type=2&prefix=a~b!c'd(e)*",
        "list-type=2&Z=1&a=2&z=3&A=4",
        "list-type=2&x=2&x=1&x=10",
        "list-type=2&x-id=ListObjectsV2",
        "list-type=2&a-b=1&a=2&a.b=3",
        "list-type=2&prefix=%C3%A9",
        "list-type=2&prefix=%f0%9f%98%80",
        "list-type=2&prefix=a=b",
    ],
)
def test_the_query_is_signed_sorted_and_encoded_anew(s3: RawClient, bucket: str, query: str) -> None:
    assert s3.request("GET", f"/{bucket}", query).status == 200


@pytest.mark.requirement("AUTH-03")
@pytest.mark.parametrize("value", ["a  b", "  a", "a   b    c", "a, b", '"a  b"'])
def test_white_space_in_signed_headers_is_collapsed(s3: RawClient, bucket: str, value: str) -> None:
    lines = signed(s3, "PUT", f"/{bucket}/k", headers={"x-amz-meta-a": value}, body=b"x")
    lines["content-length"] = "1"
    assert s3.send(render("PUT", f"/{bucket}/k", lines) + b"x", "PUT").status == 200


@pytest.mark.requirement("AUTH-03")
def test_repeated_headers_are_signed_joined_with_a_comma(s3: RawClient, bucket: str) -> None:
    lines = signed(s3, "PUT", f"/{bucket}/k", headers={"x-amz-meta-a": "1,2"}, body=b"x")
    lines["content-length"] = "1"
    head = render("PUT", f"/{bucket}/k", lines)
    twice = head.replace(b"x-amz-meta-a: 1,2\r\n", b"X-Amz-Meta-A: 1\r\nx-amz-meta-a: 2\r\n")
    assert s3.send(twice + b"x", "PUT").status == 200


@pytest.mark.requirement("AUTH-03")
def test_header_names_are_signed_in_lower_case_and_sorted(s3: RawClient) -> None:
    lines = signed(s3, "GET", "/", headers={"x-amz-te": "a", "accept": "*/*", "x-amz-a": "1"})
    assert get(s3, "/", {name.title(): value for name, value in reversed(lines.items())}).status == 200


@pytest.mark.requirement("AUTH-04", "ERR-08")
@pytest.mark.known_mistake(8)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-copy-source", "/{bucket}/secret"),
        ("x-amz-meta-a", "1"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-acl", "private"),
        ("x-amz-te", "a"),
        ("x-amz-unknown", "a"),
    ],
)
def test_an_unsigned_x_amz_header_is_refused(s3: RawClient, bucket: str, name: str, value: str) -> None:
    """CVE-2026-71191 (Swift): an unsigned x-amz-copy-source was obeyed."""
    response = s3.request("PUT", f"/{bucket}/k", unsigned_headers={name: value.format(bucket=bucket)})
    assert response.verdict == (403, "AccessDenied")
    assert s3.request("GET", f"/{bucket}/k").verdict == (404, "NoSuchKey")


@pytest.mark.requirement("AUTH-04")
def test_a_signature_must_cover_the_host(s3: RawClient) -> None:
    lines = {"x-amz-date": s3.amz_date(), "x-amz-content-sha256": EMPTY_SHA256}
    response = get(s3, "/", {**s3.sign("GET", "/", "", lines, b""), "host": s3.host})
    assert response.verdict == (403, "AccessDenied")


@pytest.mark.requirement("AUTH-05")
@pytest.mark.parametrize(
    "bend",
    [
        lambda line: line[:-64] + "0" * 64,
        lambda line: line[:-1] + ("0" if line[-1] != "0" else "1"),
        lambda line: line[:-64] + line[-64:].upper().replace("0", "1"),
        lambda line: line[:-1],
        lambda line: line + "0",
        lambda line: line[:-64] + "x",
        lambda line: line[:-64] + "\xe9" * 64,
    ],
)
def test_a_wrong_signature_does_not_match(s3: RawClient, bend: Callable[[str], str]) -> None:
    assert bent(s3, "/", bend).verdict == (403, "SignatureDoesNotMatch")


@pytest.mark.requirement("AUTH-05")
@pytest.mark.known_mistake(15)
def test_a_signature_is_for_one_request_only(s3: RawClient, bucket: str) -> None:
    """GHSA-75fx, GHSA-68cw, GHSA-c667 (RustFS): a signature was not bound to the method."""
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    lines = signed(s3, "GET", f"/{bucket}/k")
    refused = (403, "SignatureDoesNotMatch")
    assert s3.send(render("DELETE", f"/{bucket}/k", lines), "DELETE").verdict == refused
    assert s3.send(render("PUT", f"/{bucket}/k", lines), "PUT").verdict == refused
    assert get(s3, f"/{bucket}/other", lines).verdict == refused
    assert get(s3, f"/{bucket}/k?tagging", lines).verdict == refused
    assert get(s3, f"/{bucket}/k", {**lines, "x-amz-date": "20200101T000000Z"}).status in (400, 403)
    assert get(s3, f"/{bucket}/k", {**lines, "x-amz-content-sha256": UNSIGNED}).verdict == refused
    assert get(s3, f"/{bucket}/k", lines).body == b"x"


@pytest.mark.requirement("AUTH-05", "AUTH-06")
def test_a_key_pair_is_judged_as_a_pair(s3: RawClient) -> None:
    wrong = replace(s3, secret_access_key=s3.secret_access_key[:-1])
    unknown = replace(s3, access_key_id="AKIANOBODYNOBODYNOBO")
    empty = replace(s3, access_key_id="AKIANOBODYNOBODYNOBO", secret_access_key="")
    assert wrong.request("GET", "/").verdict == (403, "SignatureDoesNotMatch")
    assert unknown.request("GET", "/").verdict == (403, "InvalidAccessKeyId")
    assert empty.request("GET", "/").verdict == (403, "InvalidAccessKeyId")


@pytest.mark.requirement("AUTH-07")
@pytest.mark.known_mistake(9)
@pytest.mark.parametrize(
    "bend",
    [
        lambda line: line.replace("/s3/", "/ec2/"),
        lambda line: line.replace("/aws4_request", "/aws5_request"),
        lambda line: line.replace("/aws4_request", ""),
        lambda line: line.replace("/aws4_request", "/aws4_request/x"),
        lambda line: line.replace("/us-east-1", ""),
        lambda line: line.replace("/us-east-1/", "//"),
        lambda line: re.sub("Credential=[^/]*/", "Credential=/", line),
        lambda line: line.replace("Credential", "credentials"),
        lambda line: "AWS4-HMAC-SHA256 " + ", ".join(fields(line)[1:]),
        lambda line: "AWS4-HMAC-SHA256 " + ", ".join(fields(line)[:2]),
        lambda line: "AWS4-HMAC-SHA256 " + ", ".join(fields(line)[::2]),
        lambda line: line.replace("SignedHeaders=", "SignedHeaders=;"),
        lambda line: line.replace("SignedHeaders=host;", "SignedHeaders=host;;"),
        lambda line: line.replace("SignedHeaders=host;", "SignedHeaders=Host;"),
        lambda line: line.replace("SignedHeaders=host;", "SignedHeaders=host;host;"),
        lambda line: line.replace(", Signature", "; Signature"),
        lambda line: line + ", Signature=0",
        lambda line: line + ",",
        lambda line: "AWS4-HMAC-SHA256 x",
        lambda line: "AWS4-HMAC-SHA256 ,",
        lambda line: "AWS4-HMAC-SHA256 =,=,=",
    ],
)
def test_a_malformed_header_is_told(s3: RawClient, bend: Callable[[str], str]) -> None:
    """SeaweedFS issues 9910 and 9852: an empty signed header name and a missing space were accepted."""
    assert bent(s3, "/", bend).verdict == (400, "AuthorizationHeaderMalformed")


@pytest.mark.requirement("AUTH-07")
@pytest.mark.known_mistake(9)
@pytest.mark.parametrize(
    "line",
    ["", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS", "AWS4", "AWSkey:sig", "AWS key", "AWS :", "AWS k:"],
)
def test_no_fragment_of_a_header_passes(s3: RawClient, line: str) -> None:
    """SeaweedFS issues 9910 and 9852: SigV2 without its space was accepted."""
    assert bent(s3, "/", lambda _: line).status in (400, 403)


@pytest.mark.requirement("AUTH-07")
def test_the_scope_is_of_the_day_of_the_request(s3: RawClient) -> None:
    day = s3.amz_date()[:8]
    response = bent(s3, "/", lambda line: line.replace(f"/{day}/", "/20200101/"))
    assert response.verdict == (400, "AuthorizationHeaderMalformed")


@pytest.mark.requirement("AUTH-08")
def test_a_foreign_region_is_refused_and_the_right_one_named(s3: RawClient, bucket: str) -> None:
    stranger = replace(s3, region="xx-nowhere-9")
    response = stranger.request("GET", f"/{bucket}")
    assert response.verdict == (400, "AuthorizationHeaderMalformed")
    assert response.text("Region") == "us-east-1"
    assert response.headers["x-amz-bucket-region"] == "us-east-1"
    assert stranger.request("HEAD", f"/{bucket}").headers["x-amz-bucket-region"] == "us-east-1"


@pytest.mark.requirement("AUTH-09", "HTTP-25")
@pytest.mark.parametrize("offset_s", [-960, 960, -86400, 86400])
def test_a_request_from_another_time_is_refused(s3: RawClient, offset_s: int) -> None:
    response = replace(s3, clock_offset_s=offset_s).request("GET", "/")
    assert response.verdict == (403, "RequestTimeTooSkewed")
    assert (response.text("ServerTime") or "").endswith("Z")


@pytest.mark.requirement("AUTH-09")
@pytest.mark.parametrize("offset_s", [-840, 840])
def test_a_quarter_of_an_hour_is_close_enough(s3: RawClient, offset_s: int) -> None:
    assert replace(s3, clock_offset_s=offset_s).request("GET", "/").status == 200


@pytest.mark.requirement("AUTH-10")
@pytest.mark.parametrize(
    "date", ["", "yesterday", "20260101", "2026-01-01T00:00:00Z", "20261301T000000Z", "20260101T000000"]
)
def test_a_date_that_does_not_parse_is_refused(s3: RawClient, date: str) -> None:
    lines = signed(s3, "GET", "/")
    assert get(s3, "/", {**lines, "x-amz-date": date}).verdict == (403, "AccessDenied")


@pytest.mark.requirement("AUTH-10")
def test_a_request_without_a_date_is_refused(s3: RawClient) -> None:
    lines = signed(s3, "GET", "/")
    del lines["x-amz-date"]
    lines["authorization"] = lines["authorization"].replace(";x-amz-date", "")
    assert get(s3, "/", lines).verdict == (403, "AccessDenied")


def dated(s3: RawClient, moment: datetime) -> Response:
    """Send a GET that is signed with a Date header instead of x-amz-date."""
    date = format_datetime(moment, usegmt=True)
    lines = {"host": s3.host, "date": date, "x-amz-content-sha256": EMPTY_SHA256}
    names = sorted(lines)
    amz_date = moment.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{amz_date[:8]}/{s3.region}/s3/aws4_request"
    signature = s3.signature("GET", "/", "", lines, names, EMPTY_SHA256, amz_date, scope)
    lines["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={s3.access_key_id}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )
    return get(s3, "/", lines)


@pytest.mark.requirement("AUTH-11")
def test_a_date_header_alone_is_enough(s3: RawClient) -> None:
    now = datetime.now(UTC)
    assert dated(s3, now).status == 200
    assert dated(s3, now - timedelta(minutes=20)).verdict == (403, "RequestTimeTooSkewed")


@pytest.mark.requirement("AUTH-11")
def test_x_amz_date_wins_over_date(s3: RawClient) -> None:
    assert s3.request("GET", "/", headers={"date": "Mon, 01 Jan 2001 00:00:00 GMT"}).status == 200
    unsigned = {"date": "Mon, 01 Jan 2001 00:00:00 GMT"}
    assert s3.request("GET", "/", unsigned_headers=unsigned).status == 200


@pytest.mark.requirement("AUTH-12", "ERR-08")
@pytest.mark.parametrize(
    ("method", "tail"),
    [
        ("GET", ""),
        ("HEAD", ""),
        ("DELETE", ""),
        ("PUT", ""),
        ("GET", "?list-type=2"),
        ("GET", "?location"),
        ("POST", "?delete"),
        ("GET", "/k"),
        ("HEAD", "/k"),
        ("PUT", "/k"),
        ("DELETE", "/k"),
        ("GET", "/none"),
        ("PUT", "/none"),
        ("GET", "/k?tagging"),
        ("POST", "/k?uploads"),
    ],
)
def test_nobody_gets_anything_without_credentials(s3: RawClient, bucket: str, method: str, tail: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    response = s3.open_url(method, f"/{bucket}{tail}")
    assert response.verdict == (403, "" if method == "HEAD" else "AccessDenied")
    assert s3.request("GET", f"/{bucket}", [("list-type", "2")]).texts("Contents/Key") == ["k"]
    assert s3.request("GET", f"/{bucket}/k").body == b"x"


@pytest.mark.requirement("AUTH-12")
def test_nobody_learns_of_buckets_without_credentials(s3: RawClient, new_name: Callable[[], str]) -> None:
    assert s3.open_url("GET", "/").verdict == (403, "AccessDenied")
    assert s3.open_url("GET", f"/{new_name()}").verdict == (403, "AccessDenied")
    assert s3.open_url("GET", f"/{new_name()}/k").verdict == (403, "AccessDenied")


@pytest.mark.requirement("AUTH-13")
def test_version_2_signatures_are_verified(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    date = formatdate(usegmt=True)
    path = f"/{bucket}/k"
    right = {"host": s3.host, "date": date, "authorization": v2_authorization(s3, "GET", path, date)}
    wrong = {**right, "authorization": v2_authorization(s3, "GET", path, date, "wrong")}
    unknown = {**right, "authorization": "AWS AKIANOBODYNOBODYNOBO:AAAA"}
    assert get(s3, path, right).body == b"x"
    assert get(s3, path, wrong).verdict == (403, "SignatureDoesNotMatch")
    assert get(s3, path, unknown).verdict == (403, "InvalidAccessKeyId")
    assert s3.send(render("DELETE", path, right), "DELETE").verdict == (403, "SignatureDoesNotMatch")


@pytest.mark.requirement("AUTH-13")
def test_version_2_signatures_are_refused_in_strict_mode(new_name: Callable[[], str]) -> None:
    with anys3.Server(allow_sigv2=False) as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        date = formatdate(usegmt=True)
        lines = {"host": s3.host, "date": date, "authorization": v2_authorization(s3, "GET", "/", date)}
        query = f"/?AWSAccessKeyId={s3.access_key_id}&Expires=9999999999&Signature=AAAA"
        assert get(s3, "/", lines).verdict == (400, "InvalidRequest")
        assert s3.open_url("GET", query).verdict == (400, "InvalidRequest")


@pytest.mark.requirement("AUTH-13")
@pytest.mark.parametrize(
    "line",
    [
        "Basic dXNlcjpwYXNz",
        "Bearer token",
        "AWS4-ECDSA-P256-SHA256 Credential=a",
        "Negotiate x",
        "aws4-hmac-sha256 Credential=a",
    ],
)
def test_an_unknown_scheme_is_refused(s3: RawClient, line: str) -> None:
    assert get(s3, "/", {"host": s3.host, "authorization": line}).verdict == (400, "InvalidArgument")


@pytest.mark.requirement("AUTH-13")
def test_a_request_is_signed_in_one_place(s3: RawClient, bucket: str) -> None:
    target = s3.presign("GET", f"/{bucket}")
    query = target.partition("?")[2]
    v2 = f"AWSAccessKeyId={s3.access_key_id}&Expires=9999999999&Signature=AAAA"
    assert s3.request("GET", f"/{bucket}", query).verdict == (400, "InvalidArgument")
    assert s3.request("GET", f"/{bucket}", v2).verdict == (400, "InvalidArgument")


@pytest.mark.requirement("AUTH-14")
@pytest.mark.known_mistake(10)
@pytest.mark.parametrize(
    "token",
    [
        "token",
        "",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhY2Nlc3NLZXkiOiJyb290In0.c2ln",
        "eyJhbGciOiJub25lIn0.e30.",
    ],
)
def test_a_session_token_is_refused(s3: RawClient, bucket: str, token: str) -> None:
    """CVE-2026-33322 (silo): a token that the client had signed itself was believed."""
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    signed_token = s3.request("GET", f"/{bucket}/k", headers={"x-amz-security-token": token})
    unsigned_token = s3.request("GET", f"/{bucket}/k", unsigned_headers={"x-amz-security-token": token})
    alone = s3.open_url("GET", f"/{bucket}/k", {"x-amz-security-token": token})
    assert signed_token.verdict == (400, "InvalidToken")
    assert unsigned_token.verdict == (400, "InvalidToken")
    assert alone.verdict == (400, "InvalidToken")


@pytest.mark.requirement("AUTH-15", "AUTH-16")
def test_the_region_and_its_alias_are_accepted_and_no_other(new_name: Callable[[], str]) -> None:
    name, other = new_name(), new_name()
    constraint = (
        "<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>"
    )
    with anys3.Server(region="eu-test-7") as server:
        s3 = RawClient(
            server.endpoint_url, server.access_key_id, server.secret_access_key, region="eu-test-7"
        )
        alias = replace(s3, region="us-east-1")
        assert s3.request("PUT", f"/{name}", body=constraint.format("eu-test-7").encode()).status == 200
        assert alias.request("PUT", f"/{other}", body=constraint.format("us-east-1").encode()).status == 200
        assert s3.request("HEAD", f"/{name}").headers["x-amz-bucket-region"] == "eu-test-7"
        assert alias.request("HEAD", f"/{name}").status == 200
        location = ElementTree.fromstring(s3.request("GET", f"/{name}", "location").body)
        assert location.text == "eu-test-7"
        refused = replace(s3, region="eu-test-8").request("GET", f"/{name}")
        assert (refused.verdict, refused.text("Region")) == (
            (400, "AuthorizationHeaderMalformed"),
            "eu-test-7",
        )


@pytest.mark.known_mistake(13)
def test_a_wrong_signature_is_compared_in_full(s3: RawClient) -> None:
    """RustFS GHSA-3p3x: secrets were compared until the first difference."""
    digest = hashlib.sha256(b"").hexdigest()
    wrong = [
        lambda line: line[:-64] + digest,
        lambda line: line[:-64],
        *(lambda line, size=size: line[:-size] for size in (1, 32, 56, 63)),
        *(
            lambda line, at=at: line[:at] + ("0" if line[at] != "0" else "1") + line[at:][1:]
            for at in range(-64, 0)
        ),
    ]
    assert {bent(s3, "/", bend).verdict for bend in wrong} == {(403, "SignatureDoesNotMatch")}


@pytest.fixture(scope="module")
def site() -> Iterator[RawClient]:
    """A server with the bucket `site`, whose objects everyone may read, and the bucket `private`."""
    with anys3.Server(buckets=["site:public", "private"]) as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        s3.request("PUT", "/site/k", headers={"x-amz-meta-a": "1"}, body=b"hello")
        s3.request("PUT", "/private/k", body=b"secret")
        yield s3


@pytest.mark.requirement("AUTH-12", "AUTH-17")
def test_everyone_may_read_the_objects_of_a_public_bucket(site: RawClient) -> None:
    assert site.open_url("GET", "/site/k").body == b"hello"
    assert site.open_url("HEAD", "/site/k").headers["x-amz-meta-a"] == "1"
    assert site.open_url("GET", "/site/k", {"range": "bytes=1-2"}).body == b"el"
    assert site.open_url("GET", "/site/none").verdict == (404, "NoSuchKey")


@pytest.mark.requirement("AUTH-12", "AUTH-17", "ERR-08")
@pytest.mark.known_mistake(20, 21)
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/site"),
        ("GET", "/site?list-type=2"),
        ("GET", "/site?versions"),
        ("GET", "/site?uploads"),
        ("GET", "/site?cors"),
        ("GET", "/site?acl"),
        ("GET", "/site?location"),
        ("HEAD", "/site"),
        ("GET", "/site/k?tagging"),
        ("GET", "/site/k?acl"),
        ("GET", "/site/k?attributes"),
        ("PUT", "/site/k"),
        ("PUT", "/site/new"),
        ("DELETE", "/site/k"),
        ("DELETE", "/site"),
        ("POST", "/site?delete"),
        ("POST", "/site/k?uploads"),
        ("PUT", "/site/k?tagging"),
        ("GET", "/private/k"),
        ("HEAD", "/private/k"),
        ("GET", "/private"),
        ("GET", "/"),
    ],
)
def test_a_public_bucket_gives_nothing_but_its_objects(site: RawClient, method: str, target: str) -> None:
    """CVE-2026-55874, CVE-2026-54917 (SeaweedFS): what was open led to what was not."""
    assert site.open_url(method, target).verdict == (403, "" if method == "HEAD" else "AccessDenied")
    assert site.request("GET", "/site/k").body == b"hello"


@pytest.mark.requirement("AUTH-12", "KEY-08")
@pytest.mark.known_mistake(21)
@pytest.mark.parametrize(
    "tail", ["../private/k", "..%2Fprivate%2Fk", "%2e%2e/private/k", "/../private/k", "%252e%252e/private/k"]
)
def test_no_path_leads_out_of_a_public_bucket(site: RawClient, tail: str) -> None:
    """CVE-2026-54917 (SeaweedFS): `..` in a key reached other buckets."""
    assert site.open_url("GET", f"/site/{tail}").verdict == (404, "NoSuchKey")


@pytest.mark.requirement("AUTH-05", "AUTH-06")
def test_a_wrong_signature_is_refused_where_none_is_needed(site: RawClient) -> None:
    assert replace(site, secret_access_key="wrong").request("GET", "/site/k").verdict == (
        403,
        "SignatureDoesNotMatch",
    )
    unknown = replace(site, access_key_id="AKIANOBODYNOBODYNOBO")
    assert unknown.request("GET", "/site/k").verdict == (403, "InvalidAccessKeyId")


@pytest.mark.requirement("OVR-01")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_overrides_of_a_public_object_need_a_signature(site: RawClient, method: str) -> None:
    response = site.open_url(method, "/site/k?response-content-type=text%2Fhtml")
    assert response.verdict == (400, "" if method == "HEAD" else "InvalidRequest")
    signed_too = site.request("GET", "/site/k", [("response-content-type", "text/html")])
    assert signed_too.headers["content-type"] == "text/html"
