"""Listings of keys as checks ask for and read them: by the attempt's own prefix, which is left out of names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from anys3.conformance.outcomes import Failed
from anys3.conformance.probe import Probe
from anys3.conformance.replies import Reply

TREE = ("a", "b/1", "b/2/x", "b/2/y", "c", "d/1", "d/2", "e")
"""Keys in order, with common prefixes of two levels, for `shared_keys`."""
ODD = (" %", "%2F+", "&amp; a=b", "'\"<x>", "]]>", "a/b+c", "~-._", "é+\ufffd\U00010000")
"""Keys in order, of characters that are encoded in URLs or escaped in XML, for `shared_keys`."""
_MAX_PAGES = 40


def put_keys(probe: Probe, *names: str) -> None:
    """Store objects of those names under the attempt's prefix, in that order, or block the check."""
    for name in names:
        probe.given_object(name, b"x")


def shared_keys(probe: Probe, *names: str) -> Probe:
    """Return a probe whose prefix holds objects of those names and no others, or block the check.

    They are stored once a run, in the reverse order, for all checks that only list them. What the probe
    sends counts for the check.
    """
    digest = hashlib.sha256(repr(names).encode()).hexdigest()[:8]
    shelf = replace(probe, check=f"shared/keys-{digest}", attempt=0)
    probe.ground.once(shelf.prefix, lambda: put_keys(shelf, *reversed(names)))
    return shelf


def listed(probe: Probe, *query: tuple[str, str]) -> Reply:
    """Return a page of ListObjectsV2, which must be a ListBucketResult. Raises Failed."""
    return _result(probe.list_keys(*query))


def listed_v1(probe: Probe, *query: tuple[str, str]) -> Reply:
    """Return a page of ListObjects, version 1; by default the prefix is the attempt's own."""
    own = () if any(name == "prefix" for name, _ in query) else (("prefix", probe.prefix),)
    return _result(probe.request("GET", probe.path(), [*own, *query]))


def keys_of(probe: Probe, reply: Reply) -> list[str]:
    """Return the keys of a page, in its order."""
    return [_named(probe, key) for key in reply.texts("Contents/Key")]


def prefixes_of(probe: Probe, reply: Reply) -> list[str]:
    """Return the common prefixes of a page, in its order."""
    return [_named(probe, prefix) for prefix in reply.texts("CommonPrefixes/Prefix")]


def pages(probe: Probe, *query: tuple[str, str]) -> Iterator[Reply]:
    """Yield the pages of a listing, following its tokens. Raises Failed: it does not end."""
    token: list[tuple[str, str]] = []
    for _ in range(_MAX_PAGES):
        reply = listed(probe, *query, *token)
        yield reply
        if reply.text("IsTruncated") != "true":
            return
        token = [("continuation-token", reply.need_text("NextContinuationToken"))]
    raise Failed(f"a listing in pages: expected an end, got {_MAX_PAGES} truncated pages")


def rows_of(reply: Reply) -> list[dict[str, str]]:
    """Return the rows of a page: the text of each element by its name."""
    return [{child.tag: child.text or "" for child in row} for row in reply.xml.findall("Contents")]


def _result(reply: Reply) -> Reply:
    reply.expect("200")
    if reply.xml.tag != "ListBucketResult":
        raise Failed(f"{reply.exchange.summary}: expected a ListBucketResult, got {reply.xml.tag}")
    return reply


def _named(probe: Probe, key: str) -> str:
    """Return a key without the attempt's prefix; one from elsewhere as it is, so that it is seen."""
    return key.removeprefix(probe.prefix)
