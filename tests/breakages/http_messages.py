"""Servers broken for the checks of addressing, answers, methods and limits."""

from __future__ import annotations

from dataclasses import replace

from anys3.protocol.http import Answer, Request
from anys3.server.dates import DateLine
from tests.broken_servers import (
    Proceed,
    accepting,
    all_of,
    answering,
    asking,
    breaks,
    code_of,
    drop_header,
    error_answer,
    hooked,
    ignoring,
    patched,
    replace_in_body,
    saying,
    set_header,
    when,
)


def is_bucket_with_slash(request: Request) -> bool:
    return request.path.count(b"/") == 2 and request.path.endswith(b"/")


breaks(
    ("HTTP-03/slash-without-key", "HTTP-03/bucket-with-slash", "HTTP-03/made-and-deleted-with-slash"),
    answering(
        "a bucket with a slash is an object with an empty key",
        lambda request, _: error_answer("NoSuchKey") if is_bucket_with_slash(request) else None,
    ),
)
breaks(
    "HTTP-03/bucket-with-slash",
    answering(
        "a listing with a slash is empty",
        lambda request, answer: (
            replace_in_body(answer, "Contents>", "Nothing>") if is_bucket_with_slash(request) else None
        ),
    ),
)
breaks(
    "HTTP-03/service-bucket-object",
    answering(
        "`/` is a page for people",
        lambda request, _: (
            Answer(200, b"Content-Type: text/html\r\n", b"<html/>") if request.path == b"/" else None
        ),
    ),
)
breaks(
    "HTTP-04/head-equals-get",
    answering(
        "HEAD has no Cache-Control",
        lambda request, answer: drop_header(answer, "Cache-Control") if when(request, "HEAD") else None,
    ),
)
breaks(
    "HTTP-04/head-equals-get",
    answering(
        "HEAD has a length of 0",
        lambda request, answer: replace(answer, length=0) if when(request, "HEAD") else None,
    ),
)


async def explaining_head(request: Request, proceed: Proceed) -> Answer:
    answer = await proceed(request)
    if request.method == b"HEAD" and answer.status == 404:
        request.method = b"GET"  # what is sent after the head is no longer left out
        return error_answer("NoSuchKey")
    return answer


breaks("HTTP-04/bodiless-answers", hooked("errors have a body after HEAD", explaining_head))
breaks(
    "HTTP-04/bodiless-answers",
    all_of(
        "304 has a body",
        patched("not left out", "anys3.server.answering.BODILESS", frozenset()),
        answering("page", lambda _, answer: Answer(304, b"", b"page") if answer.status == 304 else None),
    ),
)
breaks(
    "HTTP-04/bodiless-answers",
    all_of(
        "204 has a body",
        patched("not left out", "anys3.server.answering.BODILESS", frozenset()),
        answering("page", lambda _, answer: Answer(204, b"", b"page") if answer.status == 204 else None),
    ),
)
IDS = ("HTTP-05/own-request-id", "HTTP-05/own-request-id-unsigned")
breaks(IDS, asking("the same id for all", lambda request: setattr(request, "id", "1")))
breaks(IDS, asking("an empty id", lambda request: setattr(request, "id", "")))
breaks(
    IDS,
    answering(
        "another id in the document",
        lambda _, answer: (
            replace_in_body(answer, "<RequestId>", "<RequestId>other-") if code_of(answer) else None
        ),
    ),
)
DATES = ("HTTP-25/date-of-answers", "HTTP-25/date-unsigned")
render = DateLine.now
breaks(DATES, patched("no Date", "anys3.server.dates.DateLine.now", lambda _: b"\r\n"))
breaks(
    DATES,
    patched(
        "Date in local time",
        "anys3.server.dates.DateLine.now",
        lambda line: render(line).replace(b"GMT", b"+0000"),
    ),
)
METHODS = ("HTTP-13/methods-without-meaning", "HTTP-13/unregistered-methods")
breaks(METHODS[0], accepting("MethodNotAllowed"))
breaks(METHODS[0], saying("InvalidRequest", instead_of="MethodNotAllowed"))


async def storing_whatever_comes(request: Request, proceed: Proceed) -> Answer:
    if request.method in (b"GET", b"PUT", b"POST", b"HEAD", b"DELETE") and request.path.count(b"/") != 1:
        return await proceed(request)
    answer = await proceed(request)
    return Answer(200) if code_of(answer) == "MethodNotAllowed" else answer


breaks(METHODS, hooked("other methods do nothing, and say 200", storing_whatever_comes))


async def refusing_long_targets(request: Request, proceed: Proceed) -> Answer:
    return error_answer("InvalidURI") if len(request.target) > 4096 else await proceed(request)


async def refusing_long_heads(request: Request, proceed: Proceed) -> Answer:
    size = sum(len(name) + len(value) + 4 for name, value in request.headers.items())
    return error_answer("RequestHeaderSectionTooLarge") if size > 4096 else await proceed(request)


async def health(request: Request, proceed: Proceed) -> Answer:
    return Answer(200, b"", b"OK") if request.path == b"/health" else await proceed(request)


async def console(request: Request, proceed: Proceed) -> Answer:
    return Answer(403, b"", b"<html/>") if b"/minio/" in request.path else await proceed(request)


breaks("HTTP-22/target-of-6000-bytes", hooked("4 KiB for a target", refusing_long_targets))
breaks("HTTP-22/header-section-of-7000-bytes", hooked("4 KiB for the headers", refusing_long_heads))
breaks(
    "HTTP-22/header-section-of-7000-bytes",
    answering(
        "metadata of 1 KiB at most",
        lambda request, answer: (
            set_header(answer, "x-amz-meta-a", "v" * 1024) if when(request, "HEAD") else None
        ),
    ),
)
breaks(
    "HTTP-22/beyond-the-limits",
    all_of(
        "metadata that is too long is left out",
        patched("no limit", "anys3.server.messages.check_sizes", lambda *_: None),
        patched("no limit", "anys3.server.messages.MessageReader._received_a_part", lambda *_: None),
        ignoring("x-amz-meta-a"),
    ),
)
breaks("HTTP-24/no-name-is-taken", hooked("/health is a page of its own", health))
breaks("HTTP-24/no-name-is-taken", hooked("/minio/ is a web page", console))
