"""Servers broken for the checks of CompleteMultipartUpload: CPL-11 to CPL-18."""

from __future__ import annotations

import asyncio

from anys3.spec.errors import S3Error
from anys3.store.mutations import DeleteEntry, Mutation, PutPart, PutUpload
from tests.breakages.complete_multipart_upload import (
    MODULE,
    aborts_what_it_refuses,
    broken,
    publishes_anyway,
)
from tests.broken_servers import breaks, patched


async def deletes_first(call, want, proceed):
    await call.commit(Mutation(call.bucket, (DeleteEntry(call.key),)))
    await asyncio.sleep(0.3)
    return await proceed(call, want)


breaks(
    ("CPL-11/switch-is-atomic", "CPL-11/failure-changes-nothing"),
    broken("the old object is deleted first", deletes_first),
)
breaks(
    ("CPL-11/failure-changes-nothing", "CPL-17/size-of-the-object"),
    broken("a refused completion aborts the upload", aborts_what_it_refuses),
)
breaks(
    (
        "CPL-11/failure-changes-nothing",
        "CPL-15/checksum-of-the-whole",
        "CPL-15/undeclared-checksum-of-the-whole",
        "CPL-16/wrong-part-checksum",
        "CPL-17/size-of-the-object",
    ),
    broken("a completion is refused, and the object written", publishes_anyway),
)


async def keeps_the_upload(call, want, proceed):
    """Publish, and leave the upload and its parts as they were."""
    upload = await call.store.upload(call.bucket, call.key, want.upload_id)
    parts = []
    if upload is not None:
        parts = await call.store.parts(call.bucket, call.key, want.upload_id)
    answer = await proceed(call, want)
    if upload is not None:
        again = [PutPart(call.key, want.upload_id, part, part.content) for part in parts]
        await call.commit(Mutation(call.bucket, (PutUpload(upload),)))
        await call.commit(Mutation(call.bucket, tuple(again)))
    return answer


breaks(
    (
        "CPL-12/upload-is-no-longer-there",
        "CPL-13/repeated-with-other-parts",
        "CPL-18/later-writes-stay",
    ),
    broken("a completed upload can be completed again", keeps_the_upload),
)


def repeating(sentence, code):
    """Refuse repeated completions with that code."""

    async def repeat(call, upload_id, listed):
        raise S3Error(code)

    return patched(sentence, f"{MODULE}._repeat", repeat)


breaks(
    ("CPL-13/repeated", "CPL-13/repeated-with-condition"),
    repeating("a repeated completion is a failed precondition", "PreconditionFailed"),
)
breaks("CPL-14/two-at-once", repeating("the slower completion is an internal error", "InternalError"))


async def numbers_its_completions(call, want, proceed):
    """Answer each completion with an ETag of its own."""
    answer = await proceed(call, want)
    answer.body = answer.body.replace(b"&quot;</ETag>", b"%d&quot;</ETag>" % call.now_us)
    return answer


_active: dict[str, int] = {}


async def refuses_both(call, want, proceed):
    """Refuse completions that overlap, all of them."""
    _active[want.upload_id] = _active.get(want.upload_id, 0) + 1
    await asyncio.sleep(0.2)
    if _active[want.upload_id] > 1:
        raise S3Error("OperationAborted")
    return await proceed(call, want)


breaks(
    ("CPL-13/repeated", "CPL-14/two-at-once"),
    broken("a repeated completion has another ETag", numbers_its_completions),
)
breaks("CPL-14/two-at-once", broken("completions that overlap are all refused", refuses_both))


async def ignores_checksums(call, want, proceed):
    want.checksum_crc32 = want.checksum_type = None
    return await proceed(call, want)


async def wants_its_order(call, want, proceed):
    if b"<Part><Checksum" in (call.request.body.buffered or b""):
        raise S3Error("MalformedXML")
    return await proceed(call, want)


async def wants_no_checksums(call, want, proceed):
    if b"<Checksum" in (call.request.body.buffered or b""):
        raise S3Error("InvalidRequest")
    return await proceed(call, want)


async def knows_no_size(call, want, proceed):
    if want.mpu_object_size is not None:
        raise S3Error("NotImplemented")
    return await proceed(call, want)


async def ignores_the_size(call, want, proceed):
    want.mpu_object_size = None
    return await proceed(call, want)


breaks(
    ("CPL-15/checksum-of-the-whole", "CPL-15/undeclared-checksum-of-the-whole"),
    broken("checksums of the whole object are ignored", ignores_checksums),
)
breaks("CPL-16/part-checksum-in-any-order", broken("elements have one order", wants_its_order))
breaks(
    "CPL-16/part-checksum-in-any-order",
    broken("checksums in the list of parts are refused", wants_no_checksums),
)
breaks(
    "CPL-16/wrong-part-checksum",
    patched("checksums in the list are ignored", f"{MODULE}._checksums_agree", lambda one, part: True),
)
breaks("CPL-17/size-of-the-object", broken("x-amz-mp-object-size is unknown", knows_no_size))
breaks("CPL-17/size-of-the-object", broken("x-amz-mp-object-size is ignored", ignores_the_size))
