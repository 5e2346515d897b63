"""ETags: quoted, listed, and made of those of the parts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_LISTED = re.compile(rb'(W/)?(?:"([^"]*)"|([^",\s]+))')


@dataclass(frozen=True, slots=True)
class EntityTag:
    """One entity tag of a list, without quotes."""

    etag: str
    is_weak: bool = False


ANY = (EntityTag("*"),)
"""What `parse_list` returns for `*`; compare by identity, for a tag may be called that too."""


def unquote(value: bytes) -> str:
    """Return an ETag without white space around it and without quotes, if it has them.

    A weak one keeps its `W/"` and so never equals a stored ETag, as a strong comparison wants.

        >>> unquote(b' "d41d" '), unquote(b"d41d")
        ('d41d', 'd41d')
    """
    text = value.strip().decode("latin-1")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    return text


def multipart(part_etags: Iterable[str]) -> str:
    """Return the ETag, without quotes, of an object made of parts with these ETags (CPL-03).

    >>> multipart(["d41d8cd98f00b204e9800998ecf8427e"])
    '59adb24ef3cdbe0297f05b395827453f-1'
    """
    digests = [bytes.fromhex(etag) for etag in part_etags]
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def parse_list(value: bytes) -> tuple[EntityTag, ...]:
    """Return the entity tags of an If-Match or If-None-Match header, `ANY` for `*` (CONDR-09).

    Tags may lack quotes, as S3 allows; what is no tag is left out, so that nothing is ever an error.
    """
    if value.strip() == b"*":
        return ANY
    return tuple(
        EntityTag((quoted or bare).decode("latin-1"), bool(weak))
        for weak, quoted, bare in _LISTED.findall(value)
    )
