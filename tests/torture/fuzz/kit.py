"""What the targets share: findings, cuts that depend on the input only, and requests written as text."""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections.abc import Callable, Mapping
from random import Random
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from anys3.model import AccessKey
from anys3.protocol.http import Request
from anys3.server.bodies import EMPTY, BufferedBody
from anys3.spec.errors import S3Error

NOW_S = 1_767_225_600
"""2026-01-01T00:00:00Z, the time at which all inputs are judged."""
SECRET = "fuzz/secret+of/the/harness+0000000000000"
KEY = AccessKey("AKIAFUZZ", SECRET, "fuzz", is_root=True)
REGION = "us-east-1"
MAX_INPUT = 1 << 16
SIGNED = re.compile(rb"SignedHeaders=([^,\s]+)")
SCOPE = re.compile(rb"Credential=([^,\s/]+)/([0-9]{8})/([^,\s/]+)/([^,\s/]+)/([^,\s/]+)")

whole_only = False
"""Set while work is counted: then inputs come in one piece, the most that a server is given at once."""


class Finding(AssertionError):
    """Something that must not happen; any other exception that leaves a target is one, too."""


def hold(claim: bool, message: str) -> None:
    """Raise Finding unless the claim holds."""
    if not claim:
        raise Finding(message)


def same(observed: object, expected: object, what: str) -> None:
    """Raise Finding unless both are equal."""
    if observed != expected:
        raise Finding(f"{what}: {observed!r}, expected {expected!r}"[:4000])


def outcome(call: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
    """Return ("", value), or (code, None) if S3Error was raised: the two ways that are allowed to end."""
    try:
        return "", call(*arguments)
    except S3Error as error:
        return error.code, None


def dice(data: bytes) -> Random:
    """Return randomness that depends on the input only, so that a finding repeats."""
    return Random(zlib.crc32(data))


def cuts(data: bytes, random: Random) -> list[list[bytes]]:
    """Return some ways to cut the bytes: whole, byte by byte if there are few, and at random."""
    ways = [[data]]
    if whole_only:
        return ways
    if len(data) <= 600:
        ways.append([data[at : at + 1] for at in range(len(data))])
    for mean in (7, 100, 3000):
        pieces, at = [], 0
        while at < len(data):
            size = 1 + random.randrange(2 * mean)
            pieces.append(data[at : at + size])
            at += size
        ways.append(pieces)
    return ways


def read_request(data: bytes) -> Request | None:
    """Return the request that some lines of text describe: `METHOD target`, headers, an empty line, a body."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, target = first.partition(b" ")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        name, value = name.strip().lower(), value.strip(b" \t")
        if (
            not colon
            or not re.fullmatch(rb"[!-9;-~]+", name)
            or re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value)
        ):
            return None
        headers[name] = headers[name] + b"," + value if name in headers else value
    if not method.isalpha() or not target.startswith(b"/") or re.search(rb"[\x00-\x20\x7f]", target):
        return None
    path, _, query = target.partition(b"?")
    content = BufferedBody(body) if body else EMPTY
    if body or method in (b"PUT", b"POST") or b"content-length" in headers:
        headers[b"content-length"] = b"%d" % len(body)  # the shell has seen to it
    return Request(method, target, path, query, headers, content, "ID")


# --- signatures, written anew from the documents of AWS ----------------------------------------------------


def canonical_query(query: bytes, without: bytes = b"") -> bytes:
    """Return the canonical query."""
    pairs = []
    for piece in query.split(b"&"):
        name, _, value = (unquote_to_bytes(part.replace(b"+", b" ")) for part in piece.partition(b"="))
        if piece and name.lower() != without:
            pairs.append((quote_from_bytes(name, safe="-_.~"), quote_from_bytes(value, safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs)).encode()


def signature_of(
    request: Request,
    names: list[bytes],
    digest: bytes,
    date: bytes,
    scope: bytes,
    *,
    without: bytes = b"",
    headers: Mapping[bytes, bytes] | None = None,
) -> bytes | None:
    """Return the SigV4 signature of a request; None if a header that it names is missing."""
    sent = request.headers if headers is None else headers
    if any(name not in sent for name in names):
        return None
    lines = [name + b":" + b" ".join(sent[name].split()) for name in sorted(names)]
    canonical = b"\n".join(
        [
            request.method,
            quote_from_bytes(unquote_to_bytes(request.path), safe="/-_.~").encode(),
            canonical_query(request.query, without),
            *lines,
            b"",
            b";".join(names),
            digest,
        ]
    )
    message = b"AWS4-HMAC-SHA256\n%b\n%b\n%b" % (date, scope, hashlib.sha256(canonical).hexdigest().encode())
    key = b"AWS4" + SECRET.encode()
    for part in scope.split(b"/"):
        key = hmac.digest(key, part, "sha256")
    return hmac.digest(key, message, "sha256").hex().encode()


def bent(signature: bytes) -> list[bytes]:
    """Return signatures that are nearly this one."""
    flipped = b"0" if signature[-1:] != b"0" else b"1"
    first = b"0" if signature[:1] != b"0" else b"1"
    near = [signature[:-1], signature + b"0", signature[:-1] + flipped, first + signature[1:]]
    return [one for one in (*near, signature.swapcase(), signature[:32], b"") if one != signature]
