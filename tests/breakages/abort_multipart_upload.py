"""Servers broken for the checks of AbortMultipartUpload."""

from __future__ import annotations

from anys3.protocol.http import Answer
from anys3.spec import catalogue
from anys3.spec.errors import S3Error
from anys3.store.mutations import DeleteEntry, Mutation, PutUpload
from anys3.wire.routing import Router
from tests.broken_servers import accepting, breaks, handled, patched, saying

_resolve = Router.resolve


def broken(sentence, handler):
    """Break AbortMultipartUpload."""
    return handled(sentence, "AbortMultipartUpload", handler)


async def does_nothing(call, want, proceed):
    return Answer(204)


async def answers_200(call, want, proceed):
    await proceed(call, want)
    return Answer(200)


async def deletes_the_object(call, want, proceed):
    """Delete whatever is there, as DeleteObject would."""
    await call.commit(Mutation(call.bucket, (DeleteEntry(call.key),)))
    return await proceed(call, want)


def deletes_without_id(router, method, target, query, headers):
    """Treat an empty uploadId as none."""
    if method == b"DELETE" and query.get("uploadId") == "":
        query.clear()
        return catalogue.operations()["DeleteObject"]
    return _resolve(router, method, target, query, headers)


async def revives_the_upload(call, want, proceed):
    """A part that comes too late brings its upload back."""
    upload = await call.store.upload(call.bucket, call.key, want.upload_id)
    try:
        return await proceed(call, want)
    except S3Error:
        if upload is not None:
            await call.commit(Mutation(call.bucket, (PutUpload(upload),)))
        raise


breaks(
    (
        "ABT-01/ends-the-upload",
        "ABT-01/part-in-flight",
        "ABT-02/requests-after-an-abort",
    ),
    broken("an abort does nothing", does_nothing),
)
breaks("ABT-01/ends-the-upload", broken("an abort answers 200", answers_200))
breaks("ABT-01/existing-object-stays", broken("an abort deletes the object too", deletes_the_object))
breaks(
    "ABT-01/part-in-flight",
    handled("a late part brings its upload back", "UploadPart", revives_the_upload),
)
breaks(
    ("ABT-02/unknown-upload", "ABT-03/abort-is-no-delete"),
    accepting("NoSuchUpload", method="DELETE"),
)
breaks(
    ("ABT-02/unknown-upload", "ABT-02/requests-after-an-abort"),
    saying("InvalidArgument", instead_of="NoSuchUpload", method="DELETE"),
)
breaks("ABT-02/requests-after-an-abort", accepting("NoSuchUpload", method="POST"))
breaks(
    "ABT-03/abort-is-no-delete",
    patched("an empty uploadId is a DeleteObject", "anys3.wire.routing.Router.resolve", deletes_without_id),
)
breaks(
    "ABT-03/abort-is-no-delete",
    broken("an unknown uploadId deletes the object", deletes_the_object),
)
