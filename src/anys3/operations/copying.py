"""What CopyObject and UploadPartCopy share: find the source, and judge whether it may be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.model import Bucket
from anys3.operations.call import may
from anys3.protocol import conditions, copy_source
from anys3.spec.errors import S3Error

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.store.interface import Opened
    from anys3.wire.shapes import CopyObjectInput, UploadPartCopyInput


async def open_source(
    call: Call, want: CopyObjectInput | UploadPartCopyInput
) -> tuple[copy_source.CopySource, Opened]:
    """Return the source, held open. The caller closes it.

    The bucket and key that are authorised are the very ones that are opened (COPY-12, known mistake 20).
    Raises S3Error InvalidArgument, NoSuchBucket, AccessDenied, NoSuchKey, PreconditionFailed (CONDC).
    """
    source = copy_source.parse(want.copy_source or b"")
    bucket = await call.find_bucket(source.bucket)  # type: ignore[misc]
    key = call.identity.key
    if not isinstance(bucket, Bucket):
        raise S3Error("NoSuchBucket", BucketName=source.bucket)
    if key is None or not may(key, bucket, "read"):
        raise S3Error("AccessDenied", log=f"no read grant on the source bucket {source.bucket!r}")
    opened = await call.store.open(bucket, source.key)
    if opened is None:
        raise S3Error("NoSuchKey", Key=source.key.decode())
    try:
        asked = conditions.Conditions(
            want.copy_source_if_match,
            want.copy_source_if_none_match,
            want.copy_source_if_modified_since,
            want.copy_source_if_unmodified_since,
        )
        conditions.check_copy_source(asked, opened.entry.etag, opened.entry.modified_ms, call.now_ms)
    except BaseException:
        close(opened)
        raise
    return source, opened


def close(opened: Opened) -> None:
    """Let go of an opened object, whatever it is."""
    if opened.source is not None:
        opened.source.close()
