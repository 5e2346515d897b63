"""aws-chunked bodies: every cut gives the same, what was encoded comes out, what was bent does not."""

from __future__ import annotations

import json
import re
from typing import Any

from anys3.protocol.aws_chunked import MIN_SIGNED_CHUNK, Decoder
from anys3.protocol.sigv4 import Seal, Signer
from tests.rawclient import RawClient
from tests.torture.fuzz.kit import KEY, REGION, SECRET, cuts, dice, hold, outcome, same

DATE = b"20260101T000000Z"
SEED = b"5" * 64
HEAD = re.compile(rb"([0-9A-Fa-f]{1,16})((?:;[!-~]*)?)\r\n")
TRAILER = "x-amz-checksum-crc32"


def seal() -> Seal:
    """Return what checks the chunks of a request with the signature SEED."""
    return Seal(Signer(SECRET, DATE[:8], REGION, b"host"), DATE, SEED)


def decode(pieces: list[bytes], length: int, announced: bytes | None, *, is_signed: bool) -> Any:
    """Return the payload and the trailer. Never more than `length` bytes come out, whatever goes in."""
    decoder = Decoder(seal() if is_signed else None, announced, length)
    decoded = bytearray()
    try:
        for piece in pieces:
            for view in decoder.feed(piece):
                decoded += view
    finally:
        hold(len(decoded) <= length, "more bytes came out than were announced")
    decoder.finish()
    return bytes(decoded), decoder.trailer


def judged(wire: bytes, length: int, announced: bytes | None, *, is_signed: bool) -> Any:
    """Return (code, payload), which is the same however the wire is cut."""
    told = [
        outcome(lambda pieces=pieces: decode(pieces, length, announced, is_signed=is_signed))
        for pieces in cuts(wire, dice(wire))
    ]
    for other in told:
        same(other, told[0], "cut otherwise")
    return told[0]


def aws_chunked(data: bytes) -> None:
    """Decode bytes as they are: a first line of JSON says length, trailer, signed or not."""
    first, _, wire = data.partition(b"\n")
    try:
        length, trailer, is_signed = json.loads(first)
    except (ValueError, TypeError, RecursionError):
        return
    if type(length) is not int or not 0 <= length < 10**15 or not isinstance(trailer, str | None):
        return
    announced = None if trailer is None else trailer.encode("latin-1", "replace").lower()
    code, value = judged(wire, length, announced, is_signed=bool(is_signed))
    if code or is_signed:
        return
    payload, found = value
    same(len(payload), length, "length")
    same(payload, plain(wire), "payload")
    hold((found is None) == (announced is None), "a trailer that was not announced, or none that was")


def plain(wire: bytes) -> bytes:
    """Return the payload, read in the simplest way."""
    payload = b""
    while match := HEAD.match(wire):
        size = int(match[1], 16)
        if not size:
            break
        payload += wire[match.end() : match.end() + size]
        wire = wire[match.end() + size + 2 :]
    return payload


def aws_chunked_encoded(data: bytes) -> None:
    """Encode chunks as a client does, perhaps bend one byte; JSON: sizes, signed, trailer, [place, mask]."""
    try:
        sizes, is_signed, has_trailer, bend = json.loads(data)
        sizes = [int(size) % 20_000 for size in sizes][:5]
        place, mask = int(bend[0]), int(bend[1]) % 256
    except (ValueError, TypeError, IndexError, KeyError, RecursionError, OverflowError):
        return
    chunks = [bytes((at * 7 + size) % 256 for at in range(size)) for size in sizes if size]
    payload = b"".join(chunks)
    mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" if is_signed else "STREAMING-UNSIGNED-PAYLOAD"
    client = RawClient("http://h", KEY.access_key_id, SECRET)
    head = {"x-amz-date": DATE.decode(), "authorization": f"Signature={SEED.decode()}"}
    trailer = (TRAILER, "AAAAAA==") if has_trailer or not is_signed else None
    wire = client.chunked(chunks, head, mode=mode, trailer=trailer)
    announced = TRAILER.encode() if trailer else None
    if not mask:
        code, value = judged(wire, len(payload), announced, is_signed=bool(is_signed))
        if is_signed and any(size < MIN_SIGNED_CHUNK for size in map(len, chunks[:-1])):
            same(code, "InvalidChunkSizeError", "small chunks")
        else:
            same((code, value and value[0]), ("", payload), "decode(encode(x))")
        return
    place %= len(wire)
    wire = wire[:place] + bytes([wire[place] ^ mask]) + wire[place + 1 :]
    code, value = judged(wire, len(payload), announced, is_signed=bool(is_signed))
    if not code and is_signed:
        same(value[0], payload, "a signed payload that was bent")
        hold(trailer is None or value[1] == b"AAAAAA==", "a signed trailer that was bent")
