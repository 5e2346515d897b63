"""Servers broken for the checks of UploadPartCopy."""

from __future__ import annotations

import hashlib
from urllib.parse import unquote_to_bytes

from anys3.operations.publishing import make_entry
from anys3.protocol import copy_source, ranges
from anys3.spec.errors import S3Error
from anys3.store.mutations import Mutation, PutEntry
from tests.broken_servers import (
    accepting,
    answering,
    breaks,
    handled,
    patched,
    replace_in_body,
    saying,
    when,
)

_parse = copy_source.parse
_parse_range = ranges.parse_copy_range


def on_copy(sentence, old, new):
    """Change the answer to UploadPartCopy."""

    def changed(request, answer):
        is_copy = when(request, "PUT", "partNumber=", "x-amz-copy-source")
        return replace_in_body(answer, old, new) if is_copy else None

    return answering(sentence, changed)


def reading_sources(sentence, change):
    """Read x-amz-copy-source after a change of it."""
    return patched(sentence, "anys3.protocol.copy_source.parse", lambda value: _parse(change(value)))


def reading_ranges(sentence, parse):
    """Read x-amz-copy-source-range in another way."""
    return patched(sentence, "anys3.protocol.ranges.parse_copy_range", parse)


breaks("UPC-01/answer-of-a-copy", on_copy("the root is another", "CopyPartResult", "CopyObjectResult"))
breaks("UPC-01/answer-of-a-copy", on_copy("LastModified is missing", "LastModified", "Modified"))
breaks("UPC-01/answer-of-a-copy", on_copy("the ETag is missing", "ETag", "Tag"))
breaks("UPC-01/source-is-decoded-once", reading_sources("sources are decoded twice", unquote_to_bytes))
breaks(
    "UPC-01/source-is-decoded-once",
    reading_sources("a plus sign in a source is a space", lambda value: value.replace(b"%2B", b"%20")),
)
breaks(
    "UPC-01/source-without-slash",
    reading_sources("sources need a slash first", lambda value: value if value[:1] == b"/" else b"/x"),
)


async def copies_a_block(call, want, proceed):
    if want.copy_source_range is None:
        want.copy_source_range = b"bytes=0-511"
    return await proceed(call, want)


breaks("UPC-02/whole-source", handled("only the first block is copied", "UploadPartCopy", copies_a_block))


def exclusive(value, size):
    start, length = _parse_range(value, size)
    return start, length - 1


def before_the_last(value, size):
    start, length = _parse_range(value, size)
    if start + length == size:
        raise S3Error("InvalidArgument")
    return start, length


def more_than_one(value, size):
    start, length = _parse_range(value, size)
    if length == 1:
        raise S3Error("InvalidArgument")
    return start, length


def as_in_reads(value, size):
    try:
        return ranges.parse(value, size) or (0, size)
    except S3Error:
        return 0, size


breaks(
    ("UPC-03/range-is-inclusive", "UPC-03/range-up-to-the-end", "UPC-03/one-byte"),
    reading_ranges("the last byte of a range is left out", exclusive),
)
breaks("UPC-03/range-up-to-the-end", reading_ranges("a range can't reach the end", before_the_last))
breaks("UPC-03/one-byte", reading_ranges("a range has two bytes or more", more_than_one))
breaks(
    (
        "UPC-04/range-of-another-form",
        "UPC-05/range-beyond-the-end",
    ),
    reading_ranges("ranges of copies are read as those of GET are", as_in_reads),
)
breaks(
    "UPC-05/range-beyond-the-end",
    saying("InvalidRange", instead_of="InvalidArgument", method="PUT", query="partNumber="),
)
breaks(
    "UPC-06/missing-source",
    saying("NoSuchKey", instead_of="NoSuchBucket", method="PUT", query="partNumber="),
)
breaks(
    "UPC-06/missing-source",
    saying("NoSuchUpload", instead_of="NoSuchKey", method="PUT", query="partNumber="),
)
breaks("UPC-06/missing-source", accepting("NoSuchKey", method="PUT"))
breaks("UPC-06/unknown-upload", accepting("NoSuchUpload", method="PUT"))


async def writes_the_object(call, want, proceed):
    if await call.store.upload(call.bucket, call.key, want.upload_id) is None:
        etag = hashlib.md5(b"").hexdigest()
        entry = make_entry(size=0, etag=etag, modified_ms=call.now_ms, stored=b"")
        await call.commit(Mutation(call.bucket, (PutEntry(call.key, entry, b""),)))
    return await proceed(call, want)


breaks(
    "UPC-06/unknown-upload",
    handled("a copy into no upload writes the object", "UploadPartCopy", writes_the_object),
)
