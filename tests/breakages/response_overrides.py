"""Servers broken for the checks of response header overrides: OVR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anys3.protocol import metadata
from anys3.protocol.http import Answer, Request
from tests.broken_servers import (
    accepting,
    answering,
    breaks,
    header_of,
    ignoring,
    patched,
    saying,
    set_header,
    when,
)

override = metadata.override
stored: dict[bytes, bytes] = {}

for _name in ("content-type", "content-language", "expires", "cache-control", "content-disposition"):
    breaks("OVR-01/overrides-replace-headers", ignoring(f"response-{_name}"))
breaks("OVR-01/overrides-replace-headers", ignoring("response-content-encoding"))


def only(sentence: str, is_ignored: Any) -> None:
    """Register a server that knows no overrides in some requests."""

    def change(request: Request, answer: Answer) -> Answer | None:
        if not when(request, query="response-cache-control") or not is_ignored(request):
            return None
        return set_header(answer, "Cache-Control", "max-age=60")

    breaks("OVR-01/overrides-replace-headers", answering(sentence, change))


only("HEAD knows no overrides", lambda request: request.method == b"HEAD")
only("ranges know no overrides", lambda request: b"range" in request.headers)
only("presigned URLs know no overrides", lambda request: b"X-Amz-Algorithm" in request.query)


def keeping(request: Request, answer: Answer) -> Answer | None:
    """Keep an override for the answers that follow."""
    if when(request, "GET", "response-cache-control"):
        stored[request.path] = b"no-cache"
        return None
    is_changed = request.path in stored and header_of(answer, "cache-control")
    return set_header(answer, "Cache-Control", "no-cache") if is_changed else None


breaks("OVR-01/overrides-replace-headers", answering("an override is stored", keeping))


def overriding_added(lines: bytes, overrides: Mapping[bytes, bytes]) -> bytes:
    """Add the overrides to what is stored."""
    return lines + override(b"", overrides)


breaks(
    "OVR-01/overrides-replace-headers",
    patched("overrides are sent beside what is stored", "anys3.protocol.metadata.override", overriding_added),
)
breaks("OVR-01/unsigned-overrides", accepting("AccessDenied", method="GET", query="response-content"))
breaks("OVR-01/unsigned-overrides", saying("InvalidArgument", instead_of="AccessDenied"))


def injecting(lines: bytes, overrides: Mapping[bytes, bytes]) -> bytes:
    """Send values as they are, line ends and all."""
    for name, value in overrides.items():
        text = value.partition(b"\r\n\r\n")[0]
        lines += b"%b: %b\r\n" % (name, text)
    return lines


breaks(
    "OVR-02/no-header-injection",
    patched("line ends in overrides are sent", "anys3.protocol.metadata.override", injecting),
)


def splitting(request: Request, answer: Answer) -> Answer | None:
    """End the head of the answer where the value says so."""
    if b"%0D%0A" not in request.query:
        return None
    return Answer(200, b"Content-Type: text/plain\r\n", b"\r\n\r\nan answer of another's making")


breaks("OVR-02/no-header-injection", answering("a value ends the head of the answer", splitting))
breaks(
    ("OVR-02/no-header-injection", "OVR-02/characters-beyond-latin-1"),
    saying("InternalError", instead_of="InvalidArgument"),
)


def replacing(name: bytes, value: bytes) -> bytes:
    """Return a value with question marks in place of what can't be sent."""
    del name
    return value.decode().encode("latin-1", "replace").partition(b"\r")[0]


breaks(
    "OVR-02/characters-beyond-latin-1",
    patched(
        "characters that can't be sent become others", "anys3.protocol.metadata._override_value", replacing
    ),
)
