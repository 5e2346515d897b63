"""Percent-encoding (RFC 3986 section 2.1), decoded once and never leniently."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def decode(text: bytes) -> bytes | None:
    """Return the bytes with every escape decoded once; None if an escape is broken.

    >>> decode(b"a%2520b%2Fc+d")
    b'a%20b/c+d'
    >>> decode(b"100%") is None
    True
    """
    if b"%" not in text:
        return text
    return None if _BROKEN.search(text) else unquote_to_bytes(text)


def decode_utf8(text: bytes) -> str | None:
    """Return the text with every escape decoded once; None if an escape is broken or it isn't UTF-8."""
    decoded = decode(text)
    if decoded is None:
        return None
    try:
        return decoded.decode()
    except UnicodeDecodeError:
        return None
