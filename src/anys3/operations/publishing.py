"""Make an object's row, and publish it under the conditions that the client set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.model import Checksum, Entry
from anys3.protocol import checksums, etags, representation
from anys3.spec.errors import S3Error
from anys3.store.mutations import Absent, Expectation, Matches, Mutation, PutEntry

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.operations.receiving import Incoming
    from anys3.protocol.payload import Received


def make_entry(
    *,
    size: int,
    etag: str,
    modified_ms: int,
    stored: bytes,
    tags: tuple[tuple[str, str], ...] = (),
    checksum: Checksum | None = None,
    part_count: int = 0,
    upload_id: str = "",
) -> Entry:
    """Return an object's row with what GET, HEAD and LIST will send rendered into it."""
    headers, listing = representation.render(
        etag=etag, modified_ms=modified_ms, stored=stored, size=size, tags=tags, checksum=checksum
    )
    return Entry(size, modified_ms, etag, headers, stored, listing, checksum, tags, part_count, upload_id)


def received_entry(call: Call, received: Received, stored: bytes, tags: tuple[tuple[str, str], ...]) -> Entry:
    """Return the row of an object that was received or copied in one piece; its ETag is its MD5 (PUT-02)."""
    return make_entry(
        size=received.size,
        etag=received.md5_hex,
        modified_ms=call.now_ms,
        stored=stored,
        tags=tags,
        checksum=received.checksum,
    )


def expectations(key: bytes, if_match: bytes | None, if_none_match: bytes | None) -> tuple[Expectation, ...]:
    """Return what the two conditional headers of a write expect (CONDW-01, 03, 06).

    Raises S3Error NotImplemented for `If-Match: *`, `If-None-Match: etag`, and both at once.
    """
    if if_match is None and if_none_match is None:
        return ()
    if if_match is not None and if_none_match is not None:
        raise S3Error("NotImplemented", Header="If-None-Match")
    if if_none_match is not None:
        if if_none_match.strip() != b"*":
            raise S3Error("NotImplemented", Header="If-None-Match")
        return (Absent(key),)
    assert if_match is not None
    if if_match.strip() == b"*":
        raise S3Error("NotImplemented", Header="If-Match")
    return (Matches(key, etags.unquote(if_match)),)


async def publish(call: Call, entry: Entry, incoming: Incoming, expect: tuple[Expectation, ...] = ()) -> None:
    """Commit an object, or leave nothing behind."""
    try:
        change = PutEntry(call.key, entry, incoming.content)
        await call.commit(Mutation(call.bucket, (change,), expect))
    except BaseException:
        incoming.discard()
        raise


def checksum_lines(checksum: Checksum | None) -> bytes:
    """Return the header lines that tell a checksum and its type (CK-03)."""
    if checksum is None:
        return b""
    name = checksums.HEADERS[checksum.algorithm]
    return b"%b: %b\r\nx-amz-checksum-type: %b\r\n" % (
        name,
        checksum.value.encode(),
        checksum.type.encode(),
    )
