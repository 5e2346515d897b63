"""HeadBucket: whether a bucket is there, and where (HB-01, HB-02)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.protocol.http import Answer

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.wire.shapes import HeadBucketInput


async def head_bucket(call: Call, want: HeadBucketInput) -> Answer:
    """Say that the bucket exists; authorization has answered 404 and 403 already."""
    del want
    headers = (
        b"x-amz-bucket-region: %b\r\nx-amz-access-point-alias: false\r\nContent-Type: application/xml\r\n"
    )
    return Answer(200, headers % call.region.encode(), length=0)
