"""Servers broken for the checks of what must not fall through, and of what is ignored."""

from __future__ import annotations

from anys3.protocol import xml
from anys3.protocol.http import Answer, Request
from anys3.wire.routing import Router
from tests.broken_servers import (
    Breakage,
    Proceed,
    accepting,
    all_of,
    breaks,
    error_answer,
    hooked,
    patched,
    when,
)

resolve = Router.resolve
bucket_place = {b"GET", b"PUT", b"POST", b"DELETE", b"HEAD"}


def falling_through(method: str) -> Breakage:
    """Requests of a method are routed by method and path alone."""

    def blind(self: Router, asked: bytes, target: object, query: object, headers: object) -> object:
        return resolve(self, asked, target, {} if asked == method.encode() else query, headers)  # type: ignore[arg-type]

    return patched(f"sub-resources of {method} are not looked at", "anys3.wire.routing.Router.resolve", blind)


for method in ("GET", "PUT", "DELETE"):
    breaks("HTTP-14/object-subresources", falling_through(method))
breaks("HTTP-14/bucket-subresources", falling_through("GET"))
breaks(
    "HTTP-14/bucket-subresources-written",
    all_of(
        "buckets are made, whatever the sub-resource and the body",
        falling_through("PUT"),
        patched("bodies are not read", "anys3.protocol.xml.parse", lambda *_, **__: xml.Node("", "", [])),
    ),
)
breaks("HTTP-14/bucket-subresources-written", falling_through("DELETE"))


async def shrugging(request: Request, proceed: Proceed) -> Answer:
    is_foreign = b"?restore" in request.target or b"?metadataTable" in request.target
    return Answer(200) if is_foreign and when(request, "POST") else await proceed(request)


breaks(
    ("HTTP-14/object-subresources", "HTTP-14/bucket-subresources-written"),
    hooked("POST of a sub-resource does nothing, and says 200", shrugging),
)


def refusing(sentence: str, name: str, method: str = "") -> Breakage:
    """Refuses a header or query name that it does not know."""

    async def refuse(request: Request, proceed: Proceed) -> Answer:
        is_there = when(request, method, header=name) or when(request, method, query=name)
        return error_answer("InvalidArgument") if is_there else await proceed(request)

    return hooked(sentence, refuse)


breaks("HTTP-16/ignored-headers", refusing("telemetry is refused", "amz-sdk-request"))
breaks("HTTP-16/ignored-headers", refusing("unknown x-amz- names are refused", "x-amz-cf-id"))
breaks("HTTP-16/ignored-headers", refusing("x-amz-te is refused", "x-amz-te"))
breaks(
    "HTTP-16/ignored-headers", refusing("a checksum without a body is refused", "x-amz-checksum-crc32", "GET")
)
breaks("HTTP-16/ignored-headers", refusing("CRC32 is unknown to PUT", "x-amz-checksum-algorithm", "PUT"))
breaks("HTTP-16/ignored-query-names", refusing("x-id is refused", "x-id"))
breaks("HTTP-16/ignored-query-names", refusing("unknown query names are refused", "unknown"))


async def without_signature(request: Request, proceed: Proceed) -> Answer:
    answer = await proceed(request)
    return Answer(200) if answer.status == 403 and when(request, query="unknown") else answer


breaks("HTTP-16/ignored-names-are-signed", accepting("SignatureDoesNotMatch"))
breaks("HTTP-16/ignored-names-are-signed", hooked("unknown query names are not signed", without_signature))

NEUTRAL = (
    "HTTP-27/neutral-on-put",
    "HTTP-27/neutral-on-multipart",
    "HTTP-27/neutral-on-copy",
    "HTTP-27/neutral-on-create-bucket",
)
breaks(NEUTRAL, refusing("ACLs are refused", "x-amz-acl"))
breaks(NEUTRAL, refusing("storage classes are refused", "x-amz-storage-class"))
breaks(NEUTRAL, refusing("the word object-lock is refused", "x-amz-bucket-object-lock-enabled"))
