"""UploadPartCopy: make a part from an object or a range of one (UPC-01 to UPC-07)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.model import Part
from anys3.operations.call import DEFAULT_CHECKSUM, MAX_SINGLE_BYTES, Call
from anys3.operations.copying import close, open_source
from anys3.operations.documents import read_body
from anys3.operations.receiving import duplicate
from anys3.operations.unfinished import check_part_number, find_upload, put_part
from anys3.protocol import ranges
from anys3.protocol.dates import iso
from anys3.spec.errors import S3Error
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.protocol.http import Answer
    from anys3.wire.shapes import UploadPartCopyInput


async def upload_part_copy(call: Call, want: UploadPartCopyInput) -> Answer:
    """Copy the source, or `x-amz-copy-source-range` of it, into a part.

    Raises S3Error InvalidArgument (UPC-04, UPC-05), InvalidRequest (UPC-07), NoSuchUpload, and what
    `open_source` does.
    """
    number = check_part_number(want.part_number)
    upload = await find_upload(call, want.upload_id)
    await read_body(call, 0)
    _, opened = await open_source(call, want)
    try:
        start, length = 0, opened.entry.size
        if want.copy_source_range is not None:
            start, length = ranges.parse_copy_range(want.copy_source_range, opened.entry.size)
        if length > MAX_SINGLE_BYTES:
            raise S3Error(
                "InvalidRequest", "The specified copy source is larger than the maximum: 5368709120"
            )
        incoming = await duplicate(call, opened, start, length, upload.checksum_algorithm or DEFAULT_CHECKSUM)
    finally:
        close(opened)
    received = incoming.received
    part = Part(number, received.size, received.md5_hex, call.now_ms, received.checksum)
    await put_part(call, upload, part, incoming)
    checksum = ""
    if upload.checksum_algorithm is not None and received.checksum is not None:
        element = f"Checksum{upload.checksum_algorithm}"
        checksum = f"<{element}>{received.checksum.value}</{element}>"
    return xml_answer(
        200,
        "CopyPartResult",
        f"<LastModified>{iso(part.modified_ms)}</LastModified><ETag>&quot;{part.etag}&quot;</ETag>{checksum}",
    )
