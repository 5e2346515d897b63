"""What a bucket and an object may be called."""

from __future__ import annotations

import re
from functools import lru_cache

from anys3.spec.errors import S3Error

MAX_KEY_BYTES = 1024

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IPV4 = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_bucket_name(name: str, *, is_new: bool) -> None:
    """Refuse a name that no bucket can have or, if `is_new`, that none may be given any more.

    Raises S3Error:
        InvalidBucketName: BN-02 to BN-04, BN-07; BN-06 for a new bucket.
    """
    if not _is_bucket_name(name) or (is_new and not _is_free(name)):
        raise S3Error("InvalidBucketName", BucketName=name)


@lru_cache(maxsize=1024)
def _is_bucket_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and ".." not in name and not _IPV4.fullmatch(name)


def _is_free(name: str) -> bool:
    is_odd = ".-" in name or "-." in name
    return not (is_odd or name.startswith(_RESERVED_PREFIXES) or name.endswith(_RESERVED_SUFFIXES))


def check_key(key: bytes) -> None:
    """Refuse what is not 1 to 1,024 bytes of UTF-8 without NUL; nothing is ever normalised (KEY-02, KEY-03).

    Raises S3Error:
        KeyTooLongError: KEY-01.
        InvalidArgument: empty, or holds NUL (KEY-11).
        InvalidURI: not UTF-8 (KEY-12).
    """
    if 0 < len(key) <= MAX_KEY_BYTES and b"\0" not in key and key.isascii():
        return
    if len(key) > MAX_KEY_BYTES:
        raise S3Error("KeyTooLongError", Size=str(len(key)), MaxSizeAllowed=str(MAX_KEY_BYTES))
    if not key or b"\0" in key:
        message = "A key has at least one byte and no NUL."
        raise S3Error("InvalidArgument", message, ArgumentName="key")
    if not is_utf8(key):
        raise S3Error("InvalidURI")


def is_utf8(text: bytes) -> bool:
    """Return whether the bytes are well-formed UTF-8: no overlong forms, no surrogates."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
