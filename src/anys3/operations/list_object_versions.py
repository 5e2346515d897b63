"""ListObjectVersions, annex: current objects as versions called `null`; there are no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.listing_page import common_elements, owner_element, read_page, read_rows
from anys3.protocol import listing
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.protocol.http import Answer
    from anys3.wire.shapes import ListObjectVersionsInput


async def list_object_versions(call: Call, want: ListObjectVersionsInput) -> Answer:
    """Send one page. Raises S3Error InvalidArgument."""
    page = read_page(want.prefix, want.delimiter, want.max_keys, want.encoding_type)
    marker = (want.key_marker or "").encode()
    rows = await read_rows(call, page, marker)
    head = [common_elements(call, page), f"<KeyMarker>{page.text(marker)}</KeyMarker><VersionIdMarker/>"]
    head.append(f"<IsTruncated>{'true' if rows.is_truncated else 'false'}</IsTruncated>")
    if rows.is_truncated:
        head.append(page.element("NextKeyMarker", rows.last))
        head.append("<NextVersionIdMarker>null</NextVersionIdMarker>")
    owner = owner_element(call.bucket.owner)
    lines = [
        f"<Version><Key>{page.text(key)}</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>"
        f"{fragment.decode()}{owner}</Version>"
        for key, fragment in rows.rows
    ]
    prefixes = listing.render_prefixes(rows.prefixes, is_url=page.is_url)
    return xml_answer(200, "ListVersionsResult", "".join([*head, *lines]).encode() + prefixes)
