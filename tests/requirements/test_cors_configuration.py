"""PutBucketCors, GetBucketCors, DeleteBucketCors: CORSC."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import anys3
from anys3.model import CorsRule
from tests.rawclient import RawClient, Response, crc32_b64, md5_b64, sha256_b64

APP = "https://app.example"
METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")


def rule(origin: str = APP, method: str = "GET", *more: tuple[str, str]) -> str:
    """Return a CORSRule."""
    rows = [("AllowedOrigin", origin), ("AllowedMethod", method), *more]
    return f"<CORSRule>{''.join(f'<{name}>{text}</{name}>' for name, text in rows)}</CORSRule>"


def document(*rules: str) -> bytes:
    """Return a CORSConfiguration."""
    namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    return f"<CORSConfiguration {namespace}>{''.join(rules)}</CORSConfiguration>".encode()


def put(s3: RawClient, bucket: str, body: bytes, **headers: str) -> Response:
    """Send PutBucketCors with Content-MD5, or with the given headers instead."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()} or {
        "content-md5": md5_b64(body)
    }
    return s3.request("PUT", f"/{bucket}", "cors", lines, body)


def get(s3: RawClient, bucket: str) -> Response:
    """Send GetBucketCors."""
    return s3.request("GET", f"/{bucket}", "cors")


def preflight(s3: RawClient, bucket: str, origin: str = APP, method: str = "GET") -> int:
    """Return the status of a preflight."""
    headers = {"origin": origin, "access-control-request-method": method}
    return s3.open_url("OPTIONS", f"/{bucket}/k", headers).status


@pytest.mark.requirement("CORSC-01", "CORSC-02")
def test_rules_are_put_read_and_deleted(s3: RawClient, bucket: str) -> None:
    assert put(s3, bucket, document(rule())).verdict == (200, "")
    read = get(s3, bucket)
    assert (read.status, read.xml.tag, read.texts("CORSRule/AllowedOrigin")) == (
        200,
        "CORSConfiguration",
        [APP],
    )
    deleted = s3.request("DELETE", f"/{bucket}", "cors")
    assert (deleted.status, deleted.body) == (204, b"")
    assert get(s3, bucket).verdict == (404, "NoSuchCORSConfiguration")


@pytest.mark.requirement("CORSC-01", "ERR-08")
def test_a_put_without_an_integrity_value_is_refused(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, document(rule("https://kept.example")))
    response = s3.request("PUT", f"/{bucket}", "cors", body=document(rule()))
    assert response.verdict == (400, "InvalidRequest")
    assert get(s3, bucket).texts("CORSRule/AllowedOrigin") == ["https://kept.example"]


@pytest.mark.requirement("CORSC-01")
@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("content-md5", md5_b64),
        ("x-amz-checksum-crc32", crc32_b64),
        ("x-amz-checksum-sha256", sha256_b64),
    ],
)
def test_one_integrity_value_is_enough_and_is_verified(
    s3: RawClient, bucket: str, name: str, digest: Callable[[bytes], str]
) -> None:
    body = document(rule())
    assert put(s3, bucket, body, **{name: digest(b"else")}).verdict == (400, "BadDigest")
    assert get(s3, bucket).verdict == (404, "NoSuchCORSConfiguration")
    assert put(s3, bucket, body, **{name: digest(body)}).status == 200
    assert get(s3, bucket).status == 200


@pytest.mark.requirement("CORSC-02")
def test_without_a_configuration_there_is_none_to_read(s3: RawClient, bucket: str) -> None:
    assert get(s3, bucket).verdict == (404, "NoSuchCORSConfiguration")
    assert s3.request("DELETE", f"/{bucket}", "cors").status == 204


@pytest.mark.requirement("CORSC-02", "ERR-02")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_rules_of_a_missing_bucket_are_no_such_bucket(
    s3: RawClient, new_name: Callable[[], str], method: str
) -> None:
    body = document(rule()) if method == "PUT" else b""
    headers = {"content-md5": md5_b64(body)} if method == "PUT" else {}
    assert s3.request(method, f"/{new_name()}", "cors", headers, body).verdict == (404, "NoSuchBucket")


@pytest.mark.requirement("CORSC-03")
@pytest.mark.parametrize("count", [1, 100])
def test_1_to_100_rules_are_accepted(s3: RawClient, bucket: str, count: int) -> None:
    origins = [f"https://{number}.example" for number in range(count)]
    assert put(s3, bucket, document(*map(rule, origins))).verdict == (200, "")
    assert get(s3, bucket).texts("CORSRule/AllowedOrigin") == origins


@pytest.mark.requirement("CORSC-03", "ERR-05", "ERR-08")
@pytest.mark.parametrize(
    "body",
    [
        document(*[rule()] * 101),
        document(),
        document("<CORSRule/>"),
        document(f"<CORSRule><AllowedOrigin>{APP}</AllowedOrigin></CORSRule>"),
        document("<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>"),
        document(rule(), "<CORSRule/>"),
        b"<Other/>",
        b"",
        b"no xml",
        document(rule())[:-3],
    ],
)
def test_a_document_that_is_none_of_rules_is_refused(s3: RawClient, bucket: str, body: bytes) -> None:
    put(s3, bucket, document(rule("https://kept.example")))
    assert put(s3, bucket, body).verdict == (400, "MalformedXML")
    assert get(s3, bucket).texts("CORSRule/AllowedOrigin") == ["https://kept.example"]


@pytest.mark.requirement("CORSC-03")
def test_all_five_methods_are_accepted(s3: RawClient, bucket: str) -> None:
    more = [("AllowedMethod", method) for method in METHODS[1:]]
    assert put(s3, bucket, document(rule(APP, METHODS[0], *more))).status == 200
    assert [preflight(s3, bucket, APP, method) for method in METHODS] == [200] * 5


@pytest.mark.requirement("CORSC-04", "ERR-08")
@pytest.mark.parametrize(
    "wrong",
    [
        rule(APP, "PATCH"),
        rule(APP, "OPTIONS"),
        rule(APP, "get"),
        rule(APP, "*"),
        rule("https://*.*.example"),
        rule("**"),
        rule(APP, "GET", ("AllowedHeader", "x-*-*")),
    ],
)
def test_a_wrong_method_or_a_second_wildcard_is_refused(s3: RawClient, bucket: str, wrong: str) -> None:
    put(s3, bucket, document(rule("https://kept.example")))
    assert put(s3, bucket, document(rule(), wrong)).verdict == (400, "InvalidRequest")
    assert get(s3, bucket).texts("CORSRule/AllowedOrigin") == ["https://kept.example"]


@pytest.mark.requirement("CORSC-04", "HTTP-19")
@pytest.mark.parametrize("name", ["x-a&#13;&#10;x-evil: 1", "x a", "x-*", "é"])
def test_an_exposed_header_is_a_header_name(s3: RawClient, bucket: str, name: str) -> None:
    body = document(rule(APP, "GET", ("ExposeHeader", name)))
    assert put(s3, bucket, body).verdict == (400, "InvalidRequest")
    assert get(s3, bucket).verdict == (404, "NoSuchCORSConfiguration")


@pytest.mark.requirement("CORSC-05")
def test_rules_come_back_in_order_with_all_elements(s3: RawClient, bucket: str) -> None:
    first = rule(
        APP,
        "PUT",
        ("AllowedOrigin", "http://*"),
        ("AllowedMethod", "GET"),
        ("ID", "first &amp; foremost"),
        ("AllowedHeader", "Content-*"),
        ("AllowedHeader", "x-b"),
        ("ExposeHeader", "ETag"),
        ("ExposeHeader", "x-amz-request-id"),
        ("MaxAgeSeconds", "3600"),
    )
    assert put(s3, bucket, document(first, rule("*", "HEAD"))).status == 200
    read = [{child.tag: [] for child in element} for element in get(s3, bucket).xml]
    for element, found in zip(get(s3, bucket).xml, read, strict=True):
        for child in element:
            found[child.tag].append(child.text)
    assert read == [
        {
            "ID": ["first & foremost"],
            "AllowedOrigin": [APP, "http://*"],
            "AllowedMethod": ["PUT", "GET"],
            "AllowedHeader": ["Content-*", "x-b"],
            "ExposeHeader": ["ETag", "x-amz-request-id"],
            "MaxAgeSeconds": ["3600"],
        },
        {"AllowedOrigin": ["*"], "AllowedMethod": ["HEAD"]},
    ]


@pytest.mark.requirement("CORSC-05")
def test_a_put_replaces_all_rules(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, document(rule("https://one.example"), rule("https://two.example")))
    put(s3, bucket, document(rule("https://three.example")))
    assert get(s3, bucket).texts("CORSRule/AllowedOrigin") == ["https://three.example"]


@pytest.mark.requirement("CORSC-06")
def test_new_rules_hold_at_once(s3: RawClient, bucket: str) -> None:
    seen = [preflight(s3, bucket)]
    put(s3, bucket, document(rule()))
    seen.append(preflight(s3, bucket))
    put(s3, bucket, document(rule("https://other.example")))
    seen.append(preflight(s3, bucket))
    put(s3, bucket, document(rule()))
    seen.append(preflight(s3, bucket))
    s3.request("DELETE", f"/{bucket}", "cors")
    seen.append(preflight(s3, bucket))
    assert seen == [403, 200, 403, 200, 403]


@pytest.mark.requirement("CORSC-06", "CORSC-02")
def test_rules_of_the_api_override_the_operators_until_they_are_deleted() -> None:
    operated = CorsRule(("https://operator.example",), ("GET",))
    with anys3.Server(buckets=["both"], cors=[operated]) as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        assert get(s3, "both").verdict == (404, "NoSuchCORSConfiguration")
        before = (preflight(s3, "both"), preflight(s3, "both", "https://operator.example"))
        put(s3, "both", document(rule()))
        during = (preflight(s3, "both"), preflight(s3, "both", "https://operator.example"))
        s3.request("DELETE", "/both", "cors")
        after = (preflight(s3, "both"), preflight(s3, "both", "https://operator.example"))
    assert (before, during, after) == ((403, 200), (200, 403), (403, 200))


@pytest.mark.requirement("CORSC-01", "AUTH-17")
def test_only_an_owner_may_set_rules(root: RawClient, root_bucket: str, stranger: RawClient) -> None:
    assert put(stranger, root_bucket, document(rule())).verdict == (403, "AccessDenied")
    assert get(stranger, root_bucket).verdict == (403, "AccessDenied")
    assert stranger.request("DELETE", f"/{root_bucket}", "cors").verdict == (403, "AccessDenied")
    assert get(root, root_bucket).verdict == (404, "NoSuchCORSConfiguration")
