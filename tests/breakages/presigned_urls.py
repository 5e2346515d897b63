"""Servers broken for the checks of presigned URLs: PRE."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from anys3.protocol import authentication, claims, claims_v4, sigv4
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from tests.breakages.authorization_header import believing, find_any_key, never_compared, refusing, skipping
from tests.broken_servers import (
    Breakage,
    accepting,
    all_of,
    answering,
    asking,
    breaks,
    code_of,
    error_answer,
    ignoring,
    patched,
    saying,
    when,
)

compare = claims_v4._compare
read_v4_query = authentication._read_v4_query
prove = claims_v4.QueryClaim.prove
given = claims_v4.QueryClaim._given
check_all_signed = claims_v4.check_all_signed
INVALID = "AuthorizationQueryParametersError"


def is_presigned(request: Request) -> bool:
    """Whether a request is signed in its query."""
    return b"X-Amz-Algorithm" in request.query


def reading(sentence: str, change: Callable[[dict[str, str]], object]) -> Breakage:
    """A server that reads other X-Amz-* parameters (names in lower case) than were sent."""

    def broken(parameters: dict[str, str]) -> Any:
        change(parameters)
        return read_v4_query(parameters)

    return patched(sentence, "anys3.protocol.authentication._read_v4_query", broken)


# --- PRE-01, PRE-02: what URLs do --------------------------------------------------------------------------

for _method in (b"PUT", b"GET", b"HEAD", b"DELETE"):
    breaks(
        "PRE-01/objects-by-url",
        refusing(
            f"presigned URLs are not for {_method.decode()}",
            "AccessDenied",
            lambda request, method=_method: is_presigned(request) and request.method == method,
        ),
    )
breaks(
    ("PRE-01/objects-by-url", "PRE-01/parts-by-url"),
    refusing("a presigned PUT needs x-amz-content-sha256, too", "InvalidRequest", lambda request: (
        is_presigned(request) and when(request, "PUT") and b"x-amz-content-sha256" not in request.headers
    )),
)  # fmt: skip
breaks(
    "PRE-01/objects-by-url",
    refusing("presigned URLs do not list", "AccessDenied", lambda request: (
        is_presigned(request) and when(request, query="list-type")
    )),
)  # fmt: skip
breaks(
    "PRE-01/parts-by-url",
    refusing("presigned URLs are for whole objects", "AccessDenied", lambda request: (
        is_presigned(request) and when(request, query="uploadId")
    )),
)  # fmt: skip


def unsigned_hash(claim: Any, *arguments: Any, **more: Any) -> claims.Proof:
    """Verify a URL, and forget the hash of its body."""
    found = prove(claim, *arguments, **more)
    return claims.Proof(b"", found.seal, found.signed_query_headers)


def other_hash(claim: Any, signer: Any, request: Request, query: bytes, _: bytes, *rest: Any) -> None:
    """Compare the signature as if the body were never signed."""
    compare(claim, signer, request, query, b"UNSIGNED-PAYLOAD", *rest)


breaks(
    ("PRE-02/hash-in-query", "PRE-02/hash-in-header"),
    patched(
        "the hash of a presigned PUT is not verified",
        "anys3.protocol.claims_v4.QueryClaim.prove",
        unsigned_hash,
    ),
)
breaks(
    ("PRE-02/hash-in-query", "PRE-02/hash-in-header"),
    patched(
        "the body of a URL is always signed as unsigned", "anys3.protocol.claims_v4._compare", other_hash
    ),
)
breaks(
    ("PRE-02/hash-in-query", "PRE-02/hash-in-header"),
    saying("BadDigest", instead_of="XAmzContentSHA256Mismatch"),
)

# --- PRE-03, PRE-04, PRE-10, PRE-13: their form ------------------------------------------------------------

breaks(
    (
        "PRE-03/missing-parameters",
        "PRE-04/expires-out-of-range",
        "PRE-10/credential-of-wrong-form",
        "PRE-10/credential-of-another-service",
        "PRE-10/credential-of-another-region",
    ),
    saying("AccessDenied", instead_of=INVALID),
)
breaks(
    ("PRE-03/missing-parameters", "PRE-04/expires-out-of-range", "PRE-13/credential-of-another-day"),
    accepting(INVALID),
)
for _name, _default in (
    ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
    ("x-amz-expires", "604800"),
    ("x-amz-signedheaders", "host"),
):
    breaks(
        "PRE-03/missing-parameters",
        reading(
            f"without {_name} a default holds",
            lambda parameters, name=_name, default=_default: parameters.setdefault(name, default),
        ),
    )


def forgiving(number: str) -> str:
    """Return a number that is one, and not too large."""
    digits = "".join(filter(str.isdigit, number))
    return str(min(int(digits or "300"), 604_800))


breaks(
    "PRE-04/expires-out-of-range",
    reading(
        "a life that is none is made one",
        lambda parameters: parameters.update({"x-amz-expires": forgiving(parameters["x-amz-expires"])}),
    ),
)
breaks(
    "PRE-04/expires-out-of-range",
    patched("URLs may live for ever", "anys3.protocol.authentication.MAX_EXPIRES_S", 10**9),
)
breaks(
    "PRE-04/expires-out-of-range",
    patched("URLs live for a day", "anys3.protocol.authentication.MAX_EXPIRES_S", 86_400),
)
breaks("PRE-10/credential-of-another-service", accepting(INVALID))
breaks("PRE-10/credential-of-another-region", saying("InvalidRequest", instead_of=INVALID))


def decoded_again(parameters: dict[str, str]) -> None:
    """Take a Credential that was encoded twice for one that was not."""
    parameters["x-amz-credential"] = parameters["x-amz-credential"].replace("%2F", "/")


breaks("PRE-10/credential-of-wrong-form", reading("a Credential is decoded twice", decoded_again))

# --- PRE-05 to PRE-07: what binds them ---------------------------------------------------------------------


def checking_time(sentence: str, check: Callable[[Any, int], None]) -> Breakage:
    """A server that looks otherwise at the time of a URL."""
    return patched(sentence, "anys3.protocol.claims_v4.QueryClaim._check_time", check)


def only_future(claim: Any, now_s: int) -> None:
    """Refuse what comes too early."""
    if claims_v4._parse_amz_date(claim.amz_date) - now_s > claims_v4.MAX_SKEW_S:  # type: ignore[operator]
        raise S3Error("AccessDenied")


def only_past(claim: Any, now_s: int) -> None:
    """Refuse what comes too late."""
    if now_s > claims_v4._parse_amz_date(claim.amz_date) + claim.expires_s:  # type: ignore[operator]
        raise S3Error("AccessDenied", "Request has expired")


def as_headers(claim: Any, now_s: int) -> None:
    """Treat a URL's date like that of a signed request."""
    if abs(now_s - claims_v4._parse_amz_date(claim.amz_date)) > claims_v4.MAX_SKEW_S:  # type: ignore[operator]
        raise S3Error("AccessDenied")


breaks("PRE-05/expired-urls", checking_time("URLs never expire", only_future))
breaks(
    "PRE-05/expired-urls",
    answering(
        "an expired URL is a bad request",
        lambda _, answer: error_answer("InvalidRequest") if code_of(answer) == "AccessDenied" else None,
    ),
)
breaks("PRE-05/old-urls-live-on", checking_time("a URL is good for 15 minutes at most", as_headers))
breaks("PRE-06/urls-of-the-future", checking_time("URLs are good before their date", only_past))
breaks("PRE-06/urls-of-the-future", saying("InvalidRequest", instead_of="AccessDenied"))
breaks(
    ("PRE-07/one-method", "PRE-07/one-path-and-query", "PRE-07/signed-headers", "PRE-11/sigv2-urls"),
    all_of(
        "signatures of URLs are not compared",
        skipping("", lambda request, _: is_presigned(request)),
        patched("", "anys3.protocol.claims_v2.compare_v2", never_compared),
    ),
)
breaks(
    "PRE-07/one-method",
    patched("a signature is good for any method", "anys3.protocol.claims_v4._compare", believing),
)


def first_values(claim: Any, signer: Any, request: Request, query: bytes, *rest: Any) -> None:
    """Compare the signature for the first value of each parameter, as sent."""
    pairs: dict[bytes, bytes] = {}
    for pair in request.query.split(b"&"):
        pairs.setdefault(pair.partition(b"=")[0], pair)
    if is_presigned(request):
        query = sigv4.canonical_query(b"&".join(pairs.values()), without=b"x-amz-signature")
    compare(claim, signer, request, query, *rest)


breaks(
    "PRE-07/one-path-and-query",
    patched(
        "only the first value of a parameter is signed", "anys3.protocol.claims_v4._compare", first_values
    ),
)
breaks(
    "PRE-07/one-path-and-query",
    skipping("a URL is good for its folder", lambda request, _: (
        is_presigned(request) and posixpath.basename(request.path).endswith(b"-")
    )),
)  # fmt: skip
breaks(
    ("PRE-07/one-method", "PRE-07/one-path-and-query", "PRE-07/signed-headers"),
    saying("AccessDenied", instead_of="SignatureDoesNotMatch"),
)
for _header in (b"content-type", b"x-amz-meta-a"):
    breaks(
        "PRE-07/signed-headers",
        skipping(
            f"{_header.decode()} may be changed after it was signed",
            lambda request, claim, name=_header: is_presigned(request) and name in claim.signed_headers,
        ),
    )

# --- PRE-08, PRE-09, PRE-12: x-amz-* -----------------------------------------------------------------------


def unchecked_but_copies(headers: Mapping[bytes, bytes], *rest: Any, **more: Any) -> None:
    """Obey headers that were not signed, but for a copy's."""
    if b"x-amz-copy-source" in headers:
        check_all_signed(headers, *rest, **more)


def unchecked_copies(headers: Mapping[bytes, bytes], *rest: Any, **more: Any) -> None:
    """Obey a copy source that was not signed (CVE-2026-71191)."""
    if b"x-amz-copy-source" not in headers:
        check_all_signed(headers, *rest, **more)


for _broken in (unchecked_but_copies, unchecked_copies):
    breaks(
        "PRE-08/unsigned-amz-headers",
        patched(
            "headers that were not signed are obeyed", "anys3.protocol.claims_v4.check_all_signed", _broken
        ),
    )
breaks("PRE-08/unsigned-amz-headers", saying("SignatureDoesNotMatch", instead_of="AccessDenied"))
breaks(
    "PRE-08/other-headers-need-none",
    refusing("an unsigned content-type is refused", "AccessDenied", lambda request: (
        is_presigned(request) and b"content-type" in request.headers
    )),
)  # fmt: skip


def no_parameters(claim: Any, headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Take no parameter for a header, unless it is sent as one, too."""
    return {name: headers[name] for name in given(claim, {}) if name in headers}


breaks("PRE-09/parameters-act-like-headers", ignoring("x-amz-meta-foo"))
breaks(
    ("PRE-09/parameters-act-like-headers", "PRE-12/header-repeats-parameter"),
    patched(
        "a header counts, a parameter does not", "anys3.protocol.claims_v4.QueryClaim._given", no_parameters
    ),
)
breaks(
    "PRE-12/header-repeats-parameter",
    patched(
        "the parameter wins over the header, silently",
        "anys3.protocol.claims_v4.check_not_repeated",
        lambda *_: None,
    ),
)

# --- PRE-11, PRE-13: whose they are ------------------------------------------------------------------------


def nobodys(request: Request, answer: Answer) -> Answer | None:
    """Answer a SigV2 URL as if anybody might read."""
    is_forged = b"AWSAccessKeyId" in request.query and answer.status == 403
    return Answer(200, body=b"public") if is_forged else None


breaks("PRE-11/sigv2-urls", answering("a SigV2 URL is taken for no signature, in a public bucket", nobodys))
breaks(
    "PRE-13/unknown-key-id",
    patched(
        "a key that does not exist has an empty secret",
        "anys3.server.application.Application.find_key",
        find_any_key,
    ),
)
breaks("PRE-13/unknown-key-id", saying("SignatureDoesNotMatch", instead_of="InvalidAccessKeyId"))


def forget_token(request: Request) -> None:
    """Forget what the query says of a session."""
    request.query = request.query.replace(b"X-Amz-Security-Token", b"X-Other")


breaks(
    "PRE-13/unverifiable-token",
    all_of(
        "a session token is ignored",
        asking("", forget_token),
        skipping("", lambda request, _: b"X-Other" in request.query),
    ),
)
breaks("PRE-13/unverifiable-token", saying("InternalError", instead_of="InvalidToken"))
