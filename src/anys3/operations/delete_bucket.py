"""DeleteBucket: remove an empty bucket, and the unfinished uploads in it (DB-01 to DB-06)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.protocol.http import Answer
from anys3.spec.errors import S3Error
from anys3.store.errors import BucketNotEmpty, NoSuchBucket

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.wire.shapes import DeleteBucketInput


async def delete_bucket(call: Call, want: DeleteBucketInput) -> Answer:
    """Remove the bucket. Raises S3Error NoSuchBucket, BucketNotEmpty."""
    del want
    name = call.bucket.name
    try:
        await call.store.delete_bucket(call.bucket)
    except BucketNotEmpty as failure:
        raise S3Error("BucketNotEmpty", BucketName=name) from failure
    except NoSuchBucket as failure:
        raise S3Error("NoSuchBucket", BucketName=name) from failure
    return Answer(204)
