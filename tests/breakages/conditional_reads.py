"""Servers broken for the checks of conditions of reads and of the sources of copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anys3.operations.call import Call
from anys3.protocol import conditions
from anys3.protocol.conditions import Conditions
from anys3.protocol.dates import parse_http_date
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from tests.broken_servers import (
    Breakage,
    Handler,
    answering,
    breaks,
    code_of,
    drop_header,
    error_answer,
    handled,
    overlooking,
    patched,
    set_header,
    when,
)

_WHERE = "anys3.protocol.conditions"
_check = conditions._check_preconditions
_unmodified = conditions._unmodified_condition


def seconds(value: bytes | None) -> int:
    """Return the time of a condition."""
    found = parse_http_date(value or b"")
    return -1 if found is None else found


def since(sentence: str, is_unmodified: Any) -> Breakage:
    """Judges If-Modified-Since in another way, by the object's second, that of the header, and now."""

    def judge(asked: Conditions, etag: str, modified_ms: int, now_ms: int) -> str | None:
        if asked.if_none_match is not None or asked.if_modified_since is None:
            return _unmodified(asked, etag, modified_ms, now_ms)
        is_old = is_unmodified(modified_ms // 1000, seconds(asked.if_modified_since), now_ms // 1000)
        return "If-Modified-Since" if is_old else None

    return patched(sentence, f"{_WHERE}._unmodified_condition", judge)


def both_of_match(asked: Conditions, etag: str, modified_ms: int, prefix: str) -> None:
    """Let If-Unmodified-Since count beside If-Match."""
    _check(replace(asked, if_unmodified_since=None), etag, modified_ms, prefix)
    _check(replace(asked, if_match=None), etag, modified_ms, prefix)


def date_first(asked: Conditions, etag: str, modified_ms: int, now_ms: int) -> str | None:
    """Let If-Modified-Since decide where there is one."""
    if asked.if_modified_since is not None:
        asked = replace(asked, if_none_match=None)
    return _unmodified(asked, etag, modified_ms, now_ms)


def quoted_only(value: bytes, etag: str) -> bool:
    return value == b'"%b"' % etag.encode()


def unmodified_before(asked: Conditions, etag: str, modified_ms: int, prefix: str) -> None:
    """Take the object's own second for too late."""
    if asked.if_unmodified_since is not None and modified_ms // 1000 >= seconds(asked.if_unmodified_since):
        raise S3Error("PreconditionFailed")
    _check(asked, etag, modified_ms, prefix)


async def range_first(call: Call, want: Any, proceed: Handler) -> Any:
    """Look at no condition where there is a range that can't be served, or can."""
    if want.range is not None:
        want.if_match = want.if_none_match = want.if_unmodified_since = None
    return await proceed(call, want)


async def range_errors_first(call: Call, want: Any, proceed: Handler) -> Any:
    if want.range == b"bytes=999-":
        raise S3Error("InvalidRange")
    return await proceed(call, want)


def with_length(_: Request, answer: Answer) -> Answer | None:
    return set_header(answer, "Content-Length", "26") if answer.status == 304 else None


def refusing(name: str, value: str) -> Breakage:
    """Does not understand a value of a condition."""

    def change(request: Request, _: Answer) -> Answer | None:
        is_there = value.encode() in request.headers.get(name.encode(), b"")
        return error_answer("InvalidArgument") if is_there else None

    return answering(f"{name} with {value} is refused", change)


def missing_is_412(request: Request, answer: Answer) -> Answer | None:
    if code_of(answer) == "NoSuchKey" and when(request, "GET", header="if-match"):
        return error_answer("PreconditionFailed")
    return None


def missing_is_304(request: Request, answer: Answer) -> Answer | None:
    if code_of(answer) == "NoSuchKey" and when(request, "GET", header="if-modified-since"):
        return Answer(304)
    return None


for _check_name, _field in (
    ("CONDR-01/if-match", "if_match"),
    ("CONDR-02/if-none-match", "if_none_match"),
    ("CONDR-03/if-modified-since", "if_modified_since"),
    ("CONDR-04/if-unmodified-since", "if_unmodified_since"),
):
    breaks(_check_name, overlooking("GetObject", _field))

breaks("CONDR-01/if-match", patched("If-Match wants quotes", f"{_WHERE}._matches_strongly", quoted_only))
breaks(
    "CONDR-02/if-none-match", patched("If-None-Match wants quotes", f"{_WHERE}._matches_weakly", quoted_only)
)
breaks(
    "CONDR-02/if-none-match",
    answering(
        "a 304 lacks the ETag",
        lambda _, answer: drop_header(answer, "ETag") if answer.status == 304 else None,
    ),
)
breaks("CONDR-03/if-modified-since", since("a future date is believed", lambda at, date, now: at <= date))
breaks(
    "CONDR-03/if-modified-since", since("the same date is earlier", lambda at, date, now: at < date <= now)
)
breaks("CONDR-03/if-modified-since", since("only the same date counts", lambda at, date, now: at == date))
breaks("CONDR-03/if-modified-since", since("any date is late enough", lambda at, date, now: date <= now))
breaks(
    "CONDR-04/if-unmodified-since",
    patched("the same date is too early", f"{_WHERE}._check_preconditions", unmodified_before),
)
breaks(
    (
        "CONDR-05/etags-outweigh-dates",
        "CONDC-02/source-etag-outweighs-date",
        "CONDC-02/part-source-etag-outweighs-date",
    ),
    patched("both conditions must be true", f"{_WHERE}._check_preconditions", both_of_match),
)
breaks(
    (
        "CONDR-05/etags-outweigh-dates",
        "CONDC-02/source-etag-outweighs-date",
        "CONDC-02/part-source-etag-outweighs-date",
    ),
    patched("a date outweighs an ETag", f"{_WHERE}._unmodified_condition", date_first),
)
breaks("CONDR-06/before-ranges", handled("ranges outweigh conditions", "GetObject", range_first))
breaks("CONDR-06/before-ranges", handled("a range is refused first", "GetObject", range_errors_first))
for _name in ("ETag", "Last-Modified", "Cache-Control", "Expires"):
    breaks(
        "CONDR-07/headers-of-a-304",
        answering(
            f"a 304 lacks {_name}",
            lambda _, answer, name=_name: drop_header(answer, name) if answer.status == 304 else None,
        ),
    )
breaks("CONDR-07/headers-of-a-304", answering("a 304 has the object's length", with_length))
breaks("CONDR-08/missing-key", answering("If-Match on what is missing is a 412", missing_is_412))
breaks("CONDR-08/missing-key", answering("what is missing was not modified", missing_is_304))
breaks("CONDR-09/stars-and-lists", refusing("if-none-match", "*"))
breaks("CONDR-09/stars-and-lists", refusing("if-match", ","))
breaks(
    "CONDR-09/stars-and-lists",
    patched(
        "If-None-Match compares strongly",
        f"{_WHERE}._matches_weakly",
        conditions._matches_strongly,
    ),
)

for _operation, _check_name in (
    ("CopyObject", "CONDC-01/source-of-an-object"),
    ("UploadPartCopy", "CONDC-01/source-of-a-part"),
):
    for _field in ("match", "none_match", "modified_since", "unmodified_since"):
        breaks(_check_name, overlooking(_operation, f"copy_source_if_{_field}"))
    breaks(_check_name, patched("If-Match wants quotes", f"{_WHERE}._matches_strongly", quoted_only))
    breaks(_check_name, since("a future date is believed", lambda at, date, now: at <= date))
    breaks(
        _check_name,
        answering(
            "what was not modified is a 304",
            lambda request, answer: (
                Answer(304)
                if code_of(answer) == "PreconditionFailed"
                and when(request, header="x-amz-copy-source-if-none-match")
                else None
            ),
        ),
    )


async def copying_anyway(call: Call, want: Any, proceed: Handler) -> Any:
    """Copy first, and then say that it must not be."""
    try:
        return await proceed(call, want)
    except S3Error:
        for name in ("match", "none_match", "modified_since", "unmodified_since"):
            setattr(want, f"copy_source_if_{name}", None)
        await proceed(call, want)
        raise


breaks("CONDC-01/source-of-an-object", handled("a refused copy is made", "CopyObject", copying_anyway))
