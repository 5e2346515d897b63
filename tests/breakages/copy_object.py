"""Servers broken for the checks of CopyObject."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

from anys3.operations.receiving import Incoming, duplicate
from anys3.protocol import copy_source
from anys3.protocol.copy_source import CopySource
from anys3.protocol.http import Answer, Request
from anys3.protocol.payload import Received
from anys3.spec.errors import S3Error
from anys3.store.mutations import DeleteEntry, Mutation
from tests.broken_servers import (
    Breakage,
    Proceed,
    accepting,
    answering,
    body_of,
    breaks,
    hooked,
    patched,
    replace_in_body,
    saying,
    set_header,
    when,
)

_module = importlib.import_module("anys3.operations.copy_object")
_parse, _content, _open_source = copy_source.parse, _module._content, _module.open_source
_received_entry = _module.received_entry
_COPY_SOURCE = "x-amz-copy-source"


def _copy_answers(sentence: str, change: Callable[[Answer], Answer]) -> Breakage:
    """A breakage of the answers to copies that succeed."""
    return answering(
        sentence,
        lambda request, answer: (
            change(answer) if when(request, "PUT", header=_COPY_SOURCE) and answer.status == 200 else None
        ),
    )


def _parsing(sentence: str, parse: Callable[[bytes], CopySource]) -> Breakage:
    return patched(sentence, "anys3.protocol.copy_source.parse", parse)


def _refusing(is_refused: Callable[[bytes], bool]) -> Callable[[bytes], CopySource]:
    def parse(value: bytes) -> CopySource:
        if is_refused(value):
            raise S3Error("InvalidArgument", ArgumentName=_COPY_SOURCE)
        return _parse(value)

    return parse


def _rewritten(change: Callable[[bytes], bytes]) -> Callable[[bytes], CopySource]:
    def parse(value: bytes) -> CopySource:
        found = _parse(value)
        return replace(found, key=change(found.key))

    return parse


# --- COPY-01 ---------------------------------------------------------------------------------------------------

breaks(
    "HTTP-21/etag-of-copy-quoted",
    _copy_answers("CopyObjectResult has an ETag without quotes", lambda a: replace_in_body(a, "&quot;", "")),
)
breaks(
    "COPY-01/copies-an-object",
    _copy_answers(
        "the ETag of a copy is that of another object",
        lambda a: replace_in_body(a, "<ETag>&quot;", "<ETag>&quot;0"),
    ),
)
breaks(
    "COPY-01/copies-an-object",
    _copy_answers(
        "LastModified is that of another object",
        lambda answer: replace(
            answer, body=re.sub(rb"<LastModified>\d{4}", b"<LastModified>2019", body_of(answer)), length=None
        ),
    ),
)
breaks(
    ("COPY-01/copies-an-object", "COPY-01/copies-between-buckets"),
    _copy_answers("the answer to a copy is empty, as that of a PUT", lambda _: Answer(200)),
)


async def _within_a_bucket(call: Any, want: Any) -> Any:
    """Look the source up in the destination's bucket."""
    source = _parse(want.copy_source)
    want.copy_source = f"{call.bucket.name}/".encode() + source.key
    return await _open_source(call, want)


breaks(
    "COPY-01/copies-between-buckets",
    patched(
        "copies look for their source in the bucket of the destination",
        "anys3.operations.copy_object.open_source",
        _within_a_bucket,
    ),
)

# --- COPY-02 ---------------------------------------------------------------------------------------------------

breaks(
    "COPY-02/source-with-and-without-slash",
    _parsing("a source that begins with a slash is refused", _refusing(lambda v: v.startswith(b"/"))),
)
breaks(
    "COPY-02/source-with-and-without-slash",
    _parsing("a source without a slash before is refused", _refusing(lambda v: not v.startswith(b"/"))),
)
breaks(
    "COPY-02/source-decoded-once",
    _parsing("a plus sign of the source becomes a space", _rewritten(lambda key: key.replace(b"+", b" "))),
)
breaks("COPY-02/source-decoded-once", _parsing("the source is decoded twice", _rewritten(unquote_to_bytes)))
breaks(
    "COPY-02/source-decoded-once",
    _parsing("the source is not decoded", lambda value: _parse(value.replace(b"%", b"%25"))),
)
breaks(
    "COPY-02/source-decoded-once",
    _parsing(
        "an encoded question mark ends the key",
        _rewritten(lambda key: key.partition(b"?")[0]),
    ),
)
breaks(
    "COPY-02/encoded-slash",
    _parsing(
        "the bucket of the source ends at a raw slash only",
        _refusing(lambda value: b"%2f" in value.lower().partition(b"/")[0]),
    ),
)
breaks(
    "COPY-02/version-id-null",
    _parsing("?versionId=null is taken for a part of the key", lambda v: _parse(v.replace(b"?", b"%3F"))),
)
breaks(
    "COPY-02/version-id-null",
    _parsing("?versionId=null is refused", _refusing(lambda value: b"?versionId" in value)),
)

# --- COPY-03, COPY-04 ------------------------------------------------------------------------------------------

breaks(
    ("COPY-03/source-bucket-missing", "COPY-03/destination-bucket-missing"),
    saying("NoSuchKey", instead_of="NoSuchBucket", method="PUT"),
)
breaks("COPY-03/source-key-missing", saying("NoSuchBucket", instead_of="NoSuchKey", method="PUT"))
breaks("COPY-03/source-key-missing", accepting("NoSuchKey", method="PUT"))


def _without_key(value: bytes) -> CopySource:
    """Parse a source without asking for a key."""
    bucket, _, key = value.removeprefix(b"/").partition(b"/")
    return CopySource(bucket.decode(), key)


breaks("COPY-04/source-not-bucket-and-key", _parsing("a source needs no key", _without_key))
breaks(
    "COPY-04/source-not-bucket-and-key",
    saying("InvalidRequest", instead_of="InvalidArgument", method="PUT"),
)

# --- COPY-05 to COPY-08 ----------------------------------------------------------------------------------------


def _directives(sentence: str, is_replace: Callable[[bytes | None, str], bool]) -> Breakage:
    return patched(sentence, "anys3.operations.copy_object._is_replace", is_replace)


breaks(
    "COPY-05/keeps-headers-by-default",
    _directives(
        "metadata is replaced by default", lambda value, name: "metadata" in name and value != b"COPY"
    ),
)
breaks(
    ("COPY-05/keeps-headers-by-default", "COPY-05/keeps-headers-when-told"),
    _directives("metadata is always replaced", lambda _, name: "metadata" in name),
)
breaks("COPY-06/replaces-headers", _directives("the directive REPLACE is ignored", lambda *_: False))
breaks("COPY-06/unknown-directive", accepting("InvalidArgument", method="PUT"))
breaks("COPY-06/unknown-directive", saying("NotImplemented", instead_of="InvalidArgument", method="PUT"))
breaks(
    "COPY-06/replacement-without-type",
    answering(
        "a Content-Type that was not sent is application/octet-stream",
        lambda request, answer: (
            set_header(answer, "Content-Type", "application/octet-stream")
            if when(request, "HEAD") and answer.status == 200
            else None
        ),
    ),
)
breaks(
    ("COPY-06/replacement-without-type", "COPY-06/replaces-headers"),
    patched(
        "a copy has the source's headers whatever was asked for",
        "anys3.operations.copy_object.received_entry",
        lambda call, received, stored, tags: _received_entry(
            call, received, b"Content-Type: text/plain\r\n" + stored, tags
        ),
    ),
)

breaks(
    "COPY-07/onto-itself-unchanged",
    patched("a copy onto itself is done", "anys3.operations.copy_object._check_copy", lambda *_, **__: None),
)


async def _emptied(call: Any, opened: Any, algorithm: Any) -> Incoming:
    return await duplicate(call, opened, 0, 0, algorithm)


async def _cut_short(call: Any, opened: Any, algorithm: Any) -> Incoming:
    return await duplicate(call, opened, 0, min(opened.entry.size, 5 * 1024 * 1024), algorithm)


async def _with_etag_of_source(call: Any, opened: Any, algorithm: Any) -> Incoming:
    etag = opened.entry.etag
    incoming = await _content(call, opened, algorithm)
    received = incoming.received
    incoming.received = Received(received.size, etag, received.checksum)
    return incoming


def _refuse_itself(call: Any, source: CopySource, *_: object, **__: object) -> None:
    if source.key == call.key:
        raise S3Error("InvalidRequest")


breaks(
    "COPY-08/onto-itself-replacing",
    patched("no copy onto itself is done", "anys3.operations.copy_object._check_copy", _refuse_itself),
)
breaks(
    ("COPY-08/onto-itself-replacing", "COPY-10/same-bytes-and-md5"),
    patched("a copy has no bytes", "anys3.operations.copy_object._content", _emptied),
)

# --- COPY-10 to COPY-12 ----------------------------------------------------------------------------------------

breaks(
    "COPY-10/md5-of-multipart-source",
    patched(
        "the copy of a multipart object keeps its ETag",
        "anys3.operations.copy_object._content",
        _with_etag_of_source,
    ),
)
breaks(
    "COPY-10/md5-of-multipart-source",
    patched("a copy ends after 5 MiB", "anys3.operations.copy_object._content", _cut_short),
)
breaks(
    "COPY-10/same-bytes-and-md5",
    answering(
        "ETags are none that a client could compute",
        lambda request, answer: (
            set_header(answer, "ETag", '"0"') if when(request, "GET") and answer.status == 200 else None
        ),
    ),
)

_copying: set[str] = set()


async def _torn(request: Request, proceed: Proceed) -> Answer:
    """Let a copy take its time, and show half of the content until it is done."""
    if when(request, "PUT", header=_COPY_SOURCE):
        _copying.add(request.id)
        try:
            await asyncio.sleep(0.05)
            return await proceed(request)
        finally:
            _copying.discard(request.id)
    answer = await proceed(request)
    if request.method == b"GET" and _copying and answer.status == 200:
        return replace(answer, body=body_of(answer)[:20_000], length=None)
    return answer


breaks("COPY-11/visible-at-once", hooked("a copy is visible while its bytes arrive", _torn))


async def _after_deletion(call: Any, want: Any) -> Any:
    await call.commit(Mutation(call.bucket, (DeleteEntry(call.key),)))
    return await _open_source(call, want)


breaks(
    "COPY-11/failed-copy-changes-nothing",
    patched(
        "a copy removes what is at its destination, then looks for its source",
        "anys3.operations.copy_object.open_source",
        _after_deletion,
    ),
)
breaks(
    "COPY-12/source-of-another",
    patched("nobody asks whether the source may be read", "anys3.operations.copying.may", lambda *_: True),
)
