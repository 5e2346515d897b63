"""Which blobs there are: pages of objects, and of uploads that were not finished."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_plus

from anys3.protocol import xml
from anys3.protocol.xml import Node
from anys3.spec.errors import S3Error
from anys3.store.errors import Unavailable
from anys3.store.s3 import refusals
from anys3.store.s3.requests import Request, Requester

_NOT_OFFERED = (405, 501)


class Unfinished(NamedTuple):
    """An upload that was neither completed nor aborted."""

    key: str
    upload_id: str


def keys(requester: Requester, prefix: str) -> Iterator[str]:
    """Yield the keys of all objects that begin with `prefix`. Raises Unavailable."""
    token: tuple[tuple[str, str], ...] = ()
    while True:
        query = (("encoding-type", "url"), ("list-type", "2"), ("prefix", prefix), *token)
        page = _page(requester, "ListObjectsV2", query, "ListBucketResult")
        assert page is not None
        yield from (unquote_plus(row.text_of("Key")) for row in page.all("Contents"))
        if page.text_of("IsTruncated") != "true":
            return
        token = (("continuation-token", page.text_of("NextContinuationToken")),)


def unfinished(requester: Requester, prefix: str) -> Iterator[Unfinished]:
    """Yield the uploads of all keys that begin with `prefix`; none where multipart is not offered."""
    marker: tuple[tuple[str, str], ...] = ()
    while True:
        query = (("encoding-type", "url"), *marker, ("prefix", prefix), ("uploads", ""))
        page = _page(requester, "ListMultipartUploads", query, "ListMultipartUploadsResult")
        if page is None:
            return
        for row in page.all("Upload"):
            yield Unfinished(unquote_plus(row.text_of("Key")), row.text_of("UploadId"))
        if page.text_of("IsTruncated") != "true":
            return
        marker = (
            ("key-marker", unquote_plus(page.text_of("NextKeyMarker"))),
            ("upload-id-marker", page.text_of("NextUploadIdMarker")),
        )


def _page(requester: Requester, operation: str, query: tuple[tuple[str, str], ...], root: str) -> Node | None:
    """Return one page, None if the provider does not have the operation. Raises Unavailable."""
    answer = requester.ask(Request(operation, "GET", query=query))
    if answer.status in _NOT_OFFERED and operation == "ListMultipartUploads":
        return None
    if answer.status != 200:
        raise refusals.error(answer, f"{requester.where}: {operation}")
    try:
        return xml.parse(answer.body, root)
    except S3Error:
        raise Unavailable(f"{requester.where}: {operation} was answered with no {root}") from None
