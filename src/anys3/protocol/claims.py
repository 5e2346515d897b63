"""Who a request says it is from, and the proof of it. Every way to sign is verified here and only here.

A claim is what was read from the request; it is worth nothing until `prove` has returned. No verdict is
ever remembered: every request's signature is computed and compared again.
"""

# ruff: noqa: ARG002 - every claim is proved with the same arguments, whether its kind needs them or not

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from anys3.model import AccessKey
from anys3.protocol import sigv2
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
    sign_policy,
)
from anys3.spec.errors import S3Error

Kind = Literal["header", "query", "v2-header", "v2-query", "form", "anonymous"]

MAX_SKEW_S = 900
"""Most seconds between a request's time and the server's (AUTH-09)."""
ALIAS_REGION = "us-east-1"
"""The region that unconfigured clients use, accepted everywhere (AUTH-16)."""

_MAX_CACHED = 4096
_MAX_CACHED_PREFIX = 1024
_SIGNED_CHUNKS = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

_NO_HEADERS: dict[bytes, bytes] = {}
_parse_amz_date = lru_cache(maxsize=1024)(parse_amz_date)


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


_EMPTY_PROOF = Proof(EMPTY_SHA256)


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
            raise _wrong_region("AuthorizationHeaderMalformed", self.region, realm)
        amz_date = headers.get(b"x-amz-date")
        time_s = _parse_amz_date(amz_date) if amz_date is not None else None
        if amz_date is None or time_s is None:
            amz_date, time_s = _other_date(headers)
        if amz_date[:8] != self.day:
            raise S3Error(
                "AuthorizationHeaderMalformed",
                f"The date of the credential {_text(self.day)!r} is not that of the request, "
                f"{_text(amz_date)!r}",
            )
        if not -MAX_SKEW_S <= now_s - time_s <= MAX_SKEW_S:
            raise _skewed(_text(amz_date), now_s)
        if key is None:
            raise _unknown_key(self)
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
            _check_all_signed(headers, signer.names)
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
        raise _mismatch(claim, log=f"the signed header {missing} was not sent") from None
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
    raise _mismatch(
        claim,
        StringToSign=_text(signer.string_to_sign(canonical, amz_date)),
        CanonicalRequest=_text(canonical),
    )


def _check_all_signed(
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
        HeadersNotSigned=_text(names),
    )


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
            raise _wrong_region("AuthorizationQueryParametersError", self.region, realm)
        self._check_time(now_s)
        if key is None:
            raise _unknown_key(self)
        signer = self.signer(key.secret_access_key)
        given = self._given(headers)
        _check_all_signed(headers, signer.names, but={b"x-amz-content-sha256", *given})
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
            raise _expired(ends_s, now_s, **{"X-Amz-Expires": str(self.expires_s)})

    def _given(self, headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the x-amz-* parameters that act like headers (PRE-09), none of them overridden by one."""
        given = {
            name.encode(): value.encode()
            for name, value in self.parameters.items()
            if name not in _NOT_HEADERS
        }
        _check_not_repeated(given, headers)
        return given


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


def _check_not_repeated(given: Mapping[bytes, bytes], headers: Mapping[bytes, bytes]) -> None:
    """Raise S3Error AccessDenied if a header repeats a parameter with another value (PRE-12)."""
    repeated = [name for name in given if headers.get(name, given[name]) != given[name]]
    if repeated:
        raise S3Error(
            "AccessDenied",
            "A header repeats a signed query parameter with another value",
            HeadersNotSigned=_text(b", ".join(repeated)),
        )


class V2HeaderClaim(Claim):
    """SigV2 in the Authorization header."""

    __slots__ = ("signature",)

    def __init__(self, access_key_id: str, signature: bytes) -> None:
        """Hold what was sent."""
        super().__init__(access_key_id, "v2-header")
        self.signature = signature

    def prove(
        self,
        request: Request,
        key: AccessKey | None,
        realm: Realm,
        now_s: int,
        *,
        resource: bytes | None = None,
    ) -> Proof:
        """Verify a SigV2 header signature."""
        _check_sigv2(realm)
        headers = request.headers
        amz_date = headers.get(b"x-amz-date")
        date = headers.get(b"date", b"") if amz_date is None else amz_date
        time_s = parse_http_date(date) or parse_amz_date(date)
        if time_s is None:
            raise _undated()
        if abs(now_s - time_s) > MAX_SKEW_S:
            raise _skewed(_text(date), now_s)
        if key is None:
            raise _unknown_key(self)
        # The Amazon rule is an empty date beside x-amz-date; botocore always signs its Date.
        dates = {b"" if amz_date is not None else date, headers.get(b"date", b"")}
        messages = [
            sigv2.string_to_sign(request.method, headers, one, where)
            for one in dates
            for where in _v2_resources(request, resource)
        ]
        _compare_v2(self, key.secret_access_key, messages, self.signature)
        return Proof(headers.get(b"x-amz-content-sha256", b""))


def _v2_resources(request: Request, resource: bytes | None) -> list[bytes]:
    """Return the spellings of what is addressed: `/b` is `/b/` (HTTP-03), and botocore sends one, signs the other."""
    path = resource or request.path
    spellings = [sigv2.canonical_resource(path, request.query)]
    if path.count(b"/") == 1 and path != b"/":
        spellings.append(sigv2.canonical_resource(path + b"/", request.query))
    return spellings


class V2QueryClaim(Claim):
    """SigV2 in the query: the URLs that boto3 presigns by default.

    `parameters` are headers that the signer put into the query, names in lower case.
    """

    __slots__ = ("expires", "parameters", "signature")

    def __init__(
        self, access_key_id: str, signature: bytes, expires: bytes, parameters: Mapping[str, str]
    ) -> None:
        """Hold what was sent."""
        super().__init__(access_key_id, "v2-query")
        self.signature = signature
        self.expires = expires
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
        """Verify a SigV2 URL."""
        _check_sigv2(realm)
        if now_s > int(self.expires):
            raise _expired(int(self.expires), now_s)
        if key is None:
            raise _unknown_key(self)
        given = {name.encode(): value.encode() for name, value in self.parameters.items()}
        headers = request.headers
        _check_not_repeated({name: given[name] for name in given if name.startswith(b"x-amz-")}, headers)
        merged = {**given, **headers}
        messages = [
            sigv2.string_to_sign(request.method, merged, self.expires, where)
            for where in _v2_resources(request, resource)
        ]
        _compare_v2(self, key.secret_access_key, messages, self.signature)
        added = {name: value for name, value in given.items() if name not in headers}
        return Proof(merged.get(b"x-amz-content-sha256", b""), None, added)


class FormClaim(Claim):
    """A signature over the policy of a POST form, by SigV4 or (`scope` is None) by SigV2."""

    __slots__ = ("policy", "scope", "signature")

    def __init__(
        self, access_key_id: str, policy: bytes, signature: bytes, scope: tuple[bytes, str] | None
    ) -> None:
        """Hold what was sent; `scope` is day and region."""
        super().__init__(access_key_id, "form")
        self.policy = policy
        self.signature = signature
        self.scope = scope

    def prove(
        self,
        request: Request,
        key: AccessKey | None,
        realm: Realm,
        now_s: int,
        *,
        resource: bytes | None = None,
    ) -> Proof:
        """Verify the signature of the policy; what the policy says is for `post_policy`."""
        if self.scope is None:
            _check_sigv2(realm)
        elif not realm.serves(self.scope[1]):
            raise _wrong_region("AuthorizationQueryParametersError", self.scope[1], realm)
        if key is None:
            raise _unknown_key(self)
        secret = key.secret_access_key
        if self.scope is None:
            _compare_v2(self, secret, [self.policy], self.signature)
        elif not hmac.compare_digest(sign_policy(secret, *self.scope, self.policy), self.signature):
            raise _mismatch(self, StringToSign=_text(self.policy))
        # The policy covers the form's fields; a header beside the form would be covered by nothing (POST-07).
        _check_all_signed(request.headers, (), but={b"x-amz-content-sha256"})
        return Proof()


def _compare_v2(claim: Claim, secret: str, messages: list[bytes], signature: bytes) -> None:
    """Raise S3Error SignatureDoesNotMatch unless the signature is that of one of the messages."""
    if not any(hmac.compare_digest(sigv2.sign(secret, message), signature) for message in messages):
        raise _mismatch(claim, StringToSign=_text(messages[0]))


def _check_sigv2(realm: Realm) -> None:
    if not realm.allow_sigv2:
        raise S3Error(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256: "
            'with boto3, Config(signature_version="s3v4").',
        )


def _other_date(headers: Mapping[bytes, bytes]) -> tuple[bytes, int]:
    """Return the time that Date gives where there is no x-amz-date (AUTH-10, AUTH-11)."""
    time_s = parse_http_date(headers.get(b"date", b""))
    if time_s is None or b"x-amz-date" in headers:
        raise _undated()
    return iso(time_s * 1000)[:19].translate({0x2D: None, 0x3A: None}).encode() + b"Z", time_s


def _undated() -> S3Error:
    return S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")


def _skewed(request_time: str, now_s: int) -> S3Error:
    return S3Error(
        "RequestTimeTooSkewed",
        RequestTime=request_time,
        ServerTime=iso(now_s * 1000),
        MaxAllowedSkewMilliseconds=str(MAX_SKEW_S * 1000),
    )


def _expired(ends_s: int, now_s: int, **details: str) -> S3Error:
    return S3Error(
        "AccessDenied",
        "Request has expired",
        Expires=iso(min(ends_s, 253_402_300_799) * 1000),
        ServerTime=iso(now_s * 1000),
        **details,
    )


def _wrong_region(code: str, region: str, realm: Realm) -> S3Error:
    error = S3Error(code, f"the region {region!r} is wrong; expecting {realm.region!r}", Region=realm.region)
    error.headers = b"x-amz-bucket-region: %b\r\n" % realm.region.encode()
    return error


def _unknown_key(claim: Claim) -> S3Error:
    return S3Error("InvalidAccessKeyId", AWSAccessKeyId=claim.access_key_id or "")


def _mismatch(claim: Claim, *, log: str = "", **details: str) -> S3Error:
    return S3Error("SignatureDoesNotMatch", log=log, AWSAccessKeyId=claim.access_key_id or "", **details)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
