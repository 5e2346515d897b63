"""Servers broken for the checks of CORS by rules: CORS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anys3.model import CorsRule
from anys3.operations import bucket_cors
from anys3.protocol import cors
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from tests.broken_servers import (
    Breakage,
    all_of,
    answering,
    breaks,
    code_of,
    drop_header,
    error_answer,
    header_of,
    patched,
    saying,
    set_header,
    when,
)

ORIGIN = "Access-Control-Allow-Origin"
preflight = cors.preflight
matches = cors._matches
allows_headers = cors._allows_headers
rules_of = bucket_cors.rules_of
EVERYTHING = (CorsRule(("*",), ("GET", "PUT", "POST", "DELETE", "HEAD"), ("*",)),)


def to_preflights(sentence: str, change: Callable[[Answer], Answer | None]) -> Breakage:
    """A server that answers preflights otherwise."""
    return answering(sentence, lambda request, answer: change(answer) if when(request, "OPTIONS") else None)


def to_requests(sentence: str, change: Callable[[Answer], Answer | None]) -> Breakage:
    """A server that answers actual requests with an Origin otherwise."""
    return answering(
        sentence,
        lambda request, answer: (
            change(answer) if when(request, header="origin") and not when(request, "OPTIONS") else None
        ),
    )


def comparing(sentence: str, compare: Callable[[str, str], bool]) -> Breakage:
    """A server that compares origins and headers otherwise with what a rule allows."""
    return patched(sentence, "anys3.protocol.cors._matches", compare)


# --- CORS-01 to CORS-05: preflights ------------------------------------------------------------------------

breaks(
    "CORS-01/no-rule-by-default",
    all_of(
        "every origin is allowed by default",
        patched("", "anys3.operations.bucket_cors.rules_of", lambda bucket: rules_of(bucket) or EVERYTHING),
        patched("", "anys3.server.application.rules_of", lambda bucket: rules_of(bucket) or EVERYTHING),
    ),
)
breaks(
    "CORS-01/no-rule-by-default",
    to_requests("every answer has a CORS header", lambda answer: set_header(answer, ORIGIN, "*")),
)
breaks("CORS-01/no-rule-by-default", saying("AccessDenied", instead_of="AccessForbidden"))
for _name in (
    ORIGIN,
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Max-Age",
    "Vary",
):
    breaks(
        "CORS-01/match-is-answered",
        to_preflights(f"preflights have no {_name}", lambda answer, name=_name: drop_header(answer, name)),
    )


def signed_only(request: Request, answer: Answer) -> Answer | None:
    """Refuse what is not signed."""
    return error_answer("AccessDenied") if when(request, "OPTIONS") else None


def asked_urls_only(request: Request, answer: Answer) -> Answer | None:
    """Verify the signature of the URL that a preflight asks about, which is for another method."""
    del answer
    return error_answer("SignatureDoesNotMatch") if when(request, "OPTIONS", "X-Amz-Signature") else None


def objects_only(request: Request, answer: Answer) -> Answer | None:
    """Know no preflights with a query."""
    return error_answer("NotImplemented") if when(request, "OPTIONS", "list-type") else None


breaks("CORS-02/unsigned-is-no-error", answering("preflights must be signed", signed_only))
breaks(
    "CORS-02/any-url-may-be-asked-about",
    answering("preflights of presigned URLs are refused", asked_urls_only),
)
breaks("CORS-02/any-url-may-be-asked-about", answering("preflights are for objects", objects_only))


def asked(sentence: str, ask: Callable[[Any, Any, Any, Any], bytes]) -> Breakage:
    """A server that judges preflights otherwise: `ask(rules, origin, method, headers)`."""
    return patched(sentence, "anys3.protocol.cors.preflight", ask)


breaks(
    ("CORS-03/no-origin", "CORS-03/no-method"),
    asked(
        "a preflight without Origin is from nowhere",
        lambda rules, origin, method, headers: preflight(rules, origin or b"null", method, headers),
    ),
)
breaks(
    "CORS-03/no-method",
    asked(
        "a preflight without a method is for GET",
        lambda rules, origin, method, headers: preflight(rules, origin, method or b"GET", headers),
    ),
)
breaks(
    "CORS-03/no-method",
    asked(
        "a method that is none is one that no rule allows",
        lambda rules, origin, method, headers: preflight(
            rules if method and method != b"PATCH" else (), origin, method, headers
        ),
    ),
)
breaks(("CORS-03/no-origin", "CORS-03/no-method"), saying("InvalidRequest", instead_of="BadRequest"))

# --- CORS-04, CORS-06: which rule counts -------------------------------------------------------------------

NO_MATCH = "CORS-04/no-matching-rule"


def forbidden_with_origin(answer: Answer) -> Answer | None:
    """Allow the origin of a preflight that is refused."""
    return set_header(answer, ORIGIN, "*") if answer.status == 403 else None


def any_method(rule: CorsRule, origin: bytes, method: bytes) -> str | None:
    """Look for the origin alone."""
    return matching_origin(rule, origin, rule.allowed_methods[0].encode() if method else method)


matching_origin = cors._matching_origin
breaks(NO_MATCH, to_preflights("a refused preflight allows its origin", forbidden_with_origin))
breaks(NO_MATCH, to_preflights(
    "no preflight is refused", lambda answer: replace(answer, status=200) if answer.status == 403 else None
))  # fmt: skip
breaks(NO_MATCH, comparing(
    "origins have no case", lambda pattern, text: matches(pattern.lower(), text.lower())
))  # fmt: skip
breaks(
    NO_MATCH,
    comparing("origins are prefixes", lambda pattern, text: matches(pattern.rstrip("*") + "*", text)),
)
breaks(NO_MATCH, patched("methods are not compared", "anys3.protocol.cors._matching_origin", any_method))
breaks(NO_MATCH, patched("headers are not compared", "anys3.protocol.cors._allows_headers", lambda *_: True))
breaks(
    NO_MATCH,
    patched(
        "one header of those requested is enough",
        "anys3.protocol.cors._allows_headers",
        lambda rule, wanted: any(allows_headers(rule, [name]) for name in wanted) or not wanted,
    ),
)


def headers_with_case(rules: Any, origin: bytes | None, method: bytes | None, headers: bytes | None) -> bytes:
    """Compare headers as they are written."""
    if headers and headers != headers.lower():
        raise S3Error("AccessForbidden")
    return preflight(rules, origin, method, headers)


breaks(NO_MATCH, asked("headers have a case", headers_with_case))

for _sentence, _choose in (
    ("the last rule wins", lambda rules: rules and tuple(reversed(rules))),
    ("only the first rule counts", lambda rules: rules and rules[:1]),
    ("rules are taken together", lambda rules: rules and tuple(
        replace(rule, allowed_methods=("GET", "PUT", "DELETE")) for rule in rules
    )),
):  # fmt: skip
    breaks(
        "CORS-06/first-rule-wins",
        asked(
            _sentence,
            lambda rules, origin, method, headers, choose=_choose: preflight(
                choose(rules), origin, method, headers
            ),
        ),
    )
breaks("CORS-06/first-rule-wins", comparing("* is no wildcard", lambda pattern, text: pattern == text))
breaks(
    "CORS-06/first-rule-wins",
    comparing(
        "* may stand for the dot, too", lambda pattern, text: matches(pattern.replace("*.", "*"), text)
    ),
)

# --- CORS-07 to CORS-10: actual requests -------------------------------------------------------------------

for _name in (ORIGIN, "Access-Control-Expose-Headers", "Vary"):
    breaks(
        "CORS-07/actual-requests",
        to_requests(f"actual answers have no {_name}", lambda answer, name=_name: drop_header(answer, name)),
    )
for _status in (403, 404, 412, 416):
    breaks(
        "CORS-07/actual-requests",
        to_requests(
            f"answers with {_status} have no CORS headers",
            lambda answer, status=_status: drop_header(answer, ORIGIN) if answer.status == status else None,
        ),
    )


def forbidden(answer: Answer) -> Answer | None:
    """Refuse what no rule allows."""
    return None if header_of(answer, ORIGIN) else error_answer("AccessForbidden")


breaks("CORS-07/unmatched-requests", to_requests("requests of other origins are refused", forbidden))
breaks(
    "CORS-07/unmatched-requests",
    to_requests(
        "every origin gets CORS headers",
        lambda answer: None if header_of(answer, ORIGIN) else set_header(answer, ORIGIN, "*"),
    ),
)
breaks(
    "CORS-07/unmatched-requests",
    patched("methods are not compared", "anys3.protocol.cors._matching_origin", any_method),
)


def with_credentials(answer: Answer) -> Answer | None:
    """Allow credentials to all."""
    if header_of(answer, ORIGIN) != "*":
        return None
    return set_header(answer, "Access-Control-Allow-Credentials", "true")


breaks(
    "CORS-08/credentials-need-an-origin", to_preflights("preflights allow all credentials", with_credentials)
)
breaks("CORS-08/credentials-need-an-origin", to_requests("answers allow all credentials", with_credentials))
breaks(
    "CORS-09/etag-can-be-exposed",
    to_requests("no header is exposed", lambda answer: drop_header(answer, "Access-Control-Expose-Headers")),
)
breaks(
    "CORS-09/etag-can-be-exposed",
    to_requests(
        "request ids are not exposed",
        lambda answer: set_header(answer, "Access-Control-Expose-Headers", "ETag"),
    ),
)


def open_to_all(request: Request, answer: Answer) -> Answer | None:
    """Allow everything in a bucket that is not there."""
    is_forbidden = when(request, "OPTIONS") and code_of(answer) == "AccessForbidden"
    return Answer(200, f"{ORIGIN}: *\r\n".encode()) if is_forbidden else None


breaks("CORS-10/missing-bucket", answering("a missing bucket is open to all", open_to_all))
breaks("CORS-10/missing-bucket", saying("InternalError", instead_of="AccessForbidden"))
breaks("CORS-10/missing-bucket", saying("InternalError", instead_of="BadRequest"))
