"""Pages of keys: their continuation tokens, their encoding, and their XML."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from hashlib import blake2b
from urllib.parse import unquote_to_bytes

from anys3.protocol.xml import escape, escape_key
from anys3.spec.errors import S3Error

_VERSION = b"\x01"
_CHECK_BYTES = 6
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")

_BORDER = b"\xff"
"""Stands between the keys of a page while they are encoded together; no UTF-8 holds it."""
_URL_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/" + _BORDER
_URL_SPECIAL = re.compile(rb"[^A-Za-z0-9._~/\xff-]")
_URL_ESCAPES = {bytes((byte,)): b"%%%02X" % byte for byte in range(256)}
# 0xEF begins U+FFFE and U+FFFF, which XML can't carry: pages with it are looked at closely.
_XML_PLAIN = bytes(byte for byte in range(0x20, 0x100) if byte not in b"&<>\"'\xef")


def encode_token(position: bytes) -> str:
    """Return the continuation token for a position in a listing.

    It holds nothing but the position, so it survives restarts and is good at every worker (LIST-13).
    """
    return urlsafe_b64encode(_VERSION + position + _check(position)).rstrip(b"=").decode()


def decode_token(token: str) -> bytes:
    """Return the position that `encode_token` was given.

    Raises S3Error:
        InvalidArgument: empty, or nothing that `encode_token` made (LIST-12).
    """
    # Not every spelling that base64 would take: one token per position.
    if _ALPHABET.fullmatch(token):
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except Base64Error:
            raw = b""
        position = raw[1:-_CHECK_BYTES]
        if raw and encode_token(position) == token:
            return position
    message = "The continuation token provided is incorrect."
    raise S3Error("InvalidArgument", message, ArgumentName="continuation-token")


def _check(position: bytes) -> bytes:
    return blake2b(position, digest_size=_CHECK_BYTES, person=b"continuation").digest()


def encode_url(text: bytes) -> bytes:
    """Return a key, which is UTF-8, as `encoding-type=url` sends it (LIST-15, LIST-16).

    >>> encode_url("a b+c/é".encode())
    b'a%20b%2Bc/%C3%A9'
    """
    return _URL_SPECIAL.sub(lambda match: _URL_ESCAPES[match[0]], text)


def decode_url(text: bytes) -> bytes:
    """Return the key that `encode_url`, or another server's form encoding, stands for (LIST-16)."""
    return unquote_to_bytes(text.replace(b"+", b" "))


def render_contents(rows: Sequence[tuple[bytes, bytes]], *, is_url: bool, owner: str | None = None) -> bytes:
    """Return the `Contents` elements of (key, `Entry.listing`) rows; `owner` is an id, not escaped yet.

    Keys are encoded or escaped (LIST-15, LIST-18); the Owner stands only where it is given (LIST-19).
    """
    if not rows:
        return b""
    keys = [key for key, _ in rows]
    encoded = _encoded(keys, is_url=is_url)
    if encoded is not keys:
        rows = [(key, row[1]) for key, row in zip(encoded, rows, strict=True)]
    end = _owner_element(owner) + b"</Contents>"
    # Joins, because 1,000 rows are rendered for each page; the ends go into the rows to spare a copy.
    elements = list(map(b"</Key>".join, rows))
    elements[0] = b"<Contents><Key>" + elements[0]
    elements[-1] += end
    return (end + b"<Contents><Key>").join(elements)


def render_prefixes(prefixes: Sequence[bytes], *, is_url: bool) -> bytes:
    """Return the `CommonPrefixes` elements of common prefixes, encoded or escaped."""
    if not prefixes:
        return b""
    body = b"</Prefix></CommonPrefixes><CommonPrefixes><Prefix>".join(_encoded(prefixes, is_url=is_url))
    return b"<CommonPrefixes><Prefix>%b</Prefix></CommonPrefixes>" % body


def _encoded(texts: Sequence[bytes], *, is_url: bool) -> Sequence[bytes]:
    """Return the texts ready for XML: the same object if none of them needs a change, as in most pages."""
    page = _BORDER.join(texts)
    if not page.translate(None, _URL_PLAIN if is_url else _XML_PLAIN):
        return texts
    encode = encode_url if is_url else escape_key
    return encode(page).split(_BORDER)


def _owner_element(owner: str | None) -> bytes:
    if owner is None:
        return b""
    name = escape(owner)
    return f"<Owner><ID>{name}</ID><DisplayName>{name}</DisplayName></Owner>".encode()
