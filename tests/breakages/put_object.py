"""Servers broken for the checks of PutObject."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anys3.model import ChecksumAlgorithm
from anys3.operations.call import Call
from anys3.operations.receiving import Incoming, receive
from anys3.protocol import metadata
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from anys3.store.mutations import DeleteEntry, Mutation
from tests.broken_servers import (
    Breakage,
    Handler,
    accepting,
    all_of,
    answering,
    breaks,
    error_answer,
    handled,
    ignoring,
    patched,
    saying,
    set_header,
    when,
    with_body,
    without_header,
)


async def received(call: Call) -> bytes:
    """Return what arrives of a body, whole or not."""
    pieces = []
    try:
        while piece := await call.request.body.chunk():
            pieces.append(piece)
    except S3Error:
        pass
    return b"".join(pieces)


async def remove(call: Call) -> None:
    """Delete the object of the call's key."""
    await call.commit(Mutation(call.bucket, (DeleteEntry(call.key),)))


def tagged(sentence: str, tag: Callable[[str], str]) -> Breakage:
    """Another ETag than the MD5."""

    async def changed(call: Call, algorithm: ChecksumAlgorithm | None) -> Incoming:
        incoming = await receive(call, algorithm)
        incoming.received = incoming.received._replace(md5_hex=tag(incoming.received.md5_hex))
        return incoming

    return patched(sentence, "anys3.operations.put_object.receive", changed)


def headed(name: str) -> Breakage:
    """HEAD, unlike GET, does not send a stored header."""
    return without_header(name, method="HEAD")


def when_object(request: Request) -> bool:
    """Whether a request is the PUT of an object, and not of a bucket."""
    return request.method == b"PUT" and request.path.count(b"/") > 1


# --- PUT-01 to PUT-03: the answer --------------------------------------------------------------------------

breaks("PUT-01/success", without_header("ETag", method="PUT"))
breaks(
    "PUT-01/success",
    answering(
        "a PUT is answered with a document",
        lambda request, answer: replace(answer, body=b"<Stored/>") if when_object(request) else None,
    ),
)
breaks(
    "PUT-01/success",
    answering(
        "a PUT is answered with 201",
        lambda request, answer: replace(answer, status=201) if when_object(request) else None,
    ),
)
breaks("PUT-02/etag-is-md5", tagged("the ETag is random", lambda _: secrets.token_hex(16)))
breaks("PUT-02/etag-is-md5", tagged("the ETag is in capitals", str.upper))
breaks("PUT-02/etag-is-md5", tagged("the ETag is that of an upload of one part", lambda md5: f"{md5}-1"))
breaks(
    "PUT-02/etag-is-md5",
    answering(
        "GET sends the ETag without quotes",
        lambda request, answer: (
            set_header(answer, "ETag", "0" * 32) if when(request, "GET") and answer.status == 200 else None
        ),
    ),
)
breaks(
    "PUT-03/zero-bytes",
    answering(
        "the ETag of zero bytes is one of its own",
        lambda request, answer: (
            set_header(answer, "ETag", '"0"')
            if when(request, "PUT") and request.headers.get(b"content-length") == b"0"
            else None
        ),
    ),
)


async def no_empty_objects(call: Call, want: Any, proceed: Handler) -> Any:
    """Answer as if zero bytes were stored."""
    answer = await proceed(call, want)
    if call.request.body.length == 0:
        await remove(call)
    return answer


breaks("PUT-03/zero-bytes", handled("zero bytes make no object", "PutObject", no_empty_objects))

# --- PUT-04, PUT-05: the size ------------------------------------------------------------------------------

breaks(
    ("PUT-04/five-gib-announced", "PUT-04/several-megabytes"),
    patched("one PUT takes 1 MiB", "anys3.operations.receiving.MAX_SINGLE_BYTES", 1 << 20),
)
breaks(
    "PUT-04/five-gib-announced",
    patched("one PUT takes a byte too little", "anys3.operations.receiving.MAX_SINGLE_BYTES", (5 << 30) - 1),
)


async def first_megabyte(call: Call, want: Any, proceed: Handler) -> Any:
    """Store a megabyte at most."""
    with_body(call, (await received(call))[: 1 << 20])
    return await proceed(call, want)


breaks("PUT-04/several-megabytes", handled("what is behind 1 MiB is lost", "PutObject", first_megabyte))


async def deleting_first(call: Call, want: Any, proceed: Handler) -> Any:
    """Truncate what is there, and then receive (minio#17416)."""
    await remove(call)
    return await proceed(call, want)


breaks(
    ("PUT-05/more-than-five-gib", "PUT-11/lost-connection-keeps-object"),
    handled("the object goes before the new one has come", "PutObject", deleting_first),
)
breaks(
    "PUT-05/more-than-five-gib",
    patched("PUT knows no limit", "anys3.operations.receiving.MAX_SINGLE_BYTES", 1 << 50),
)
breaks("PUT-05/more-than-five-gib", saying("InvalidRequest", instead_of="EntityTooLarge"))

# --- PUT-06 to PUT-09: what is stored ----------------------------------------------------------------------


async def merging_headers(call: Call, want: Any, proceed: Handler) -> Any:
    """Keep the headers and metadata of the object that is overwritten."""
    old = await call.store.entry(call.bucket, call.key)
    if old is not None:
        lines = {name.lower(): value for name, value in metadata.parse_lines(old.stored)}
        call.request.headers = {**lines, **call.request.headers}
        want.metadata = {**metadata.of_headers(lines), **want.metadata}
    return await proceed(call, want)


async def writing_over(call: Call, want: Any, proceed: Handler) -> Any:
    """Write into the old bytes without cutting off their rest."""
    opened = await call.store.open(call.bucket, call.key)
    new = await received(call)
    with_body(call, new + (opened.inline or b"")[len(new) :] if opened else new)
    return await proceed(call, want)


breaks(
    ("PUT-06/overwrite-replaces-all", "META-03/put-replaces"),
    handled("an overwrite keeps the old headers", "PutObject", merging_headers),
)
breaks("PUT-06/overwrite-replaces-all", handled("an overwrite keeps the old end", "PutObject", writing_over))
breaks("PUT-06/overwrite-replaces-all", ignoring("x-amz-meta-new"))
breaks(
    "PUT-07/default-content-type",
    patched(
        "the default is that of HTTP",
        "anys3.protocol.metadata.DEFAULT_CONTENT_TYPE",
        b"application/octet-stream",
    ),
)
breaks("PUT-07/default-content-type", without_header("Content-Type", method="GET"))
for _name in ("content-type", "cache-control", "content-disposition", "content-language", "expires"):
    breaks("PUT-08/content-headers", ignoring(_name))
    breaks("PUT-08/content-headers", headed(_name))
breaks("PUT-08/content-encoding", ignoring("content-encoding"))
breaks("PUT-08/content-encoding", headed("content-encoding"))
breaks("PUT-09/user-metadata", ignoring("x-amz-meta-colour"))
breaks("PUT-09/user-metadata", headed("x-amz-meta-mtime"))
breaks(
    "PUT-09/user-metadata",
    patched(
        "a value ends at a semicolon",
        "anys3.protocol.metadata._metadata_value",
        lambda value: value.partition(b";")[0],
    ),
)

# --- PUT-10 to PUT-12: what is not -------------------------------------------------------------------------

breaks("PUT-10/missing-bucket", accepting("NoSuchBucket", method="PUT"))
breaks("PUT-10/missing-bucket", saying("NoSuchKey", instead_of="NoSuchBucket", method="PUT"))


async def half_is_enough(call: Call, want: Any, proceed: Handler) -> Any:
    """Store what came, whole or not."""
    with_body(call, await received(call))
    return await proceed(call, want)


breaks(
    ("PUT-11/lost-connection-keeps-object", "PUT-11/lost-connection-leaves-nothing"),
    handled("half a body is stored", "PutObject", half_is_enough),
)


async def placeholder(call: Call, want: Any, proceed: Handler) -> Any:
    """Make the key with an empty object before its bytes arrive."""
    late = call.request.body
    with_body(call, b"")
    await proceed(call, want)
    call.request.body = late
    return await proceed(call, want)


breaks(
    "PUT-11/lost-connection-leaves-nothing",
    handled("the key is there before its bytes", "PutObject", placeholder),
)
breaks(
    "PUT-12/standard-class",
    answering(
        "knows no storage classes",
        lambda request, _: Answer(501) if when(request, header="x-amz-storage-class") else None,
    ),
)
breaks(("PUT-12/unknown-class", "PUT-12/other-classes"), ignoring("x-amz-storage-class"))
breaks("PUT-12/unknown-class", saying("NotImplemented", instead_of="InvalidStorageClass"))
breaks(
    "PUT-12/other-classes",
    all_of(
        "a class is refused, and the object stored all the same",
        ignoring("x-amz-storage-class"),
        answering(
            "a class is refused",
            lambda request, _: (
                error_answer("InvalidStorageClass")
                if when(request, "PUT", header="x-amz-storage-class")
                else None
            ),
        ),
    ),
)
