"""GetObjectAttributes, annex: the attributes asked for, of those that an object has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.protocol.dates import http_date
from anys3.protocol.xml import escape
from anys3.spec.errors import S3Error
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anys3.model import Checksum, Entry, Part
    from anys3.operations.call import Call
    from anys3.protocol.http import Answer
    from anys3.wire.shapes import GetObjectAttributesInput

KNOWN = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")
MAX_PARTS = 1_000


async def get_object_attributes(call: Call, want: GetObjectAttributesInput) -> Answer:
    """Send the attributes. Raises S3Error NoSuchKey, and InvalidArgument for an unknown attribute."""
    raw = want.object_attributes or b""
    asked = [name.strip() for name in raw.decode("latin-1").split(",") if name.strip()]
    for name in asked or [""]:
        if name not in KNOWN:
            raise S3Error(
                "InvalidArgument",
                "Invalid attribute name specified",
                ArgumentName="x-amz-object-attributes",
                ArgumentValue=name,
            )
    opened = await call.store.open(call.bucket, call.key)
    if opened is None:
        raise call.missing_key()
    parts: Sequence[Part] = ()
    if opened.source is not None:
        try:
            parts = await opened.source.parts()
        finally:
            opened.source.close()
    entry = opened.entry
    elements = {
        "ETag": f"<ETag>{escape(entry.etag)}</ETag>",
        "Checksum": _checksum(entry),
        "ObjectParts": _parts(parts, want.max_parts, want.part_number_marker),
        "StorageClass": "<StorageClass>STANDARD</StorageClass>",
        "ObjectSize": f"<ObjectSize>{entry.size}</ObjectSize>",
    }
    body = "".join(elements[name] for name in KNOWN if name in asked)
    headers = b"Last-Modified: %b\r\n" % http_date(entry.modified_ms)
    return xml_answer(200, "GetObjectAttributesResponse", body, headers)


def _value(checksum: Checksum) -> str:
    element = f"Checksum{checksum.algorithm}"
    return f"<{element}>{checksum.value}</{element}>"


def _checksum(entry: Entry) -> str:
    if entry.checksum is None:
        return ""
    return f"<Checksum>{_value(entry.checksum)}<ChecksumType>{entry.checksum.type}</ChecksumType></Checksum>"


def _parts(parts: Sequence[Part], max_parts: object, marker: object) -> str:
    """Return ObjectParts, empty for an object that was put in one piece."""
    if not parts:
        return ""
    limit = min(int(str(max_parts)), MAX_PARTS) if max_parts is not None else MAX_PARTS
    after = int(str(marker)) if marker is not None else 0
    rest = [(number, part) for number, part in enumerate(parts, 1) if number > after]
    page = rest[:limit]
    is_truncated = "true" if len(rest) > len(page) else "false"
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><Size>{part.size}</Size>"
        f"{_value(part.checksum) if part.checksum else ''}</Part>"
        for number, part in page
    )
    following = page[-1][0] if page else after
    return (
        f"<ObjectParts><TotalPartsCount>{len(parts)}</TotalPartsCount><PartNumberMarker>{after}"
        f"</PartNumberMarker><NextPartNumberMarker>{following}</NextPartNumberMarker><MaxParts>{limit}"
        f"</MaxParts><IsTruncated>{is_truncated}</IsTruncated>{rows}</ObjectParts>"
    )
