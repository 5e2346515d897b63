"""CORS rules, preflights and actual requests."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.model import CorsRule
from anys3.protocol import cors, xml
from anys3.protocol.metadata import parse_lines
from anys3.spec.errors import S3Error

APP = b"https://app.example"
RULE = CorsRule(
    allowed_origins=("https://app.example", "https://*.example.org"),
    allowed_methods=("GET", "PUT"),
    allowed_headers=("Content-Type", "x-amz-*"),
    expose_headers=("ETag", "x-amz-request-id"),
    max_age_s=3000,
    id="app",
)
ANYONE = CorsRule(allowed_origins=("*",), allowed_methods=("GET",))
VARY = (b"Vary", b"Origin, Access-Control-Request-Headers, Access-Control-Request-Method")


def configuration(*rules: str) -> xml.Node:
    body = "".join(f"<CORSRule>{rule}</CORSRule>" for rule in rules)
    return xml.parse(f"<CORSConfiguration>{body}</CORSConfiguration>".encode())


def refusal(
    rules: cors.Rules | None, origin: bytes | None, method: bytes | None, headers: bytes | None = None
) -> tuple[str, int]:
    with pytest.raises(S3Error) as caught:
        cors.preflight(rules, origin, method, headers)
    assert caught.value.headers == b""
    return caught.value.code, caught.value.status


names = st.from_regex(r"[A-Za-z0-9-]{1,10}\*?[a-z]{0,5}", fullmatch=True)
text = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="*\ufffe\uffff"), max_size=20
)
rule_values = st.builds(
    CorsRule,
    allowed_origins=st.lists(text | names, min_size=1, max_size=3).map(tuple),
    allowed_methods=st.lists(st.sampled_from(cors.METHODS), min_size=1).map(tuple),
    allowed_headers=st.lists(names, max_size=3).map(tuple),
    expose_headers=st.lists(names.map(lambda name: name.replace("*", "")), max_size=3).map(tuple),
    max_age_s=st.none() | st.integers(0, 9_999_999_999),
    id=st.none() | text,
)


@pytest.mark.requirement("CORSC-05")
@given(st.lists(rule_values, min_size=1, max_size=3).map(tuple))
def test_rendered_rules_parse_to_themselves(rules: cors.Rules) -> None:
    body = f"<CORSConfiguration>{cors.render(rules)}</CORSConfiguration>"
    assert cors.parse_document(xml.parse(body.encode())) == rules


@pytest.mark.requirement("CORSC-03")
@pytest.mark.parametrize(
    "document",
    [
        configuration(),
        configuration("<AllowedOrigin>*</AllowedOrigin>"),
        configuration("<AllowedMethod>GET</AllowedMethod>"),
        configuration(*["<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"] * 101),
        configuration(
            "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><MaxAgeSeconds>x</MaxAgeSeconds>"
        ),
        xml.parse(
            b"<Other><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></Other>"
        ),
    ],
)
def test_a_document_without_complete_rules_is_malformed(document: xml.Node) -> None:
    with pytest.raises(S3Error, match="MalformedXML"):
        cors.parse_document(document)


@pytest.mark.requirement("CORSC-03")
def test_100_rules_are_not_too_many() -> None:
    rule = "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
    assert cors.parse_document(configuration(*[rule] * 100)) == (ANYONE,) * 100


@pytest.mark.requirement("CORSC-04")
@pytest.mark.parametrize(
    "rule",
    [
        "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>PATCH</AllowedMethod>",
        "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>get</AllowedMethod>",
        "<AllowedOrigin>*.*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>",
        "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>*-*</AllowedHeader>",
        "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><ExposeHeader>a&#13;&#10;b</ExposeHeader>",
        "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><ExposeHeader>*</ExposeHeader>",
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(rule: str) -> None:
    with pytest.raises(S3Error, match="InvalidRequest"):
        cors.parse_document(configuration(rule))


@pytest.mark.requirement("CORS-05", "CORS-08", "CORS-09")
def test_a_preflight_that_matches_is_told_what_the_rule_allows() -> None:
    lines = cors.preflight((RULE,), APP, b"PUT", b"Content-Type, X-Amz-Meta-A")
    assert parse_lines(lines) == [
        (b"Access-Control-Allow-Origin", APP),
        (b"Access-Control-Allow-Credentials", b"true"),
        (b"Access-Control-Allow-Methods", b"GET, PUT"),
        (b"Access-Control-Allow-Headers", b"content-type, x-amz-meta-a"),
        (b"Access-Control-Expose-Headers", b"ETag, x-amz-request-id"),
        (b"Access-Control-Max-Age", b"3000"),
        VARY,
    ]


@pytest.mark.requirement("CORS-05", "CORS-08")
def test_a_star_is_never_allowed_credentials() -> None:
    assert parse_lines(cors.preflight((ANYONE,), APP, b"GET", None)) == [
        (b"Access-Control-Allow-Origin", b"*"),
        (b"Access-Control-Allow-Methods", b"GET"),
        VARY,
    ]


@pytest.mark.requirement("CORS-03")
@pytest.mark.parametrize("rules", [None, (), (RULE,)])
def test_a_preflight_without_origin_is_a_bad_request(rules: cors.Rules | None) -> None:
    assert refusal(rules, None, b"GET") == ("BadRequest", 400)


@pytest.mark.requirement("CORS-03")
@pytest.mark.parametrize("method", [None, b"", b"PATCH", b"get", b"OPTIONS"])
def test_a_preflight_with_an_unknown_method_is_a_bad_request_where_rules_exist(method: bytes | None) -> None:
    assert refusal((RULE,), APP, method) == ("BadRequest", 400)
    assert refusal(None, APP, method) == ("AccessForbidden", 403)


@pytest.mark.requirement("CORS-04", "CORS-06", "CORS-10")
@pytest.mark.parametrize(
    ("rules", "origin", "method", "headers"),
    [
        (None, APP, b"GET", None),
        ((), APP, b"GET", None),
        ((RULE,), b"https://other.example", b"GET", None),
        ((RULE,), b"HTTPS://app.example", b"GET", None),
        ((RULE,), b"https://app.example.evil", b"GET", None),
        ((RULE,), b"https://.example.or", b"GET", None),
        ((RULE,), b"https://a\r\nX-Evil: 1.example.org", b"GET", None),
        ((RULE,), APP, b"DELETE", None),
        ((RULE,), APP, b"PUT", b"content-type, authorization"),
        ((RULE,), APP, b"PUT", b"x-amz-a\r\nx-evil: 1"),
        ((ANYONE,), APP, b"GET", b"content-type"),
    ],
)
def test_a_preflight_that_no_rule_matches_is_forbidden(
    rules: cors.Rules | None, origin: bytes, method: bytes, headers: bytes | None
) -> None:
    assert refusal(rules, origin, method, headers) == ("AccessForbidden", 403)


@pytest.mark.requirement("CORS-06")
def test_the_first_rule_that_matches_wins() -> None:
    assert b"Allow-Origin: *\r\n" in cors.preflight((ANYONE, RULE), APP, b"GET", b"")
    assert b"Allow-Origin: https://app.example\r\n" in cors.preflight((ANYONE, RULE), APP, b"PUT", b"")
    assert b"Allow-Origin: https://app.example\r\n" in cors.preflight((ANYONE, RULE), APP, b"GET", b"x-amz-a")


@pytest.mark.requirement("CORS-06")
@given(st.text("abc", max_size=5), st.text("abc", max_size=5), st.text("abc", max_size=12))
def test_a_wildcard_stands_for_any_text(before: str, after: str, origin: str) -> None:
    rule = CorsRule(allowed_origins=(f"{before}*{after}",), allowed_methods=("GET",))
    middles = [origin[len(before) : len(origin) - len(after)]]
    is_match = any(before + middle + after == origin for middle in middles)
    assert bool(cors.actual((rule,), b"o" + origin.encode(), b"GET")) == (
        not before and ("o" + origin).endswith(after)
    )
    assert bool(origin and cors.actual((rule,), origin.encode(), b"GET")) == bool(origin and is_match)


@pytest.mark.requirement("CORS-07", "CORS-08")
def test_an_actual_request_gets_its_headers_whatever_it_sends() -> None:
    assert parse_lines(cors.actual((ANYONE, RULE), b"https://x.example.org", b"PUT")) == [
        (b"Access-Control-Allow-Origin", b"https://x.example.org"),
        (b"Access-Control-Allow-Credentials", b"true"),
        (b"Access-Control-Expose-Headers", b"ETag, x-amz-request-id"),
        VARY,
    ]
    assert parse_lines(cors.actual((ANYONE,), b"null", b"GET")) == [
        (b"Access-Control-Allow-Origin", b"*"),
        VARY,
    ]


@pytest.mark.requirement("CORS-07")
@pytest.mark.parametrize(
    ("rules", "origin", "method"),
    [
        (None, APP, b"GET"),
        ((), APP, b"GET"),
        ((RULE,), None, b"GET"),
        ((RULE,), b"x", b"GET"),
        ((RULE,), APP, b"HEAD"),
    ],
)
def test_an_actual_request_without_a_match_gets_no_headers(
    rules: cors.Rules | None, origin: bytes | None, method: bytes
) -> None:
    assert cors.actual(rules, origin, method) == b""


@pytest.mark.requirement("CORS-01", "CORS-09")
@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("*", ("*",)),
        (["https://a", "https://b"], ("https://a", "https://b")),
        ({"AllowedOrigins": "*"}, ("*",)),
    ],
)
def test_an_operator_may_give_origins_alone(value: object, origins: tuple[str, ...]) -> None:
    assert cors.parse_json(json.dumps(value)) == (
        CorsRule(
            allowed_origins=origins,
            allowed_methods=cors.METHODS,
            allowed_headers=("*",),
            expose_headers=("ETag", "x-amz-request-id"),
        ),
    )


@pytest.mark.requirement("CORS-01")
def test_an_operator_may_give_whole_rules() -> None:
    rule = {
        "ID": "app",
        "AllowedOrigins": ["https://app.example", "https://*.example.org"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["Content-Type", "x-amz-*"],
        "ExposeHeaders": ["ETag", "x-amz-request-id"],
        "MaxAgeSeconds": 3000,
    }
    assert (
        cors.parse_json(json.dumps({"CORSRules": [rule]})) == cors.parse_json(json.dumps([rule])) == (RULE,)
    )
    assert cors.parse_json("[]") == ()


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (1, "array of rules"),
        ([1], "a CORS rule is an object"),
        ([{"AllowedOrigin": "*"}], "a CORS rule is an object"),
        ([{"AllowedOrigins": []}], "needs AllowedOrigins"),
        ([{"AllowedOrigins": [1]}], "array of strings"),
        ([{"AllowedOrigins": "\x01"}], "control characters"),
        ([{"AllowedOrigins": "*", "MaxAgeSeconds": "1"}], "number of seconds"),
        ([{"AllowedOrigins": "*", "MaxAgeSeconds": -1}], "number of seconds"),
        ([{"AllowedOrigins": "*", "ID": 1}], "ID is a string"),
        ([{"AllowedOrigins": "*", "AllowedMethods": ["PATCH"]}], "unsupported HTTP method"),
        (["http://*.*"], "at most one wildcard"),
    ],
)
def test_a_wrong_operators_rule_says_what_is_wrong(value: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        cors.parse_json(json.dumps(value))


@pytest.mark.requirement("CORS-06")
@pytest.mark.known_mistake(18)
def test_a_preflight_for_more_headers_than_a_request_may_have_is_forbidden() -> None:
    """Each name is compared with each pattern: a request of 32 KB kept a worker busy for seconds."""
    wanted = [b"x-amz-%d" % number for number in range(cors.MAX_REQUEST_HEADERS)]
    allowed = dict(parse_lines(cors.preflight((RULE,), APP, b"GET", b",".join(wanted))))
    assert allowed[b"Access-Control-Allow-Headers"] == b", ".join(wanted)
    assert refusal((RULE,), APP, b"GET", b",".join([*wanted, b"x-amz-a"])) == ("AccessForbidden", 403)
