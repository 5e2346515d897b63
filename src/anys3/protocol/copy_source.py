"""`x-amz-copy-source`: which object a copy takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from anys3.protocol import percent
from anys3.protocol.names import check_bucket_name, check_key, is_utf8
from anys3.spec.errors import S3Error


@dataclass(frozen=True, slots=True)
class CopySource:
    """The source object, decoded and valid: what is authorised is what is opened (known mistake 20)."""

    bucket: str
    key: bytes


def parse(value: bytes) -> CopySource:
    """Return the source that the header names, decoded exactly once (COPY-02).

    A leading slash is optional, the slash behind the bucket may be `%2F`, `+` is a plus sign, and `..` is
    a name like any other. `?versionId=null` means the object itself.

        >>> parse(b"/photos/a%2520b.jpg?versionId=null")
        CopySource(bucket='photos', key=b'a%20b.jpg')

    Raises S3Error:
        InvalidArgument: not `bucket/key`, a broken escape, not UTF-8, or another version (COPY-04).
        KeyTooLongError: KEY-01.
    """
    path, mark, version = value.strip().rpartition(b"?versionId=")
    if not mark:
        path = version
    elif version != b"null":
        _refuse(value, "Buckets have no versions here but null.")
    decoded = percent.decode(path)
    if decoded is None or not is_utf8(decoded):
        _refuse(value, "The copy source must be bucket/key, percent-encoded UTF-8.")
    name, _, key = decoded.removeprefix(b"/").partition(b"/")
    bucket = name.decode()
    if not key or b"\0" in key:
        _refuse(value, "The copy source must be bucket/key.")
    try:
        check_bucket_name(bucket, is_new=False)
    except S3Error:
        _refuse(value, "The copy source names no valid bucket.")
    check_key(key)
    return CopySource(bucket, key)


def _refuse(value: bytes, message: str) -> NoReturn:
    raise S3Error(
        "InvalidArgument",
        message,
        ArgumentName="x-amz-copy-source",
        ArgumentValue=value.decode("utf-8", "replace"),
    )
