"""Who a request says it is from, and the proof of it. Every way to sign is verified here and in claims_*.py only.

A claim is what was read from the request; it is worth nothing until `prove` has returned. No verdict is
ever remembered: every request's signature is computed and compared again.
"""

# ruff: noqa: ARG002 - every claim is proved with the same arguments, whether its kind needs them or not

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from anys3.model import AccessKey
from anys3.protocol.dates import iso
from anys3.protocol.http import Request
from anys3.protocol.sigv4 import Seal
from anys3.spec.errors import S3Error

Kind = Literal["header", "query", "v2-header", "v2-query", "form", "anonymous"]

MAX_SKEW_S = 900
"""Most seconds between a request's time and the server's (AUTH-09)."""
ALIAS_REGION = "us-east-1"
"""The region that unconfigured clients use, accepted everywhere (AUTH-16)."""

_NO_HEADERS: dict[bytes, bytes] = {}


@dataclass(frozen=True, slots=True)
class Realm:
    """What a server accepts: scopes of its region or of the alias us-east-1, and perhaps SigV2."""

    region: str
    allow_sigv2: bool

    def serves(self, region: str) -> bool:
        """Return whether a scope of that region is accepted (AUTH-08, AUTH-16)."""
        return region in (self.region, ALIAS_REGION)


class Proof:
    """What a verified signature vouches for."""

    __slots__ = ("payload_hash", "seal", "signed_query_headers")

    def __init__(
        self,
        payload_hash: bytes = b"",
        seal: Seal | None = None,
        signed_query_headers: dict[bytes, bytes] = _NO_HEADERS,
    ) -> None:
        """Hold x-amz-content-sha256 (b"" if not sent), what signs chunks, and headers given as query."""
        self.payload_hash = payload_hash
        self.seal = seal
        self.signed_query_headers = signed_query_headers


class Claim:
    """Who a request says it is from; `access_key_id` is None for an anonymous one."""

    __slots__ = ("access_key_id", "kind")

    def __init__(self, access_key_id: str | None, kind: Kind) -> None:
        """Say who, and how it was said."""
        self.access_key_id = access_key_id
        self.kind: Kind = kind

    def prove(
        self,
        request: Request,
        key: AccessKey | None,
        realm: Realm,
        now_s: int,
        *,
        resource: bytes | None = None,
    ) -> Proof:
        """Verify the signature with the secret of `key`, the one that `access_key_id` names.

        `resource` is the path that SigV2 signs where it is not the one sent (virtual hosts).

        Raises S3Error:
            InvalidAccessKeyId: `key` is None (AUTH-06).
            SignatureDoesNotMatch: it does not (AUTH-05, PRE-07, POST-04).
            RequestTimeTooSkewed, AccessDenied: too early, too late, not dated, or a header that had to be
                signed is not (AUTH-04, AUTH-09, AUTH-10, PRE-05, PRE-06, PRE-08, PRE-12).
            AuthorizationHeaderMalformed, AuthorizationQueryParametersError: a scope of another region or
                day (AUTH-07, AUTH-08, PRE-10, PRE-13).
            InvalidRequest: no x-amz-content-sha256 (PAY-01); SigV2 where it is refused (AUTH-13, PRE-11).
        """
        raise NotImplementedError


class AnonymousClaim(Claim):
    """Nobody signed the request."""

    __slots__ = ()

    def prove(
        self,
        request: Request,
        key: AccessKey | None,
        realm: Realm,
        now_s: int,
        *,
        resource: bytes | None = None,
    ) -> Proof:
        """Return a proof of nothing."""
        return Proof(request.headers.get(b"x-amz-content-sha256", b""))


ANONYMOUS_CLAIM = AnonymousClaim(None, "anonymous")


def check_all_signed(
    headers: Mapping[bytes, bytes], names: tuple[bytes, ...], but: Collection[bytes] = ()
) -> None:
    """Raise S3Error AccessDenied if an x-amz-* header was sent that is not signed (AUTH-04, PRE-08)."""
    unsigned = [
        name for name in headers if name.startswith(b"x-amz-") and name not in names and name not in but
    ]
    if unsigned:
        raise not_signed(b", ".join(unsigned))


def not_signed(names: bytes) -> S3Error:
    """Return the refusal of a request with headers that had to be signed."""
    return S3Error(
        "AccessDenied",
        "There were headers present in the request which were not signed",
        HeadersNotSigned=text(names),
    )


def check_not_repeated(given: Mapping[bytes, bytes], headers: Mapping[bytes, bytes]) -> None:
    """Raise S3Error AccessDenied if a header repeats a parameter with another value (PRE-12)."""
    repeated = [name for name in given if headers.get(name, given[name]) != given[name]]
    if repeated:
        raise S3Error(
            "AccessDenied",
            "A header repeats a signed query parameter with another value",
            HeadersNotSigned=text(b", ".join(repeated)),
        )


def undated() -> S3Error:
    """Return the refusal of a request that has no time (AUTH-10)."""
    return S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")


def skewed(request_time: str, now_s: int) -> S3Error:
    """Return the refusal of a request of another time (AUTH-09)."""
    return S3Error(
        "RequestTimeTooSkewed",
        RequestTime=request_time,
        ServerTime=iso(now_s * 1000),
        MaxAllowedSkewMilliseconds=str(MAX_SKEW_S * 1000),
    )


def expired(ends_s: int, now_s: int, **details: str) -> S3Error:
    """Return the refusal of a URL that was good until then (PRE-05)."""
    return S3Error(
        "AccessDenied",
        "Request has expired",
        Expires=iso(min(ends_s, 253_402_300_799) * 1000),
        ServerTime=iso(now_s * 1000),
        **details,
    )


def wrong_region(code: str, region: str, realm: Realm) -> S3Error:
    """Return the refusal of a scope of another region (AUTH-08, PRE-13)."""
    error = S3Error(code, f"the region {region!r} is wrong; expecting {realm.region!r}", Region=realm.region)
    error.headers = b"x-amz-bucket-region: %b\r\n" % realm.region.encode()
    return error


def unknown_key(claim: Claim) -> S3Error:
    """Return the refusal of a key that there is not (AUTH-06)."""
    return S3Error("InvalidAccessKeyId", AWSAccessKeyId=claim.access_key_id or "")


def mismatch(claim: Claim, *, log: str = "", **details: str) -> S3Error:
    """Return the refusal of a wrong signature (AUTH-05, PRE-07, POST-04)."""
    return S3Error("SignatureDoesNotMatch", log=log, AWSAccessKeyId=claim.access_key_id or "", **details)


def text(value: bytes) -> str:
    """Return bytes of a request as an error shows them."""
    return value.decode("utf-8", "replace")
