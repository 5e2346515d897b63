"""Servers broken for the checks of DeleteObjects."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

from anys3.operations.call import Call
from anys3.protocol.http import Answer, Request
from anys3.protocol.payload import Plan
from anys3.server.bodies import BufferedBody
from anys3.spec.errors import S3Error
from tests.broken_servers import (
    Breakage,
    Handler,
    accepting,
    answering,
    body_of,
    breaks,
    handled,
    patched,
    saying,
    when,
)

OPERATION = "DeleteObjects"


async def give(call: Call, text: str) -> None:
    """Give a call another document, with a digest of its own."""
    data = text.encode()
    call.request.body = BufferedBody(data)
    call.plan = Plan(md5=hashlib.md5(data, usedforsecurity=False).digest())


async def taken(call: Call) -> str:
    """Return the document that was sent."""
    return (await call.request.body.whole(1 << 24)).decode()


def rewriting(sentence: str, change: Callable[[str], str]) -> Breakage:
    """A server that reads another document than the one that was sent."""

    async def handler(call: Call, want: Any, proceed: Handler) -> Any:
        if call.plan.is_chunked:
            return await proceed(call, want)
        await give(call, change(await taken(call)))
        return await proceed(call, want)

    return handled(sentence, OPERATION, handler)


def in_keys(change: Callable[[str], str]) -> Callable[[str], str]:
    """Return what changes the text of each key."""
    return lambda text: re.sub("(?<=<Key>)[^<]*", lambda found: change(found[0]), text)


def answered(sentence: str, change: Callable[[bytes], bytes]) -> Breakage:
    """Changes the successful answers."""

    def changed(request: Request, answer: Answer) -> Answer | None:
        if not when(request, "POST", "delete") or answer.status != 200:
            return None
        return replace(answer, body=change(body_of(answer)), length=None)

    return answering(sentence, changed)


def without(element: bytes) -> Callable[[bytes], bytes]:
    """Return what takes away all elements of a name, with what is in them."""
    return lambda body: re.sub(b"<%b>.*?</%b>" % (element, element), b"", body, flags=re.DOTALL)


def in_another_word(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return what renames elements."""
    return lambda body: body.replace(b"<" + old, b"<" + new).replace(b"</" + old, b"</" + new)


async def nothing(call: Call, want: Any, proceed: Handler) -> Any:
    """Report everything as deleted, and delete nothing."""
    text = await taken(call)
    await give(call, in_keys(lambda key: key + "-")(text))
    answer: Answer = await proceed(call, want)
    return replace(answer, body=body_of(answer).replace(b"-</Key>", b"</Key>"), length=None)


def all_or_nothing(request: Request, answer: Answer) -> Answer | None:
    """Refuse the whole request where one key fails."""
    has_error = when(request, "POST", "delete") and b"<Error>" in body_of(answer)
    return Answer(400, answer.headers, body_of(answer)) if has_error else None


# --- DELS-01, DELS-02, DELS-04: what is answered -----------------------------------------------------------

NOTHING = handled("everything is said to be deleted", OPERATION, nothing)
QUIET_ALWAYS = answered("what was deleted is never listed", without(b"Deleted"))
NOT_QUIET = rewriting(
    "Quiet is not known", lambda text: text.replace("<Quiet>true</Quiet>", "<Quiet>false</Quiet>")
)

breaks(("DELS-01/deletes-and-reports", "DELS-02/quiet-lists-nothing", "DELS-03/thousand-keys"), NOTHING)
breaks(("DELS-06/md5-alone", "DELS-06/crc32-alone", "DELS-11/version-null"), NOTHING)
breaks(
    ("DELS-01/deletes-and-reports", "DELS-03/thousand-keys", "DELS-04/missing-keys", "DELS-09/error-per-key"),
    QUIET_ALWAYS,
)
breaks(
    "DELS-01/deletes-and-reports",
    answered("another document is sent", in_another_word(b"DeleteResult", b"DeleteObjectsResult")),
)
breaks(
    "DELS-01/deletes-and-reports",
    answered("each key is reported twice", lambda body: re.sub(b"(<Deleted>.*?</Deleted>)", rb"\1\1", body)),
)
breaks(("DELS-02/quiet-lists-nothing",), NOT_QUIET)
breaks(
    ("DELS-02/quiet-lists-errors", "DELS-09/error-per-key"),
    answered("failures of keys are not told", without(b"Error")),
)
breaks(
    "DELS-04/missing-keys",
    answered("a missing key is an error", in_another_word(b"Deleted>", b"Error>")),
)

# --- DELS-03: how many -------------------------------------------------------------------------------------

breaks(
    "DELS-03/thousand-keys",
    patched("999 keys are the most", "anys3.operations.delete_objects.MAX_KEYS", 999),
)
breaks(
    "DELS-03/thousand-keys",
    patched("documents are short", "anys3.operations.delete_objects.MAX_DOCUMENT_BYTES", 65_536),
)
breaks(
    "DELS-03/one-key-too-many",
    patched("10,000 keys are accepted", "anys3.operations.delete_objects.MAX_KEYS", 10_000),
)


async def the_first_thousand(call: Call, want: Any, proceed: Handler) -> Any:
    """Delete until there are too many, and then refuse."""
    text = await taken(call)
    rows = re.findall("<Object>.*?</Object>", text)
    await give(call, f"<Delete>{''.join(rows[:1000])}</Delete>")
    answer = await proceed(call, want)
    if len(rows) > 1000:
        raise S3Error("MalformedXML")
    return answer


breaks(
    "DELS-03/one-key-too-many",
    handled("1,000 keys are deleted, and the rest refused", OPERATION, the_first_thousand),
)

# --- DELS-05, DELS-06: integrity ---------------------------------------------------------------------------


async def md5_only(call: Call, want: Any, proceed: Handler) -> Any:
    """Know no other digest than Content-MD5."""
    if call.plan.md5 is None:
        raise S3Error("InvalidRequest")
    return await proceed(call, want)


async def checksum_only(call: Call, want: Any, proceed: Handler) -> Any:
    """Know checksums only."""
    if call.plan.checksum_algorithm is None:
        raise S3Error("InvalidRequest")
    return await proceed(call, want)


def unverified(name: str) -> Breakage:
    """Requires a digest, and does not look at it."""

    async def handler(call: Call, want: Any, proceed: Handler) -> Any:
        if name.encode() in call.request.headers:
            await give(call, await taken(call))
        return await proceed(call, want)

    return handled(f"{name} is not verified", OPERATION, handler)


async def deleted_then_verified(call: Call, want: Any, proceed: Handler) -> Any:
    """Delete first, and verify afterwards."""
    plan, text = call.plan, await taken(call)
    await give(call, text)
    answer = await proceed(call, want)
    if plan.md5 is None and plan.checksum is None:
        raise S3Error("InvalidRequest")
    if plan.md5 not in (None, call.plan.md5) or plan.checksum not in (None, crc32(text)):
        raise S3Error("BadDigest")
    return answer


def crc32(text: str) -> bytes:
    """Return the CRC32 of a document."""
    return zlib.crc32(text.encode()).to_bytes(4, "big")


breaks(
    ("DELS-05/sha256-is-enough", "DELS-05/trailer-is-enough", "DELS-06/crc32-alone"),
    handled("Content-MD5 is required", OPERATION, md5_only),
)
breaks("DELS-06/md5-alone", handled("a checksum is required", OPERATION, checksum_only))
breaks("DELS-05/no-integrity-value", saying("AccessDenied", instead_of="InvalidRequest"))
breaks(
    ("DELS-05/no-integrity-value", "DELS-06/wrong-md5", "DELS-06/wrong-crc32"),
    handled("digests are verified too late", OPERATION, deleted_then_verified),
)
breaks("DELS-06/wrong-md5", unverified("content-md5"))
breaks("DELS-06/wrong-crc32", unverified("x-amz-checksum-crc32"))
breaks(("DELS-06/wrong-md5", "DELS-06/wrong-crc32"), saying("InvalidDigest", instead_of="BadDigest"))

# --- DELS-07, DELS-08: what is read ------------------------------------------------------------------------

breaks("DELS-07/key-is-not-url-decoded", rewriting("keys are URL-decoded", in_keys(unquote_plus)))
breaks("DELS-07/key-is-not-trimmed", rewriting("keys are trimmed", in_keys(str.strip)))
breaks(
    "DELS-07/key-is-unescaped",
    rewriting("keys are not unescaped", in_keys(lambda key: key.replace("&", "&amp;"))),
)
breaks(
    "DELS-07/key-is-unescaped",
    rewriting("keys are unescaped twice", in_keys(lambda key: key.replace("&amp;", "&"))),
)


def mended(text: str) -> str:
    """Return what a forgiving parser makes of a document."""
    text = text.replace("</Delete></Object>", "</Object></Delete>")
    return text if text.endswith("</Delete>") or "<" not in text else f"{text}</Delete>"


breaks("ERR-05/no-delete-document", rewriting("documents are mended", mended))
breaks(("DELS-08/no-object", "ERR-05/no-delete-document"), accepting("MalformedXML"))
breaks(
    ("DELS-08/no-object", "ERR-05/no-delete-document"), saying("InvalidRequest", instead_of="MalformedXML")
)

# --- DELS-09 to DELS-11: what fails ------------------------------------------------------------------------

breaks("DELS-09/error-per-key", answering("one bad key refuses all", all_or_nothing))
breaks("DELS-09/error-per-key", answered("errors have no code", without(b"Code")))
breaks("DELS-09/error-per-key", answered("errors have no message", without(b"Message")))
breaks("DELS-10/missing-bucket", accepting("NoSuchBucket", method="POST"))
breaks("DELS-10/missing-bucket", saying("NoSuchKey", instead_of="NoSuchBucket"))


def unread(*names: str) -> Breakage:
    """A server that does not read some elements of an Object."""

    def change(text: str) -> str:
        return re.sub(f"<({'|'.join(names)})>.*?</\\1>", "", text)

    return rewriting(f"{', '.join(names)} are not read", change)


breaks(("DELS-02/quiet-lists-errors", "DELS-09/error-per-key", "DELS-11/other-version"), unread("VersionId"))
for _name in ("ETag", "Size", "LastModifiedTime"):
    breaks("DELS-11/false-conditions", unread(_name))
breaks(
    "DELS-11/version-null",
    rewriting(
        "versions are unknown", lambda text: text.replace("<VersionId>null", "<VersionId>of no version")
    ),
)
breaks(
    "DELS-11/true-conditions",
    rewriting(
        "every condition is taken for false",
        lambda text: re.sub("<(ETag|Size)>.*?</\\1>", "<ETag>0</ETag>", text),
    ),
)
breaks(
    "DELS-11/true-conditions",
    answered("a key that stays is said to be deleted", in_another_word(b"Error>", b"Deleted>")),
)
