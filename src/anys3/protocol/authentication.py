"""Read from a request who it says it is from, by any of the ways to sign. `Claim.prove` verifies it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from anys3.protocol.claims import ANONYMOUS_CLAIM, Claim, Proof, Realm, not_signed, text
from anys3.protocol.claims_form import FormClaim
from anys3.protocol.claims_v2 import V2HeaderClaim, V2QueryClaim
from anys3.protocol.claims_v4 import QUERY_PARAMETERS, HeaderClaim, QueryClaim, known_claim
from anys3.protocol.dates import parse_amz_date
from anys3.protocol.http import Request
from anys3.protocol.sigv4 import SIGNATURE_LENGTH
from anys3.spec.errors import S3Error

__all__ = ["Claim", "Proof", "Realm", "read", "read_form"]

MAX_EXPIRES_S = 604_800
"""Longest life of a presigned URL: seven days (PRE-04)."""

_SCHEME = b"AWS4-HMAC-SHA256"
_FIELDS = frozenset({b"Credential", b"SignedHeaders", b"Signature"})
_CREDENTIAL = re.compile(
    r"([\x21-\x2b\x2d-\x7e]{1,128})/([0-9]{8})/([A-Za-z0-9_-]{1,64})/([a-z0-9-]+)/([a-z0-9_]+)"
)
_SIGNED_HEADERS = re.compile(r"[a-z0-9!#$&'*+.^_`|~%-]+(?:;[a-z0-9!#$&'*+.^_`|~%-]+)*")
_DIGITS = re.compile(r"[0-9]{1,10}")
_EXPIRES = re.compile(r"[0-9]{1,12}")
_SPACE = b" \t"
_V2_HEADERS = frozenset({"content-md5", "content-type"})


def read(request: Request, query: Mapping[str, str]) -> Claim:
    """Return the claim that a request makes; `query` is its parsed query. Nothing is believed yet.

    A request that carries any part of a signature is never anonymous, but for the preflight: a browser asks
    about the very URL that it was given, and the signature in it is for another method (CORS-02).

    Raises S3Error:
        AuthorizationHeaderMalformed: a field is missing or does not parse (AUTH-07).
        AuthorizationQueryParametersError: likewise, for a presigned URL (PRE-03, PRE-04, PRE-10, PRE-13).
        InvalidArgument: an unknown scheme; header and query at once (AUTH-13).
        AccessDenied: an incomplete SigV2 URL; `host` is not signed (AUTH-04).
        InvalidToken: a session token; this server issues none (AUTH-14, PRE-13).
    """
    if request.method == b"OPTIONS":
        return ANONYMOUS_CLAIM
    headers = request.headers
    if b"x-amz-security-token" in headers:
        raise S3Error("InvalidToken")
    authorization = headers.get(b"authorization")
    if authorization is None:
        return _read_query(query) if query else ANONYMOUS_CLAIM
    if query and _query_kind(query):
        raise S3Error(
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
            "Signature query string parameter or the Authorization header should be specified",
            ArgumentName="Authorization",
        )
    return known_claim(authorization[:-SIGNATURE_LENGTH]) or _read_header(authorization)


def _read_header(authorization: bytes) -> Claim:
    scheme, space, rest = authorization.partition(b" ")
    if scheme == b"AWS" and space:
        return _read_v2_header(rest)
    if scheme != _SCHEME:
        raise S3Error(
            "InvalidArgument",
            "Unsupported Authorization Type",
            ArgumentName="Authorization",
            ArgumentValue=text(scheme),
        )
    fields: dict[bytes, bytes] = {}
    for piece in rest.split(b","):
        name, equals, value = piece.strip(_SPACE).partition(b"=")
        if not equals or name in fields or name not in _FIELDS:
            raise _malformed("it is not a list of Credential, SignedHeaders and Signature")
        fields[name] = value
    if len(fields) != len(_FIELDS):
        raise _malformed(f"{text(min(_FIELDS - fields.keys()))} is missing")
    code = "AuthorizationHeaderMalformed"
    access_key_id, day, region = _credential(text(fields[b"Credential"]), code)
    signed_headers = _signed_headers(text(fields[b"SignedHeaders"]), code)
    signature = fields[b"Signature"]
    is_last = authorization.endswith(b"Signature=" + signature) and len(signature) == SIGNATURE_LENGTH
    prefix = authorization[:-SIGNATURE_LENGTH] if is_last else None
    return HeaderClaim(access_key_id, day, region, signed_headers, signature, prefix)


def _read_v2_header(credentials: bytes) -> Claim:
    access_key_id, colon, signature = credentials.strip(_SPACE).rpartition(b":")
    if not access_key_id or not colon or not signature:
        raise S3Error(
            "InvalidArgument",
            "AWS authorization header is invalid. Expected AwsAccessKeyId:signature",
            ArgumentName="Authorization",
        )
    return V2HeaderClaim(text(access_key_id), signature)


def is_presigned(query: Mapping[str, str]) -> bool:
    """Return whether a query carries any part of a signature."""
    return _query_kind(query) != ""


def _query_kind(query: Mapping[str, str]) -> str:
    """Return which signature the query carries a part of: "query", "v2-query" or ""."""
    for name in query:
        if name[:6].lower() == "x-amz-" and name.lower() in QUERY_PARAMETERS:
            return "query"
    return "v2-query" if "AWSAccessKeyId" in query or "Signature" in query else ""


def _read_query(query: Mapping[str, str]) -> Claim:
    kind = _query_kind(query)
    if not kind:
        return ANONYMOUS_CLAIM
    parameters: dict[str, str] = {}
    for name, value in query.items():
        parameters.setdefault(name.lower(), value)
    if "x-amz-security-token" in parameters:
        raise S3Error("InvalidToken")
    return _read_v4_query(parameters) if kind == "query" else _read_v2_query(query, parameters)


def _read_v4_query(parameters: dict[str, str]) -> Claim:
    code = "AuthorizationQueryParametersError"
    if not parameters.keys() >= QUERY_PARAMETERS:
        raise S3Error(
            code,
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        )
    if parameters["x-amz-algorithm"] != _SCHEME.decode():
        raise S3Error(code, 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    expires = parameters["x-amz-expires"]
    if not _DIGITS.fullmatch(expires) or int(expires) > MAX_EXPIRES_S:
        raise S3Error(code, f"X-Amz-Expires must be an integer from 0 to {MAX_EXPIRES_S}, not {expires!r}")
    amz_date = parameters["x-amz-date"].encode()
    if parse_amz_date(amz_date) is None:
        raise S3Error(code, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    access_key_id, day, region = _credential(parameters["x-amz-credential"], code)
    if amz_date[:8] != day:
        raise S3Error(code, "The date of X-Amz-Credential is not that of X-Amz-Date")
    return QueryClaim(
        access_key_id,
        day,
        region,
        _signed_headers(parameters["x-amz-signedheaders"], code),
        parameters["x-amz-signature"].encode(),
        amz_date,
        int(expires),
        {name: value for name, value in parameters.items() if name.startswith("x-amz-")},
    )


def _read_v2_query(query: Mapping[str, str], parameters: dict[str, str]) -> Claim:
    access_key_id, signature = query.get("AWSAccessKeyId"), query.get("Signature")
    expires = query.get("Expires", "")
    if not access_key_id or not signature or not _EXPIRES.fullmatch(expires):
        raise S3Error(
            "AccessDenied",
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
        )
    given = {
        name: value for name, value in parameters.items() if name.startswith("x-amz-") or name in _V2_HEADERS
    }
    # A space can only be a `+` of the base64 that its sender forgot to encode.
    return V2QueryClaim(access_key_id, signature.replace(" ", "+").encode(), expires.encode(), given)


def read_form(fields: Mapping[str, str]) -> Claim:
    """Return the claim of a POST form; field names are in lower case.

    Raises S3Error InvalidArgument if some fields of the signature are missing or do not parse (POST-09),
    AccessDenied if all are: nobody uploads anonymously; InvalidToken for a session token (AUTH-14).
    """
    if "x-amz-security-token" in fields:
        raise S3Error("InvalidToken")
    if fields.keys() & {"x-amz-signature", "x-amz-credential", "x-amz-algorithm", "x-amz-date"}:
        return _read_v4_form(fields)
    if not fields.keys() & {"awsaccesskeyid", "signature"}:
        raise S3Error("AccessDenied", log="a form without a signature")
    for name in ("awsaccesskeyid", "signature", "policy"):
        _form_field(fields, name)
    access_key_id, policy = fields["awsaccesskeyid"], fields["policy"]
    return FormClaim(access_key_id, policy.encode(), fields["signature"].encode(), None)


def _read_v4_form(fields: Mapping[str, str]) -> Claim:
    if _form_field(fields, "x-amz-algorithm") != _SCHEME.decode():
        raise S3Error("InvalidArgument", "Unsupported x-amz-algorithm", ArgumentName="x-amz-algorithm")
    amz_date = _form_field(fields, "x-amz-date").encode()
    access_key_id, day, region = _credential(_form_field(fields, "x-amz-credential"), "InvalidArgument")
    if parse_amz_date(amz_date) is None or amz_date[:8] != day:
        raise S3Error(
            "InvalidArgument", "x-amz-date is no time on the credential's day", ArgumentName="x-amz-date"
        )
    signature = _form_field(fields, "x-amz-signature").encode()
    return FormClaim(access_key_id, _form_field(fields, "policy").encode(), signature, (day, region))


def _form_field(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if not value:
        raise S3Error(
            "InvalidArgument", f"Bucket POST must contain a field named {name!r}", ArgumentName=name
        )
    return value


def _credential(credential: str, code: str) -> tuple[str, bytes, str]:
    """Return access key id, day and region of a credential scope."""
    match = _CREDENTIAL.fullmatch(credential)
    if match is None:
        raise S3Error(
            code,
            'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request", '
            f"not {credential[:256]!r}",
        )
    access_key_id, day, region, service, terminator = match.groups()
    if service != "s3" or terminator != "aws4_request":
        raise S3Error(code, f"the Credential ends in {service}/{terminator}; expecting s3/aws4_request")
    return access_key_id, day.encode(), region


def _signed_headers(names: str, code: str) -> bytes:
    """Return a list of signed headers that is fit to be used."""
    if not _SIGNED_HEADERS.fullmatch(names):
        raise S3Error(code, f"SignedHeaders must be lower-case names between semicolons, not {names[:256]!r}")
    listed = names.split(";")
    if len(set(listed)) != len(listed):
        raise S3Error(code, "SignedHeaders names a header twice")
    if "host" not in listed:
        raise not_signed(b"host")
    return names.encode()


def _malformed(reason: str) -> S3Error:
    return S3Error("AuthorizationHeaderMalformed", f"The authorization header is malformed: {reason}")
