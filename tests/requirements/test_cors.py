"""CORS by the operator's rules: CORS. What browsers make of it is in tests/interop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import anys3
from anys3.model import CorsRule
from tests.rawclient import RawClient, Response

APP = "https://app.example"
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
RULES = (
    CorsRule((APP,), ("GET", "PUT"), ("Content-Type", "x-amz-*"), ("ETag", "x-amz-request-id"), 600, "app"),
    CorsRule(("https://*.wild.example",), ("GET",), ("*",)),
    CorsRule((APP, "http://second.example"), ("GET", "DELETE"), (), ("x-second",), 5),
    CorsRule(("*",), ("HEAD",), ("x-any",), (), 0),
)


def preflight(s3: RawClient, path: str, **headers: str) -> Response:
    """Send OPTIONS without a signature: `origin`, `method` and `request_headers`."""
    names = {
        "origin": "origin",
        "method": "access-control-request-method",
        "request_headers": "access-control-request-headers",
    }
    return s3.open_url("OPTIONS", path, {names[name]: value for name, value in headers.items()})


def cors_of(response: Response) -> dict[str, str]:
    """Return the CORS headers of an answer, without their common beginning."""
    start = len("access-control-")
    return {
        name[start:]: value for name, value in response.headers.items() if name.startswith("access-control-")
    }


@pytest.fixture(scope="module")
def ruled() -> Iterator[RawClient]:
    """A client of a server whose bucket `ruled` has the operator's rules."""
    with anys3.Server(buckets=["ruled"], cors=RULES) as server:
        s3 = RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)
        assert s3.request("PUT", "/ruled/k", body=b"content").status == 200
        yield s3


@pytest.mark.requirement("CORS-01")
def test_rules_of_the_operator_hold_for_their_bucket(ruled: RawClient) -> None:
    assert ruled.request("PUT", "/other").status in (200, 409)
    assert preflight(ruled, "/ruled/k", origin=APP, method="GET").status == 200
    assert preflight(ruled, "/other/k", origin=APP, method="GET").verdict == (403, "AccessForbidden")


@pytest.mark.requirement("CORS-01")
def test_the_operator_sets_and_clears_rules_while_the_server_runs(
    root: RawClient, root_bucket: str, operator: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"CORSRules": [{"AllowedOrigins": [APP], "AllowedMethods": ["PUT"]}]}))
    path = f"/{root_bucket}/k"
    seen = [preflight(root, path, origin=APP, method="PUT").status]
    operator("bucket", "cors", root_bucket, "--allow-origin", APP, "--allow-method", "PUT", "--max-age", "7")
    allowed = preflight(root, path, origin=APP, method="PUT")
    seen.append(allowed.status)
    operator("bucket", "cors", root_bucket, "--clear")
    seen.append(preflight(root, path, origin=APP, method="PUT").status)
    operator("bucket", "cors", root_bucket, str(file))
    seen.append(preflight(root, path, origin=APP, method="PUT").status)
    assert (seen, allowed.headers["access-control-max-age"]) == ([403, 200, 403, 200], "7")


@pytest.mark.requirement("CORS-01", "CORS-04")
def test_there_is_no_rule_by_default(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/k", body=b"x")
    response = preflight(s3, f"/{bucket}/k", origin=APP, method="GET")
    assert (response.verdict, cors_of(response)) == ((403, "AccessForbidden"), {})
    actual = s3.request("GET", f"/{bucket}/k", headers={"origin": APP})
    assert (actual.status, cors_of(actual)) == (200, {})


@pytest.mark.requirement("CORS-02")
@pytest.mark.parametrize(
    "path", ["/ruled", "/ruled/k", "/ruled/none", "/ruled/k?uploads", "/ruled?list-type=2"]
)
def test_a_preflight_needs_no_signature(ruled: RawClient, path: str) -> None:
    assert preflight(ruled, path, origin=APP, method="PUT").status == 200


@pytest.mark.requirement("CORS-02")
def test_a_preflight_of_a_presigned_url_is_answered(ruled: RawClient) -> None:
    url = ruled.presign("PUT", "/ruled/k")
    assert preflight(ruled, url, origin=APP, method="PUT", request_headers="content-type").status == 200
    assert preflight(ruled, url.replace("Signature=", "Signature=0"), origin=APP, method="PUT").status == 200


@pytest.mark.requirement("CORS-03")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"method": "GET"},
        {"origin": APP},
        {"origin": APP, "method": "PATCH"},
        {"origin": APP, "method": "get"},
        {"origin": APP, "method": ""},
    ],
)
def test_a_preflight_that_does_not_say_enough_is_a_bad_request(
    ruled: RawClient, headers: dict[str, str]
) -> None:
    response = preflight(ruled, "/ruled/k", **headers)
    assert (response.verdict, cors_of(response)) == ((400, "BadRequest"), {})


@pytest.mark.requirement("CORS-03")
@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, (400, "BadRequest")),
        ({"method": "GET"}, (400, "BadRequest")),
        ({"origin": APP}, (403, "AccessForbidden")),
        ({"origin": APP, "method": "PATCH"}, (403, "AccessForbidden")),
    ],
)
def test_without_rules_only_the_origin_is_missed(
    s3: RawClient, bucket: str, headers: dict[str, str], verdict: tuple[int, str]
) -> None:
    assert preflight(s3, f"/{bucket}/k", **headers).verdict == verdict


@pytest.mark.requirement("CORS-04", "CORS-06")
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "method": "GET"},
        {"origin": "https://app.example.evil.example", "method": "GET"},
        {"origin": "http://app.example", "method": "GET"},
        {"origin": "https://app.example:8443", "method": "GET"},
        {"origin": "https://APP.example", "method": "GET"},
        {"origin": "null", "method": "GET"},
        {"origin": APP, "method": "POST"},
        {"origin": APP, "method": "PUT", "request_headers": "x-other"},
        {"origin": APP, "method": "PUT", "request_headers": "content-type, x-other"},
        {"origin": APP, "method": "DELETE", "request_headers": "content-type"},
        {"origin": "https://.wild.example.evil", "method": "GET"},
        {"origin": "https://wild.example", "method": "GET"},
    ],
)
def test_what_no_rule_allows_is_forbidden(ruled: RawClient, headers: dict[str, str]) -> None:
    response = preflight(ruled, "/ruled/k", **headers)
    assert (response.verdict, cors_of(response)) == ((403, "AccessForbidden"), {})


@pytest.mark.requirement("CORS-05", "CORS-09")
def test_a_match_has_all_headers_of_its_rule(ruled: RawClient) -> None:
    asked = "content-type, x-amz-date"
    response = preflight(ruled, "/ruled/k", origin=APP, method="PUT", request_headers=asked)
    assert (response.status, response.body, response.headers["vary"]) == (200, b"", VARY)
    assert cors_of(response) == {
        "allow-origin": APP,
        "allow-methods": "GET, PUT",
        "allow-headers": "content-type, x-amz-date",
        "expose-headers": "ETag, x-amz-request-id",
        "max-age": "600",
        "allow-credentials": "true",
    }


@pytest.mark.requirement("CORS-05")
def test_what_a_rule_does_not_set_or_the_browser_not_ask_is_left_out(ruled: RawClient) -> None:
    response = preflight(ruled, "/ruled/k", origin="https://a.wild.example", method="GET")
    assert (response.status, response.headers["vary"]) == (200, VARY)
    assert cors_of(response) == {
        "allow-origin": "https://a.wild.example",
        "allow-methods": "GET",
        "allow-credentials": "true",
    }


@pytest.mark.requirement("CORS-06")
@pytest.mark.parametrize(
    ("headers", "methods"),
    [
        ({"origin": APP, "method": "GET"}, "GET, PUT"),
        ({"origin": APP, "method": "DELETE"}, "GET, DELETE"),
        ({"origin": "http://second.example", "method": "GET"}, "GET, DELETE"),
        ({"origin": APP, "method": "HEAD"}, "HEAD"),
        ({"origin": "https://anybody.example", "method": "HEAD"}, "HEAD"),
        ({"origin": APP, "method": "HEAD", "request_headers": "x-any"}, "HEAD"),
    ],
)
def test_the_first_rule_that_matches_wins(ruled: RawClient, headers: dict[str, str], methods: str) -> None:
    response = preflight(ruled, "/ruled/k", **headers)
    assert (response.status, response.headers["access-control-allow-methods"]) == (200, methods)


@pytest.mark.requirement("CORS-06")
@pytest.mark.parametrize(
    ("origin", "method", "asked"),
    [
        (APP, "PUT", "CONTENT-TYPE"),
        (APP, "PUT", "content-type,X-Amz-Meta-Anything"),
        (APP, "PUT", " x-amz- , Content-Type "),
        ("https://x.wild.example", "GET", "whatever, authorization"),
        ("https://a.b.wild.example", "GET", "range"),
    ],
)
def test_headers_compare_without_case_and_with_a_wildcard(
    ruled: RawClient, origin: str, method: str, asked: str
) -> None:
    response = preflight(ruled, "/ruled/k", origin=origin, method=method, request_headers=asked)
    assert response.status == 200
    allowed = {name.strip().lower() for name in response.headers["access-control-allow-headers"].split(",")}
    assert allowed == {name.strip().lower() for name in asked.split(",")}


@pytest.mark.requirement("CORS-07", "CORS-09")
@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/ruled/k", {}, 200),
        ("/ruled?list-type=2", {}, 200),
        ("/ruled/none", {}, 404),
        ("/ruled/k", {"if-match": '"0"'}, 412),
        ("/ruled/k", {"range": "bytes=100-"}, 416),
        ("/ruled/k", {"if-none-match": "*"}, 304),
        ("/ruled/k", {"range": "bytes=0-1"}, 206),
    ],
)
def test_an_actual_request_gets_the_headers_whatever_becomes_of_it(
    ruled: RawClient, path: str, headers: dict[str, str], status: int
) -> None:
    path, _, query = path.partition("?")
    response = ruled.request("GET", path, query, {"origin": APP, **headers})
    assert (response.status, response.headers["vary"]) == (status, VARY)
    assert cors_of(response) == {
        "allow-origin": APP,
        "expose-headers": "ETag, x-amz-request-id",
        "allow-credentials": "true",
    }


@pytest.mark.requirement("CORS-07")
def test_a_request_that_is_denied_gets_the_headers_too(ruled: RawClient) -> None:
    unsigned = ruled.open_url("GET", "/ruled/k", {"origin": APP})
    forger = RawClient(ruled.endpoint, ruled.access_key_id, "not-the-secret")
    forged = forger.request("GET", "/ruled/k", headers={"origin": APP})
    assert (unsigned.verdict, cors_of(unsigned)["allow-origin"]) == ((403, "AccessDenied"), APP)
    assert (forged.verdict, cors_of(forged)["allow-origin"]) == ((403, "SignatureDoesNotMatch"), APP)


@pytest.mark.requirement("CORS-07")
def test_a_put_and_a_delete_get_the_headers_of_their_rules(ruled: RawClient) -> None:
    put = ruled.request("PUT", "/ruled/new", headers={"origin": APP, "content-type": "x/y"}, body=b"x")
    deleted = ruled.request("DELETE", "/ruled/new", headers={"origin": APP})
    assert (put.status, put.headers["access-control-expose-headers"]) == (200, "ETag, x-amz-request-id")
    assert (deleted.status, deleted.headers["access-control-expose-headers"]) == (204, "x-second")


@pytest.mark.requirement("CORS-07")
@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {}])
def test_without_a_match_a_request_is_executed_without_the_headers(
    ruled: RawClient, headers: dict[str, str]
) -> None:
    response = ruled.request("PUT", "/ruled/unmatched", headers=headers, body=b"x")
    assert (response.status, cors_of(response)) == (200, {})
    assert ruled.request("GET", "/ruled/unmatched").body == b"x"


@pytest.mark.requirement("CORS-08")
def test_credentials_are_never_allowed_to_everybody(ruled: RawClient) -> None:
    asked = cors_of(preflight(ruled, "/ruled/k", origin="https://anybody.example", method="HEAD"))
    actual = cors_of(ruled.request("HEAD", "/ruled/k", headers={"origin": "https://anybody.example"}))
    assert (asked, actual) == (
        {"allow-origin": "*", "allow-methods": "HEAD", "max-age": "0"},
        {"allow-origin": "*"},
    )


@pytest.mark.requirement("CORS-10")
def test_a_preflight_tells_nobody_whether_a_bucket_exists(
    s3: RawClient, bucket: str, new_name: Callable[[], str]
) -> None:
    missing = new_name()
    assert preflight(s3, f"/{missing}/k", origin=APP, method="GET").verdict == (403, "AccessForbidden")
    assert preflight(s3, f"/{bucket}/k", origin=APP, method="GET").verdict == (403, "AccessForbidden")
    assert preflight(s3, f"/{missing}/k", method="GET").verdict == (400, "BadRequest")


@pytest.mark.requirement("CORS-10", "CORS-07")
def test_a_request_to_a_missing_bucket_gets_no_headers(ruled: RawClient, new_name: Callable[[], str]) -> None:
    response = ruled.request("GET", f"/{new_name()}/k", headers={"origin": APP})
    assert (response.verdict, cors_of(response)) == ((404, "NoSuchBucket"), {})
