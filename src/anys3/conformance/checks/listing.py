"""ListObjectsV2 and ListObjects: LIST-01 to LIST-06 and LIST-17 to LIST-25; pages are in listing_pages."""

from __future__ import annotations

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
    rows_of,
    shared_keys,
)
from anys3.conformance.kit.times import http_time, iso_time
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import equal, require

_DELIMITER = ("delimiter", "/")
_ORDERED = ("B", "_", "a", "ab-c", "ab/c", "ab/d/e", "ab0", "abc", "é1", "ê")
"""Keys in the order of their bytes, and in no other order that servers are known to list them in."""


@check("LIST-01", operation="ListObjectsV2", quick=True)
def lists_objects(probe: Probe) -> None:
    """A listing names bucket, prefix and counts, and each object with its time, ETag, size and class."""
    key = probe.given_object("object")
    reply = listed(probe)
    names = ("Name", "Prefix", "KeyCount", "IsTruncated")
    expected = [probe.bucket, probe.prefix, "1", "false"]
    equal([reply.text(name) for name in names], expected, f"{', '.join(names)} of a listing of one object")
    reply.need_text("MaxKeys")
    (row,) = rows_of(reply) if len(rows_of(reply)) == 1 else ({},)
    equal((row.get("Key"), row.get("Size")), (key, str(len(CONTENT))), "Key and Size of the only row")
    iso_time(row.get("LastModified", ""))
    for name in ("ETag", "StorageClass"):
        require(row.get(name), f"the row of an object: expected an element {name}, got {row!r}")


@check("LIST-01", operation="ListObjectsV2")
def lists_nothing(probe: Probe) -> None:
    """A listing that finds nothing has no rows and counts zero."""
    reply = listed(probe)
    found = (keys_of(probe, reply), reply.text("KeyCount"), reply.text("IsTruncated"))
    equal(found, ([], "0", "false"), "keys, KeyCount and IsTruncated where no key has the prefix")


@check("LIST-02", operation="ListObjectsV2")
def keys_ascend(probe: Probe) -> None:
    """Keys ascend byte by byte: capitals before small letters, and a hyphen before a slash."""
    shelf = shared_keys(probe, *_ORDERED)
    equal(keys_of(shelf, listed(shelf)), list(_ORDERED), "the order of keys in a listing")


@check("LIST-02", operation="ListObjectsV2")
def utf_8_not_utf_16(probe: Probe) -> None:
    """Keys ascend as UTF-8, not as UTF-16: U+FFFD comes before U+10000."""
    ordered = ["z", "\ufffd", "\U00010000"]
    put_keys(probe, *reversed(ordered))
    equal(keys_of(probe, listed(probe)), ordered, "the order of keys in a listing")


@check("LIST-03", operation="ListObjectsV2")
def prefix_of_bytes(probe: Probe) -> None:
    """A prefix selects the keys that begin with it, wherever it ends."""
    shelf = shared_keys(probe, *_ORDERED)
    cases = {
        "ab": ["ab-c", "ab/c", "ab/d/e", "ab0", "abc"],
        "ab/": ["ab/c", "ab/d/e"],
        "AB": [],
        "é": ["é1"],
    }
    for prefix, expected in cases.items():
        found = sorted(keys_of(shelf, listed(shelf, ("prefix", shelf.key(prefix)))))
        equal(found, expected, f"the keys with the prefix {prefix!r}")


@check("LIST-03", operation="ListObjectsV2", needs=("whole-bucket",))
def empty_prefix(probe: Probe) -> None:
    """An empty prefix lists all keys."""
    key = probe.shared_object()
    is_listed = any(key in page.texts("Contents/Key") for page in pages(probe, ("prefix", "")))
    require(is_listed, f"a listing with an empty prefix: expected {key!r} in one of its pages, got none")


@check("LIST-04", operation="ListObjectsV2")
def rolls_up_at_delimiter(probe: Probe) -> None:
    """Keys that hold the delimiter behind the prefix are rolled up, up to and including its first occurrence."""
    shelf = shared_keys(probe, *TREE)
    for prefix, keys, prefixes in (
        ("", ["a", "c", "e"], ["b/", "d/"]),
        ("b", [], ["b/"]),
        ("b/", ["b/1"], ["b/2/"]),
        ("b/2/", ["b/2/x", "b/2/y"], []),
    ):
        reply = listed(shelf, _DELIMITER, ("prefix", shelf.key(prefix)))
        found = (sorted(keys_of(shelf, reply)), sorted(prefixes_of(shelf, reply)))
        equal(found, (keys, prefixes), f"keys and common prefixes, delimiter '/' and prefix {prefix!r}")


@check("LIST-04", operation="ListObjectsV2")
def long_delimiter(probe: Probe) -> None:
    """A delimiter may be any character, and may have several."""
    shelf = shared_keys(probe, *TREE)
    for delimiter, keys, prefixes in (
        ("/2", ["a", "b/1", "c", "d/1", "e"], ["b/2", "d/2"]),
        ("1", ["a", "b/2/x", "b/2/y", "c", "d/2", "e"], ["b/1", "d/1"]),
        ("?", sorted(TREE), []),
    ):
        reply = listed(shelf, ("delimiter", delimiter))
        found = (sorted(keys_of(shelf, reply)), sorted(prefixes_of(shelf, reply)))
        equal(found, (keys, prefixes), f"keys and common prefixes, delimiter {delimiter!r}")


@check("LIST-04", operation="ListObjectsV2")
def empty_delimiter(probe: Probe) -> None:
    """An empty delimiter counts as none."""
    shelf = shared_keys(probe, *TREE)
    reply = listed(shelf, ("delimiter", ""))
    found = (keys_of(shelf, reply), prefixes_of(shelf, reply))
    equal(found, (list(TREE), []), "keys and common prefixes with an empty delimiter")


@check("LIST-06", operation="ListObjectsV2")
def key_equal_to_prefix(probe: Probe) -> None:
    """A key that equals the prefix is listed, with a delimiter too."""
    probe.given_object("a/", b"")  # with content it would be about KEY-07 too
    put_keys(probe, "a/b")
    for query in ((), (_DELIMITER,)):
        reply = listed(probe, ("prefix", probe.key("a/")), *query)
        found = (keys_of(probe, reply), prefixes_of(probe, reply))
        equal(found, (["a/", "a/b"], []), f"keys and common prefixes with the prefix 'a/' and {query}")


@check("LIST-17", operation="ListObjectsV2")
def unknown_encoding(probe: Probe) -> None:
    """An encoding-type that is not url, or is empty, is refused with 400 InvalidArgument."""
    for value in ("xml", ""):
        reply = probe.list_keys(("encoding-type", value))
        reply.expect("400 InvalidArgument", about=f"a listing with encoding-type={value}")


@check("LIST-18", operation="ListObjectsV2")
def escapes_keys(probe: Probe) -> None:
    """Without encoding-type, keys with characters of XML's own are escaped and come back as they are."""
    shelf = shared_keys(probe, *ODD)
    equal(sorted(keys_of(shelf, listed(shelf))), sorted(ODD), "the keys of a listing without encoding-type")


@check("LIST-18", operation="ListObjectsV2")
def escapes_white_space(probe: Probe) -> None:
    """Without encoding-type, tabs and line ends in keys come back as they are."""
    stored = [name for name in ("a\tb", "a\nb", "a\r\nb") if _is_stored(probe, name)]
    equal(
        sorted(keys_of(probe, listed(probe))), sorted(stored), "the keys of a listing without encoding-type"
    )


@check("LIST-18", operation="ListObjectsV2")
def stays_well_formed(probe: Probe) -> None:
    """Keys that XML 1.0 can't carry leave a listing well-formed."""
    stored = [name for name in ("a\x01b", "a\x1fb/c", "\ufffe") if _is_stored(probe, name)]
    reply = listed(probe)
    equal(len(keys_of(probe, reply)), len(stored), f"the number of rows for the keys {stored!r}")
    listed(probe, _DELIMITER)


@check("LIST-19", operation="ListObjectsV2")
def owner_on_request(probe: Probe) -> None:
    """Rows have an Owner with fetch-owner=true, and none by default."""
    shelf = shared_keys(probe, *TREE)
    asked = listed(shelf, ("fetch-owner", "true"))
    require(asked.text("Contents/Owner/ID"), "a listing with fetch-owner=true: expected Owner/ID, got none")
    equal(len(listed(shelf).texts("Contents/Owner")), 0, "the number of Owners in a listing by default")


@check("LIST-20", operation="ListObjectsV2")
def rows_equal_head(probe: Probe) -> None:
    """Size and ETag of a row equal HEAD's, and LastModified to the second."""
    probe.given_object("empty", b"")
    probe.given_object("large", b"large " * 20_000)
    rows = rows_of(listed(probe))
    equal(len(rows), 2, "the number of rows for two objects")
    for row in rows:
        head = probe.head(row.get("Key", "")).expect("200", about="HEAD of a key that is listed")
        equal(row.get("Size"), head.need("content-length"), "Size of a row, against HEAD's")
        equal(row.get("ETag"), head.etag, "ETag of a row, against HEAD's")
        listed_at = iso_time(row.get("LastModified", "")).replace(microsecond=0)
        expected = http_time(head.need("last-modified"))
        equal(listed_at.isoformat(), expected.isoformat(), "LastModified of a row, against HEAD's")


@check("LIST-23", operation="ListObjectsV2", where="multipart")
def no_unfinished_uploads(probe: Probe) -> None:
    """Unfinished uploads and their parts are not listed."""
    probe.given_part(probe.given_upload("a/upload"))
    probe.given_object("object")
    equal(keys_of(probe, listed(probe)), ["object"], "the keys listed beside an unfinished upload")
    reply = listed(probe, _DELIMITER)
    equal(prefixes_of(probe, reply), [], "the common prefixes listed beside an unfinished upload")


@check("LIST-23", operation="ListObjectsV2", needs=("buckets",))
def no_files_of_the_server(probe: Probe) -> None:
    """A listing of a whole bucket shows no key that nobody stored."""
    bucket, run_id = probe.aside(), probe.ground.journal.run_id
    key = probe.given_object("object", bucket=bucket)
    query = [("list-type", "2"), ("encoding-type", "url")]
    reply = probe.request("GET", probe.path(bucket=bucket), query).expect("200")
    found = [unquote_plus(text) for text in reply.texts("Contents/Key")]
    made = probe.ground.journal.made.objects
    strange = [each for each in found if run_id not in each and (bucket, each) not in made]
    require(key in found or reply.text("IsTruncated") == "true", f"a listing of a bucket: no key {key!r}")
    equal(strange, [], "the keys in a bucket that this run did not store")


@check("LIST-24", "ERR-02", operation="ListObjectsV2")
def missing_bucket(probe: Probe) -> None:
    """A listing of a bucket that does not exist is refused with 404 NoSuchBucket."""
    reply = probe.list_keys(bucket=probe.missing_bucket)
    reply.expect("404 NoSuchBucket", about="a listing of a bucket that does not exist")


@check("LIST-25", operation="ListObjects", quick=True)
def version_1(probe: Probe) -> None:
    """Without list-type, objects are listed, with an Owner by default."""
    shelf = shared_keys(probe, *TREE)
    reply = listed_v1(shelf)
    equal(keys_of(shelf, reply), list(TREE), "the keys of a listing without list-type")
    names = ("Name", "Prefix", "IsTruncated")
    expected = [shelf.bucket, shelf.prefix, "false"]
    equal([reply.text(name) for name in names], expected, f"{', '.join(names)} of a listing")
    reply.need_text("MaxKeys")
    require(reply.text("Contents/Owner/ID"), "a listing without list-type: expected Owner/ID, got none")


@check("LIST-25", operation="ListObjects")
def version_1_marker(probe: Probe) -> None:
    """A listing of version 1 begins strictly after its marker, whether or not that is a key, and echoes it."""
    shelf = shared_keys(probe, *TREE)
    for marker, expected in (("d/1", ["d/2", "e"]), ("d/1a", ["d/2", "e"]), ("e", [])):
        reply = listed_v1(shelf, ("marker", shelf.key(marker)))
        equal(keys_of(shelf, reply), expected, f"the keys after the marker {marker!r}")
        equal(reply.text("Marker"), shelf.key(marker), "the Marker that is echoed")


@check("LIST-25", operation="ListObjects")
def version_1_delimiter(probe: Probe) -> None:
    """A listing of version 1 rolls keys up at a delimiter."""
    shelf = shared_keys(probe, *TREE)
    reply = listed_v1(shelf, _DELIMITER)
    found = (keys_of(shelf, reply), prefixes_of(shelf, reply), reply.text("Delimiter"))
    equal(
        found,
        (["a", "c", "e"], ["b/", "d/"], "/"),
        "keys, common prefixes and Delimiter of a listing of version 1",
    )


@check("LIST-25", operation="ListObjects")
def version_1_encoding(probe: Probe) -> None:
    """A listing of version 1 encodes keys and its marker with encoding-type=url."""
    shelf = shared_keys(probe, *ODD)
    reply = listed_v1(shelf, ("encoding-type", "url"), ("marker", shelf.key("~~ é")))
    equal(reply.text("EncodingType"), "url", "the EncodingType that is echoed")
    for what, text in (("Marker", "~~ é"), ("Contents/Key", "é+\ufffd\U00010000")):
        found = reply.need_text(what)
        equal(unquote_plus(found), shelf.key(text), f"{what}, decoded from {found!r}")


# --- within --------------------------------------------------------------------------------------------------


def _is_stored(probe: Probe, name: str) -> bool:
    """Store an object; False if its key is refused, which a server may do with odd keys (KEY-03)."""
    with probe.setting_up("an object could not be stored"):
        reply = probe.put(probe.key(name), b"x").expect("200", "400")
    if reply.status == 400:
        probe.report(f"the key {name!r} is refused")
    return reply.status == 200
