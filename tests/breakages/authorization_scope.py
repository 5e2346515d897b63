"""Servers broken for the checks of a signature's region and time: AUTH-08 to AUTH-11, AUTH-15, AUTH-16."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NoReturn

from anys3.protocol import claims
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from tests.breakages.authorization_header import authorization, refusing
from tests.broken_servers import all_of, answering, asking, breaks, patched, saying, set_header, when

WRONG_REGION = "anys3.protocol.claims_v4.wrong_region"

breaks(
    "AUTH-08/foreign-region",
    saying("SignatureDoesNotMatch", instead_of="AuthorizationHeaderMalformed"),
)
breaks(
    "AUTH-08/foreign-region",
    patched("the right region is not named", WRONG_REGION, lambda code, region, realm: S3Error(code)),
)
breaks(
    "AUTH-08/foreign-region",
    patched(
        "the wrong region is named as the right one",
        WRONG_REGION,
        lambda code, region, realm: S3Error(code, Region=region),
    ),
)

breaks(
    "AUTH-09/request-of-another-time",
    patched("requests of any time are accepted", "anys3.protocol.claims_v4.MAX_SKEW_S", 10**9),
)
breaks(
    "AUTH-09/request-of-another-time",
    patched("an hour too early or late is accepted", "anys3.protocol.claims_v4.MAX_SKEW_S", 3600),
)
breaks(
    "AUTH-09/request-of-another-time",
    saying("SignatureDoesNotMatch", instead_of="RequestTimeTooSkewed"),
)


def now(_: object) -> tuple[bytes, int]:
    """Return the time of the server, whatever the request says."""
    moment = int(time.time())
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment)).encode(), moment


breaks(
    "AUTH-10/no-date",
    patched("a request without a date is one of now", "anys3.protocol.claims_v4._other_date", now),
)
breaks(
    "AUTH-10/unparsable-date",
    patched(
        "a date that does not parse is now", "anys3.protocol.claims_v4._parse_amz_date", lambda _: time.time()
    ),
)
breaks(
    ("AUTH-10/no-date", "AUTH-10/unparsable-date"),
    saying("AuthorizationHeaderMalformed", instead_of="AccessDenied"),
)


def undated(_: object) -> NoReturn:
    """Refuse a request without x-amz-date."""
    raise claims.undated()


def date_first(request: Request) -> None:
    """Forget x-amz-date where there is a Date."""
    if b"date" in request.headers:
        request.headers.pop(b"x-amz-date", None)


breaks(
    "AUTH-11/date-header-alone", patched("Date is not read", "anys3.protocol.claims_v4._other_date", undated)
)
breaks("AUTH-11/amz-date-wins", asking("Date wins over x-amz-date", date_first))


def other_header(request: Request, answer: Answer) -> Answer | None:
    """Name another region in the header."""
    return set_header(answer, "x-amz-bucket-region", "eu-west-9") if when(request, "HEAD") else None


def other_location(request: Request, answer: Answer) -> Answer | None:
    """Name another region as the bucket's location."""
    return replace(answer, body=b"<LocationConstraint>eu-west-9</LocationConstraint>", length=None) if (
        when(request, "GET", query="location")
    ) else None  # fmt: skip


def both(request: Request, answer: Answer) -> Answer | None:
    """Name another region in both places."""
    return other_header(request, answer) or other_location(request, answer)


ONE_REGION = "AUTH-15/one-canonical-region"
breaks(ONE_REGION, answering("the header names another region than the location", other_header))
breaks(ONE_REGION, answering("the location is another region than that of the header", other_location))
breaks(ONE_REGION, answering("the region that is named is not accepted", both))

breaks(
    "AUTH-16/us-east-1-in-scopes",
    refusing(
        "reading needs the scope of another region",
        "AuthorizationHeaderMalformed",
        lambda request: request.method == b"GET" and b"/us-east-1/" in authorization(request),
    ),
)


def no_alias(_: Any, body: bytes) -> None:
    """Refuse the alias."""
    if b">us-east-1<" in body:
        raise S3Error("InvalidLocationConstraint")


breaks(
    "AUTH-16/us-east-1-as-location",
    patched("us-east-1 is no location", "anys3.operations.create_bucket._check_location", no_alias),
)
breaks(
    "AUTH-16/us-east-1-as-location",
    all_of(
        "us-east-1 is not known",
        patched("", "anys3.operations.create_bucket._check_location", no_alias),
        saying("InvalidRequest", instead_of="InvalidLocationConstraint"),
    ),
)
