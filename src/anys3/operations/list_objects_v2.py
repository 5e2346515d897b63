"""ListObjectsV2: a bucket's keys in UTF-8 byte order, page by page (LIST-01 to LIST-24)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.listing_page import (
    common_elements,
    owner_id,
    read_page,
    read_rows,
    render_rows,
    resume_after,
)
from anys3.protocol import listing
from anys3.protocol.xml import escape
from anys3.spec.errors import S3Error
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.protocol.http import Answer
    from anys3.wire.shapes import ListObjectsV2Input


async def list_objects_v2(call: Call, want: ListObjectsV2Input) -> Answer:
    """Send one page. Raises S3Error InvalidArgument (LIST-09, LIST-12, LIST-17)."""
    page = read_page(want.prefix, want.delimiter, want.max_keys, want.encoding_type)
    token = want.continuation_token
    start_after = (want.start_after or "").encode()
    after = start_after
    if token is not None:
        if not token:
            raise S3Error(
                "InvalidArgument",
                "The continuation token provided is incorrect",
                ArgumentName="continuation-token",
                ArgumentValue="",
            )
        after = listing.decode_token(token)
    rows = await read_rows(call, page, after)
    owner = owner_id(call.bucket.owner) if want.fetch_owner else None
    head = [common_elements(call, page), page.element("StartAfter", start_after)]
    if token is not None:
        head.append(f"<ContinuationToken>{escape(token)}</ContinuationToken>")
    head.append(f"<KeyCount>{len(rows.rows) + len(rows.prefixes)}</KeyCount>")
    head.append(f"<IsTruncated>{'true' if rows.is_truncated else 'false'}</IsTruncated>")
    if rows.is_truncated:
        next_token = listing.encode_token(resume_after(rows))
        head.append(f"<NextContinuationToken>{next_token}</NextContinuationToken>")
    return xml_answer(200, "ListBucketResult", "".join(head).encode() + render_rows(rows, page, owner))
