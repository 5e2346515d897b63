"""How an object presents itself: the header lines of GET and HEAD, and the XML of LIST, made once at PUT."""

from __future__ import annotations

from anys3.model import Checksum
from anys3.protocol.dates import http_date, iso


def render(
    *,
    etag: str,
    modified_ms: int,
    stored: bytes,
    size: int,
    tags: tuple[tuple[str, str], ...] = (),
    checksum: Checksum | None = None,
) -> tuple[bytes, bytes]:
    """Return (`Entry.headers`, `Entry.listing`) of an object with that ETag (no quotes).

    The tagging count appears if it is above 0 (TAG-05), the checksum's kind if there is one (CK-11).
    """
    count = b"x-amz-tagging-count: %d\r\n" % len(tags) if tags else b""
    headers = b'ETag: "%b"\r\nLast-Modified: %b\r\nAccept-Ranges: bytes\r\n%b%b' % (
        etag.encode(),
        http_date(modified_ms),
        count,
        stored,
    )
    kind = (
        f"<ChecksumAlgorithm>{checksum.algorithm}</ChecksumAlgorithm>"
        f"<ChecksumType>{checksum.type}</ChecksumType>"
        if checksum
        else ""
    )
    listing = (
        f"<LastModified>{iso(modified_ms)}</LastModified><ETag>&quot;{etag}&quot;</ETag>{kind}"
        f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass>"
    )
    return headers, listing.encode()
