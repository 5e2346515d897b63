"""Servers broken for the checks of ListParts."""

from __future__ import annotations

import re

from anys3.spec.errors import S3Error
from anys3.store.memory import MemoryStore
from tests.broken_servers import (
    accepting,
    answering,
    breaks,
    error_answer,
    handled,
    patched,
    replace_in_body,
    when,
)

_parts = MemoryStore.parts
_LIMIT = "anys3.operations.list_parts.MAX_PAGE"


def broken(sentence, handler):
    """Break ListParts."""
    return handled(sentence, "ListParts", handler)


def on_page(sentence, old, new):
    """Change pages of parts."""
    return answering(
        sentence,
        lambda request, answer: (
            replace_in_body(answer, old, new) if when(request, "GET", "uploadId=") else None
        ),
    )


def without(name):
    """Pages whose elements of that name have another."""
    return on_page(f"{name} is missing", f"{name}>", f"Not{name}>")


for _name in (
    "Bucket",
    "Key",
    "UploadId",
    "PartNumberMarker",
    "NextPartNumberMarker",
    "MaxParts",
    "IsTruncated",
    "StorageClass",
):
    breaks("LP-01/elements-of-a-page", without(_name))
for _name in ("PartNumber", "LastModified", "ETag", "Size"):
    breaks("LP-01/elements-of-a-part", without(_name))


async def by_digits(store, bucket, key, upload_id, after=0, limit=10_000):
    found = await _parts(store, bucket, key, upload_id, after, limit)
    return sorted(found, key=lambda part: str(part.number))


breaks(
    "LP-01/elements-of-a-part",
    patched("parts are sorted as texts", "anys3.store.memory.MemoryStore.parts", by_digits),
)
breaks("LP-01/elements-of-a-part", on_page("ETags have no quotes", "&quot;", ""))


async def ignores_max_parts(call, want, proceed):
    want.max_parts = None
    return await proceed(call, want)


async def includes_the_marker(call, want, proceed):
    if want.part_number_marker:
        want.part_number_marker -= 1
    return await proceed(call, want)


async def looks_for_the_marker(call, want, proceed):
    """Resume after the marker's part; if that is not there, nothing is found."""
    found = await call.store.parts(call.bucket, call.key, want.upload_id)
    if want.part_number_marker and want.part_number_marker not in [part.number for part in found]:
        want.part_number_marker = 10_000
    return await proceed(call, want)


breaks("LP-02/at-most-1000-parts", patched("pages have 100 parts", _LIMIT, 100))
breaks("LP-02/at-most-1000-parts", patched("pages have 10,000 parts", _LIMIT, 10_000))
breaks("LP-02/max-parts-is-kept", broken("max-parts is ignored", ignores_max_parts))
breaks("LP-02/marker-is-exclusive", broken("the marker's part is listed again", includes_the_marker))
breaks("LP-02/marker-is-exclusive", broken("the marker must be a part", looks_for_the_marker))


def next_marker(change):
    """Change the numbers in NextPartNumberMarker."""

    async def handler(call, want, proceed):
        answer = await proceed(call, want)
        answer.body = re.sub(
            rb"<NextPartNumberMarker>(\d+)<",
            lambda match: b"<NextPartNumberMarker>%d<" % change(int(match[1])),
            answer.body,
        )
        return answer

    return handler


breaks("LP-03/pages-are-complete", broken("pages leave a part out", next_marker(lambda number: number + 2)))
breaks("LP-03/pages-are-complete", broken("pages repeat a part", next_marker(lambda number: number - 1)))
breaks("LP-03/pages-are-complete", broken("pages never end", next_marker(lambda number: 0)))


async def refuses_late_markers(call, want, proceed):
    found = await call.store.parts(call.bucket, call.key, want.upload_id)
    if want.part_number_marker and want.part_number_marker > found[-1].number:
        raise S3Error("InvalidArgument")
    return await proceed(call, want)


def refuses_empty(request, answer):
    is_empty = b"max-parts=&" in request.query or b"part-number-marker=&" in request.query
    return error_answer("InvalidArgument") if is_empty else None


breaks("LP-04/marker-beyond-the-last", broken("late markers are refused", refuses_late_markers))
breaks("LP-04/empty-parameters", answering("empty parameters are refused", refuses_empty))
breaks(("LP-05/unknown-upload", "LP-05/wrong-key"), accepting("NoSuchUpload", method="GET"))
breaks("LMU-08/limits-are-no-numbers", accepting("InvalidArgument", method="GET", query="max-parts="))
breaks(
    "LMU-08/limits-are-no-numbers",
    accepting("InvalidArgument", method="GET", query="part-number-marker="),
)
