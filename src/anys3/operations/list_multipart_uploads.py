"""ListMultipartUploads: unfinished uploads, by key and then by initiation (LMU-01 to LMU-08)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.listing_page import owner_element, read_page
from anys3.protocol import uploads
from anys3.protocol.dates import iso
from anys3.protocol.xml import escape
from anys3.spec.errors import S3Error
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.model import Upload
    from anys3.operations.call import Call
    from anys3.operations.listing_page import Page
    from anys3.protocol.http import Answer
    from anys3.store.interface import UploadListing
    from anys3.wire.shapes import ListMultipartUploadsInput


async def list_multipart_uploads(call: Call, want: ListMultipartUploadsInput) -> Answer:
    """Send one page of uploads. Raises S3Error InvalidArgument (LMU-03, LMU-08)."""
    page = read_page(want.prefix, want.delimiter, want.max_uploads, want.encoding_type)
    key_marker = (want.key_marker or "").encode()
    id_marker = (want.upload_id_marker or None) if key_marker else None
    if id_marker is not None and uploads.belongs(id_marker, call.bucket.id, key_marker) is not True:
        raise S3Error(
            "InvalidArgument",
            "Invalid uploadId marker",
            ArgumentName="upload-id-marker",
            ArgumentValue=id_marker,
        )
    after = key_marker
    if page.delimiter and _is_common_prefix(page, key_marker):
        after = key_marker + b"\xff"
    found = await call.store.uploads(
        call.bucket, page.prefix, page.delimiter, after, id_marker, max(page.max_keys, 1)
    )
    return xml_answer(200, "ListMultipartUploadsResult", _render(call, page, found, key_marker, id_marker))


def _is_common_prefix(page: Page, marker: bytes) -> bool:
    """Return whether a marker is a NextKeyMarker that stood for a common prefix (LMU-04)."""
    rest = marker[len(page.prefix) :]
    return (
        marker.startswith(page.prefix) and rest.find(page.delimiter) == len(rest) - len(page.delimiter) >= 0
    )


def _render(call: Call, page: Page, found: UploadListing, key_marker: bytes, id_marker: str | None) -> str:
    rows = found.uploads if page.max_keys else []
    prefixes = found.prefixes if page.max_keys else []
    is_truncated = found.is_truncated and page.max_keys > 0
    head = [
        f"<Bucket>{escape(call.bucket.name)}</Bucket><KeyMarker>{page.text(key_marker)}</KeyMarker>",
        f"<UploadIdMarker>{escape(id_marker or '')}</UploadIdMarker>",
    ]
    if is_truncated:
        last_key = rows[-1].key if rows else b""
        last_prefix = prefixes[-1] if prefixes else b""
        if last_prefix > last_key:
            head.append(f"<NextKeyMarker>{page.text(last_prefix)}</NextKeyMarker><NextUploadIdMarker/>")
        else:
            head.append(f"<NextKeyMarker>{page.text(last_key)}</NextKeyMarker>")
            head.append(f"<NextUploadIdMarker>{rows[-1].upload_id}</NextUploadIdMarker>")
    head.append(f"<Prefix>{page.text(page.prefix)}</Prefix>{page.element('Delimiter', page.delimiter)}")
    head.append(f"<MaxUploads>{page.max_keys}</MaxUploads>")
    head.append("<EncodingType>url</EncodingType>" if page.is_url else "")
    head.append(f"<IsTruncated>{'true' if is_truncated else 'false'}</IsTruncated>")
    head.extend(_row(page, upload) for upload in rows)
    head.extend(
        f"<CommonPrefixes><Prefix>{page.text(prefix)}</Prefix></CommonPrefixes>" for prefix in prefixes
    )
    return "".join(head)


def _row(page: Page, upload: Upload) -> str:
    owner = owner_element(upload.owner)
    checksum = ""
    if upload.checksum_algorithm is not None:
        checksum = (
            f"<ChecksumAlgorithm>{upload.checksum_algorithm}</ChecksumAlgorithm>"
            f"<ChecksumType>{upload.checksum_type}</ChecksumType>"
        )
    return (
        f"<Upload><Key>{page.text(upload.key)}</Key><UploadId>{upload.upload_id}</UploadId>"
        f"{owner.replace('Owner>', 'Initiator>')}{owner}<StorageClass>STANDARD</StorageClass>"
        f"<Initiated>{iso(upload.initiated_ms)}</Initiated>{checksum}</Upload>"
    )
