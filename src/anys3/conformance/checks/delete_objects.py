"""DeleteObjects: DELS-01 to DELS-11."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from anys3.client import signing
from anys3.conformance.digests import crc32_base64, md5_base64
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import NAMESPACE, Reply, equal, require

_MOST_KEYS = 1_000
_NO_VERSION = "<VersionId>abc</VersionId>"
_FALSE_CONDITIONS = {
    "ETag": "<ETag>&quot;00000000000000000000000000000000&quot;</ETag>",
    "Size": "<Size>999999</Size>",
    "LastModifiedTime": "<LastModifiedTime>Thu, 01 Jan 1998 00:00:00 GMT</LastModifiedTime>",
}


def _expect_left(probe: Probe, about: str, *keys: str) -> None:
    """Raise Failed unless those objects are left of the attempt's own."""
    listed = probe.list_keys().expect("200", about=f"the list after {about}")
    equal(listed.texts("Contents/Key"), list(keys), f"the keys that are left after {about}")


@check("DELS-01", operation="DeleteObjects", quick=True)
def deletes_and_reports(probe: Probe) -> None:
    """Each key that is named is deleted and reported once; others stay."""
    keys = [probe.given_object(name) for name in ("a", "b", "stays")]
    reply = _delete(probe, _of_keys(*keys[:2])).expect("200", about="DeleteObjects of two keys")
    equal(reply.xml.tag, "DeleteResult", "the root of the answer")
    equal(sorted(reply.texts("Deleted/Key")), keys[:2], "the keys that are reported as Deleted")
    equal(reply.texts("Error/Key"), [], "the keys that are reported as Error")
    _expect_left(probe, "DeleteObjects of two of three objects", keys[2])


@check("DELS-02", operation="DeleteObjects")
def quiet_lists_nothing(probe: Probe) -> None:
    """With Quiet, keys that were deleted are not listed."""
    keys = [probe.given_object(name) for name in ("a", "b")]
    reply = _delete(probe, _of_keys(*keys, head="<Quiet>true</Quiet>"))
    reply.expect("200", about="DeleteObjects with Quiet")
    equal(reply.xml.tag, "DeleteResult", "the root of the answer")
    equal(reply.texts("Deleted/Key"), [], "the keys that are reported as Deleted with Quiet")
    _expect_left(probe, "DeleteObjects of both objects with Quiet")


@check("DELS-02", operation="DeleteObjects")
def quiet_lists_errors(probe: Probe) -> None:
    """With Quiet, a key that could not be deleted is listed."""
    deleted, kept = probe.given_object("a"), probe.given_object("b")
    rows = [_key(deleted), _key(kept) + _NO_VERSION]
    reply = _delete(probe, _document(*rows, head="<Quiet>true</Quiet>"))
    reply.expect("200", about="DeleteObjects with Quiet, one key with a VersionId that does not exist")
    equal(reply.texts("Error/Key"), [kept], "the keys that are reported as Error with Quiet")
    equal(reply.texts("Deleted/Key"), [], "the keys that are reported as Deleted with Quiet")


@check("DELS-03", operation="DeleteObjects")
def thousand_keys(probe: Probe) -> None:
    """1,000 keys are deleted by one request."""
    keys = [probe.key(f"k{number:04}") for number in range(_MOST_KEYS)]
    for name in ("k0000", "k0999"):
        probe.given_object(name)
    reply = _delete(probe, _of_keys(*keys)).expect("200", about="DeleteObjects of 1,000 keys")
    reported = sorted(reply.texts("Deleted/Key"))
    require(
        reported == keys,
        f"DeleteObjects of 1,000 keys: expected each of them as Deleted, got {len(reported)}",
    )
    _expect_left(probe, "DeleteObjects of 1,000 keys")


@check("DELS-03", operation="DeleteObjects")
def one_key_too_many(probe: Probe) -> None:
    """1,001 keys are refused with MalformedXML, and nothing is deleted."""
    first, last = probe.given_object("k0000"), probe.given_object("k1000")
    keys = [probe.key(f"k{number:04}") for number in range(_MOST_KEYS + 1)]
    _delete(probe, _of_keys(*keys)).expect("400 MalformedXML", about="DeleteObjects of 1,001 keys")
    _expect_left(probe, "DeleteObjects of 1,001 keys", first, last)


@check("DELS-04", operation="DeleteObjects")
def missing_keys(probe: Probe) -> None:
    """Keys that are not there are reported as Deleted."""
    keys = [probe.key("neither"), probe.key("never")]
    reply = _delete(probe, _of_keys(*keys)).expect("200", about="DeleteObjects of missing keys")
    equal(sorted(reply.texts("Deleted/Key")), keys, "the keys that are reported as Deleted")
    equal(reply.texts("Error/Key"), [], "the keys that are reported as Error")


@check("DELS-05", operation="DeleteObjects")
def no_integrity_value(probe: Probe) -> None:
    """Without Content-MD5 or a checksum the request is refused; a provider may be lenient."""
    key = probe.given_object()
    reply = probe.request("POST", probe.path(), "delete", body=_of_keys(key))
    reply.expect("400 InvalidRequest", "200", about="DeleteObjects without an integrity value")
    if reply.status == 200:
        probe.report("DeleteObjects is accepted without Content-MD5 and without a checksum")
        return
    probe.expect_content(key, CONTENT, about="an object after a DeleteObjects that was refused")


@check("DELS-05", operation="DeleteObjects")
def sha256_is_enough(probe: Probe) -> None:
    """Any x-amz-checksum-* header is an integrity value: x-amz-checksum-sha256 alone is accepted."""
    key = probe.given_object()
    body = _of_keys(key)
    headers = {"x-amz-checksum-sha256": b64encode(hashlib.sha256(body).digest()).decode()}
    _accepts(probe, key, _delete(probe, body, headers), "x-amz-checksum-sha256 alone")


@check("DELS-05", operation="DeleteObjects")
def trailer_is_enough(probe: Probe) -> None:
    """A checksum that is announced in x-amz-trailer and follows the body is an integrity value."""
    key = probe.given_object()
    reply = _delete_with_trailer(probe, _of_keys(key))
    _accepts(probe, key, reply, "a checksum as a trailer")


@check("DELS-06", operation="DeleteObjects")
def md5_alone(probe: Probe) -> None:
    """Content-MD5 alone is enough."""
    key = probe.given_object()
    body = _of_keys(key)
    _accepts(probe, key, _delete(probe, body, {"content-md5": md5_base64(body)}), "Content-MD5 alone")


@check("DELS-06", operation="DeleteObjects")
def crc32_alone(probe: Probe) -> None:
    """x-amz-checksum-crc32 alone is enough."""
    key = probe.given_object()
    body = _of_keys(key)
    reply = _delete(probe, body, {"x-amz-checksum-crc32": crc32_base64(body)})
    _accepts(probe, key, reply, "x-amz-checksum-crc32 alone")


@check("DELS-06", operation="DeleteObjects")
def wrong_md5(probe: Probe) -> None:
    """With a Content-MD5 of other bytes nothing is deleted."""
    key = probe.given_object()
    reply = _delete(probe, _of_keys(key), {"content-md5": md5_base64(b"other bytes")})
    reply.expect("400 BadDigest", about="DeleteObjects with the Content-MD5 of other bytes")
    probe.expect_content(key, CONTENT, about="an object after DeleteObjects with a wrong Content-MD5")


@check("DELS-06", operation="DeleteObjects")
def wrong_crc32(probe: Probe) -> None:
    """With an x-amz-checksum-crc32 of other bytes nothing is deleted."""
    key = probe.given_object()
    reply = _delete(probe, _of_keys(key), {"x-amz-checksum-crc32": crc32_base64(b"other bytes")})
    reply.expect("400 BadDigest", about="DeleteObjects with the CRC32 of other bytes")
    probe.expect_content(key, CONTENT, about="an object after DeleteObjects with a wrong CRC32")


@check("DELS-07", operation="DeleteObjects")
def key_is_not_url_decoded(probe: Probe) -> None:
    """A key in the document is not URL-decoded: `a%2Fb` and `c+d` are deleted, `a/b` and `c d` are not."""
    _deletes_these_alone(probe, {"a%2Fb": "a%2Fb", "c+d": "c+d"}, "a/b", "c d")


@check("DELS-07", operation="DeleteObjects")
def key_is_not_trimmed(probe: Probe) -> None:
    """A key in the document is not trimmed: a space at its end belongs to it."""
    _deletes_these_alone(probe, {"a ": "a "}, "a")


@check("DELS-07", operation="DeleteObjects")
def key_is_unescaped(probe: Probe) -> None:
    """A key in the document is read as XML: entities and character references are the characters."""
    _deletes_these_alone(probe, {"a&b": "a&amp;b", "<c>": "&lt;c&gt;", "d+e": "d&#43;e"}, "a&amp;b")


@check("DELS-08", operation="DeleteObjects")
def no_object(probe: Probe) -> None:
    """A document without any Object is refused with MalformedXML."""
    for head in ("", "<Quiet>true</Quiet>"):
        reply = _delete(probe, _document(head=head))
        reply.expect("400 MalformedXML", about=f"DeleteObjects with {head or 'nothing'} in the document")


@check("DELS-09", operation="DeleteObjects")
def error_per_key(probe: Probe) -> None:
    """What fails for one key is an Error with Key, Code and Message in a 200 answer; the others are deleted."""
    first, bad, last = (probe.given_object(name) for name in ("a", "b", "c"))
    reply = _delete(probe, _document(_key(first), _key(bad) + _NO_VERSION, _key(last)))
    reply.expect("200", about="DeleteObjects of three keys, one with a VersionId that does not exist")
    equal(reply.texts("Error/Key"), [bad], "the keys that are reported as Error")
    reply.need_text("Error/Code")
    require(reply.text("Error/Message") is not None, "the Error of one key: expected a Message, got none")
    equal(sorted(reply.texts("Deleted/Key")), [first, last], "the keys that are reported as Deleted")
    _expect_left(probe, "DeleteObjects of three objects, one of which is an Error", bad)


@check("DELS-10", operation="DeleteObjects")
def missing_bucket(probe: Probe) -> None:
    """DeleteObjects in a bucket that does not exist answers NoSuchBucket."""
    reply = _delete(probe, _of_keys(probe.key()), bucket=probe.missing_bucket)
    reply.expect("404 NoSuchBucket", about="DeleteObjects in a missing bucket")


@check("DELS-11", operation="DeleteObjects")
def version_null(probe: Probe) -> None:
    """The VersionId `null` is the object, which is deleted."""
    key = probe.given_object()
    reply = _delete(probe, _document(_key(key) + "<VersionId>null</VersionId>"))
    _accepts(probe, key, reply, "the VersionId null")


@check("DELS-11", operation="DeleteObjects")
def other_version(probe: Probe) -> None:
    """A VersionId that does not exist is an Error of its key, and the object stays."""
    key = probe.given_object()
    reply = _delete(probe, _document(_key(key) + _NO_VERSION))
    _keeps(probe, key, reply, "a VersionId that does not exist")


@check("DELS-11", operation="DeleteObjects")
def false_conditions(probe: Probe) -> None:
    """A key whose ETag, Size or LastModifiedTime does not match is not deleted: it is an Error."""
    key = probe.given_object()
    for name, condition in _FALSE_CONDITIONS.items():
        reply = _delete(probe, _document(_key(key) + condition))
        _reports_error(key, reply, f"a false {name}")
        code = reply.need_text("Error/Code")
        require(
            code in ("NotImplemented", "PreconditionFailed"),
            f"DeleteObjects with a false {name}: expected NotImplemented or PreconditionFailed, got {code}",
        )
    probe.expect_content(key, CONTENT, about="the object after DeleteObjects with false conditions")


@check("DELS-11", operation="DeleteObjects")
def true_conditions(probe: Probe) -> None:
    """A key whose ETag or Size matches is deleted, or is an Error NotImplemented and stays."""
    etag = escape(probe.head(probe.given_object("etag")).expect("200").etag)
    probe.given_object("size")
    conditions = {"etag": f"<ETag>{etag}</ETag>", "size": f"<Size>{len(CONTENT)}</Size>"}
    for name, condition in conditions.items():
        key = probe.key(name)
        reply = _delete(probe, _document(_key(key) + condition))
        reply.expect("200", about=f"DeleteObjects with a true {name}")
        if reply.texts("Deleted/Key") == [key]:
            probe.expect_no_object(key, about=f"an object after DeleteObjects with a true {name}")
        else:
            _keeps(probe, key, reply, f"a true {name}")
            equal(reply.text("Error/Code"), "NotImplemented", f"the Code of a true {name}")


# --- requests ------------------------------------------------------------------------------------------------


def _key(key: str) -> str:
    return f"<Key>{escape(key)}</Key>"


def _document(*rows: str, head: str = "") -> bytes:
    """Return the body; `rows` are the insides of the Object elements."""
    objects = "".join(f"<Object>{row}</Object>" for row in rows)
    return f'<Delete xmlns="{NAMESPACE}">{head}{objects}</Delete>'.encode()


def _of_keys(*keys: str, head: str = "") -> bytes:
    return _document(*map(_key, keys), head=head)


def _delete(
    probe: Probe, body: bytes, integrity: Mapping[str, str] | None = None, bucket: str | None = None
) -> Reply:
    """Send DeleteObjects, by default with Content-MD5, as the API has always asked for."""
    headers = {"content-md5": md5_base64(body)} if integrity is None else integrity
    return probe.request("POST", probe.path(bucket=bucket), "delete", headers, body)


def _delete_with_trailer(probe: Probe, body: bytes) -> Reply:
    """Send DeleteObjects as SDKs do where checksums are trailers: unsigned over TLS only."""
    is_tls = probe.ground.endpoint.is_tls
    mode = signing.STREAMING_UNSIGNED_TRAILER if is_tls else signing.STREAMING_SIGNED_TRAILER
    lines = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(body)),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    draft = probe.draft("POST", probe.path(), "delete", lines, payload_hash=mode)
    date = draft.header("x-amz-date")
    wire = signing.chunked(
        [body], mode=mode, seed=draft.signature, credentials=probe.main.credentials,
        scope=probe.main.scope(date), amz_date=date, trailers=[("x-amz-checksum-crc32", crc32_base64(body))],
    )  # fmt: skip
    length = ("content-length", str(len(wire)))
    return probe.send(replace(draft, headers=(*draft.headers, length)), wire)


# --- observations --------------------------------------------------------------------------------------------


def _accepts(probe: Probe, key: str, reply: Reply, what: str) -> None:
    """Raise Failed unless the key was deleted, and is reported so."""
    reply.expect("200", about=f"DeleteObjects with {what}")
    equal(reply.texts("Error/Code"), [], f"the codes of keys that were not deleted with {what}")
    equal(reply.texts("Deleted/Key"), [key], f"the keys that are reported as Deleted with {what}")
    probe.expect_no_object(key, about=f"an object after DeleteObjects with {what}")


def _keeps(probe: Probe, key: str, reply: Reply, what: str) -> None:
    """Raise Failed unless the key is there, and reported as the one Error."""
    probe.expect_content(key, CONTENT, about=f"the object after DeleteObjects with {what}")
    _reports_error(key, reply, what)


def _reports_error(key: str, reply: Reply, what: str) -> None:
    """Raise Failed unless the key is reported as the one Error."""
    reply.expect("200", about=f"DeleteObjects with {what}")
    equal(reply.texts("Error/Key"), [key], f"the keys that are reported as Error with {what}")
    equal(reply.texts("Deleted/Key"), [], f"the keys that are reported as Deleted with {what}")


def _deletes_these_alone(probe: Probe, written: Mapping[str, str], *others: str) -> None:
    """Delete keys, given as they are and as the document writes them; the others must stay."""
    for name in (*written, *others):
        probe.given_object(name)
    rows = [f"<Key>{escape(probe.prefix)}{text}</Key>" for text in written.values()]
    reply = _delete(probe, _document(*rows))
    reply.expect("200", about=f"DeleteObjects of {', '.join(map(repr, written))}")
    listed = probe.list_keys(("encoding-type", "url")).expect("200", about="a listing of what is left")
    is_encoded = listed.text("EncodingType") == "url"
    left = {unquote_plus(key) if is_encoded else key for key in listed.texts("Contents/Key")}
    equal(left, {probe.key(name) for name in others}, "the keys that are left: those that were not named")
    expected = sorted(probe.key(name) for name in written)
    equal(sorted(reply.texts("Deleted/Key")), expected, "the keys that are reported as Deleted")
