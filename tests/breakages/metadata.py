"""Servers broken for the checks of user metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

from anys3.operations.call import Call
from anys3.protocol.http import Answer, Request
from tests.broken_servers import (
    Breakage,
    Handler,
    accepting,
    answering,
    breaks,
    handled,
    ignoring,
    patched,
    saying,
    when,
    without_header,
)


def values(sentence: str, change: Callable[[bytes], bytes]) -> Breakage:
    """Values are stored changed."""
    return patched(sentence, "anys3.protocol.metadata._metadata_value", change)


def beyond(sentence: str, change: Callable[[bytes], bytes]) -> Breakage:
    """Values beyond ASCII are stored in another way."""
    return patched(sentence, "anys3.protocol.metadata._encode_words", change)


def renaming(sentence: str, old: bytes, new: bytes) -> Breakage:
    """Names are returned changed."""

    def change(request: Request, answer: Answer) -> Answer | None:
        is_read = when(request, "HEAD") or when(request, "GET")
        return replace(answer, headers=answer.headers.replace(old, new)) if is_read else None

    return answering(sentence, change)


def keeping(sentence: str, change: Callable[[dict[bytes, bytes]], dict[bytes, bytes]]) -> Breakage:
    """A PUT stores other metadata than was sent."""

    async def handler(call: Call, want: Any, proceed: Handler) -> Any:
        want.metadata = change(dict(want.metadata))
        return await proceed(call, want)

    return handled(sentence, "PutObject", handler)


async def bare_copy(call: Call, want: Any, proceed: Handler) -> Any:
    """Copy the bytes alone."""
    want.metadata_directive = b"REPLACE"
    return await proceed(call, want)


def filled(metadata: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the metadata that has values."""
    return {name: value for name, value in metadata.items() if value}


breaks("META-01/any-case", renaming("names are returned in title case", b"x-amz-meta-c", b"X-Amz-Meta-C"))
breaks("META-01/any-case", ignoring("x-amz-meta-size"))
breaks("META-01/dashes-and-digits", renaming("dashes become underscores", b"with-dash", b"with_dash"))
breaks("META-01/dashes-and-digits", ignoring("x-amz-meta-9"))
breaks("META-01/underscores", ignoring("x-amz-meta-with_underscore"))
breaks("META-01/underscores", renaming("underscores become dashes", b"with_under", b"with-under"))

breaks(
    "META-02/accepts-1900-bytes",
    patched("1,000 bytes are the most", "anys3.protocol.metadata.MAX_BYTES", 1_000),
)
breaks("META-02/accepts-1900-bytes", values("values are cut", lambda value: value[:512]))
breaks(
    "META-02/refuses-2600-bytes",
    patched("there is no limit", "anys3.protocol.metadata.MAX_BYTES", 1 << 20),
)
breaks("META-02/refuses-2600-bytes", saying("RequestHeaderSectionTooLarge", instead_of="MetadataTooLarge"))
breaks("META-02/refuses-2600-bytes", accepting("MetadataTooLarge"))

breaks("META-03/printable-ascii", values("values are percent-decoded", unquote_to_bytes))
breaks("META-03/printable-ascii", values("values become lower case", bytes.lower))
breaks("META-03/printable-ascii", values("quotes are taken off", lambda value: value.strip(b'"')))
breaks("META-03/printable-ascii", without_header("x-amz-meta-json", method="HEAD"))
breaks("META-03/printable-ascii", without_header("x-amz-meta-json", method="GET"))
breaks(
    "META-03/inner-spaces",
    values("runs of spaces become one", lambda value: b" ".join(value.split())),
)
breaks(
    ("META-03/inner-spaces", "META-03/outer-white-space"),
    values("all white space goes", lambda value: b"".join(value.split())),
)
breaks("META-03/through-copy", handled("a copy has no metadata", "CopyObject", bare_copy))
breaks("META-04/empty-value", keeping("empty values are dropped", filled))


breaks("META-05/beyond-ascii", beyond("bytes beyond ASCII go out as they are", lambda value: value))
breaks(
    "META-05/beyond-ascii",
    beyond(
        "bytes beyond ASCII become question marks", lambda value: value.decode().encode("ascii", "replace")
    ),
)
breaks(
    "META-05/beyond-ascii",
    beyond("words hold something else", lambda _: b"=?UTF-8?B?b3RoZXI=?="),
)
breaks("META-05/beyond-ascii", ignoring("x-amz-meta-v"))
breaks(
    "META-06/repeated-header",
    keeping(
        "the first of two counts",
        lambda sent: {name: value.partition(b",")[0] for name, value in sent.items()},
    ),
)
breaks(
    "META-06/repeated-header",
    keeping(
        "two are joined with a comma and a space",
        lambda sent: {name: value.replace(b",", b", ") for name, value in sent.items()},
    ),
)
breaks(
    "META-07/words-of-ascii",
    patched("words are decoded to nothing", "anys3.protocol.metadata._decode_ascii_words", lambda _: b"?"),
)
breaks("META-07/words-of-ascii", ignoring("x-amz-meta-v"))
