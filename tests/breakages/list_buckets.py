"""Servers broken for the checks of ListBuckets."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anys3.model import Bucket
from anys3.operations.call import Call
from anys3.operations.list_buckets import _visible
from anys3.protocol.http import Answer
from tests.broken_servers import (
    Breakage,
    Handler,
    accepting,
    answering,
    body_of,
    breaks,
    handled,
    patched,
    replace_in_body,
    saying,
)

_ticks = itertools.count()


def listing(sentence: str, pattern: str, replacement: str) -> Breakage:
    """A server whose ListBuckets is written otherwise."""

    def change(request: Any, answer: Answer) -> Answer | None:
        if request.path != b"/":
            return None
        body = re.sub(pattern.encode(), replacement.encode(), body_of(answer))
        return replace_in_body(answer, body_of(answer), body)

    return answering(sentence, change)


def seeing(sentence: str, change: Callable[[list[Bucket]], list[Bucket]]) -> Breakage:
    """A server that lists other buckets, or in another order."""

    async def visible(call: Call, after: str, prefix: str, limit: int) -> list[Bucket]:
        return change(await _visible(call, after, prefix, limit))

    return patched(sentence, "anys3.operations.list_buckets._visible", visible)


def without(parameter: str) -> Breakage:
    """A server that does not look at a parameter of ListBuckets."""

    async def handler(call: Call, want: Any, proceed: Handler) -> Any:
        setattr(want, parameter, None)
        return await proceed(call, want)

    return handled(f"{parameter} is not looked at", "ListBuckets", handler)


async def of_all(call: Call, after: str, prefix: str, limit: int) -> list[Bucket]:
    """List the buckets of everybody."""
    return await call.store.buckets(after, prefix, limit)


breaks("LB-01/owner-name-and-date", listing("there is no owner", "<Owner>.*</Owner>", ""))
breaks("LB-01/owner-name-and-date", listing("dates are numbers", "(<CreationDate>)[^<]*", r"\g<1>1767225600"))
breaks(
    "LB-01/owner-name-and-date", listing("the document has another name", "ListAllMyBuckets", "ListBuckets")
)
breaks("LB-01/owner-name-and-date", listing("there are no dates", "<CreationDate>[^<]*</CreationDate>", ""))
breaks("LB-02/ascending-by-name", seeing("buckets are listed backwards", lambda rows: rows[::-1]))
breaks(
    "LB-02/ascending-by-name",
    seeing("buckets are listed by age", lambda rows: sorted(rows, key=lambda row: row.id)),
)
breaks(
    "LB-02/buckets-of-another",
    patched("everybody sees all buckets", "anys3.operations.list_buckets._visible", of_all),
)
breaks(
    "LB-03/date-does-not-change",
    seeing(
        "the date is that of the last look",
        lambda rows: [replace(row, created_ms=row.created_ms + 2000 * next(_ticks)) for row in rows],
    ),
)


async def dating_anew(call: Call, want: Any, proceed: Handler) -> Any:
    """Store an object, and give its bucket the time of that."""
    answer = await proceed(call, want)
    space = call.store.kept.spaces[call.bucket.name]  # type: ignore[attr-defined]
    space.bucket = replace(space.bucket, created_ms=call.now_ms)
    return answer


breaks(
    "LB-03/date-does-not-change",
    handled("the date is that of the last change, as a directory's", "PutObject", dating_anew),
)
breaks(
    "LB-04/all-without-parameters",
    patched("a page without parameters has 2 buckets", "anys3.operations.list_buckets.MAX_BUCKETS", 2),
)
breaks("LB-04/all-without-parameters", seeing("only 2 buckets are listed", lambda rows: rows[:2]))
breaks("LB-05/pages", without("max_buckets"))
breaks("LB-05/pages", without("continuation_token"))
breaks("LB-05/prefix", without("prefix"))
breaks("LB-05/bucket-region", without("bucket_region"))
breaks("LB-05/bucket-region", listing("BucketRegion is missing", "<BucketRegion>[^<]*</BucketRegion>", ""))
breaks("LB-05/values-out-of-range", accepting("InvalidArgument"))
breaks("LB-05/values-out-of-range", without("continuation_token"))
breaks("LB-05/values-out-of-range", saying("InternalError", instead_of="InvalidArgument"))
