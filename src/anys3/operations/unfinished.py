"""What the operations on unfinished uploads share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.call import MAX_PARTS
from anys3.spec.errors import S3Error
from anys3.store.mutations import Mutation, PutPart

if TYPE_CHECKING:
    from anys3.model import Part, Upload
    from anys3.operations.call import Call
    from anys3.operations.receiving import Incoming


def check_part_number(number: int | None) -> int:
    """Return the part number. Raises S3Error InvalidArgument outside 1 to 10,000 (UP-02)."""
    if number is None or not 1 <= number <= MAX_PARTS:
        raise S3Error(
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=str(number),
        )
    return number


async def find_upload(call: Call, upload_id: str | None) -> Upload:
    """Return the unfinished upload of this very bucket and key. Raises S3Error NoSuchUpload (UP-03)."""
    upload = await call.store.upload(call.bucket, call.key, upload_id) if upload_id else None
    if upload is None:
        raise no_such_upload(upload_id)
    return upload


def no_such_upload(upload_id: str | None) -> S3Error:
    """Return the error for an upload that is not there (any more)."""
    return S3Error("NoSuchUpload", UploadId=upload_id or "")


async def put_part(call: Call, upload: Upload, part: Part, incoming: Incoming) -> None:
    """Commit a part, or leave nothing behind. An upload that ended meanwhile refuses it (ABT-01)."""
    try:
        change = PutPart(call.key, upload.upload_id, part, incoming.content)
        await call.commit(Mutation(call.bucket, (change,)))
    except BaseException:
        incoming.discard()
        raise
