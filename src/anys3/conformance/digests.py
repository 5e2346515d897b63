"""Digests as S3's headers and ETags have them."""

from __future__ import annotations

import zlib
from base64 import b64encode
from hashlib import md5


def md5_base64(body: bytes) -> str:
    """Return an MD5 as Content-MD5 has it.

    >>> md5_base64(b"")
    '1B2M2Y8AsgTpgAmY7PhCfg=='
    """
    return b64encode(md5(body, usedforsecurity=False).digest()).decode()


def md5_etag(body: bytes) -> str:
    """Return the ETag of an object in one piece: its MD5, with quotes."""
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'


def crc32_base64(body: bytes) -> str:
    """Return a CRC32 as x-amz-checksum-crc32 has it.

    >>> crc32_base64(b"123456789")
    'y/Q5Jg=='
    """
    return b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
