"""AbortMultipartUpload: drop an upload and free its parts (ABT-01 to ABT-03)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.unfinished import no_such_upload
from anys3.protocol.http import Answer
from anys3.store.mutations import AbortUpload, Mutation

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.wire.shapes import AbortMultipartUploadInput


async def abort_multipart_upload(call: Call, want: AbortMultipartUploadInput) -> Answer:
    """Drop the upload; an object of that key is untouched. Raises S3Error NoSuchUpload (ABT-02)."""
    if not want.upload_id:
        raise no_such_upload(want.upload_id)
    await call.commit(Mutation(call.bucket, (AbortUpload(call.key, want.upload_id),)))
    return Answer(204)
