"""Servers broken for the checks of DeleteBucket."""

from __future__ import annotations

import asyncio
from typing import Any

from anys3.operations.call import Call
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from anys3.store.memory import MemoryStore
from anys3.store.mutations import DeleteEntry, Mutation
from tests.broken_servers import (
    Breakage,
    Handler,
    Proceed,
    accepting,
    all_of,
    answering,
    breaks,
    handled,
    hooked,
    patched,
    replace_in_body,
    saying,
    when,
)


def is_deletion(request: Request) -> bool:
    """Whether it is a DeleteBucket."""
    return request.method == b"DELETE" and request.path.count(b"/") == 1 and not request.query


async def emptied(call: Call) -> None:
    """Delete all objects of a bucket."""
    rows = (await call.store.list(call.bucket, b"", b"", b"", 100)).rows
    await call.commit(Mutation(call.bucket, tuple(DeleteEntry(key) for key, _ in rows)))


async def deleting_with_content(call: Call, want: Any, proceed: Handler) -> Any:
    """Delete a bucket, whatever is in it."""
    await emptied(call)
    return await proceed(call, want)


async def emptying_first(call: Call, want: Any, proceed: Handler) -> Any:
    """Refuse as one should, but after the objects were deleted."""
    rows = (await call.store.list(call.bucket, b"", b"", b"", 100)).rows
    await emptied(call)
    if rows:
        raise S3Error("BucketNotEmpty")
    return await proceed(call, want)


async def deleting_nothing(_: Call, __: Any, ___: Handler) -> Any:
    """Answer 204 and delete nothing."""
    return Answer(204)


async def refusing_with_uploads(call: Call, want: Any, proceed: Handler) -> Any:
    """Refuse to delete a bucket with unfinished uploads, with a code that says nothing."""
    found = await call.store.uploads(call.bucket, b"", b"", b"", None, 1)
    if found.uploads:
        raise S3Error("InvalidRequest")
    return await proceed(call, want)


breaks("DB-01/empty-bucket", handled("204, and the bucket is there", "DeleteBucket", deleting_nothing))
breaks(
    "DB-01/empty-bucket",
    answering("200 in place of 204", lambda request, _: Answer(200) if is_deletion(request) else None),
)
breaks("DB-02/missing-bucket", accepting("NoSuchBucket", method="DELETE"))
breaks("DB-02/missing-bucket", saying("AccessDenied", instead_of="NoSuchBucket", method="DELETE"))
breaks("DB-03/bucket-with-object", handled("objects go with it", "DeleteBucket", deleting_with_content))
breaks("DB-03/bucket-with-object", handled("it is emptied, then refused", "DeleteBucket", emptying_first))
breaks("DB-03/bucket-with-object", saying("OperationAborted", instead_of="BucketNotEmpty"))
breaks("DB-04/gone-for-all", handled("the deletion comes later", "DeleteBucket", deleting_nothing))
breaks("DB-04/gone-for-all", saying("NoSuchKey", instead_of="NoSuchBucket", method="GET"))
breaks("DB-04/gone-for-all", accepting("NoSuchBucket", method="DELETE"))
breaks("DB-04/gone-for-all", accepting("NoSuchBucket", method="PUT"))


def remembering() -> Breakage:
    """A server that lists buckets that were deleted."""
    gone: list[bytes] = []

    async def hook(request: Request, proceed: Proceed) -> Answer:
        answer = await proceed(request)
        if is_deletion(request) and answer.status == 204:
            gone.append(request.path[1:])
        if request.path == b"/" and request.method == b"GET":
            rows = b"".join(b"<Bucket><Name>%b</Name></Bucket>" % name for name in gone)
            return replace_in_body(answer, b"</Buckets>", rows + b"</Buckets>")
        return answer

    return hooked("deleted buckets are listed for ever", hook)


breaks(
    "DB-04/omitted-in-list",
    all_of(
        "deleted buckets are listed for ever, and a check has less time",
        patched("a check polls for a moment", "anys3.conformance.checks.delete_bucket.POLL_S", 0.1),
        remembering(),
    ),
)


def keeping_the_space() -> Breakage:
    """A server on which a bucket that is made again has the objects of the old one."""
    kept: dict[str, list[tuple[bytes, Any]]] = {}
    commit, create = MemoryStore.commit, MemoryStore.create_bucket

    async def remember(self: MemoryStore, mutation: Mutation) -> Any:
        space = self.kept.spaces[mutation.bucket.name]
        if any(isinstance(change, DeleteEntry) for change in mutation.changes):
            kept.setdefault(mutation.bucket.name, []).extend(space.entries.items())
        return await commit(self, mutation)

    async def restore(self: MemoryStore, bucket: Any) -> Any:
        made = await create(self, bucket)
        for key, entry in kept.get(bucket.name, ()):
            self.kept.spaces[bucket.name].put(key, entry)
        return made

    return all_of(
        "old objects reappear in a bucket of the same name",
        patched("deleted objects are kept", "anys3.store.memory.MemoryStore.commit", remember),
        patched("they come back", "anys3.store.memory.MemoryStore.create_bucket", restore),
    )


def keeping_uploads() -> Breakage:
    """A server on which a bucket that is made again has the uploads of the old one."""
    kept: dict[str, Any] = {}
    delete, create = MemoryStore.delete_bucket, MemoryStore.create_bucket

    async def remember(self: MemoryStore, bucket: Any) -> None:
        space = self.kept.spaces[bucket.name]
        kept[bucket.name] = space
        await delete(self, bucket)

    async def restore(self: MemoryStore, bucket: Any) -> Any:
        made = await create(self, bucket)
        if bucket.name in kept:
            space, old = self.kept.spaces[bucket.name], kept[bucket.name]
            space.uploads, space.upload_keys = old.uploads, old.upload_keys
        return made

    return all_of(
        "old uploads go on in a bucket of the same name",
        patched("uploads are kept", "anys3.store.memory.MemoryStore.delete_bucket", remember),
        patched("they come back", "anys3.store.memory.MemoryStore.create_bucket", restore),
    )


breaks("DB-04/empty-again", keeping_the_space())
breaks("DB-05/unfinished-upload", keeping_uploads())
breaks("DB-05/unfinished-upload", handled("uploads block it", "DeleteBucket", refusing_with_uploads))
breaks(
    "DB-05/unfinished-upload",
    answering(
        "parts are taken in a bucket that is gone",
        lambda request, answer: (
            Answer(200, b'ETag: "0"\r\n')
            if when(request, "PUT", "uploadId") and answer.status == 404
            else None
        ),
    ),
)


async def a_put_came_first(call: Call) -> None:
    """Wait until a PUT at the same time has won, for a second at most."""
    for _ in range(100):
        if (await call.store.list(call.bucket, b"", b"", b"", 1)).rows:
            break
        await asyncio.sleep(0.01)


async def deleting_after_a_put(call: Call, want: Any, proceed: Handler) -> Any:
    """Delete a bucket with what came into it since the deletion began."""
    await a_put_came_first(call)
    await emptied(call)
    return await proceed(call, want)


async def failing_after_a_put(call: Call, want: Any, proceed: Handler) -> Any:
    """Take an object that came into the bucket meanwhile for a fault of its own."""
    await a_put_came_first(call)
    try:
        return await proceed(call, want)
    except S3Error:
        raise S3Error("InternalError") from None


breaks(
    "DB-06/put-against-deletion",
    handled("what comes in meanwhile is lost", "DeleteBucket", deleting_after_a_put),
)
breaks(
    "DB-06/put-against-deletion",
    handled("what comes in meanwhile is a fault of its own", "DeleteBucket", failing_after_a_put),
)
