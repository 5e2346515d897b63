"""Servers broken for the checks of conditions of writes and deletes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from anys3.operations.call import Call
from anys3.operations.delete_objects import _delete_if, _deletion
from anys3.operations.publishing import expectations
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from anys3.store.mutations import AbortUpload, Expectation, Mutation, Present
from tests.broken_servers import (
    Breakage,
    Handler,
    accepting,
    answering,
    breaks,
    code_of,
    error_answer,
    handled,
    hooked,
    overlooking,
    patched,
    replace_in_body,
    saying,
    when,
)

WRITES = {
    "PutObject": ("only-a-new-key", "put-where-nothing-is", "conditions-puts-lack"),
    "CopyObject": ("conditions-of-copies", "copy-where-nothing-is", "conditions-copies-lack"),
    "CompleteMultipartUpload": (
        "conditions-of-completions",
        "completion-where-nothing-is",
        "conditions-completions-lack",
    ),
}
_MODULES = {
    "PutObject": "put_object",
    "CopyObject": "copy_object",
    "CompleteMultipartUpload": "complete_multipart_upload",
}
_OF_MANY = "anys3.operations.delete_objects"
_RACE_S = 0.05


def refusing(sentence: str, operation: str, is_refused: Callable[[bytes], bool], code: str) -> Breakage:
    """Refuses some values of If-Match."""

    async def handler(call: Call, want: Any, proceed: Handler) -> Any:
        if want.if_match is not None and is_refused(want.if_match):
            raise S3Error(code)
        return await proceed(call, want)

    return handled(sentence, operation, handler)


async def act_after_looking(call: Call, want: Any, proceed: Handler) -> Any:
    """Look whether the condition holds, and write a little later."""
    current = await call.store.entry(call.bucket, call.key)
    is_new = want.if_none_match is not None and current is None
    is_same = want.if_match is not None and current is not None
    if is_new or (is_same and current.etag.encode() in want.if_match):
        want.if_match = want.if_none_match = None
        await asyncio.sleep(_RACE_S)
    return await proceed(call, want)


async def write_all_the_same(call: Call, want: Any, proceed: Handler) -> Any:
    """Refuse, but write what was refused."""
    try:
        return await proceed(call, want)
    except S3Error:
        want.if_match = want.if_none_match = None
        await proceed(call, want)
        raise


async def end_the_upload(call: Call, want: Any, proceed: Handler) -> Any:
    """Abort an upload whose completion is refused."""
    try:
        return await proceed(call, want)
    except S3Error:
        await call.commit(Mutation(call.bucket, (AbortUpload(call.key, want.upload_id),)))
        raise


def conditions_of_reads(
    key: bytes, if_match: bytes | None, if_none_match: bytes | None
) -> tuple[Expectation, ...]:
    """Understand If-Match: * as on reads."""
    return (Present(key),) if if_match == b"*" else expectations(key, if_match, if_none_match)


def first_of_both(key: bytes, if_match: bytes | None, if_none_match: bytes | None) -> tuple[Expectation, ...]:
    """Take If-Match alone where both were sent."""
    return expectations(key, if_match, None if if_match else if_none_match)


def etags_not_to_match(
    key: bytes, if_match: bytes | None, if_none_match: bytes | None
) -> tuple[Expectation, ...]:
    """Ignore an If-None-Match that is no star."""
    return expectations(key, if_match, if_none_match if if_none_match == b"*" else None)


def internal_error(request: Request, answer: Answer) -> Answer | None:
    is_loser = code_of(answer) == "PreconditionFailed" and when(request, "PUT", header="if-none-match")
    return error_answer("InternalError") if is_loser else None


async def nothing_deleted(request: Request, proceed: Callable[[Request], Awaitable[Answer]]) -> Answer:
    return Answer(204) if when(request, "DELETE", header="if-match") else await proceed(request)


# --- PutObject ---------------------------------------------------------------------------------------------

breaks(("CONDW-01/only-a-new-key", "CONDW-02/one-creates"), overlooking("PutObject", "if_none_match"))
breaks(
    ("CONDW-01/only-a-new-key", "CONDW-02/one-creates", "CONDW-03/only-the-same-object"),
    handled("what is refused is written", "PutObject", write_all_the_same),
)
breaks(
    "CONDW-01/only-a-new-key",
    saying("ConditionalRequestConflict", instead_of="PreconditionFailed", method="PUT"),
)
breaks(
    ("CONDW-02/one-creates", "CONDW-05/one-swaps"),
    handled("the condition is looked at before the write", "PutObject", act_after_looking),
)
breaks("CONDW-02/one-creates", answering("the losers of a race are told of an error", internal_error))
breaks(("CONDW-03/only-the-same-object", "CONDW-05/one-swaps"), overlooking("PutObject", "if_match"))
breaks(
    "CONDW-03/only-the-same-object",
    refusing("If-Match never holds", "PutObject", lambda _: True, "PreconditionFailed"),
)
breaks("CONDW-05/one-swaps", handled("what is refused is written", "PutObject", write_all_the_same))
breaks(
    "CONDW-04/put-where-nothing-is",
    refusing("an odd ETag is refused", "PutObject", lambda value: b'"' not in value, "InvalidArgument"),
)

# --- all writes --------------------------------------------------------------------------------------------

for _operation, (_, _absent, _lack) in WRITES.items():
    _method = "POST" if _operation == "CompleteMultipartUpload" else "PUT"
    _expect = f"anys3.operations.{_MODULES[_operation]}.expectations"
    breaks(f"CONDW-04/{_absent}", overlooking(_operation, "if_match"))
    breaks(f"CONDW-04/{_absent}", saying("PreconditionFailed", instead_of="NoSuchKey", method=_method))
    breaks(f"CONDW-06/{_lack}", overlooking(_operation, "if_match", "if_none_match"))
    breaks(f"CONDW-06/{_lack}", patched("If-Match knows a star", _expect, conditions_of_reads))
    breaks(f"CONDW-06/{_lack}", patched("the first of both counts", _expect, first_of_both))
    breaks(f"CONDW-06/{_lack}", patched("If-None-Match of an ETag is ignored", _expect, etags_not_to_match))
    breaks(
        f"CONDW-06/{_lack}",
        answering(
            "a refusal does not name the header",
            lambda _, answer: (
                replace_in_body(replace_in_body(answer, "<Header>", "<Name>"), "</Header>", "</Name>")
                if code_of(answer) == "NotImplemented"
                else None
            ),
        ),
    )

for _name in ("if_match_size", "if_match_last_modified_time"):
    breaks("CONDW-06/conditions-deletes-lack", overlooking("DeleteObject", _name))

for _operation in ("CopyObject", "CompleteMultipartUpload"):
    _check = f"CONDW-07/{WRITES[_operation][0]}"
    for _name in ("if_match", "if_none_match"):
        breaks(_check, overlooking(_operation, _name))
    breaks(_check, refusing("If-Match never holds", _operation, lambda _: True, "PreconditionFailed"))
    breaks(_check, handled("what is refused is written", _operation, write_all_the_same))

breaks(
    "CONDW-07/conditions-of-completions",
    handled("a refused completion ends its upload", "CompleteMultipartUpload", end_the_upload),
)
breaks(
    "CONDW-07/conditions-of-completions",
    refusing(
        "the ETag of parts never matches",
        "CompleteMultipartUpload",
        lambda value: b"-" in value,
        "PreconditionFailed",
    ),
)
breaks("CONDW-08/written-meanwhile", overlooking("CompleteMultipartUpload", "if_match"))
for _check in ("CONDW-08/written-meanwhile", "CONDW-08/deleted-meanwhile"):
    breaks(_check, saying("InternalError", instead_of="ConditionalRequestConflict"))
    breaks(_check, accepting("ConditionalRequestConflict"))
breaks("CONDW-08/deleted-meanwhile", saying("PreconditionFailed", instead_of="NoSuchKey", method="POST"))

# --- deletes -----------------------------------------------------------------------------------------------

breaks(
    ("CONDW-09/delete-if-match", "CONDW-11/delete-where-nothing-is"), overlooking("DeleteObject", "if_match")
)
breaks("CONDW-09/delete-if-match", hooked("a DELETE on a condition deletes nothing", nothing_deleted))
breaks(
    "CONDW-09/delete-if-match",
    refusing("If-Match wants quotes", "DeleteObject", lambda value: value.isalnum(), "PreconditionFailed"),
)
breaks(
    ("CONDW-09/delete-if-match", "CONDW-11/delete-where-nothing-is"),
    refusing("a star is not implemented", "DeleteObject", lambda value: value == b"*", "NotImplemented"),
)


def deletions(sentence: str, change: Callable[[Any], Any]) -> Breakage:
    """Reads the rows of DeleteObjects in another way."""
    return patched(sentence, f"{_OF_MANY}._deletion", lambda node: change(_deletion(node)))


def wholly_refused(request: Request, answer: Answer) -> Answer | None:
    is_one = when(request, "POST", "delete") and b"PreconditionFailed" in (answer.body or b"")
    return error_answer("PreconditionFailed") if is_one else None


async def deleted_and_denied(call: Call, deletion: Any) -> S3Error | None:
    """Delete what does not match, and say that it was not."""
    is_wrong = deletion.etag == "0" * 32
    refusal = await _delete_if(call, replace(deletion, etag=await _current(call, deletion.key)))
    return S3Error("PreconditionFailed") if is_wrong else refusal


async def _current(call: Call, key: str) -> str:
    entry = await call.store.entry(call.bucket, key.encode())
    return entry.etag if entry else ""


breaks(
    "CONDW-10/delete-objects-by-etag",
    deletions("ETags of DeleteObjects are ignored", lambda one: replace(one, etag=None)),
)
breaks(
    "CONDW-10/delete-objects-by-etag", answering("one other ETag refuses the whole request", wholly_refused)
)
breaks(
    "CONDW-10/delete-objects-by-etag",
    patched("what does not match is deleted", f"{_OF_MANY}._delete_if", deleted_and_denied),
)
