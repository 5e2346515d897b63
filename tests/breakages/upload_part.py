"""Servers broken for the checks of UploadPart."""

from __future__ import annotations

import asyncio
import hashlib

from anys3.model import Checksum, Part
from anys3.operations.publishing import make_entry
from anys3.protocol import checksums
from anys3.protocol.http import Answer
from anys3.spec import catalogue
from anys3.spec.errors import S3Error
from anys3.store.mutations import Mutation, PutEntry, PutPart, PutUpload
from anys3.wire.routing import Router
from tests.broken_servers import (
    accepting,
    all_of,
    answering,
    breaks,
    drop_header,
    handled,
    header_of,
    patched,
    saying,
    set_header,
    when,
)


def broken(sentence, handler):
    """Break UploadPart."""
    return handled(sentence, "UploadPart", handler)


def with_header(sentence, name, change):
    """Change a header of the answers to UploadPart."""

    def changed(request, answer):
        if when(request, "PUT", "partNumber=") and header_of(answer, name) is not None:
            return set_header(answer, name, change(header_of(answer, name)))
        return None

    return answering(sentence, changed)


breaks(
    "UP-01/etag-is-the-md5",
    with_header("ETags of parts have no quotes", "ETag", lambda etag: etag.strip('"')),
)
breaks(
    "UP-01/etag-is-the-md5",
    with_header("ETags of parts are no MD5", "ETag", lambda etag: f'"{etag[1:9]}-1"'),
)


async def has_9999_parts(call, want, proceed):
    if want.part_number > 9_999:
        raise S3Error("InvalidArgument")
    return await proceed(call, want)


breaks(
    "UP-02/number-out-of-range",
    accepting("InvalidArgument", method="PUT", query="partNumber="),
)
breaks("UP-02/first-and-last-number", broken("part 10000 is one too many", has_9999_parts))

_UP_03 = (
    "UP-03/unknown-upload",
    "UP-03/ended-or-anothers-upload",
    "UP-03/upload-of-another-bucket",
    "CPL-12/upload-is-no-longer-there",
)


async def writes_the_object(call, want, proceed):
    if await call.store.upload(call.bucket, call.key, want.upload_id) is None:
        etag = hashlib.md5(b"late").hexdigest()
        entry = make_entry(size=4, etag=etag, modified_ms=call.now_ms, stored=b"")
        await call.commit(Mutation(call.bucket, (PutEntry(call.key, entry, b"late"),)))
    return await proceed(call, want)


breaks(_UP_03, accepting("NoSuchUpload", method="PUT"))
breaks(_UP_03, saying("InvalidArgument", instead_of="NoSuchUpload", method="PUT"))
breaks(
    ("UP-03/unknown-upload", "CPL-12/upload-is-no-longer-there"),
    broken("a part without an upload is written as an object", writes_the_object),
)


async def drops_what_is_out_of_order(call, want, proceed):
    parts = await call.store.parts(call.bucket, call.key, want.upload_id)
    if parts and parts[-1].number > want.part_number:
        return Answer(200, b'ETag: "%b"\r\n' % hashlib.md5(b"part 2").hexdigest().encode())
    return await proceed(call, want)


async def loses_parts(call, want, proceed):
    """Read, wait, write back: what others wrote meanwhile is lost."""
    upload = await call.store.upload(call.bucket, call.key, want.upload_id)
    before = await call.store.parts(call.bucket, call.key, want.upload_id)
    await asyncio.sleep(0.1)
    answer = await proceed(call, want)
    stored = await call.store.parts(call.bucket, call.key, want.upload_id)
    kept = {part.number: part for part in before} | {
        part.number: part for part in stored if part.number == want.part_number
    }
    changes = [PutPart(call.key, want.upload_id, part, part.content) for part in kept.values()]
    await call.commit(Mutation(call.bucket, (PutUpload(upload), *changes)))
    return answer


breaks("UP-04/any-order-with-gaps", broken("parts out of order are dropped", drops_what_is_out_of_order))
breaks("UP-04/in-parallel", broken("parts that arrive together overwrite each other", loses_parts))


async def keeps_the_former_part(call, want, proceed):
    before = await call.store.parts(call.bucket, call.key, want.upload_id)
    answer = await proceed(call, want)
    for part in before:
        if part.number == want.part_number:
            await call.commit(Mutation(call.bucket, (PutPart(call.key, want.upload_id, part, part.content),)))
    return answer


_active: dict[tuple[bytes, int], int] = {}


async def gives_up_on_overlaps(call, want, proceed):
    """The part that began first is refused if another began meanwhile."""
    place = (call.key, want.part_number)
    mine = _active[place] = _active.get(place, 0) + 1
    answer = await proceed(call, want)
    if _active[place] != mine:
        raise S3Error("OperationAborted")
    return answer


breaks("UP-05/sent-again", broken("a part that is there is never replaced", keeps_the_former_part))
breaks("UP-05/interleaved", broken("a part is refused if another overlaps it", gives_up_on_overlaps))


async def empties_the_part_first(call, want, proceed):
    stored = await call.store.parts(call.bucket, call.key, want.upload_id)
    if any(part.number == want.part_number for part in stored):
        empty = Part(want.part_number, 0, hashlib.md5(b"").hexdigest(), call.now_ms)
        await call.commit(Mutation(call.bucket, (PutPart(call.key, want.upload_id, empty, b""),)))
    return await proceed(call, want)


breaks(
    ("UP-06/refused-part", "UP-06/cut-part"),
    broken("the former part is emptied before the new one is whole", empties_the_part_first),
)
breaks(
    "UP-07/five-gib-are-let-in",
    patched("parts have less than 5 GiB", "anys3.operations.receiving.MAX_SINGLE_BYTES", (5 << 30) - 1),
)
breaks(
    "UP-07/more-is-refused",
    patched("parts have any size", "anys3.operations.receiving.MAX_SINGLE_BYTES", 1 << 60),
)


def planned(sentence, **changes):
    """Change what UploadPart does with the payload."""

    async def handler(call, want, proceed):
        call.plan = call.plan._replace(**changes)
        return await proceed(call, want)

    return broken(sentence, handler)


async def wants_a_hash(call, want, proceed):
    if call.request.headers[b"x-amz-content-sha256"] == b"UNSIGNED-PAYLOAD":
        raise S3Error("InvalidRequest")
    return await proceed(call, want)


async def keeps_what_it_refuses(call, want, proceed):
    plan = call.plan
    call.plan = plan._replace(sha256=None, md5=None, checksum=None)
    answer = await proceed(call, want)
    if plan.sha256 == hashlib.sha256(b"other").hexdigest().encode():
        raise S3Error("XAmzContentSHA256Mismatch")
    if plan.md5 is not None or plan.checksum is not None:
        raise S3Error("BadDigest")
    return answer


breaks("UP-08/wrong-payload", planned("x-amz-content-sha256 of parts is not verified", sha256=None))
breaks("UP-08/wrong-payload", planned("Content-MD5 of parts is not verified", md5=None))
breaks(
    "UP-08/wrong-payload",
    patched("bad Content-MD5 is ignored", "anys3.protocol.payload._decode_md5", lambda value: None),
)
breaks("UP-08/wrong-payload", planned("checksums of parts are not verified", checksum=None))
breaks(
    "UP-08/wrong-payload",
    broken("a part is refused and kept", keeps_what_it_refuses),
)
breaks("UP-08/unsigned-payload", broken("parts must be signed", wants_a_hash))
breaks(
    ("UP-08/signed-chunks", "UP-08/unsigned-chunks-with-trailer"),
    planned("the framing of parts is stored", is_chunked=False, seal=None, trailer=None),
)
breaks(
    "UP-08/unsigned-chunks-with-trailer",
    patched(
        "trailers are not verified",
        "anys3.protocol.payload._checked",
        lambda plan, algorithm, computed, trailer: Checksum(
            algorithm, "FULL_OBJECT", checksums.encode(computed)
        ),
    ),
)

_resolve = Router.resolve


def falls_through(router, method, target, query, headers):
    """Treat what is half an UploadPart as PutObject."""
    half = ("partNumber" in query) != ("uploadId" in query)
    if method == b"PUT" and target.key and half:
        query.clear()
        return catalogue.operations()["PutObject"]
    return _resolve(router, method, target, query, headers)


breaks(
    "UP-09/half-of-the-parameters",
    patched("half an UploadPart is a PutObject", "anys3.wire.routing.Router.resolve", falls_through),
)


async def wants_part_checksums(call, want, proceed):
    raise S3Error("InvalidRequest", "The upload was created using a checksum: each part must have it.")


_UP_10 = ("UP-10/checksum-header-is-echoed", "UP-10/checksum-trailer-is-echoed")
breaks(_UP_10, with_header("another checksum is echoed", "x-amz-checksum-crc32", lambda _: "AAAAAA=="))
breaks(
    _UP_10,
    all_of(
        "checksums are not echoed, and completion wants them",
        answering("", lambda request, answer: drop_header(answer, "x-amz-checksum-crc32")),
        handled("", "CompleteMultipartUpload", wants_part_checksums),
    ),
)
