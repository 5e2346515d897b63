"""ListParts: the parts of an upload, by number (LP-01 to LP-05)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.call import MAX_PAGE
from anys3.operations.listing_page import owner_element
from anys3.operations.unfinished import find_upload, no_such_upload
from anys3.protocol.dates import iso
from anys3.protocol.xml import escape, escape_key
from anys3.spec.errors import S3Error
from anys3.store.errors import NoSuchUpload
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.model import Part, Upload
    from anys3.operations.call import Call
    from anys3.protocol.http import Answer
    from anys3.wire.shapes import ListPartsInput


async def list_parts(call: Call, want: ListPartsInput) -> Answer:
    """Send one page of parts. Raises S3Error NoSuchUpload, InvalidArgument (LMU-08)."""
    limit = _number(want.max_parts, "max-parts", MAX_PAGE)
    after = _number(want.part_number_marker, "part-number-marker", 0)
    limit = min(limit, MAX_PAGE)
    upload = await find_upload(call, want.upload_id)
    try:
        parts = await call.store.parts(call.bucket, call.key, upload.upload_id, after, limit + 1)
    except NoSuchUpload as failure:
        raise no_such_upload(want.upload_id) from failure
    is_truncated = len(parts) > limit > 0
    parts = parts[:limit]
    following = parts[-1].number if parts else after
    rows = "".join(_row(part, upload) for part in parts)
    return xml_answer(
        200,
        "ListPartsResult",
        f"<Bucket>{escape(call.bucket.name)}</Bucket><Key>{escape_key(call.key).decode()}</Key>"
        f"<UploadId>{upload.upload_id}</UploadId>{_initiator(upload)}<StorageClass>STANDARD</StorageClass>"
        f"<PartNumberMarker>{after}</PartNumberMarker><NextPartNumberMarker>{following}</NextPartNumberMarker>"
        f"<MaxParts>{limit}</MaxParts><IsTruncated>{'true' if is_truncated else 'false'}</IsTruncated>"
        f"{_checksum_settings(upload)}{rows}",
    )


def _number(value: int | None, name: str, default: int) -> int:
    if value is None:
        return default
    if value < 0:
        raise S3Error(
            "InvalidArgument",
            f"Argument {name} must be an integer between 0 and 2147483647",
            ArgumentName=name,
            ArgumentValue=str(value),
        )
    return value


def _initiator(upload: Upload) -> str:
    owner = owner_element(upload.owner)
    return owner.replace("Owner>", "Initiator>") + owner


def _checksum_settings(upload: Upload) -> str:
    if upload.checksum_algorithm is None:
        return ""
    return (
        f"<ChecksumAlgorithm>{upload.checksum_algorithm}</ChecksumAlgorithm>"
        f"<ChecksumType>{upload.checksum_type}</ChecksumType>"
    )


def _row(part: Part, upload: Upload) -> str:
    checksum = ""
    if part.checksum is not None and part.checksum.algorithm == upload.checksum_algorithm:
        element = f"Checksum{part.checksum.algorithm}"
        checksum = f"<{element}>{part.checksum.value}</{element}>"
    return (
        f"<Part><PartNumber>{part.number}</PartNumber><LastModified>{iso(part.modified_ms)}</LastModified>"
        f"<ETag>&quot;{part.etag}&quot;</ETag><Size>{part.size}</Size>{checksum}</Part>"
    )
