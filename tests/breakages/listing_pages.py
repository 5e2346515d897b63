"""Servers broken for the checks of pages of listings."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, quote_plus

from anys3.protocol import listing
from anys3.protocol.http import Answer, Request
from anys3.spec.errors import S3Error
from anys3.store import paging
from anys3.store.interface import Listing
from anys3.store.memory import MemoryStore
from tests.breakages.listing import Rows, asked, paged, rewritten, setting
from tests.broken_servers import (
    Breakage,
    Handler,
    accepting,
    all_of,
    answering,
    body_of,
    breaks,
    handled,
    patched,
    saying,
    when,
)

_page, _list = paging.page, MemoryStore.list
_decode_token, _encode_token = listing.decode_token, listing.encode_token
_render_prefixes = listing.render_prefixes
_text = importlib.import_module("anys3.operations.listing_page").Page.text


def _store_lists(sentence: str, list_keys: Callable[..., Any]) -> Breakage:
    return patched(sentence, "anys3.store.memory.MemoryStore.list", list_keys)


async def _rolled_up_by_page(
    self: Any, bucket: Any, prefix: bytes, delimiter: bytes, after: bytes, limit: int
) -> Listing:
    """Read a page of keys, then roll up what is on it."""
    found = await _list(self, bucket, prefix, b"", after, limit)
    at = len(prefix)
    rows: Rows = [row for row in found.rows if not delimiter or delimiter not in row[0][at:]]
    rolled = {
        key[: key.index(delimiter, at) + len(delimiter)]
        for key, _ in found.rows
        if delimiter and delimiter in key[at:]
    }
    return Listing(rows, sorted(rolled), found.is_truncated, found.last, is_last_prefix=False)


async def _files_before_folders(
    self: Any, bucket: Any, prefix: bytes, delimiter: bytes, after: bytes, limit: int
) -> Listing:
    """Page through the objects first, then through the common prefixes, by number."""
    found = await _list(self, bucket, prefix, delimiter, b"", 1000)
    start = int(after or 0)
    entries = [*found.rows, *found.prefixes]
    chosen = entries[start : start + limit]
    rows = [entry for entry in chosen if isinstance(entry, tuple)]
    prefixes = [entry for entry in chosen if isinstance(entry, bytes)]
    end = start + limit
    return Listing(rows, prefixes, len(entries) > end, str(end).encode(), is_last_prefix=False)


def _prefixes_do_not_count(scan: Any, prefix: bytes, delimiter: bytes, after: bytes, limit: int) -> Any:
    return _page(scan, prefix, delimiter, after, limit + 1 if delimiter else limit)


def _full_is_truncated(scan: Any, prefix: bytes, delimiter: bytes, after: bytes, limit: int) -> Any:
    rows, prefixes, _ = _page(scan, prefix, delimiter, after, limit)
    return rows, prefixes, len(rows) + len(prefixes) == limit


def _from_position_on(scan: Any, prefix: bytes, delimiter: bytes, after: bytes, limit: int) -> Any:
    return _page(scan, prefix, delimiter, after, limit, is_after=False)


def _from_known_key(scan: Any, prefix: bytes, delimiter: bytes, after: bytes, limit: int) -> Any:
    first = next(scan(after, False), (b"",))[0]
    return _page(scan, prefix, delimiter, after if first == after else b"", limit)


def _out_of_prefix(scan: Any, prefix: bytes, delimiter: bytes, after: bytes, limit: int) -> Any:
    return _page(scan, b"" if after else prefix, delimiter, after, limit)


# --- LIST-05, LIST-07 to LIST-10 -------------------------------------------------------------------------------

breaks(
    ("LIST-05/common-prefixes-once", "LIST-11/resumes-after-common-prefix"),
    _store_lists("keys are rolled up page by page", _rolled_up_by_page),
)
breaks(
    "LIST-05/common-prefixes-once",
    _store_lists("all objects are listed before all common prefixes", _files_before_folders),
)


def _count_objects_only(request: Request, answer: Answer) -> Answer | None:
    if not when(request, "GET", "list-type=2"):
        return None
    count = body_of(answer).count(b"<Contents>")
    body = re.sub(rb"<KeyCount>\d+", b"<KeyCount>%d" % count, body_of(answer))
    return replace(answer, body=body, length=None)


def _default_for_zero(want: Any) -> None:
    want.max_keys = want.max_keys or None


breaks("LIST-05/common-prefixes-count", answering("KeyCount counts objects only", _count_objects_only))
breaks("LIST-05/common-prefixes-count", paged("max-keys does not count all prefixes", _prefixes_do_not_count))
breaks(
    ("LIST-07/thousand-by-default", "LIST-07/thousand-at-most"),
    patched("pages have two thousand keys", "anys3.operations.listing_page.MAX_PAGE", 2_000),
)
breaks("LIST-07/fewer-keys-if-asked", setting("max-keys is ignored", max_keys=None))
breaks("LIST-07/fewer-keys-if-asked", paged("a page has a key too many", lambda *a: _page(*a[:4], a[4] + 1)))
breaks("LIST-08/no-keys-asked-for", asked("max-keys=0 means the default", _default_for_zero))
breaks(
    "LIST-08/no-keys-asked-for",
    rewritten("a page of no keys is truncated", "<IsTruncated>false", "<IsTruncated>true", "max-keys=0"),
)
breaks("LIST-09/wrong-max-keys", accepting("InvalidArgument", method="GET", query="max-keys=-1"))
breaks("LIST-09/wrong-max-keys", saying("InvalidRequest", instead_of="InvalidArgument", method="GET"))
breaks(
    "LIST-10/truncated-with-token",
    rewritten("IsTruncated is always false", "<IsTruncated>true", "<IsTruncated>false"),
)
breaks(
    "LIST-10/truncated-with-token",
    rewritten(
        "the last page has a token too",
        "<IsTruncated>false</IsTruncated>",
        "<IsTruncated>false</IsTruncated><NextContinuationToken>AA</NextContinuationToken>",
    ),
)
breaks(
    "LIST-10/truncated-with-token",
    rewritten("truncated pages lack a token", "<NextContinuationToken>[^<]*</NextContinuationToken>", ""),
)
breaks("LIST-10/last-page-full", paged("a full page is truncated", _full_is_truncated))

# --- LIST-11 to LIST-14 ----------------------------------------------------------------------------------------

breaks("LIST-11/resumes-after-deleted", paged("a token must name a key that exists", _from_known_key))
breaks("LIST-11/resumes-after-deleted", setting("tokens are ignored", continuation_token=None))


def _empty_token_finds_nothing(request: Request, _: Answer) -> Answer | None:
    if not request.query.endswith(b"continuation-token="):
        return None
    return Answer(200, b"Content-Type: application/xml\r\n", b"<ListBucketResult></ListBucketResult>")


def _undecodable(token: str) -> bytes:
    try:
        return _decode_token(token)
    except S3Error:
        raise S3Error("InternalError") from None


_TOKENS_ARE_KEYS = all_of(
    "tokens are keys, and a page begins there whatever the prefix is",
    patched("any token is taken", "anys3.protocol.listing.decode_token", str.encode),
    patched("tokens are keys", "anys3.protocol.listing.encode_token", bytes.decode),
    paged("a page begins at the token whatever the prefix is", _out_of_prefix),
)

breaks("LIST-12/empty-token", answering("an empty token leads to an empty page", _empty_token_finds_nothing))
breaks("LIST-12/empty-token", saying("NoSuchKey", instead_of="InvalidArgument", method="GET"))
breaks("LIST-12/empty-token", saying("InternalError", instead_of="InvalidArgument", method="GET"))
breaks("LIST-12/forged-token", _TOKENS_ARE_KEYS)
breaks(
    "LIST-12/forged-token",
    patched("a forged token is an error of ours", "anys3.protocol.listing.decode_token", _undecodable),
)
breaks(
    "LIST-12/token-of-other-prefix",
    paged("a page begins at the token whatever the prefix is", _out_of_prefix),
)


def _single_use() -> Breakage:
    used: set[str] = set()

    async def handler(call: Any, want: Any, proceed: Handler) -> Any:
        token = want.continuation_token
        if token in used:
            raise S3Error("InvalidArgument", ArgumentName="continuation-token")
        if token is not None:
            used.add(token)
        return await proceed(call, want)

    return handled("a token can be used once", "ListObjectsV2", handler)


def _later_of_both(want: Any) -> None:
    if want.continuation_token is not None and want.start_after:
        position = max(_decode_token(want.continuation_token), want.start_after.encode())
        want.continuation_token = _encode_token(position)


breaks("LIST-13/token-stays-valid", _single_use())
breaks("LIST-14/starts-after-key", paged("start-after is listed too", _from_position_on))
breaks("LIST-14/starts-after-key", paged("start-after must be a key that exists", _from_known_key))
breaks("LIST-14/starts-after-key", setting("start-after is ignored", start_after=None))
breaks(
    "LIST-14/starts-after-key",
    rewritten("StartAfter is not echoed", "<StartAfter>[^<]*</StartAfter>", ""),
)
breaks("LIST-14/token-before-start-after", asked("start-after counts beside a token", _later_of_both))

# --- LIST-15, LIST-16 ------------------------------------------------------------------------------------------


def _percent_encoded(token: bytes) -> bytes:
    return b"".join(b"%%%02X" % byte for byte in token)


def _encode_tokens(request: Request, answer: Answer) -> Answer | None:
    if not when(request, "GET", "encoding-type=url"):
        return None
    pattern = rb"(?<=<NextContinuationToken>)[^<]*"
    body = re.sub(pattern, lambda match: _percent_encoded(match[0]), body_of(answer))
    return replace(answer, body=body, length=None)


def _encoding(sentence: str, encode: Callable[[bytes], str]) -> Breakage:
    # Keys of a page are encoded together, with a byte between them that no UTF-8 holds.
    return patched(
        sentence,
        "anys3.protocol.listing.encode_url",
        lambda text: b"\xff".join(
            encode(key).encode("utf-8", "surrogateescape") for key in text.split(b"\xff")
        ),
    )


breaks("LIST-15/encodes-names", setting("encoding-type is ignored", encoding_type=None))
breaks(
    "LIST-15/encodes-names",
    patched(
        "only keys and common prefixes are encoded",
        "anys3.operations.listing_page.Page.text",
        lambda self, key: _text(replace(self, is_url=False), key),
    ),
)
breaks(
    "LIST-15/encodes-names",
    patched(
        "common prefixes are not encoded",
        "anys3.protocol.listing.render_prefixes",
        lambda prefixes, is_url: _render_prefixes(prefixes, is_url=not is_url),
    ),
)
breaks(
    "LIST-15/encodes-names",
    rewritten("EncodingType is not echoed", "<EncodingType>url</EncodingType>", ""),
)
breaks("LIST-15/tokens-not-encoded", answering("tokens are percent-encoded", _encode_tokens))
breaks("LIST-16/encoded-keys-decode", _encoding("slashes are encoded", quote_plus))
breaks("LIST-16/encoded-keys-decode", _encoding("a plus sign stays raw", lambda key: quote(key, safe="/+")))
breaks(
    "LIST-16/encoded-keys-decode", _encoding("a percent sign stays raw", lambda key: quote(key, safe="/%"))
)
breaks("LIST-16/encoded-keys-decode", _encoding("keys are encoded twice", lambda key: quote(quote(key))))

# --- LIST-22, LIST-25 ------------------------------------------------------------------------------------------

breaks("LIST-22/stable-keys-once", _store_lists("tokens are numbers of keys", _files_before_folders))
breaks("LIST-25/version-1-pages", setting("the marker is ignored", "ListObjects", marker=None))
breaks("LIST-25/version-1-pages", setting("version 1 ignores max-keys", "ListObjects", max_keys=None))
breaks("LIST-25/version-1-pages", paged("a page begins at its marker", _from_position_on))
breaks(
    "LIST-25/version-1-next-marker",
    rewritten("there is no NextMarker", "<NextMarker>[^<]*</NextMarker>", "", "prefix="),
)
