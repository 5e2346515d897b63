"""Servers broken for the checks of consistency."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from tests.breakages.listing import rewritten
from tests.broken_servers import (
    Breakage,
    Handler,
    Proceed,
    body_of,
    breaks,
    handled,
    header_of,
    hooked,
    set_header,
    when,
)

_WRITE = "x-amz-meta-write"


def _remembering(sentence: str, is_kept: Callable[[Request, Answer], bool]) -> Breakage:
    """A cache before the server that nothing refreshes; `is_kept` says of which answers."""

    async def enter_with(
        cache: dict[tuple[bytes, bytes], Answer], request: Request, proceed: Proceed
    ) -> Answer:
        name = (request.method, request.target)
        if request.method in (b"GET", b"HEAD") and name in cache:
            return cache[name]
        answer = await proceed(request)
        if request.method in (b"GET", b"HEAD") and is_kept(request, answer):
            cache[name] = replace(answer, body=body_of(answer))
        return answer

    cache: dict[tuple[bytes, bytes], Answer] = {}
    return hooked(sentence, lambda request, proceed: enter_with(cache, request, proceed))


def _is_listing(request: Request) -> bool:
    return when(request, query="list-type=2")


async def _nothing_to_copy(call: Any, want: Any, proceed: Handler) -> Any:
    raise S3Error("NoSuchKey")


breaks(
    "CON-01/new-objects",
    _remembering("answers of 404 are cached", lambda _, answer: answer.status == 404),
)
breaks(
    ("CON-01/new-objects", "CON-01/overwrites", "CON-01/deletions"),
    _remembering("listings are cached", lambda request, _: _is_listing(request)),
)
breaks(
    ("CON-01/new-objects", "CON-01/overwrites"),
    handled("copies do not see new objects", "CopyObject", _nothing_to_copy),
)
for _method in (b"GET", b"HEAD"):
    breaks(
        ("CON-01/overwrites", "CON-01/deletions"),
        _remembering(
            f"answers to {_method.decode()} are cached",
            lambda request, answer, method=_method: (
                request.method == method and answer.status == 200 and not _is_listing(request)
            ),
        ),
    )


def _with_header_of_first(name: str) -> Breakage:
    """GET answers with a header of the first answer, and the bytes of now."""
    first: dict[bytes, str] = {}

    async def hook(request: Request, proceed: Proceed) -> Answer:
        answer = await proceed(request)
        value = header_of(answer, name)
        if request.method != b"GET" or value is None:
            return answer
        return set_header(answer, name, first.setdefault(request.path, value))

    return hooked(f"{name} is that of another write", hook)


def _half_written() -> Breakage:
    writing: set[str] = set()

    async def hook(request: Request, proceed: Proceed) -> Answer:
        if request.method == b"PUT":
            writing.add(request.id)
            try:
                await asyncio.sleep(0.05)
                return await proceed(request)
            finally:
                writing.discard(request.id)
        answer = await proceed(request)
        if request.method == b"GET" and writing and answer.status == 200:
            return replace(answer, body=body_of(answer)[:5000], length=None)
        return answer

    return hooked("an object is visible while its bytes arrive", hook)


breaks("CON-02/no-torn-reads", _half_written())
breaks("CON-02/no-torn-reads", _with_header_of_first(_WRITE))
breaks("CON-02/no-torn-reads", _with_header_of_first("ETag"))


def _two_replicas() -> Breakage:
    """Every other GET comes from a replica with another winner."""
    written: dict[bytes, list[bytes]] = {}
    reads: list[bytes] = []

    async def hook(request: Request, proceed: Proceed) -> Answer:
        body = request.body.buffered or b""
        answer = await proceed(request)
        if request.method == b"PUT" and body:
            written.setdefault(request.path, []).append(body)
        if request.method == b"GET" and request.path in written:
            reads.append(request.path)
            others = [each for each in written[request.path] if each != body_of(answer)]
            return replace(answer, body=others[0], length=None) if len(reads) % 2 else answer
        return answer

    return hooked("two replicas have different winners", hook)


breaks("CON-03/same-winner", _two_replicas())
breaks("CON-03/same-winner", rewritten("listings show the size of another write", r"<Size>\d+", "<Size>3"))
