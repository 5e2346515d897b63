"""AWS Signature Version 2 as S3 used it: not in any tier, but boto3 still presigns with it by default."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

_SIGNED_PARAMETERS = frozenset(
    # Those that botocore signs; one that is left out here or added makes its requests fail.
    {
        *(b"acl", b"accelerate", b"analytics", b"cors", b"defaultObjectAcl", b"delete", b"inventory"),
        *(b"lifecycle", b"location", b"logging", b"metrics", b"notification", b"object-lock"),
        *(b"partNumber", b"policy", b"replication", b"requestPayment", b"restore", b"select"),
        *(b"select-type", b"storageClass", b"tagging", b"torrent", b"uploadId", b"uploads"),
        *(b"versionId", b"versioning", b"versions", b"website"),
        *(b"response-cache-control", b"response-content-disposition", b"response-content-encoding"),
        *(b"response-content-language", b"response-content-type", b"response-expires"),
    }
)


def canonical_resource(path: bytes, query: bytes) -> bytes:
    """Return the CanonicalizedResource: the path as sent, and the sub-resources with decoded values.

    `path` begins with the bucket, even where the request named it in its Host. A name counts however it is
    spelt: one that is escaped asks for the same sub-resource, so the signature must hold for it, too.

        >>> canonical_resource(b"/b/k", b"prefix=a&uploadId=x%2By&acl")
        b'/b/k?acl&uploadId=x+y'
    """
    pairs = [tuple(map(unquote_to_bytes, piece.partition(b"="))) for piece in query.split(b"&")]
    signed = sorted((pair for pair in pairs if pair[0] in _SIGNED_PARAMETERS), key=lambda pair: pair[0])
    if not signed:
        return path
    return path + b"?" + b"&".join(map(b"".join, signed))


def string_to_sign(method: bytes, headers: Mapping[bytes, bytes], date: bytes, resource: bytes) -> bytes:
    """Return the StringToSign; `date` is the value of Date or Expires, empty if x-amz-date is given."""
    amz = sorted(name for name in headers if name.startswith(b"x-amz-"))
    return b"%b\n%b\n%b\n%b\n%b%b" % (
        method,
        headers.get(b"content-md5", b"").strip(),
        headers.get(b"content-type", b"").strip(),
        date.strip(),
        b"".join(b"%b:%b\n" % (name, headers[name].strip()) for name in amz),
        resource,
    )


def sign(secret: str, message: bytes) -> bytes:
    """Return the signature of a message, in base64."""
    return b64encode(hmac.digest(secret.encode(), message, "sha1"))
