"""Pages of listings: LIST-05, LIST-07 to LIST-16, LIST-22, and the pages of LIST-25."""

from __future__ import annotations

import base64
import re
from itertools import pairwise
from urllib.parse import unquote_plus

from anys3.conformance.kit.listings import (
    ODD,
    TREE,
    keys_of,
    listed,
    listed_v1,
    pages,
    prefixes_of,
    put_keys,
    shared_keys,
)
from anys3.conformance.outcomes import Skipped
from anys3.conformance.probe import Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_DELIMITER = ("delimiter", "/")
_TWO = ("max-keys", "2")
_ENCODED = ("encoding-type", "url")
_THREE = ("max-keys", "3")
_FOUR = ("a", "b", "c", "d")


@check("LIST-05", operation="ListObjectsV2")
def common_prefixes_once(probe: Probe) -> None:
    """Each common prefix appears once in all pages together, in one order with the objects."""
    shelf = shared_keys(probe, *TREE)
    found = [_entries(shelf, page) for page in pages(shelf, _DELIMITER, _TWO)]
    flat = [entry for page in found for entry in page]
    equal(sorted(flat), ["a", "b/", "c", "d/", "e"], "keys and common prefixes of all pages")
    for before, after in pairwise(page for page in found if page):
        require(max(before) < min(after), f"pages in one merged order: expected it, got {found!r}")


@check("LIST-05", operation="ListObjectsV2")
def common_prefixes_count(probe: Probe) -> None:
    """A common prefix counts as one entry: KeyCount is the number of both, and at most max-keys."""
    shelf = shared_keys(probe, *TREE)
    for page in pages(shelf, _DELIMITER, _TWO):
        entries = _entries(shelf, page)
        equal(page.text("KeyCount"), str(len(entries)), f"KeyCount of a page with {entries!r}")
        require(
            len(entries) <= 2, f"a page of max-keys=2 with a delimiter: expected 2 entries, got {entries!r}"
        )


@check("LIST-07", operation="ListObjectsV2")
def thousand_by_default(probe: Probe) -> None:
    """max-keys is 1000 where it is not given."""
    equal(listed(probe).text("MaxKeys"), "1000", "MaxKeys where max-keys is not given")


@check("LIST-07", operation="ListObjectsV2")
def thousand_at_most(probe: Probe) -> None:
    """max-keys is 1000 where more is asked for."""
    found = listed(probe, ("max-keys", "5000")).text("MaxKeys")
    if found == "5000":  # an echo, which says nothing of what a page would hold
        raise Skipped("MaxKeys echoes 5000, so that only more than 1000 objects could show the limit")
    equal(found, "1000", "MaxKeys with max-keys=5000")


@check("LIST-07", operation="ListObjectsV2")
def fewer_keys_if_asked(probe: Probe) -> None:
    """A page has no more entries than max-keys asks for."""
    shelf = shared_keys(probe, *TREE)
    reply = listed(shelf, _THREE)
    equal(reply.text("MaxKeys"), "3", "MaxKeys with max-keys=3")
    found = keys_of(shelf, reply)
    require(len(found) <= 3, f"a page of max-keys=3: expected at most 3 keys, got {found!r}")


@check("LIST-08", operation="ListObjectsV2")
def no_keys_asked_for(probe: Probe) -> None:
    """A page of max-keys=0 is empty, and not truncated."""
    shelf = shared_keys(probe, *TREE)
    for query in ((), (_DELIMITER,)):
        reply = listed(shelf, ("max-keys", "0"), *query)
        found = (_entries(shelf, reply), reply.text("IsTruncated"), reply.text("NextContinuationToken"))
        equal(found, ([], "false", None), f"entries, IsTruncated and token of a page of max-keys=0 {query}")


@check("LIST-09", operation="ListObjectsV2")
def wrong_max_keys(probe: Probe) -> None:
    """max-keys that is negative or no number is refused with 400 InvalidArgument."""
    for value in ("-1", "x"):
        reply = probe.list_keys(("max-keys", value))
        reply.expect("400 InvalidArgument", about=f"a listing with max-keys={value}")


@check("LIST-10", operation="ListObjectsV2")
def truncated_with_token(probe: Probe) -> None:
    """A page has a token exactly if IsTruncated is true, and then there is more."""
    shelf = shared_keys(probe, *TREE)
    found = list(pages(shelf, _THREE))
    equal([key for page in found for key in keys_of(shelf, page)], list(TREE), "the keys of all pages")
    for page in found:
        is_truncated, token = page.text("IsTruncated"), page.text("NextContinuationToken")
        require(
            is_truncated in ("true", "false"), f"IsTruncated: expected true or false, got {is_truncated!r}"
        )
        equal(token is not None, is_truncated == "true", f"a token where IsTruncated is {is_truncated}")
    require(_entries(shelf, found[-1]), "the page after a truncated one: expected entries, got none")


@check("LIST-10", operation="ListObjectsV2")
def last_page_full(probe: Probe) -> None:
    """A page that holds exactly all that is left is not truncated."""
    shelf = shared_keys(probe, *TREE)
    for what, query, expected in (
        ("eight keys and max-keys=8", [("max-keys", "8")], 8),
        ("three keys, two common prefixes and max-keys=5", [_DELIMITER, ("max-keys", "5")], 5),
    ):
        reply = listed(shelf, *query)
        found = (len(_entries(shelf, reply)), reply.text("IsTruncated"), reply.text("NextContinuationToken"))
        equal(found, (expected, "false", None), f"entries, IsTruncated and token of {what}")


@check("LIST-11", operation="ListObjectsV2")
def resumes_after_deleted(probe: Probe) -> None:
    """A token resumes strictly after the last entry of its page, even if that was deleted meanwhile."""
    put_keys(probe, *_FOUR)
    first = listed(probe, _TWO)
    equal(keys_of(probe, first), ["a", "b"], "the keys of the first page")
    token = _token(first)
    with probe.setting_up("an object could not be deleted"):
        probe.delete(probe.key("b")).expect("204", "200")
    put_keys(probe, "aa", "bb")
    rest = keys_of(probe, listed(probe, ("continuation-token", token)))
    # What was written meanwhile behind the token may be there or not.
    old = [key for key in rest if key != "bb"]
    equal(old, ["c", "d"], "the keys after a page whose last key was deleted")


@check("LIST-11", operation="ListObjectsV2")
def resumes_after_common_prefix(probe: Probe) -> None:
    """A token resumes behind a common prefix with all its keys, new ones too."""
    put_keys(probe, "a/1", "a/2", "b")
    first = listed(probe, _DELIMITER, ("max-keys", "1"))
    equal(_entries(probe, first), ["a/"], "the entries of the first page")
    token = _token(first)
    put_keys(probe, "a/zz")
    rest = listed(probe, _DELIMITER, ("continuation-token", token))
    equal((keys_of(probe, rest), prefixes_of(probe, rest)), (["b"], []), "the entries behind a common prefix")


@check("LIST-12", operation="ListObjectsV2")
def empty_token(probe: Probe) -> None:
    """An empty continuation token is refused with 400 InvalidArgument."""
    shelf = shared_keys(probe, *TREE)
    reply = shelf.list_keys(("continuation-token", "")).expect("400 InvalidArgument", "200")
    if reply.status == 200:
        equal(keys_of(shelf, reply), list(TREE), "the keys of the page that an empty token led to")
        probe.report("an empty continuation token is accepted, and leads to the first page")


@check("LIST-12", operation="ListObjectsV2")
def forged_token(probe: Probe) -> None:
    """A token that was not issued never leads to a 5xx or out of the prefix, and should be refused."""
    shelf = shared_keys(probe, *TREE)
    inside = base64.b64encode(shelf.key("d/").encode()).decode()
    accepted = 0
    for token in ("x", "AAAA", "%\U0001f600", shelf.key("a"), inside, "1" * 1500):
        reply = shelf.list_keys(("prefix", shelf.key("b/")), ("continuation-token", token))
        what = f"the forged token {token[:40]!r}"
        require(reply.status < 500, f"a listing with {what}: expected 200 or 4xx, got {reply.said}")
        _expect_within(shelf, reply, what)
        accepted += reply.status == 200
    if accepted:
        probe.report(f"{accepted} of 6 tokens that were not issued are accepted")


@check("LIST-12", operation="ListObjectsV2")
def token_of_other_prefix(probe: Probe) -> None:
    """A token that was issued for another prefix never leads out of the prefix asked for."""
    shelf = shared_keys(probe, *TREE)
    for other in ("", "d/"):
        token = _token(listed(shelf, ("prefix", shelf.key(other)), ("max-keys", "1")))
        reply = shelf.list_keys(("prefix", shelf.key("b/")), ("continuation-token", token))
        _expect_within(shelf, reply, "a token of another prefix")
        if reply.status >= 500:
            probe.report(f"a token of another prefix is answered with {reply.said}")


@check("LIST-13", operation="ListObjectsV2")
def token_stays_valid(probe: Probe) -> None:
    """A token leads to the same page again after other pages were read and other keys written."""
    put_keys(probe, *_FOUR)
    token = ("continuation-token", _token(listed(probe, _TWO)))
    first = keys_of(probe, listed(probe, _TWO, token))
    listed(probe, ("max-keys", "1"))
    put_keys(probe, "a0")
    again = keys_of(probe, listed(probe, _TWO, token))
    equal((first, again), (["c", "d"], ["c", "d"]), "the page that one token leads to, twice")


@check("LIST-14", operation="ListObjectsV2")
def starts_after_key(probe: Probe) -> None:
    """A listing begins strictly after start-after, whether or not that is a key, and echoes it."""
    shelf = shared_keys(probe, *TREE)
    for start, expected in (("d/1", ["d/2", "e"]), ("d/1a", ["d/2", "e"]), ("A", list(TREE))):
        reply = listed(shelf, ("start-after", shelf.key(start)))
        equal(keys_of(shelf, reply), expected, f"the keys after {start!r}")
        equal(reply.text("StartAfter"), shelf.key(start), "the StartAfter that is echoed")


@check("LIST-14", operation="ListObjectsV2")
def token_before_start_after(probe: Probe) -> None:
    """With a continuation token, start-after is ignored."""
    shelf = shared_keys(probe, *TREE)
    token = _token(listed(shelf, ("max-keys", "1"), ("start-after", shelf.key("b/2/y"))))
    for start in ("b/2/y", "d/1"):
        query = [("continuation-token", token), ("start-after", shelf.key(start))]
        found = keys_of(shelf, listed(shelf, *query))
        equal(found, ["d/1", "d/2", "e"], f"the keys after a token, with start-after {start!r} beside it")


@check("LIST-15", operation="ListObjectsV2")
def encodes_names(probe: Probe) -> None:
    """encoding-type=url encodes Key, Prefix, Delimiter, StartAfter and common prefixes, and is echoed."""
    put_keys(probe, "é 1", "é 2", "é 3+x", "é 4+y")
    query = (("prefix", probe.key("é ")), ("delimiter", "+x"), ("start-after", probe.key("é 1")))
    reply = listed(probe, _ENCODED, *query)
    equal(reply.text("EncodingType"), "url", "the EncodingType that is echoed")
    expected = {
        "Prefix": [probe.key("é ")],
        "Delimiter": ["+x"],
        "StartAfter": [probe.key("é 1")],
        "Contents/Key": [probe.key("é 2"), probe.key("é 4+y")],
        "CommonPrefixes/Prefix": [probe.key("é 3+x")],
    }
    for path, values in expected.items():
        found = reply.texts(path)
        is_encoded = all(re.fullmatch("[!-~]+", text) for text in found)
        require(is_encoded, f"{path} with encoding-type=url: expected percent-encoded text, got {found!r}")
        equal(sorted(unquote_plus(text) for text in found), values, f"{path}, decoded from {found!r}")


@check("LIST-15", operation="ListObjectsV2")
def tokens_not_encoded(probe: Probe) -> None:
    """Tokens are not encoded: one works as it stands in a page with encoding-type=url."""
    shelf = shared_keys(probe, *ODD)
    query = (_ENCODED, _THREE)
    found = [key for page in pages(shelf, *query) for key in page.texts("Contents/Key")]
    equal(
        (len(found), len(set(found))),
        (len(ODD), len(ODD)),
        f"all keys, and different keys, of the pages: {found!r}",
    )


@check("LIST-16", operation="ListObjectsV2")
def encoded_keys_decode(probe: Probe) -> None:
    """Encoded keys decode, as forms do, to what was stored; plus is %2B, percent %25, and / stays raw."""
    shelf = shared_keys(probe, *ODD)
    encoded = listed(shelf, _ENCODED).texts("Contents/Key")
    decoded = [unquote_plus(key).removeprefix(shelf.prefix) for key in encoded]
    equal(sorted(decoded), sorted(ODD), "the keys of a listing with encoding-type=url, decoded")
    for key, name in zip(encoded, decoded, strict=True):
        equal(key.count("/"), shelf.key(name).count("/"), f"raw slashes in {key!r}")
        require(
            "%" not in name or "%25" in key, f"the key {name!r}: expected %25 for the percent, got {key!r}"
        )
    if any("+" in key for key in encoded):
        probe.report("encoding-type=url sends + for a space, not %20, as AWS does")


@check("LIST-22", operation="ListObjectsV2")
def stable_keys_once(probe: Probe) -> None:
    """Keys that exist during all pages of a listing appear exactly once, whatever else changes."""
    stable, passing = ("b", "d", "f"), ("c", "e")
    put_keys(probe, *stable, *passing)
    found: list[str] = []
    for number, page in enumerate(pages(probe, _TWO)):
        found += keys_of(probe, page)
        if number < len(passing):
            with probe.setting_up("an object could not be deleted"):
                probe.delete(probe.key(passing[number])).expect("204", "200")
            put_keys(probe, f"z{number}", *((f"a{number}", f"a{number}b") if number % 2 else ()))
    kept = [key for key in found if key in stable]
    equal(kept, list(stable), f"the keys that existed during all pages, of {found!r}")


@check("LIST-25", operation="ListObjects")
def version_1_pages(probe: Probe) -> None:
    """Pages of version 1 without a delimiter are resumed with the last key as the marker."""
    shelf = shared_keys(probe, *TREE)
    found, marker = [], ""
    for _ in TREE:
        reply = listed_v1(shelf, _THREE, ("marker", marker))
        keys = reply.texts("Contents/Key")
        found.append((keys_of(shelf, reply), reply.text("IsTruncated")))
        if reply.text("IsTruncated") != "true" or not keys:
            break
        marker = keys[-1]
    expected = [(list(TREE[:3]), "true"), (list(TREE[3:6]), "true"), (list(TREE[6:]), "false")]
    equal(found, expected, "keys and IsTruncated of the pages of eight keys with max-keys=3")


@check("LIST-25", operation="ListObjects")
def version_1_next_marker(probe: Probe) -> None:
    """Truncated pages of version 1 with a delimiter have a NextMarker that leads to the rest."""
    shelf = shared_keys(probe, *TREE)
    found, marker = [], ""
    for _ in TREE:
        reply = listed_v1(shelf, _DELIMITER, _TWO, ("marker", marker))
        found += _entries(shelf, reply)
        if reply.text("IsTruncated") != "true":
            break
        marker = reply.need_text("NextMarker")
    equal(found, ["a", "b/", "c", "d/", "e"], "keys and common prefixes of all pages of version 1")


# --- within --------------------------------------------------------------------------------------------------


def _entries(probe: Probe, reply: Reply) -> list[str]:
    """Return the keys and common prefixes of a page in one order."""
    return sorted([*keys_of(probe, reply), *prefixes_of(probe, reply)])


def _token(reply: Reply) -> str:
    return reply.need_text("NextContinuationToken")


def _expect_within(probe: Probe, reply: Reply, what: str) -> None:
    """Raise Failed if the answer is a page with keys that are not below `b/`; a refusal has none."""
    if reply.status == 200:
        entries = _entries(probe, reply)
        is_within = all(entry.startswith("b/") for entry in entries)
        require(is_within, f"a listing of the prefix 'b/' with {what}: expected keys of it, got {entries!r}")
