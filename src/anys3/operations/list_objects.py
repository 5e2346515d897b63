"""ListObjects, version 1: as ListObjectsV2, with markers instead of tokens (LIST-25)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.listing_page import common_elements, owner_id, read_page, read_rows, render_rows
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.protocol.http import Answer
    from anys3.wire.shapes import ListObjectsInput


async def list_objects(call: Call, want: ListObjectsInput) -> Answer:
    """Send one page; NextMarker stands on truncated pages with a delimiter.

    A marker that is itself a common prefix resumes behind all keys under it, as NextMarker needs.
    Raises S3Error InvalidArgument.
    """
    page = read_page(want.prefix, want.delimiter, want.max_keys, want.encoding_type)
    marker = (want.marker or "").encode()
    rows = await read_rows(call, page, marker)
    head = [common_elements(call, page), f"<Marker>{page.text(marker)}</Marker>"]
    head.append(f"<IsTruncated>{'true' if rows.is_truncated else 'false'}</IsTruncated>")
    if rows.is_truncated and page.delimiter:
        head.append(page.element("NextMarker", rows.last))
    owner = owner_id(call.bucket.owner)
    return xml_answer(200, "ListBucketResult", "".join(head).encode() + render_rows(rows, page, owner))
