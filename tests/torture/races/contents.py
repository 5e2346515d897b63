"""Bodies and tags that tell which write they are of, and a read that is all of one write."""

from __future__ import annotations

import hashlib

from tests.rawclient import Response
from tests.torture.races.history import Value


def body_of(label: str, size: int) -> bytes:
    """Return the body of a write: its label, again and again."""
    word = label.encode() + b" "
    return (word * (size // len(word) + 1))[:size]


def etag_of(body: bytes) -> str:
    """Return the ETag of an object put in one piece, without quotes."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def etag_of_one_part(body: bytes) -> str:
    """Return the ETag of an object made of one part."""
    return etag_of(hashlib.md5(body, usedforsecurity=False).digest()) + "-1"


def verified(answer: Response) -> Value:
    """Return what a GET saw: ETag, the write that gave its metadata, tags; "torn" if they don't fit its body."""
    headers = answer.headers
    etag = headers["etag"].strip('"')
    fitting = (etag_of(answer.body), etag_of_one_part(answer.body))
    if etag not in fitting or headers["content-length"] != str(len(answer.body)):
        etag = f"torn: {etag} with a body of {len(answer.body)} bytes, {answer.body[:40]!r}"
    return etag, headers.get("x-amz-meta-write", ""), headers.get("x-amz-tagging-count", "")


def tags_of(tags: str) -> list[tuple[str, str]]:
    """Return the tags that a name stands for: "3" is three tags, all of which say so."""
    return [(f"k{number}", f"v{tags}") for number in range(int(tags or 0))]


def tagging_document(tags: str) -> bytes:
    """Return the body of PutObjectTagging."""
    rows = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in tags_of(tags))
    return f"<Tagging><TagSet>{rows}</TagSet></Tagging>".encode()
