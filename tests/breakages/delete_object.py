"""Servers broken for the checks of DeleteObject."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anys3.operations.call import Call
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from anys3.store.mutations import DeleteEntry, Mutation
from tests.broken_servers import (
    Handler,
    accepting,
    answering,
    breaks,
    error_answer,
    handled,
    ignoring,
    saying,
    when,
)


def with_200(request: Request, answer: Answer) -> Answer | None:
    """Answer 200 as other APIs do."""
    return replace(answer, status=200) if when(request, "DELETE") and answer.status == 204 else None


async def only_existing(call: Call, want: Any, proceed: Handler) -> Any:
    """Refuse to delete what is not there."""
    if await call.store.entry(call.bucket, call.key) is None:
        raise S3Error("NoSuchKey")
    return await proceed(call, want)


async def nothing(_call: Call, _want: Any, _proceed: Handler) -> Answer:
    """Answer as if it were deleted."""
    return Answer(204)


async def folder(call: Call, want: Any, proceed: Handler) -> Any:
    """Delete a key that ends in a slash like a folder, with all that is in it."""
    if call.key.endswith(b"/"):
        await call.commit(Mutation(call.bucket, (DeleteEntry(call.key + b"b"),)))
    return await proceed(call, want)


async def cleaned_path(call: Call, want: Any, proceed: Handler) -> Any:
    """Take a key that ends in a slash for the one without."""
    if call.key.endswith(b"/"):
        await call.commit(Mutation(call.bucket, (DeleteEntry(call.key.rstrip(b"/")),)))
    return await proceed(call, want)


async def folders_stay(call: Call, want: Any, proceed: Handler) -> Any:
    """Never delete a folder."""
    return Answer(204) if call.key.endswith(b"/") else await proceed(call, want)


def refuse_null(request: Request, _: Answer) -> Answer | None:
    """Know no version of that name."""
    return error_answer("NoSuchVersion") if when(request, "DELETE", "versionId=null") else None


breaks(("DEL-01/existing-key", "DEL-02/missing-key"), answering("DELETE answers 200", with_200))
breaks("DEL-02/missing-key", handled("a missing key is an error", "DeleteObject", only_existing))
breaks("DEL-03/missing-bucket", accepting("NoSuchBucket", method="DELETE"))
breaks("DEL-03/missing-bucket", saying("NoSuchKey", instead_of="NoSuchBucket"))
breaks(
    ("CON-01/deletions", "DEL-06/version-null"),
    handled("DELETE deletes nothing", "DeleteObject", nothing),
)
breaks("CON-01/deletions", accepting(method="HEAD"))
breaks("KEY-07/deleting-one", handled("a/ is deleted as a folder", "DeleteObject", folder))
breaks("KEY-07/deleting-one", handled("a/ is taken for a", "DeleteObject", cleaned_path))
breaks(
    "KEY-07/deleting-one",
    handled("folders are never deleted", "DeleteObject", folders_stay),
)
breaks("DEL-06/version-null", answering("the version null is unknown", refuse_null))
breaks("DEL-06/other-versions", ignoring("versionId"))
breaks("DEL-06/other-versions", saying("NoSuchKey", instead_of="NoSuchVersion"))
