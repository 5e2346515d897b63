"""Servers broken for the checks of the Authorization header: AUTH-01 to AUTH-07."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_from_bytes

from anys3.model import AccessKey
from anys3.protocol import claims_v4, sigv4
from anys3.protocol.http import Answer, Request
from anys3.server.application import Application
from anys3.spec.errors import S3Error
from tests.broken_servers import (
    Breakage,
    Proceed,
    accepting,
    all_of,
    asking,
    breaks,
    error_answer,
    hooked,
    patched,
    saying,
)

NORMAL_ORDER = re.compile(rb"\S+ Credential=[^ ]+, ?SignedHeaders=[^ ]+, ?Signature=[0-9a-f]+")
NOTHING_CACHED = (patched("", "anys3.protocol.claims_v4._claims", {}),)
compare = claims_v4._compare
getter = sigv4._getter


def refusing(sentence: str, code: str, is_refused: Callable[[Request], Any]) -> Breakage:
    """A server that refuses requests that it should answer."""

    async def hook(request: Request, proceed: Proceed) -> Answer:
        return error_answer(code) if is_refused(request) else await proceed(request)

    return hooked(sentence, hook)


def authorization(request: Request) -> bytes:
    """Return the Authorization header of a request."""
    return request.headers.get(b"authorization", b"")


def never_compared(*_: object) -> None:
    """Believe any signature."""


def skipping(sentence: str, is_skipped: Callable[[Request, Any], Any]) -> Breakage:
    """A server that does not compare the signatures of some requests."""

    def broken(claim: Any, signer: Any, request: Request, *rest: Any) -> None:
        if not is_skipped(request, claim):
            compare(claim, signer, request, *rest)

    return patched(sentence, "anys3.protocol.claims_v4._compare", broken)


def believing(claim: Any, signer: Any, request: Request, *rest: Any) -> None:
    """Compare the signature as if the method were not a part of what is signed."""
    sent = request.method
    try:
        for method in (b"GET", b"PUT", b"HEAD", b"POST", b"DELETE"):
            request.method = method
            try:
                return compare(claim, signer, request, *rest)
            except S3Error as error:
                failure = error
        raise failure
    finally:
        request.method = sent


breaks(
    "AUTH-01/white-space-after-commas",
    refusing(
        "a comma without a space is not taken for one",
        "AuthorizationHeaderMalformed",
        lambda request: re.search(rb",(Signed|Signature)", authorization(request)),
    ),
)
breaks(
    "AUTH-01/fields-in-any-order",
    refusing(
        "the fields are known by their places",
        "AuthorizationHeaderMalformed",
        lambda request: authorization(request) and not NORMAL_ORDER.fullmatch(authorization(request)),
    ),
)
breaks(
    ("AUTH-02/special-characters-in-keys", "AUTH-02/needless-escapes-in-paths"),
    patched(
        "the path is encoded twice, as for other services than S3",
        "anys3.protocol.claims_v4.canonical_path",
        lambda path: quote_from_bytes(path, safe="/-_.~").encode(),
    ),
)
breaks(
    "AUTH-02/slashes-and-dots-in-keys",
    patched(
        "the path is normalised before it is signed",
        "anys3.protocol.claims_v4.canonical_path",
        lambda path: sigv4.canonical_path(posixpath.normpath(path)),
    ),
)
breaks(
    "AUTH-02/needless-escapes-in-paths",
    patched(
        "the path is signed as it was sent", "anys3.protocol.claims_v4.canonical_path", lambda path: path
    ),
)
breaks(
    "AUTH-03/query-sorted-and-encoded",
    patched(
        "the query is signed as it was sent",
        "anys3.protocol.claims_v4.canonical_query",
        lambda query, without=None: query,
    ),
)
breaks(
    "AUTH-03/query-sorted-and-encoded",
    patched(
        "the query is sorted by names alone",
        "anys3.protocol.claims_v4.canonical_query",
        lambda query, without=None: b"&".join(
            sorted(query.split(b"&"), key=lambda pair: pair.partition(b"=")[0])
        ),
    ),
)
breaks(
    "AUTH-03/white-space-in-headers",
    patched(
        "white space in headers is signed as it was sent",
        "anys3.protocol.claims_v4.canonical_value",
        lambda value: value,
    ),
)


def keep_last(request: Request) -> None:
    """Forget all but the last value of a header."""
    if b"x-a3-list" in request.headers:
        request.headers[b"x-a3-list"] = request.headers[b"x-a3-list"].rpartition(b",")[2].strip()


breaks("AUTH-03/repeated-headers-are-joined", asking("of a repeated header the last one counts", keep_last))


def as_sent(names: tuple[bytes, ...]) -> Any:
    """Return a getter of header values in the order of the request."""
    if b"x-a3-a" not in names:
        return getter(names)
    return lambda headers: tuple(headers[name] for name in headers if name in names)


breaks(
    "AUTH-03/header-names-in-any-case",
    all_of(
        "headers are signed in the order in which they came",
        patched("", "anys3.protocol.sigv4._getter", as_sent),
        *NOTHING_CACHED,
    ),
)

breaks(
    "AUTH-04/host-must-be-signed",
    patched(
        "a signature need not cover the host",
        "anys3.protocol.authentication._signed_headers",
        lambda names, code: names.encode(),
    ),
)
breaks(
    ("AUTH-04/amz-headers-must-be-signed", "AUTH-04/date-and-hash-must-be-signed"),
    patched(
        "headers that were not signed are obeyed",
        "anys3.protocol.claims_v4.check_all_signed",
        lambda *_, **__: None,
    ),
)

breaks(
    (
        "AUTH-05/wrong-signatures-are-refused",
        "AUTH-05/forged-writes-have-no-effect",
        "AUTH-05/signature-is-for-one-request",
        "AUTH-05/forged-streams-are-refused",
        "AUTH-05/forged-urls-are-refused",
    ),
    patched("signatures are not compared", "anys3.protocol.claims_v4._compare", never_compared),
)
breaks(
    "AUTH-05/forged-writes-have-no-effect",
    skipping("signatures of PUT are not compared", lambda request, _: request.method == b"PUT"),
)
breaks(
    "AUTH-05/signature-is-for-one-request",
    patched("a signature is good for any method", "anys3.protocol.claims_v4._compare", believing),
)
breaks(
    "AUTH-05/forged-streams-are-refused",
    skipping(
        "the signature of STREAMING-UNSIGNED-PAYLOAD-TRAILER is not compared (CVE-2025-31489)",
        lambda request, _: (
            request.headers.get(b"x-amz-content-sha256") == b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        ),
    ),
)
breaks(
    "AUTH-05/forged-urls-are-refused",
    skipping(
        "with the credentials in the query nobody compares the signature of a stream (CVE-2026-41145)",
        lambda request, claim: (
            claim.kind == "query"
            and request.headers.get(b"x-amz-content-sha256") == b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        ),
    ),
)
breaks(
    "AUTH-05/forged-streams-are-refused",
    skipping(
        "archives that are unpacked are not verified (CVE-2026-40344)",
        lambda request, _: b"x-amz-meta-snowball-auto-extract" in request.headers,
    ),
)


def any_second(
    claim: Any, signer: Any, request: Request, query: bytes, payload_hash: bytes, *rest: Any
) -> None:
    """Compare the signature for any second of the minute."""
    amz_date, signature = rest
    sent = request.headers[b"x-amz-date"]
    for second in range(60):
        date = b"%b%02dZ" % (amz_date[:13], second)
        request.headers[b"x-amz-date"] = date
        try:
            return compare(claim, signer, request, query, payload_hash, date, signature)
        except S3Error as error:
            failure = error
        finally:
            request.headers[b"x-amz-date"] = sent
    raise failure


breaks(
    "AUTH-05/signature-is-for-one-request",
    patched("the second of a request is not signed", "anys3.protocol.claims_v4._compare", any_second),
)
breaks(
    "AUTH-05/forged-urls-are-refused",
    skipping(
        "the signature of a stream whose token is in the query is not compared",
        lambda request, claim: claim.kind == "query" and b"STREAMING" in request.query,
    ),
)
breaks(
    "AUTH-05/forged-urls-are-refused",
    patched("SigV2 signatures are not compared", "anys3.protocol.claims_v2.compare_v2", never_compared),
)

breaks("AUTH-06/unknown-key-id", saying("SignatureDoesNotMatch", instead_of="InvalidAccessKeyId"))
find_key = Application.find_key


async def find_any_key(self: Application, access_key_id: str) -> AccessKey:
    """Return a key for any id: one that does not exist has an empty secret."""
    found = await find_key(self, access_key_id)
    return found or AccessKey(access_key_id, "", "nobody", is_root=True, created_ms=0)


breaks(
    "AUTH-06/unknown-key-id",
    patched(
        "a key that does not exist has an empty secret",
        "anys3.server.application.Application.find_key",
        find_any_key,
    ),
)

MALFORMED = (
    "AUTH-07/scope-of-another-day",
    "AUTH-07/scope-of-another-service",
    "AUTH-07/scope-with-another-end",
    "AUTH-07/missing-fields",
    "AUTH-07/unparsable-headers",
)
breaks(MALFORMED, saying("SignatureDoesNotMatch", instead_of="AuthorizationHeaderMalformed"))
breaks(MALFORMED, accepting("AuthorizationHeaderMalformed"))
breaks("AUTH-07/damaged-headers-open-nothing", accepting("AuthorizationHeaderMalformed", "InvalidArgument"))
breaks(
    "AUTH-07/damaged-headers-open-nothing",
    skipping("an empty signature matches", lambda request, _: authorization(request).endswith(b"Signature=")),
)
