"""CopyObject: make an object from another, without moving bytes where the store can (COPY, CONDC, CK-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.call import DEFAULT_CHECKSUM, MAX_SINGLE_BYTES, Call
from anys3.operations.copying import close, open_source
from anys3.operations.documents import read_body
from anys3.operations.publishing import expectations, publish, received_entry
from anys3.operations.receiving import Incoming, duplicate
from anys3.protocol import checksums, metadata, tagging
from anys3.protocol.dates import iso
from anys3.protocol.payload import Received
from anys3.spec.errors import S3Error
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.model import ChecksumAlgorithm, Entry
    from anys3.protocol.copy_source import CopySource
    from anys3.protocol.http import Answer
    from anys3.store.interface import Opened
    from anys3.wire.shapes import CopyObjectInput


async def copy_object(call: Call, want: CopyObjectInput) -> Answer:
    """Publish a copy, atomically (COPY-11); its ETag is the MD5 of its content (COPY-10).

    Raises S3Error InvalidRequest for a copy onto itself that changes nothing (COPY-07) and for a source
    above 5 GiB (COPY-09), InvalidArgument for an unknown directive (COPY-06), and what `open_source` does.
    """
    is_replacing = _is_replace(want.metadata_directive, "x-amz-metadata-directive")
    are_tags_replaced = _is_replace(want.tagging_directive, "x-amz-tagging-directive")
    algorithm = _algorithm(want.checksum_algorithm)
    expect = expectations(call.key, want.if_match, want.if_none_match)
    await read_body(call, 0)
    source, opened = await open_source(call, want)
    try:
        entry = opened.entry
        _check_copy(call, source, entry, is_changing=is_replacing or are_tags_replaced)
        stored = metadata.stored_lines(call.request.headers, want.metadata) if is_replacing else entry.stored
        tags = tagging.parse_header(want.tagging or b"") if are_tags_replaced else entry.tags
        if algorithm is None:
            algorithm = entry.checksum.algorithm if entry.checksum else DEFAULT_CHECKSUM
        incoming = await _content(call, opened, algorithm)
    finally:
        close(opened)
    received = incoming.received
    copy = received_entry(call, received, stored, tags)
    await publish(call, copy, incoming, expect)
    return xml_answer(200, "CopyObjectResult", _result(copy))


async def _content(call: Call, opened: Opened, algorithm: ChecksumAlgorithm) -> Incoming:
    """Return the source's bytes as a content of their own; they are only read if they must be."""
    entry = opened.entry
    checksum = entry.checksum
    is_known = checksum is not None and checksum.algorithm == algorithm and checksum.type == "FULL_OBJECT"
    if is_known and entry.part_count == 0:
        content = await call.store.copy_content(opened)
        if content is not None:
            store = call.store
            received = Received(entry.size, entry.etag, checksum)
            return Incoming(content, received, lambda: store.discard_content(content))
    return await duplicate(call, opened, 0, entry.size, algorithm)


def _check_copy(call: Call, source: CopySource, entry: Entry, *, is_changing: bool) -> None:
    if entry.size > MAX_SINGLE_BYTES:
        raise S3Error(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size: 5368709120",
        )
    if source.bucket == call.bucket.name and source.key == call.key and not is_changing:
        raise S3Error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing "
            "the object's metadata, storage class, website redirect location or encryption attributes.",
        )


def _is_replace(value: bytes | None, header: str) -> bool:
    if value is None or value == b"COPY":
        return False
    if value == b"REPLACE":
        return True
    raise S3Error(
        "InvalidArgument", f"Unknown {header}", ArgumentName=header, ArgumentValue=value.decode("latin-1")
    )


def _algorithm(value: bytes | None) -> ChecksumAlgorithm | None:
    if value is None:
        return None
    name = value.decode("latin-1").upper()
    for algorithm in checksums.ALGORITHMS:
        if algorithm == name:
            return algorithm
    raise S3Error("InvalidRequest", f"Checksum algorithm {name!r} is not known")


def _result(entry: Entry) -> str:
    checksum = ""
    if entry.checksum is not None:
        element = f"Checksum{entry.checksum.algorithm}"
        checksum = f"<{element}>{entry.checksum.value}</{element}><ChecksumType>FULL_OBJECT</ChecksumType>"
    return f"<LastModified>{iso(entry.modified_ms)}</LastModified><ETag>&quot;{entry.etag}&quot;</ETag>{checksum}"
