"""Claims of signatures of version 2: in the Authorization header, or in the query of a presigned URL."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from anys3.model import AccessKey
from anys3.protocol import sigv2
from anys3.protocol.claims import (
    MAX_SKEW_S,
    Claim,
    Proof,
    Realm,
    check_not_repeated,
    expired,
    mismatch,
    skewed,
    text,
    undated,
    unknown_key,
)
from anys3.protocol.dates import parse_amz_date, parse_http_date
from anys3.protocol.http import Request
from anys3.spec.errors import S3Error


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
        check_sigv2(realm)
        headers = request.headers
        amz_date = headers.get(b"x-amz-date")
        date = headers.get(b"date", b"") if amz_date is None else amz_date
        time_s = parse_http_date(date) or parse_amz_date(date)
        if time_s is None:
            raise undated()
        if abs(now_s - time_s) > MAX_SKEW_S:
            raise skewed(text(date), now_s)
        if key is None:
            raise unknown_key(self)
        # The Amazon rule is an empty date beside x-amz-date; botocore always signs its Date.
        dates = {b"" if amz_date is not None else date, headers.get(b"date", b"")}
        messages = [
            sigv2.string_to_sign(request.method, headers, one, where)
            for one in dates
            for where in _v2_resources(request, resource)
        ]
        compare_v2(self, key.secret_access_key, messages, self.signature)
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
        check_sigv2(realm)
        if now_s > int(self.expires):
            raise expired(int(self.expires), now_s)
        if key is None:
            raise unknown_key(self)
        given = {name.encode(): value.encode() for name, value in self.parameters.items()}
        headers = request.headers
        check_not_repeated({name: given[name] for name in given if name.startswith(b"x-amz-")}, headers)
        merged = {**given, **headers}
        messages = [
            sigv2.string_to_sign(request.method, merged, self.expires, where)
            for where in _v2_resources(request, resource)
        ]
        compare_v2(self, key.secret_access_key, messages, self.signature)
        added = {name: value for name, value in given.items() if name not in headers}
        return Proof(merged.get(b"x-amz-content-sha256", b""), None, added)


def compare_v2(claim: Claim, secret: str, messages: list[bytes], signature: bytes) -> None:
    """Raise S3Error SignatureDoesNotMatch unless the signature is that of one of the messages."""
    if not any(hmac.compare_digest(sigv2.sign(secret, message), signature) for message in messages):
        raise mismatch(claim, StringToSign=text(messages[0]))


def check_sigv2(realm: Realm) -> None:
    """Raise S3Error InvalidRequest where SigV2 is refused (AUTH-13, PRE-11)."""
    if not realm.allow_sigv2:
        raise S3Error(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256: "
            'with boto3, Config(signature_version="s3v4").',
        )
