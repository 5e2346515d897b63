"""Servers broken for the checks of how bodies are framed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from anys3.operations.call import Call
from anys3.protocol.http import Answer, Request
from anys3.server.bodies import StreamingBody
from anys3.server.protocol import HttpProtocol
from tests.broken_servers import (
    Breakage,
    Handler,
    Proceed,
    asking,
    breaks,
    error_answer,
    handled,
    hooked,
    patched,
    saying,
    when,
    with_body,
)

feed = HttpProtocol._feed
PROTOCOL = "anys3.server.protocol.HttpProtocol"


def reading(sentence: str, change: Callable[[bytes], bytes]) -> Breakage:
    """A breakage below HTTP: other bytes are parsed than those that came."""
    return patched(
        sentence, f"{PROTOCOL}._feed", lambda self, data: feed(self, memoryview(change(bytes(data))))
    )


def without_line(head: bytes, name: bytes) -> bytes:
    """Return bytes without a header, if they hold both of those that frame a body."""
    is_both = b"\r\ncontent-length:" in head and b"\r\ntransfer-encoding:" in head
    return re.sub(rb"\r\n%b:[^\r]*" % name, b"", head, count=1) if is_both else head


# --- length ----------------------------------------------------------------------------------------------


def assume_nothing(request: Request) -> None:
    if when(request, "PUT") and not {b"content-length", b"transfer-encoding"} & request.headers.keys():
        request.headers[b"content-length"] = b"0"


async def no_chunks(request: Request, proceed: Proceed) -> Answer:
    is_chunked = b"transfer-encoding" in request.headers
    return error_answer("InvalidRequest") if is_chunked else await proceed(request)


async def store_frames(call: Call, want: Any, proceed: Handler) -> Any:
    """Store the frames of HTTP with the content."""
    if b"transfer-encoding" in call.request.headers:
        body = await call.request.body.whole(1 << 20)
        with_body(call, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    return await proceed(call, want)


async def store_no_more_than_a_chunk(call: Call, want: Any, proceed: Handler) -> Any:
    if b"transfer-encoding" in call.request.headers:
        with_body(call, (await call.request.body.whole(1 << 20))[:10])
    return await proceed(call, want)


breaks(
    ("HTTP-06/object-without-length", "HTTP-06/part-without-length"),
    asking("no length means no bytes", assume_nothing),
)
breaks(
    ("HTTP-06/object-without-length", "HTTP-06/part-without-length"),
    saying("InvalidRequest", instead_of="MissingContentLength"),
)
CHUNKS = ("HTTP-07/aws-chunks-in-http-chunks", "HTTP-08/plain-body-in-http-chunks")
breaks(CHUNKS, hooked("Transfer-Encoding is not understood", no_chunks))
breaks(CHUNKS, handled("the frames are stored", "PutObject", store_frames))
breaks(CHUNKS[1], handled("one chunk is stored", "PutObject", store_no_more_than_a_chunk))

# --- two lengths -----------------------------------------------------------------------------------------

TWO = ("HTTP-09/two-lengths", "HTTP-09/nothing-smuggled")
breaks(
    TWO,
    reading(
        "Content-Length is ignored, and the connection kept",
        lambda data: without_line(data, b"content-length"),
    ),
)
breaks(TWO, reading("Transfer-Encoding is ignored", lambda data: without_line(data, b"transfer-encoding")))


# --- too few bytes ---------------------------------------------------------------------------------------

lost = HttpProtocol.connection_lost
answer = HttpProtocol._answer


def take_what_came(self: HttpProtocol, error: BaseException | None) -> None:
    """Take the end of the connection for the end of the body."""
    if self._request is not None and self._pieces:
        self.on_message_complete()
    elif self.incoming is not None:
        self.incoming.finish()
    lost(self, error)


def close_on_refusal(self: HttpProtocol, request: Request, refusal: Answer) -> None:
    """Break the connection, where the body is not yet read, as if the answer had been lost by a reset."""
    if isinstance(request.body, StreamingBody) and not request.body.is_complete:
        self.abort()
    answer(self, request, refusal)


breaks(
    ("HTTP-10/body-cut-short", "HTTP-10/chunks-cut-short"),
    patched("what came is stored", f"{PROTOCOL}.connection_lost", take_what_came),
)

# --- Expect ----------------------------------------------------------------------------------------------

breaks(
    "HTTP-11/continue-without-body",
    patched("no 100", "anys3.server.channel.Channel.continue_", lambda _: None),
)


async def refuse_expectations(request: Request, proceed: Proceed) -> Answer:
    is_unknown = request.headers.get(b"expect", b"100-continue") != b"100-continue"
    return error_answer("InvalidArgument") if is_unknown else await proceed(request)


def forget_length(data: bytes) -> bytes:
    """Return a request without body, if there is one in its body: what follows the head is the next."""
    if b"\r\n\r\nGET /" in data or b"expect: 100-continue" in data:
        return re.sub(rb"(\r\ncontent-length:) \d+", rb"\1 0", data)
    return data


breaks("HTTP-12/unknown-expectation", hooked("an unknown Expect is an error", refuse_expectations))
breaks(
    ("HTTP-11/refused-without-continue", "HTTP-26/refused-body-is-no-request"),
    reading("what follows a head that is refused is the next request", forget_length),
)

# --- refused uploads -------------------------------------------------------------------------------------

breaks("HTTP-26/refusal-of-16-mib", patched("the answer is lost", f"{PROTOCOL}._answer", close_on_refusal))
