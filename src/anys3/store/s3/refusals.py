"""What an answer other than success means: to be asked again, or an error with what can be done about it."""

from __future__ import annotations

import re

from anys3.client.answers import Answer
from anys3.protocol import xml
from anys3.spec.errors import S3Error
from anys3.store.errors import StoreError, StoreFull, Unavailable

_OVERLOAD = (408, 429, 500, 502, 503, 504)
_PASSING = {
    "InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling",
    # The body was damaged or cut on its way: the next try may come through.
    "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch",
}  # fmt: skip
STALE_CREDENTIALS = {
    "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired",
}  # fmt: skip
_FULL = {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"}
_RETRY_AFTER = re.compile(r"[0-9]{1,4}")
# A completed upload may answer 200 before it knows, and then say that it failed (CompleteMultipartUpload of AWS).
_ERROR_DOCUMENT = re.compile(rb"\s*(<\?xml[^>]*\?>)?\s*<Error[\s>]")
_ADVICE = {
    "AccessDenied": "the key may not do that: it needs to read, write, delete and list objects and uploads there",
    "AuthorizationHeaderMalformed": "the region may be wrong: give region=",
    "ExpiredToken": "the session token has expired",
    "InvalidAccessKeyId": "the provider does not know this access key id",
    "InvalidToken": "the session token is not valid",
    "NoSuchBucket": "there is no such bucket: make it, or give another",
    "PermanentRedirect": "the bucket lies elsewhere: give its endpoint= or region=",
    "RequestTimeTooSkewed": "the clocks differ by more than 15 minutes: set this machine's",
    "SignatureDoesNotMatch": "the secret access key is not that of the access key id, or the region is wrong",
}
_ADVICE_OF_STATUS = {
    301: "the bucket lies elsewhere: give its endpoint= or region=",
    403: "the key may not do that, or is not known there",
    501: "the provider does not have this operation",
}


def code(answer: Answer) -> str:
    """Return the <Code> of an error document; "" where there is none."""
    if answer.status < 300 and not _ERROR_DOCUMENT.match(answer.body):
        return ""
    try:
        return xml.parse(answer.body, "Error").text_of("Code")
    except S3Error:
        return ""


def said(answer: Answer) -> str:
    """Return status and code in words: `404 NoSuchKey`."""
    return f"{answer.status} {code(answer)}".strip()


def is_passing(answer: Answer) -> bool:
    """Whether the same request may well succeed later."""
    return answer.status in _OVERLOAD or code(answer) in _PASSING


def retry_after_s(answer: Answer) -> float:
    """Return how long the provider asks to wait."""
    value = answer.header("retry-after") or ""
    return float(value) if _RETRY_AFTER.fullmatch(value) else 0.0


def error(answer: Answer, what: str) -> StoreError:
    """Return what to raise for an answer that is not one of those that are expected; `what` names the request."""
    found = code(answer)
    advice = _ADVICE.get(found) or _ADVICE_OF_STATUS.get(answer.status)
    sentence = f"{what} was answered {said(answer)}" + (f": {advice}" if advice else "")
    return StoreFull(sentence) if answer.status == 507 or found in _FULL else Unavailable(sentence)
