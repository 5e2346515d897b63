"""Bugs as parsers have them. Each is found by a target; `patch` is setattr, or what undoes it afterwards."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from anys3.protocol import (
    addressing,
    claims_form,
    claims_v2,
    claims_v4,
    listing,
    metadata,
    queries,
    ranges,
    xml,
)
from anys3.protocol.aws_chunked import Decoder
from anys3.protocol.form_data import FormDecoder
from anys3.server import protocol

Patch = Callable[[Any, str, Any], None]


def chunk_size_off_by_one(patch: Patch = setattr) -> None:
    """A chunk is taken to be one byte longer than it says."""
    right = Decoder._start_chunk

    def wrong(self: Decoder, line: bytes) -> None:
        right(self, line)
        if self._chunk_left:
            self._chunk_left += 1

    patch(Decoder, "_start_chunk", wrong)


def quadratic_query(patch: Patch = setattr) -> None:
    """A query is read anew for each of its parameters."""
    right = queries.parse

    def wrong(query: bytes) -> dict[str, str]:
        for at in [match.start() for match in re.finditer(b"&", query)]:
            right(query[:at])
        return right(query)

    patch(queries, "parse", wrong)


def signature_prefix(patch: Patch = setattr) -> None:
    """Signatures are compared up to their eighth character."""
    digest = SimpleNamespace(digest=hmac.digest, compare_digest=lambda one, other: one[:8] == other[:8])
    for module in (claims_v2, claims_v4, claims_form):
        patch(module, "hmac", digest)


def unsigned_headers(patch: Patch = setattr) -> None:
    """An x-amz-* header need not be signed."""
    for module in (claims_v4, claims_form):
        patch(module, "check_all_signed", lambda *_arguments, **_options: None)


def never_expires(patch: Patch = setattr) -> None:
    """A presigned URL holds for ever."""
    patch(claims_v4.QueryClaim, "_check_time", lambda _self, _now_s: None)


def lf_line_ends(patch: Patch = setattr) -> None:
    """A line may end in LF alone."""
    right = protocol.HttpProtocol._feed

    def wrong(self: protocol.HttpProtocol, data: memoryview) -> None:
        right(self, memoryview(re.sub(rb"(?<!\r)\n", b"\r\n", bytes(data))))

    patch(protocol.HttpProtocol, "_feed", wrong)


def first_piece_only(patch: Patch = setattr) -> None:
    """A target that comes in two pieces loses the first."""

    def wrong(self: protocol.HttpProtocol, part: bytes) -> None:
        self._target = part

    patch(protocol.HttpProtocol, "on_url", wrong)


def range_end_exclusive(patch: Patch = setattr) -> None:
    """The last byte of a range is left out."""
    right = ranges.parse

    def wrong(value: bytes, size: int) -> tuple[int, int] | None:
        found = right(value, size)
        return found and (found[0], found[1] - 1)

    patch(ranges, "parse", wrong)


def boundary_inside_data(patch: Patch = setattr) -> None:
    """The boundary ends a file wherever it stands, not at the beginning of a line only."""
    right = FormDecoder.__init__

    def wrong(self: FormDecoder, boundary: bytes) -> None:
        right(self, boundary)
        self._delimiter = b"--" + boundary

    patch(FormDecoder, "__init__", wrong)


def doctype(patch: Patch = setattr) -> None:
    """A document may declare entities."""
    patch(xml._Builder, "_refuse", lambda *_declaration: None)


def control_characters(patch: Patch = setattr) -> None:
    """A value may hold line ends."""
    patch(metadata, "_CONTROL", re.compile(rb"\x00{9}"))


def decoded_twice(patch: Patch = setattr) -> None:
    """A path is decoded twice."""
    right = addressing._decode
    patch(addressing, "_decode", lambda text: right(right(text).replace(b"%00", b"")))


def unchecked_token(patch: Patch = setattr) -> None:
    """A continuation token has several spellings."""

    def wrong(token: str) -> bytes:
        return listing.urlsafe_b64decode(token + "=" * (-len(token) % 4))[1:-6]

    patch(listing, "decode_token", wrong)


FOUND_BY: dict[Callable[..., None], str] = {
    chunk_size_off_by_one: "aws-chunked-encoded",
    quadratic_query: "query",
    signature_prefix: "sigv4-header",
    unsigned_headers: "sigv4-header",
    never_expires: "sigv4-query",
    lf_line_ends: "http-framing",
    first_piece_only: "http-framing",
    range_end_exclusive: "range",
    boundary_inside_data: "post-form",
    doctype: "xml",
    control_characters: "metadata",
    decoded_twice: "key",
    unchecked_token: "listing",
}
"""Each bug, and the target that finds it."""
