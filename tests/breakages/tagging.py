"""Servers broken for the checks of tags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anys3.model import Entry
from anys3.operations.call import Call
from anys3.operations.object_tagging import _replace
from anys3.operations.publishing import make_entry
from anys3.protocol import tagging
from anys3.protocol.http import Answer, Request
from anys3.protocol.tagging import Tags
from anys3.spec.errors import S3Error
from tests.broken_servers import (
    Breakage,
    Handler,
    accepting,
    all_of,
    answering,
    breaks,
    handled,
    overlooking,
    patched,
    replace_in_body,
    saying,
    when,
    without_header,
)

_HERE = "anys3.protocol.tagging"
_OPERATION = "anys3.operations.object_tagging"
BEYOND = "TAG-04/tags-beyond-the-limits"
WITHIN = "TAG-04/tags-within-the-limits"
_check = tagging.check
_parse_document = tagging.parse_document


def refused_quietly(operation: str, answer: Answer) -> Breakage:
    """Answers as if it had been done."""

    async def handler(call: Call, want: Any, proceed: Handler) -> Answer:
        del call, want, proceed
        return answer

    return handled(f"{operation} does nothing", operation, handler)


def checking(sentence: str, check: Callable[[Tags], Tags]) -> Breakage:
    """Judges tags in another way."""
    return patched(sentence, f"{_HERE}.check", check)


def checking_all_but(code: str) -> Breakage:
    """Accepts tags that should be refused with a code."""

    def check(tags: Tags) -> Tags:
        try:
            return _check(tags)
        except S3Error as error:
            if error.code != code:
                raise
            return tags

    return checking(f"accepts {code}", check)


def in_bytes(tags: Tags) -> Tags:
    """Count the bytes of keys and values."""
    if any(len(key.encode()) > 128 or len(value.encode()) > 256 for key, value in tags):
        raise S3Error("InvalidTag")
    return _check(tags)


def changing(**fields: Callable[[Any], Any]) -> Callable[..., Entry]:
    """Return what makes the row of an object whose tags change, with other fields than it should have."""
    return lambda **given: make_entry(**{**given, **{name: new(given[name]) for name, new in fields.items()}})


async def adding(call: Call, tags: Tags) -> None:
    """Add tags to those that are there."""
    entry = await call.store.entry(call.bucket, call.key)
    await _replace(call, tuple({**dict(entry.tags if entry else ()), **dict(tags)}.items()))


async def leaving_a_tag(call: Call, want: Any, proceed: Handler) -> Any:
    """Forget all tags, and leave one."""
    answer = await proceed(call, want)
    await _replace(call, (("left", "1"),))
    return answer


def keeping(operation: str, *, even_deleted: bool = False) -> Breakage:
    """Keeps the tags of the object that is overwritten, or was deleted under that key."""
    deleted: dict[bytes, Tags] = {}

    async def write(call: Call, want: Any, proceed: Handler) -> Any:
        old = await call.store.entry(call.bucket, call.key)
        answer = await proceed(call, want)
        kept = deleted.get(call.key, ()) if even_deleted else old.tags if old else ()
        if kept:
            await _replace(call, kept)
        return answer

    async def delete(call: Call, want: Any, proceed: Handler) -> Any:
        old = await call.store.entry(call.bucket, call.key)
        deleted[call.key] = old.tags if old else ()
        return await proceed(call, want)

    kept = handled(f"{operation} keeps the tags of what was there", operation, write)
    if not even_deleted:
        return kept
    return all_of("tags outlive their object", kept, handled("", "DeleteObject", delete))


def always_counted(request: Request, answer: Answer) -> Answer | None:
    is_none = answer.status == 200 and b"x-amz-tagging-count" not in answer.headers
    return replace(answer, headers=answer.headers + b"x-amz-tagging-count: 0\r\n") if is_none else None


def rewording(sentence: str, old: str, new: str) -> Breakage:
    """Has other words in the document of tags."""
    return answering(
        sentence,
        lambda request, answer: (
            replace_in_body(answer, old, new) if when(request, "GET", query="tagging") else None
        ),
    )


def as_201(method: str) -> Breakage:
    """Answers changes of tags by one method with 201."""
    return answering(
        f"{method} is answered with 201",
        lambda request, answer: (
            replace(answer, status=201)
            if when(request, method, query="tagging") and answer.status < 300
            else None
        ),
    )


# --- TAG-01 to TAG-03 --------------------------------------------------------------------------------------

breaks("TAG-01/put-tags", refused_quietly("PutObjectTagging", Answer(200)))
breaks("TAG-01/delete-tags", refused_quietly("DeleteObjectTagging", Answer(204)))
breaks("TAG-01/delete-tags", handled("a tag is left", "DeleteObjectTagging", leaving_a_tag))
breaks("TAG-01/put-tags", as_201("PUT"))
breaks("TAG-01/delete-tags", as_201("DELETE"))
breaks("TAG-01/put-tags", rewording("tags are Item elements", "Tag>", "Item>"))
breaks("TAG-01/put-tags", rewording("values are missing", "Value>", "Text>"))
breaks("TAG-02/no-tags", rewording("a TagSet without tags is left out", "<TagSet></TagSet>", ""))
breaks("TAG-02/no-tags", rewording("no tags are one empty tag", "<TagSet>", "<TagSet><Tag/>"))


def no_such_tag_set(request: Request, answer: Answer) -> Answer | None:
    is_empty = when(request, "GET", query="tagging") and b"<TagSet></TagSet>" in (answer.body or b"")
    return Answer(404) if is_empty else None


breaks("TAG-02/no-tags", answering("no tags are a 404", no_such_tag_set))
breaks("TAG-03/tags-of-a-put", overlooking("PutObject", "tagging"))
breaks("TAG-03/tags-of-an-upload", overlooking("CreateMultipartUpload", "tagging"))
breaks(
    ("TAG-03/tags-of-a-put", "TAG-03/tags-of-an-upload"),
    patched(
        "tags of headers are not decoded",
        f"{_HERE}.percent.decode_utf8",
        lambda data: data.decode("latin-1"),
    ),
)

# --- TAG-04 ------------------------------------------------------------------------------------------------

breaks(WITHIN, checking("lengths are those of bytes", in_bytes))
breaks(WITHIN, patched("9 tags are the most", f"{_HERE}.MAX_TAGS", 9))
breaks(WITHIN, patched("values have 255 characters", f"{_HERE}.MAX_VALUE_CHARACTERS", 255))
breaks(WITHIN, patched("keys have 127 characters", f"{_HERE}.MAX_KEY_CHARACTERS", 127))


def never_empty(document: Any) -> Tags:
    tags = _parse_document(document)
    if not tags:
        raise S3Error("MalformedXML")
    return tags


breaks(WITHIN, patched("an empty set is refused", f"{_HERE}.parse_document", never_empty))
for _name, _value in (
    ("MAX_TAGS", 50),
    ("MAX_KEY_CHARACTERS", 256),
    ("MAX_VALUE_CHARACTERS", 512),
    ("_RESERVED_PREFIX", "reserved:"),
):
    breaks(BEYOND, patched(f"{_name} is {_value}", f"{_HERE}.{_name}", _value))
breaks(BEYOND, checking("the last of a repeated key counts", lambda tags: _check(tuple(dict(tags).items()))))
breaks(BEYOND, checking_all_but("InvalidTag"))
breaks(BEYOND, saying("InvalidArgument", instead_of="MalformedXML"))
breaks(BEYOND, accepting("MalformedXML", method="PUT"))
breaks(BEYOND, overlooking("PutObject", "tagging"))


async def clearing_first(call: Call, want: Any, proceed: Handler) -> Any:
    """Take the old tags away before the new ones are looked at."""
    await _replace(call, ())
    return await proceed(call, want)


breaks(BEYOND, handled("refused tags take the old ones away", "PutObjectTagging", clearing_first))

# --- TAG-05 to TAG-07 --------------------------------------------------------------------------------------

for _method in ("GET", "HEAD"):
    breaks("TAG-05/count-of-tags", without_header("x-amz-tagging-count", method=_method))
breaks("TAG-05/count-of-tags", answering("no tags are counted too", always_counted))
breaks("TAG-06/only-the-tags-change", patched("tags are added", f"{_OPERATION}._replace", adding))
breaks(
    "TAG-06/only-the-tags-change",
    patched(
        "Last-Modified changes with the tags",
        f"{_OPERATION}.make_entry",
        changing(modified_ms=lambda time_ms: time_ms + 1100),
    ),
)
breaks(
    "TAG-06/only-the-tags-change",
    patched(
        "the ETag changes with the tags", f"{_OPERATION}.make_entry", changing(etag=lambda etag: etag[::-1])
    ),
)
breaks("TAG-07/tags-of-a-copy", overlooking("CopyObject", "tagging_directive"))


async def replacing_always(call: Call, want: Any, proceed: Handler) -> Any:
    want.tagging_directive = b"REPLACE"
    return await proceed(call, want)


breaks("TAG-07/tags-of-a-copy", handled("a copy never has the source's tags", "CopyObject", replacing_always))

# --- TAG-08 ------------------------------------------------------------------------------------------------

breaks("TAG-08/a-new-object-has-none", keeping("PutObject"))
breaks("TAG-08/a-new-object-has-none", keeping("PutObject", even_deleted=True))
breaks("TAG-08/a-new-object-of-parts-has-none", keeping("CompleteMultipartUpload"))
for _method in ("GET", "PUT", "DELETE"):
    for _code in ("NoSuchKey", "NoSuchBucket"):
        breaks("TAG-08/tags-of-nothing", accepting(_code, method=_method, query="tagging"))
breaks("TAG-08/tags-of-nothing", saying("NoSuchKey", instead_of="NoSuchBucket"))
