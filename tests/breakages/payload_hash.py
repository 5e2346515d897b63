"""Servers broken for the checks of x-amz-content-sha256: PAY-01 to PAY-04."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anys3.protocol import claims, claims_v4, payload
from anys3.protocol.http import Request
from anys3.spec.errors import S3Error
from tests.breakages.authorization_header import refusing
from tests.broken_servers import Breakage, accepting, breaks, patched, saying

CHECK_SHA256 = "anys3.protocol.payload._check_sha256"
prove = claims_v4.HeaderClaim.prove
plan = payload.plan


def prove_without_hash(self: claims_v4.HeaderClaim, request: Request, *rest: Any, **options: Any) -> Any:
    """Believe a request without a payload hash."""
    if b"x-amz-content-sha256" in request.headers:
        return prove(self, request, *rest, **options)
    return claims.Proof(b"UNSIGNED-PAYLOAD")


def plan_any(headers: Mapping[bytes, bytes], proof: Any, is_body_expected: bool) -> Any:
    """Take a token that is not known for UNSIGNED-PAYLOAD."""
    try:
        return plan(headers, proof, is_body_expected)
    except S3Error as error:
        if error.code != "InvalidArgument":
            raise
        return plan(headers, claims.Proof(b"UNSIGNED-PAYLOAD"), is_body_expected)


def plan_bodies(headers: Mapping[bytes, bytes], proof: Any, is_body_expected: bool) -> Any:
    """Look at the payload token of requests with a body alone."""
    return plan(headers, proof, is_body_expected) if is_body_expected else payload.PLAIN


breaks(
    "PAY-01/hash-is-required",
    patched(
        "a request without a hash is believed",
        "anys3.protocol.claims_v4.HeaderClaim.prove",
        prove_without_hash,
    ),
)
breaks("PAY-01/hash-is-required", saying("SignatureDoesNotMatch", instead_of="InvalidRequest"))
NOT_VERIFIED = patched("the body's hash is not verified", CHECK_SHA256, lambda *_: None)
breaks(("PAY-02/hash-is-verified", "PAY-02/hash-of-a-document"), NOT_VERIFIED)
breaks("PAY-02/hash-is-verified", saying("SignatureDoesNotMatch", instead_of="XAmzContentSHA256Mismatch"))


def in_capitals(request: Request) -> bool:
    """Whether the payload hash holds capital digits."""
    token = request.headers.get(b"x-amz-content-sha256", b"")
    return len(token) == 64 and token != token.lower()


breaks(
    "PAY-02/hash-in-capitals",
    refusing("digits in capitals are no digits", "InvalidArgument", in_capitals),
)
breaks(
    "PAY-03/unsigned-payload",
    refusing(
        "UNSIGNED-PAYLOAD is refused",
        "InvalidArgument",
        lambda request: request.headers.get(b"x-amz-content-sha256") == b"UNSIGNED-PAYLOAD",
    ),
)
UNKNOWN_IS_UNSIGNED: Breakage = patched(
    "a token that is not known is UNSIGNED-PAYLOAD", "anys3.protocol.payload.plan", plan_any
)
breaks(("PAY-04/other-tokens-are-refused", "PAY-04/tokens-of-any-method"), UNKNOWN_IS_UNSIGNED)
breaks("PAY-04/other-tokens-are-refused", saying("InvalidRequest", instead_of="InvalidArgument"))
breaks(
    "PAY-04/tokens-of-any-method",
    patched("without a body any token is accepted", "anys3.protocol.payload.plan", plan_bodies),
)
breaks("PAY-04/tokens-of-any-method", accepting("InvalidArgument", method="DELETE"))
