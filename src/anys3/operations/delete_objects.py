"""DeleteObjects: remove up to 1,000 keys, each answered by itself (DELS-01 to DELS-11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anys3.operations.call import MIB, Call
from anys3.operations.documents import read_document
from anys3.protocol import etags, names
from anys3.protocol.xml import escape
from anys3.spec.errors import S3Error
from anys3.store.mutations import DeleteEntry, Matches, Mutation
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.protocol.http import Answer
    from anys3.protocol.xml import Node
    from anys3.wire.shapes import DeleteObjectsInput

MAX_KEYS = 1_000
MAX_DOCUMENT_BYTES = 8 * MIB
"""1,000 of the longest keys stay below, even if each of their bytes is written as a reference."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """One `<Object>` of the request; `refusal` is set if it can't be done."""

    key: str
    etag: str | None = None
    version_id: str | None = None
    refusal: S3Error | None = None


async def delete_objects(call: Call, want: DeleteObjectsInput) -> Answer:
    """Remove the keys in one commit; those with a condition each in their own (CONDW-10).

    Raises S3Error InvalidRequest without an integrity value (DELS-05), BadDigest, MalformedXML.
    """
    del want
    if not call.plan.is_integrity_checked:
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 or a checksum")
    document = await read_document(call, "Delete", MAX_DOCUMENT_BYTES)
    wanted = document.all("Object")
    if not wanted or len(wanted) > MAX_KEYS:
        raise S3Error("MalformedXML")
    deletions = [_deletion(node) for node in wanted]
    plain = tuple(
        DeleteEntry(deletion.key.encode())
        for deletion in deletions
        if deletion.refusal is None and deletion.etag is None
    )
    if plain:
        await call.commit(Mutation(call.bucket, plain))
    is_quiet = document.text_of("Quiet").strip().lower() == "true"
    lines = []
    for deletion in deletions:
        refusal = deletion.refusal or await _delete_if(call, deletion)
        if refusal is not None:
            lines.append(_error(deletion, refusal))
        elif not is_quiet:
            version = "" if deletion.version_id is None else "<VersionId>null</VersionId>"
            lines.append(f"<Deleted><Key>{escape(deletion.key)}</Key>{version}</Deleted>")
    return xml_answer(200, "DeleteResult", "".join(lines))


def _deletion(node: Node) -> Deletion:
    """Read one `<Object>`; the key is taken as it stands, neither decoded nor trimmed (DELS-07)."""
    if node.child("Key") is None:
        raise S3Error("MalformedXML")
    key = node.text_of("Key", "")
    refusal: S3Error | None = None
    version_id = node.text_of("VersionId") or None
    etag = node.text_of("ETag").strip() or None
    try:
        names.check_key(key.encode())
    except S3Error as error:
        refusal = error
    if version_id is not None and version_id != "null":
        refusal = S3Error("NoSuchVersion")
    if node.child("Size") is not None or node.child("LastModifiedTime") is not None:
        refusal = S3Error("NotImplemented")
    if etag is not None:
        etag = etags.unquote(etag.encode())
    return Deletion(key, etag, version_id, refusal)


async def _delete_if(call: Call, deletion: Deletion) -> S3Error | None:
    """Carry out a deletion that has a condition; return why it failed."""
    if deletion.etag is None:
        return None
    key = deletion.key.encode()
    try:
        await call.commit(Mutation(call.bucket, (DeleteEntry(key),), (Matches(key, deletion.etag),)))
    except S3Error as error:
        return error
    return None


def _error(deletion: Deletion, error: S3Error) -> str:
    version = "" if deletion.version_id is None else f"<VersionId>{escape(deletion.version_id)}</VersionId>"
    return (
        f"<Error><Key>{escape(deletion.key)}</Key>{version}<Code>{error.code}</Code>"
        f"<Message>{escape(error.message)}</Message></Error>"
    )
