"""UploadPart: add or replace one part of an upload (UP-01 to UP-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.model import Part
from anys3.operations.call import DEFAULT_CHECKSUM
from anys3.operations.publishing import checksum_lines
from anys3.operations.receiving import receive
from anys3.operations.unfinished import check_part_number, find_upload, put_part
from anys3.protocol.http import Answer
from anys3.spec.errors import S3Error

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.wire.shapes import UploadPartInput


async def upload_part(call: Call, want: UploadPartInput) -> Answer:
    """Store the payload as a part; an earlier part of that number stays until this one is whole (UP-06).

    Raises S3Error InvalidArgument (UP-02), NoSuchUpload (UP-03), InvalidRequest (CK-08).
    """
    number = check_part_number(want.part_number)
    upload = await find_upload(call, want.upload_id)
    sent = call.plan.checksum_algorithm
    declared = upload.checksum_algorithm
    if sent is not None and declared is not None and sent != declared:
        raise S3Error(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {declared.lower()}, "
            f"actual checksum Type: {sent.lower()}",
        )
    incoming = await receive(call, declared or DEFAULT_CHECKSUM)
    received = incoming.received
    part = Part(number, received.size, received.md5_hex, call.now_ms, received.checksum)
    await put_part(call, upload, part, incoming)
    shown = received.checksum if sent is not None or declared is not None else None
    lines = checksum_lines(shown).split(b"\r\n", 1)[0] + b"\r\n" if shown is not None else b""
    return Answer(200, b'ETag: "%b"\r\n%b' % (received.md5_hex.encode(), lines))
