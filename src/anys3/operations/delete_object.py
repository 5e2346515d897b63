"""DeleteObject: remove a key, whether or not it is there (DEL-01 to DEL-06)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.protocol import etags
from anys3.protocol.http import Answer
from anys3.spec.errors import S3Error
from anys3.store.mutations import DeleteEntry, Expectation, Matches, Mutation, Present

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.wire.shapes import DeleteObjectInput


async def delete_object(call: Call, want: DeleteObjectInput) -> Answer:
    """Remove the object; removing an absent one succeeds, unless `If-Match` was sent (CONDW-09, 11).

    Raises S3Error PreconditionFailed, NoSuchKey (with a condition), NotImplemented (CONDW-06).
    """
    if want.if_match_last_modified_time is not None:
        raise S3Error("NotImplemented", Header="x-amz-if-match-last-modified-time")
    if want.if_match_size is not None:
        raise S3Error("NotImplemented", Header="x-amz-if-match-size")
    expect: tuple[Expectation, ...] = ()
    if want.if_match is not None:
        etag = etags.unquote(want.if_match)
        expect = (Present(call.key),) if etag == "*" else (Matches(call.key, etag),)
    await call.commit(Mutation(call.bucket, (DeleteEntry(call.key),), expect))
    return Answer(204)
