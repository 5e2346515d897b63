"""Claims of signatures of version 4: in the Authorization header, or in the query of a presigned URL."""

# ruff: noqa: ARG002 - every claim is proved with the same arguments, whether its kind needs them or not

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import lru_cache

from anys3.model import AccessKey
from anys3.protocol.claims import (
    ALIAS_REGION,
    MAX_SKEW_S,
    Claim,
    Kind,
    Proof,
    Realm,
    check_all_signed,
    check_not_repeated,
    expired,
    mismatch,
    skewed,
    text,
    undated,
    unknown_key,
    wrong_region,
)
from anys3.protocol.dates import iso, parse_amz_date, parse_http_date
from anys3.protocol.http import Request
from anys3.protocol.sigv4 import (
    EMPTY_SHA256,
    SIGNATURE_LENGTH,
    UNSIGNED_PAYLOAD,
    Seal,
    Signer,
    canonical_path,
    canonical_query,
    canonical_value,
)
from anys3.spec.errors import S3Error

_MAX_CACHED = 4096
_MAX_CACHED_PREFIX = 1024
_SIGNED_CHUNKS = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

_EMPTY_PROOF = Proof(EMPTY_SHA256)
_parse_amz_date = lru_cache(maxsize=1024)(parse_amz_date)
_claims: dict[bytes, HeaderClaim] = {}


def known_claim(prefix: bytes) -> HeaderClaim | None:
    """Return the claim of an Authorization header without its signature, if it was once proven."""
    return _claims.get(prefix)


class ScopedClaim(Claim):
    """A SigV4 claim: a scope, and the list of headers that were signed."""

    __slots__ = ("day", "region", "signature", "signed_headers")

    def __init__(
        self,
        kind: Kind,
        access_key_id: str,
        day: bytes,
        region: str,
        signed_headers: bytes,
        signature: bytes,
    ) -> None:
        """Hold what was sent."""
        super().__init__(access_key_id, kind)
        self.day = day
        self.region = region
        self.signed_headers = signed_headers
        self.signature = signature

    def signer(self, secret: str) -> Signer:
        """Return what signs as this claim says it did."""
        return Signer(secret, self.day, self.region, self.signed_headers)


class HeaderClaim(ScopedClaim):
    """SigV4 in the Authorization header. `prefix` is the header up to the signature at its end, if so.

    Claims with a prefix are shared by all requests that begin so: the signature is the request's.
    """

    __slots__ = ("_proven", "prefix")

    def __init__(
        self,
        access_key_id: str,
        day: bytes,
        region: str,
        signed_headers: bytes,
        signature: bytes,
        prefix: bytes | None,
    ) -> None:
        """Hold what was sent."""
        super().__init__("header", access_key_id, day, region, signed_headers, signature)
        self.prefix = prefix
        self._proven: tuple[str, Signer] | None = None
        """The secret of the last proof, and what signs with it."""

    def prove(
        self,
        request: Request,
        key: AccessKey | None,
        realm: Realm,
        now_s: int,
        *,
        resource: bytes | None = None,
    ) -> Proof:
        """Verify a header signature."""
        headers = request.headers
        if self.region not in (realm.region, ALIAS_REGION):
            raise wrong_region("AuthorizationHeaderMalformed", self.region, realm)
        amz_date = headers.get(b"x-amz-date")
        time_s = _parse_amz_date(amz_date) if amz_date is not None else None
        if amz_date is None or time_s is None:
            amz_date, time_s = _other_date(headers)
        if amz_date[:8] != self.day:
            raise S3Error(
                "AuthorizationHeaderMalformed",
                f"The date of the credential {text(self.day)!r} is not that of the request, "
                f"{text(amz_date)!r}",
            )
        if not -MAX_SKEW_S <= now_s - time_s <= MAX_SKEW_S:
            raise skewed(text(amz_date), now_s)
        if key is None:
            raise unknown_key(self)
        payload_hash = headers.get(b"x-amz-content-sha256")
        if payload_hash is None:
            raise S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        prefix = self.prefix
        secret = key.secret_access_key
        proven = self._proven
        # A key that was read anew has another secret object: then the signer is made anew, too.
        signer = proven[1] if proven is not None and proven[0] is secret else self.signer(secret)
        signature = self.signature if prefix is None else headers[b"authorization"][-SIGNATURE_LENGTH:]
        # Every signed x-amz-* header is there (or `values` fails), so one more means one unsigned (AUTH-04).
        if b"\n".join(headers).count(b"x-amz-") != signer.amz_count:
            check_all_signed(headers, signer.names)
        query = canonical_query(request.query) if request.query else b""
        _compare(self, signer, request, query, payload_hash, amz_date, signature)
        if prefix is not None and (proven is None or proven[1] is not signer):
            self._proven = (secret, signer)
            _remember(self, prefix)
        if payload_hash == EMPTY_SHA256:
            return _EMPTY_PROOF
        if payload_hash.startswith(_SIGNED_CHUNKS):
            return Proof(payload_hash, Seal(signer, amz_date, signature))
        return Proof(payload_hash)


def _remember(claim: HeaderClaim, prefix: bytes) -> None:
    """Keep a claim with what was worked out. Only after a proof: strangers can't fill or flush the cache."""
    if len(prefix) > _MAX_CACHED_PREFIX:
        return
    if len(_claims) >= _MAX_CACHED:
        _claims.clear()
    _claims[prefix] = claim


def _compare(
    claim: ScopedClaim,
    signer: Signer,
    request: Request,
    query: bytes,
    payload_hash: bytes,
    amz_date: bytes,
    signature: bytes,
) -> None:
    """Raise S3Error SignatureDoesNotMatch unless the signature is that of the request."""
    try:
        values = signer.values(request.headers)
    except KeyError as missing:
        raise mismatch(claim, log=f"the signed header {missing} was not sent") from None
    path = canonical_path(request.path)
    canonical = signer.canonical_request(request.method, path, query, values, payload_hash)
    if hmac.compare_digest(signer.sign(canonical, amz_date), signature):
        return
    # White space in values is rare, so it's collapsed only now (AUTH-03).
    trimmed = tuple(map(canonical_value, values))
    if trimmed != values:
        canonical = signer.canonical_request(request.method, path, query, trimmed, payload_hash)
        if hmac.compare_digest(signer.sign(canonical, amz_date), signature):
            return
    raise mismatch(
        claim,
        StringToSign=text(signer.string_to_sign(canonical, amz_date)),
        CanonicalRequest=text(canonical),
    )


def _other_date(headers: Mapping[bytes, bytes]) -> tuple[bytes, int]:
    """Return the time that Date gives where there is no x-amz-date (AUTH-10, AUTH-11)."""
    time_s = parse_http_date(headers.get(b"date", b""))
    if time_s is None or b"x-amz-date" in headers:
        raise undated()
    return iso(time_s * 1000)[:19].translate({0x2D: None, 0x3A: None}).encode() + b"Z", time_s


QUERY_PARAMETERS = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-signedheaders",
        "x-amz-signature",
    }
)
"""The six parameters of a presigned URL, in lower case (PRE-03)."""
# boto3 presigns with the algorithm it would have used, but cannot know the value (PAY-15).
_NOT_HEADERS = QUERY_PARAMETERS | {"x-amz-sdk-checksum-algorithm"}


class QueryClaim(ScopedClaim):
    """SigV4 in the query: a presigned URL. `parameters` are the x-amz-* ones, names in lower case."""

    __slots__ = ("amz_date", "expires_s", "parameters")

    def __init__(
        self,
        access_key_id: str,
        day: bytes,
        region: str,
        signed_headers: bytes,
        signature: bytes,
        amz_date: bytes,
        expires_s: int,
        parameters: Mapping[str, str],
    ) -> None:
        """Hold what was sent."""
        super().__init__("query", access_key_id, day, region, signed_headers, signature)
        self.amz_date = amz_date
        self.expires_s = expires_s
        self.parameters = parameters

    def prove(
        self,
        request: Request,
        key: AccessKey | None,
        realm: Realm,
        now_s: int,
        *,
        resource: bytes | None = None,
    ) -> Proof:
        """Verify a presigned URL."""
        headers = request.headers
        if not realm.serves(self.region):
            raise wrong_region("AuthorizationQueryParametersError", self.region, realm)
        self._check_time(now_s)
        if key is None:
            raise unknown_key(self)
        signer = self.signer(key.secret_access_key)
        given = self._given(headers)
        check_all_signed(headers, signer.names, but={b"x-amz-content-sha256", *given})
        given.pop(b"x-amz-content-sha256", None)
        in_query = self.parameters.get("x-amz-content-sha256")
        sent = headers.get(b"x-amz-content-sha256")
        is_sent_signed = sent is not None and b"x-amz-content-sha256" in signer.names
        payload_hash = in_query.encode() if in_query is not None else sent or b""
        signed_hash = payload_hash if in_query is not None or is_sent_signed else UNSIGNED_PAYLOAD
        query = canonical_query(request.query, without=b"x-amz-signature")
        try:
            _compare(self, signer, request, query, signed_hash, self.amz_date, self.signature)
        except S3Error:
            if in_query is None:
                raise
            # botocore signs UNSIGNED-PAYLOAD whatever the parameter says; the query is signed either way.
            _compare(self, signer, request, query, UNSIGNED_PAYLOAD, self.amz_date, self.signature)
        seal = None
        if payload_hash.startswith(_SIGNED_CHUNKS):
            seal = Seal(signer, self.amz_date, self.signature)
        return Proof(payload_hash, seal, given)

    def _check_time(self, now_s: int) -> None:
        time_s = _parse_amz_date(self.amz_date)
        assert time_s is not None
        if time_s - now_s > MAX_SKEW_S:
            raise S3Error("AccessDenied", "Request is not yet valid", ServerTime=iso(now_s * 1000))
        ends_s = time_s + self.expires_s
        if now_s > ends_s:
            raise expired(ends_s, now_s, **{"X-Amz-Expires": str(self.expires_s)})

    def _given(self, headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the x-amz-* parameters that act like headers (PRE-09), none of them overridden by one."""
        given = {
            name.encode(): value.encode()
            for name, value in self.parameters.items()
            if name not in _NOT_HEADERS
        }
        check_not_repeated(given, headers)
        return given
