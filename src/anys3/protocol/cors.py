"""CORS: rules from a document or from the operator, and the headers that they give to browsers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from anys3.model import CorsRule
from anys3.protocol.xml import Node, escape, is_representable
from anys3.spec.errors import S3Error

MAX_RULES = 100
MAX_REQUEST_HEADERS = 200
"""Most names that a preflight asks for: no request that has more headers is taken, and each is compared."""
METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")

_METHOD_BYTES = frozenset(method.encode() for method in METHODS)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_AGE = re.compile(r"[0-9]{1,10}")
_VARY = b"Vary: Origin, Access-Control-Request-Headers, Access-Control-Request-Method\r\n"

Rules = tuple[CorsRule, ...]

# --- rules ------------------------------------------------------------------------------------------------


def parse_document(document: Node) -> Rules:
    """Return the rules of a `CORSConfiguration`, in order and as spelt (CORSC-05).

    Raises S3Error:
        MalformedXML: another root, not 1 to 100 rules, a rule without origin or method (CORSC-03), or a
            MaxAgeSeconds that is no number.
        InvalidRequest: an unsupported method, more than one `*` in an origin or header (CORSC-04), or an
            exposed header that is no header name.
    """
    rules = tuple(_parse_rule(rule) for rule in document.all("CORSRule"))
    if document.name != "CORSConfiguration" or not 1 <= len(rules) <= MAX_RULES:
        raise S3Error("MalformedXML")
    for rule in rules:
        _check(rule)
    return rules


def _parse_rule(rule: Node) -> CorsRule:
    def texts(name: str) -> tuple[str, ...]:
        return tuple(node.text for node in rule.all(name))

    max_age, rule_id = rule.child("MaxAgeSeconds"), rule.child("ID")
    if max_age is not None and not _MAX_AGE.fullmatch(max_age.text.strip()):
        raise S3Error("MalformedXML")
    parsed = CorsRule(
        allowed_origins=texts("AllowedOrigin"),
        allowed_methods=texts("AllowedMethod"),
        allowed_headers=texts("AllowedHeader"),
        expose_headers=texts("ExposeHeader"),
        max_age_s=None if max_age is None else int(max_age.text),
        id=None if rule_id is None else rule_id.text,
    )
    if not parsed.allowed_origins or not parsed.allowed_methods:
        raise S3Error("MalformedXML")
    return parsed


def _check(rule: CorsRule) -> None:
    for method in rule.allowed_methods:
        if method not in METHODS:
            raise S3Error("InvalidRequest", f"Found unsupported HTTP method in CORS config: {method!r}.")
    for pattern in (*rule.allowed_origins, *rule.allowed_headers):
        if pattern.count("*") > 1:
            raise S3Error("InvalidRequest", f"An origin or header has at most one wildcard: {pattern!r}.")
    for name in rule.expose_headers:
        # They are sent as they are, so nothing but a header name may pass.
        if not _TOKEN.fullmatch(name) or "*" in name:
            raise S3Error("InvalidRequest", f"ExposeHeader must be a header name: {name!r}.")


def render(rules: Rules) -> str:
    """Return the `CORSRule` elements, which are all that a `CORSConfiguration` holds (CORSC-05)."""
    return "".join(map(_render_rule, rules))


def _render_rule(rule: CorsRule) -> str:
    elements = [
        *[("ID", rule.id) for _ in range(rule.id is not None)],
        *[("AllowedHeader", name) for name in rule.allowed_headers],
        *[("AllowedMethod", method) for method in rule.allowed_methods],
        *[("AllowedOrigin", origin) for origin in rule.allowed_origins],
        *[("ExposeHeader", name) for name in rule.expose_headers],
        *[("MaxAgeSeconds", str(rule.max_age_s)) for _ in range(rule.max_age_s is not None)],
    ]
    body = "".join(f"<{name}>{escape(text or '')}</{name}>" for name, text in elements)
    return f"<CORSRule>{body}</CORSRule>"


def parse_json(text: str) -> Rules:
    """Return the rules that an operator writes as JSON (CORS-01); `[]` means none.

    An array of rules in the AWS CLI's words (`AllowedOrigins`, `AllowedMethods`, `AllowedHeaders`,
    `ExposeHeaders`, `MaxAgeSeconds`, `ID`), the same under `{"CORSRules": ...}`, or an origin, or an
    array of origins, which stands for a rule that allows it every method and header and exposes ETag and
    x-amz-request-id (CORS-09).

        >>> parse_json('"https://app.example"')[0].allowed_methods
        ('GET', 'PUT', 'POST', 'DELETE', 'HEAD')

    Raises ValueError: with what is wrong.
    """
    value = json.loads(text)
    if isinstance(value, dict) and "CORSRules" in value:
        value = value["CORSRules"]
    if isinstance(value, str | dict):
        value = [value]
    if not isinstance(value, list):
        raise ValueError(  # noqa: TRY004 (JSON of the wrong shape is one kind of error to the caller)
            f"CORS rules are an origin or an array of rules, not {value!r}"
        )
    if value and all(isinstance(item, str) for item in value):
        value = [{"AllowedOrigins": value}]
    rules = tuple(_rule_of_json(item) for item in value)
    try:
        for rule in rules:
            _check(rule)
    except S3Error as error:
        raise ValueError(error.message) from None
    return rules


def _rule_of_json(item: object) -> CorsRule:
    known = {"AllowedOrigins", "AllowedMethods", "AllowedHeaders", "ExposeHeaders", "MaxAgeSeconds", "ID"}
    if not isinstance(item, dict) or not item.keys() <= known:
        raise ValueError(f"a CORS rule is an object with {', '.join(sorted(known))}, not {item!r}")
    max_age, rule_id = item.get("MaxAgeSeconds"), item.get("ID")
    if not (max_age is None or (type(max_age) is int and max_age >= 0)):
        raise ValueError(f"MaxAgeSeconds is a number of seconds, not {max_age!r}")
    if not (rule_id is None or isinstance(rule_id, str)):
        raise ValueError(f"ID is a string, not {rule_id!r}")
    origins = _strings(item, "AllowedOrigins", ())
    if not origins:
        raise ValueError(f"a CORS rule needs AllowedOrigins: {item!r}")
    return CorsRule(
        allowed_origins=origins,
        allowed_methods=_strings(item, "AllowedMethods", METHODS),
        allowed_headers=_strings(item, "AllowedHeaders", ("*",)),
        expose_headers=_strings(item, "ExposeHeaders", ("ETag", "x-amz-request-id")),
        max_age_s=max_age,
        id=rule_id,
    )


def _strings(item: Mapping[str, object], name: str, default: Sequence[str]) -> tuple[str, ...]:
    value = item.get(name, default)
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{name} is an array of strings, not {value!r}")
    if not is_representable("".join(value)):
        raise ValueError(f"{name} holds control characters: {value!r}")
    return tuple(value)


# --- answers ----------------------------------------------------------------------------------------------


def preflight(
    rules: Rules | None, origin: bytes | None, method: bytes | None, request_headers: bytes | None
) -> bytes:
    """Return the header lines that allow what a preflight asks for (CORS-05).

    The arguments are the values of Origin, Access-Control-Request-Method and -Headers, None if not sent.
    The first rule that matches origin, method and every header wins (CORS-06); for a bucket that does not
    exist, pass no rules (CORS-10).

    Raises S3Error:
        BadRequest: no Origin; or no or an unknown method, where rules exist (CORS-03).
        AccessForbidden: no rule matches (CORS-04).
    """
    if not origin:
        raise S3Error("BadRequest", "Insufficient information. Origin request header needed.")
    if rules and method not in _METHOD_BYTES:
        shown = "" if method is None else method.decode("latin-1")
        raise S3Error("BadRequest", f"Invalid Access-Control-Request-Method: {shown}")
    wanted = [name.strip().lower() for name in (request_headers or b"").split(b",") if name.strip()]
    for rule in rules or ():
        pattern = _matching_origin(rule, origin, method or b"")
        if pattern is None or not _allows_headers(rule, wanted):
            continue
        lines = [_origin_lines(pattern, origin)]
        lines.append(b"Access-Control-Allow-Methods: %b\r\n" % ", ".join(rule.allowed_methods).encode())
        if wanted:
            lines.append(b"Access-Control-Allow-Headers: %b\r\n" % b", ".join(wanted))
        lines.append(_expose_line(rule))
        if rule.max_age_s is not None:
            lines.append(b"Access-Control-Max-Age: %d\r\n" % rule.max_age_s)
        return b"".join((*lines, _VARY))
    raise S3Error("AccessForbidden", "CORSResponse: This CORS request is not allowed.")


def actual(rules: Rules | None, origin: bytes | None, method: bytes) -> bytes:
    """Return the header lines for an actual request, on success and on errors; b"" without a match (CORS-07).

    The headers of the request are not compared with the rule's: the preflight did that.
    """
    if not rules or not origin:
        return b""
    for rule in rules:
        pattern = _matching_origin(rule, origin, method)
        if pattern is not None:
            return b"".join((_origin_lines(pattern, origin), _expose_line(rule), _VARY))
    return b""


def _matching_origin(rule: CorsRule, origin: bytes, method: bytes) -> str | None:
    """Return the first pattern of the rule that matches the origin, None if none does or not the method."""
    if method.decode("latin-1") not in rule.allowed_methods:
        return None
    text = origin.decode("utf-8", "replace")
    if not text.isprintable():  # it will be echoed
        return None
    for pattern in rule.allowed_origins:
        if _matches(pattern, text):
            return pattern
    return None


def _allows_headers(rule: CorsRule, wanted: Sequence[bytes]) -> bool:
    patterns = [pattern.lower() for pattern in rule.allowed_headers]
    names = [name.decode("latin-1") for name in wanted]
    return len(names) <= MAX_REQUEST_HEADERS and all(
        _TOKEN.fullmatch(name) and any(_matches(pattern, name) for pattern in patterns) for name in names
    )


def _matches(pattern: str, text: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == text
    is_long_enough = len(text) >= len(before) + len(after)
    return is_long_enough and text.startswith(before) and text.endswith(after)


def _origin_lines(pattern: str, origin: bytes) -> bytes:
    """Return the lines that name the origin; credentials only with a concrete one (CORS-08)."""
    if pattern == "*":
        return b"Access-Control-Allow-Origin: *\r\n"
    return b"Access-Control-Allow-Origin: %b\r\nAccess-Control-Allow-Credentials: true\r\n" % origin


def _expose_line(rule: CorsRule) -> bytes:
    if not rule.expose_headers:
        return b""
    return b"Access-Control-Expose-Headers: %b\r\n" % ", ".join(rule.expose_headers).encode()
