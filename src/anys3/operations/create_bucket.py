"""CreateBucket: make an empty bucket that the caller owns (CB-01 to CB-07)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.model import Bucket
from anys3.operations.documents import read_body
from anys3.protocol import names, xml
from anys3.protocol.http import Answer
from anys3.spec.errors import S3Error
from anys3.store.errors import BucketExists

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.wire.shapes import CreateBucketInput

ALIAS = "us-east-1"


async def create_bucket(call: Call, want: CreateBucketInput) -> Answer:
    """Create the bucket; it is visible when the answer is sent (CB-06).

    Raises S3Error InvalidBucketName, InvalidLocationConstraint, MalformedXML, BucketAlreadyOwnedByYou,
    BucketAlreadyExists. A bucket that exists is never touched (CB-04).
    """
    del want
    name = call.target.bucket or ""
    names.check_bucket_name(name, is_new=True)
    _check_location(call, await read_body(call))
    try:
        await call.store.create_bucket(Bucket(name, 0, call.now_ms, owner=call.principal))
    except BucketExists as exists:
        is_own = call.principal in ("", exists.bucket.owner)
        code = "BucketAlreadyOwnedByYou" if is_own else "BucketAlreadyExists"
        raise S3Error(code, BucketName=name) from exists
    return Answer(200, b"Location: /%b\r\n" % name.encode())


def _check_location(call: Call, body: bytes) -> None:
    """Check the region that is asked for (CB-01, CB-02); `us-east-1` is always accepted (AUTH-16)."""
    if not body:
        return
    document = xml.parse(body, root="CreateBucketConfiguration")
    known = {"LocationConstraint", "Location", "Bucket", "Tags"}
    for child in document.children:
        if child.name not in known:
            raise S3Error("MalformedXML")
        if child.name != "LocationConstraint":
            raise S3Error("NotImplemented", f"CreateBucketConfiguration/{child.name} is not implemented")
    region = document.text_of("LocationConstraint").strip()
    if region not in ("", call.region, ALIAS):
        raise S3Error("InvalidLocationConstraint", LocationConstraint=region)
