"""PutObjectTagging, GetObjectTagging, DeleteObjectTagging: an object's tags (TAG-01 to TAG-08)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.call import current_or_missing
from anys3.operations.documents import read_document
from anys3.operations.publishing import make_entry
from anys3.protocol import tagging
from anys3.protocol.http import Answer
from anys3.spec.errors import S3Error
from anys3.store.errors import ExpectationFailed
from anys3.store.mutations import Mutation, PutEntry, Unchanged
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.wire.shapes import DeleteObjectTaggingInput, GetObjectTaggingInput, PutObjectTaggingInput

ATTEMPTS = 20


async def put_object_tagging(call: Call, want: PutObjectTaggingInput) -> Answer:
    """Replace the set of tags (TAG-06). Raises S3Error InvalidTag, MalformedXML, NoSuchKey."""
    del want
    tags = tagging.parse_document(await read_document(call, "Tagging"))
    await _replace(call, tags)
    return Answer(200)


async def get_object_tagging(call: Call, want: GetObjectTaggingInput) -> Answer:
    """Send the tags; an object without any has an empty set (TAG-02). Raises S3Error NoSuchKey."""
    del want
    entry = current_or_missing(await call.store.entry(call.bucket, call.key), call.key)
    return xml_answer(200, "Tagging", tagging.render(entry.tags))


async def delete_object_tagging(call: Call, want: DeleteObjectTaggingInput) -> Answer:
    """Remove all tags. Raises S3Error NoSuchKey."""
    del want
    await _replace(call, ())
    return Answer(204)


async def _replace(call: Call, tags: tuple[tuple[str, str], ...]) -> None:
    """Write the entry anew with other tags; content, ETag and Last-Modified stay (TAG-06).

    Tried again if the object was replaced meanwhile, so that tags never land on other content.
    """
    for _ in range(ATTEMPTS):
        entry = current_or_missing(await call.store.entry(call.bucket, call.key), call.key)
        changed = make_entry(
            size=entry.size,
            etag=entry.etag,
            modified_ms=entry.modified_ms,
            stored=entry.stored,
            tags=tags,
            checksum=entry.checksum,
            part_count=entry.part_count,
            upload_id=entry.upload_id,
        )
        change = PutEntry(call.key, changed, None)
        try:
            await call.store.commit(Mutation(call.bucket, (change,), (Unchanged(call.key, entry.sequence),)))
        except ExpectationFailed:
            continue
        return
    raise S3Error("OperationAborted")
