"""Servers broken for the checks of listings; those of their pages are in listing_pages."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anys3.operations.publishing import received_entry
from anys3.protocol import listing
from anys3.protocol.http import Answer, Request
from anys3.protocol.payload import Received
from anys3.store import paging
from anys3.store.mutations import Mutation, PutEntry
from tests.broken_servers import (
    Breakage,
    Handler,
    Proceed,
    accepting,
    answering,
    body_of,
    breaks,
    error_answer,
    handled,
    hooked,
    patched,
    saying,
    when,
)

_page = paging.page
_escape_key = listing.escape_key  # type: ignore[attr-defined]
_render_rows = importlib.import_module("anys3.operations.listing_page").render_rows
_MD5_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"
Rows = list[tuple[bytes, bytes]]


def asked(sentence: str, change: Callable[[Any], None], operation: str = "ListObjectsV2") -> Breakage:
    """A breakage that changes what a listing is asked for, behind authentication."""

    async def handler(call: Any, want: Any, proceed: Handler) -> Any:
        change(want)
        return await proceed(call, want)

    return handled(sentence, operation, handler)


def setting(sentence: str, operation: str = "ListObjectsV2", **values: object) -> Breakage:
    """A breakage that ignores parameters: they always have these values."""

    def change(want: Any) -> None:
        for name, value in values.items():
            setattr(want, name, value)

    return asked(sentence, change, operation)


def rewritten(
    sentence: str, pattern: str, text: str | Callable[[re.Match[bytes]], bytes], query: str = "list-type=2"
) -> Breakage:
    """A breakage that replaces what a pattern finds in the documents of listings."""
    by = text.encode() if isinstance(text, str) else text

    def change(request: Request, answer: Answer) -> Answer | None:
        if not when(request, "GET", query) or b"<ListBucketResult" not in body_of(answer):
            return None
        body = re.sub(pattern.encode(), by, body_of(answer))
        return replace(answer, body=body, length=None)

    return answering(sentence, change)


def _an_hour_on(found: re.Match[bytes]) -> bytes:
    return b"%02d" % ((int(found[0]) + 1) % 24)


def paged(sentence: str, change: Callable[..., Any]) -> Breakage:
    """A breakage of the reading of one page in the store."""
    return patched(sentence, "anys3.store.paging.page", change)


def sorted_by(sentence: str, order: Callable[[bytes], Any]) -> Breakage:
    """A breakage of the order of keys."""

    def page(*arguments: Any, **more: Any) -> Any:
        rows, prefixes, is_truncated = _page(*arguments, **more)
        return sorted(rows, key=lambda row: order(row[0])), prefixes, is_truncated

    return paged(sentence, page)


# --- LIST-01 to LIST-03 ----------------------------------------------------------------------------------------

for _element in ("StorageClass", "ETag", "LastModified", "KeyCount", "MaxKeys"):
    breaks(
        "LIST-01/lists-objects",
        rewritten(f"listings have no {_element}", f"<{_element}>[^<]*</{_element}>", ""),
    )
breaks(
    "LIST-01/lists-objects",
    rewritten(
        "LastModified is an HTTP date", "<LastModified>[^<]*", "<LastModified>Sat, 21 Nov 2026 07:00:00 GMT"
    ),
)
breaks(
    "LIST-01/lists-nothing",
    answering(
        "a listing without keys is an error",
        lambda request, answer: (
            error_answer("NoSuchKey")
            if when(request, "GET", "list-type=2") and b"<Contents>" not in body_of(answer)
            else None
        ),
    ),
)
breaks("LIST-02/keys-ascend", sorted_by("keys ascend without regard to case", lambda key: key.lower()))
breaks(
    "LIST-02/keys-ascend",
    sorted_by("keys ascend as directories are walked", lambda key: key.split(b"/")),
)
breaks(
    "LIST-02/utf-8-not-utf-16",
    sorted_by("keys ascend as UTF-16", lambda key: key.decode().encode("utf-16-be")),
)


def _whole_directories(want: Any) -> None:
    want.prefix = (want.prefix or "").rpartition("/")[0] + "/"


def _nothing_without_prefix(want: Any) -> None:
    if not want.prefix:
        want.max_keys = 0


breaks("LIST-03/prefix-of-bytes", asked("a prefix ends at a slash", _whole_directories))
breaks("LIST-03/empty-prefix", asked("an empty prefix finds nothing", _nothing_without_prefix))

# --- LIST-04, LIST-06 ------------------------------------------------------------------------------------------


def _at_last_delimiter(scan: Any, prefix: bytes, delimiter: bytes, after: bytes, limit: int) -> Any:
    rows, _, is_truncated = _page(scan, prefix, b"", after, limit)
    plain: Rows = [row for row in rows if not delimiter or delimiter not in row[0][len(prefix) :]]
    others = {key for key, _ in rows} - {key for key, _ in plain}
    prefixes = {key[: key.rindex(delimiter) + len(delimiter)] for key in others}
    return plain, sorted(prefixes), is_truncated


def _from_the_start(scan: Any, prefix: bytes, delimiter: bytes, after: bytes, limit: int) -> Any:
    rows, prefixes, is_truncated = _page(scan, prefix, b"", after, limit)
    if not delimiter:
        return rows, prefixes, is_truncated
    rolled = {key.partition(delimiter)[0] + delimiter for key, _ in rows if delimiter in key}
    return [row for row in rows if delimiter not in row[0]], sorted(rolled), is_truncated


def _without_prefix_itself(*arguments: Any, **more: Any) -> Any:
    rows, prefixes, is_truncated = _page(*arguments, **more)
    return [row for row in rows if row[0] != arguments[1]], prefixes, is_truncated


def _first_of_delimiter(want: Any) -> None:
    want.delimiter = want.delimiter and want.delimiter[:1]


def _slash_only(want: Any) -> None:
    want.delimiter = want.delimiter and "/"


breaks("LIST-04/rolls-up-at-delimiter", paged("keys roll up at the last delimiter", _at_last_delimiter))
breaks("LIST-04/rolls-up-at-delimiter", paged("delimiters in the prefix count too", _from_the_start))
breaks("LIST-04/rolls-up-at-delimiter", setting("the delimiter is ignored", delimiter=None))
breaks("LIST-04/long-delimiter", asked("a delimiter has one character", _first_of_delimiter))
breaks("LIST-04/long-delimiter", asked("the only delimiter is a slash", _slash_only))
breaks("LIST-04/empty-delimiter", setting("no delimiter is a slash", delimiter="/"))
breaks(
    "LIST-04/empty-delimiter",
    answering(
        "an empty delimiter is refused",
        lambda request, _: error_answer("InvalidArgument") if request.query.endswith(b"delimiter=") else None,
    ),
)
breaks(
    "LIST-06/key-equal-to-prefix", paged("a key that equals the prefix is left out", _without_prefix_itself)
)

# --- LIST-17 to LIST-20 ----------------------------------------------------------------------------------------


def _escaping(sentence: str, escape: Callable[[bytes], bytes]) -> Breakage:
    return patched(sentence, "anys3.protocol.listing.escape_key", escape)


breaks("LIST-17/unknown-encoding", accepting("InvalidArgument", method="GET", query="encoding-type"))
breaks(
    ("LIST-18/escapes-keys", "LIST-18/stays-well-formed"), _escaping("keys are not escaped", lambda key: key)
)
breaks(
    "LIST-18/escapes-keys",
    _escaping("keys are escaped twice", lambda key: _escape_key(_escape_key(key))),
)
breaks(
    "LIST-18/escapes-white-space",
    _escaping("CR stands in documents as it is", lambda key: _escape_key(key).replace(b"&#13;", b"\r")),
)
breaks(
    "LIST-18/stays-well-formed",
    _escaping(
        "control characters are references, which XML 1.0 forbids",
        lambda key: _escape_key(key.replace(b"\x01", b"-SOH-")).replace(b"-SOH-", b"&#x1;"),
    ),
)
breaks("LIST-19/owner-on-request", setting("fetch-owner is ignored", fetch_owner=False))
breaks("LIST-19/owner-on-request", setting("rows always have an Owner", fetch_owner=True))
breaks("LIST-20/rows-equal-head", rewritten("listed ETags have no quotes", "&quot;", ""))
breaks(
    "LIST-20/rows-equal-head",
    rewritten("LastModified is local time", r"(?<=<LastModified>\d{4}-\d\d-\d\dT)\d\d", _an_hour_on),
)
breaks("LIST-20/rows-equal-head", rewritten("sizes are rounded", r"<Size>\d\d+", "<Size>4096"))

# --- LIST-21 to LIST-24 ----------------------------------------------------------------------------------------


def _cached() -> Breakage:
    answers: dict[bytes, Answer] = {}

    async def hook(request: Request, proceed: Proceed) -> Answer:
        if not when(request, "GET", "list-type=2"):
            return await proceed(request)
        if request.target not in answers:
            answers[request.target] = await proceed(request)
        return answers[request.target]

    return hooked("listings come from a cache that nothing refreshes", hook)


async def _put_empty(call: Any, key: bytes) -> None:
    entry = received_entry(call, Received(0, _MD5_OF_NOTHING, None), b"", ())
    await call.commit(Mutation(call.bucket, (PutEntry(key, entry, b""),)))


async def _with_placeholder(call: Any, want: Any, proceed: Handler) -> Any:
    answer = await proceed(call, want)
    await _put_empty(call, call.key + b".upload")
    return answer


async def _with_file_of_its_own(call: Any, want: Any, proceed: Handler) -> Any:
    answer = await proceed(call, want)
    await _put_empty(call, b".sys/format.json")
    return answer


breaks(("CON-01/overwrites", "CON-01/deletions"), _cached())
breaks(
    "LIST-23/no-unfinished-uploads",
    handled("an upload has a place-holder among the keys", "CreateMultipartUpload", _with_placeholder),
)
breaks(
    "LIST-23/no-files-of-the-server",
    handled("the server keeps a file of its own among the keys", "PutObject", _with_file_of_its_own),
)
breaks("LIST-24/missing-bucket", saying("NoSuchKey", instead_of="NoSuchBucket", method="GET"))
breaks("LIST-24/missing-bucket", accepting("NoSuchBucket", method="GET"))

# --- LIST-25 ---------------------------------------------------------------------------------------------------


def _from_marker_on(scan: Any, prefix: bytes, delimiter: bytes, after: bytes, limit: int) -> Any:
    return _page(scan, prefix, delimiter, after, limit, is_after=False)


breaks(
    "LIST-25/version-1",
    patched(
        "version 1 shows no Owner",
        "anys3.operations.list_objects.render_rows",
        lambda rows, page, _: _render_rows(rows, page, None),
    ),
)
breaks("LIST-25/version-1-marker", rewritten("Marker is not echoed", "<Marker>[^<]*</Marker>", "", "prefix="))
breaks("LIST-25/version-1-marker", setting("the marker is ignored", "ListObjects", marker=None))
breaks("LIST-25/version-1-marker", paged("a listing begins at its marker", _from_marker_on))
breaks("LIST-25/version-1-delimiter", setting("version 1 knows no delimiter", "ListObjects", delimiter=None))
breaks("LIST-25/version-1-encoding", setting("version 1 does not encode", "ListObjects", encoding_type=None))
