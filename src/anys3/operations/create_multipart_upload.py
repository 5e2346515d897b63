"""CreateMultipartUpload: begin an upload; nothing is visible before it is completed (CMU-01 to CMU-06)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.model import Upload
from anys3.protocol import checksums, metadata, tagging, uploads
from anys3.protocol.xml import escape, escape_key
from anys3.spec.errors import S3Error
from anys3.store.mutations import Mutation, PutUpload
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.model import ChecksumAlgorithm, ChecksumType
    from anys3.operations.call import Call
    from anys3.protocol.http import Answer
    from anys3.wire.shapes import CreateMultipartUploadInput


async def create_multipart_upload(call: Call, want: CreateMultipartUploadInput) -> Answer:
    """Begin an upload. Raises S3Error InvalidRequest for checksum settings that make no sense (CMU-06)."""
    stored = metadata.stored_lines(call.request.headers, want.metadata)
    tags = tagging.parse_header(want.tagging) if want.tagging else ()
    algorithm, kind = _checksum(want.checksum_algorithm, want.checksum_type)
    current = await call.store.entry(call.bucket, call.key)
    upload = Upload(
        key=call.key,
        upload_id=uploads.new_id(call.now_us, call.bucket.id, call.key, call.random(12)),
        initiated_ms=call.now_ms,
        stored=stored,
        tags=tags,
        checksum_algorithm=algorithm,
        checksum_type=kind,
        owner=call.principal,
        entry_sequence=current.sequence if current else 0,
    )
    await call.commit(Mutation(call.bucket, (PutUpload(upload),)))
    headers = b""
    if algorithm is not None:
        headers = f"x-amz-checksum-algorithm: {algorithm}\r\nx-amz-checksum-type: {kind}\r\n".encode()
    return xml_answer(
        200,
        "InitiateMultipartUploadResult",
        f"<Bucket>{escape(call.bucket.name)}</Bucket><Key>{escape_key(call.key).decode()}</Key>"
        f"<UploadId>{upload.upload_id}</UploadId>",
        headers,
    )


def _checksum(name: bytes | None, kind: bytes | None) -> tuple[ChecksumAlgorithm | None, ChecksumType | None]:
    if name is None:
        if kind is not None:
            raise S3Error(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header",
            )
        return None, None
    wanted = name.decode("latin-1").upper()
    for algorithm in checksums.ALGORITHMS:
        if algorithm == wanted:
            chosen = checksums.resolve_type(
                algorithm, None if kind is None else kind.decode("latin-1").upper()
            )
            return algorithm, chosen
    raise S3Error("InvalidRequest", f"Checksum algorithm provided is unsupported: {wanted!r}")
