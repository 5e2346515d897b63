"""Tags of objects: TAG-01 to TAG-08."""

from __future__ import annotations

import time
from collections.abc import Mapping
from xml.sax.saxutils import escape

from anys3.conformance.digests import md5_base64
from anys3.conformance.kit.multipart import given_end
from anys3.conformance.kit.together import together
from anys3.conformance.probe import CONTENT, Probe, Upload
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal

_GET, _PUT, _DELETE = "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"
_HEADER, _COUNT, _DIRECTIVE = "x-amz-tagging", "x-amz-tagging-count", "x-amz-tagging-directive"
_QUERY = "tagging"
_MALFORMED = "400 MalformedXML"
_REFUSED = ("400 InvalidTag", "400 BadRequest", "400 InvalidArgument")
_RESOLUTION_S = 1.1
_ENCODED = "a%20b=c%3Dd%2B&%D0%BA=%C3%BC"
_DECODED = {"a b": "c=d+", "к": "ü"}
_LONGEST = {"k" * 128: "v" * 256, "к" * 128: "ü" * 256} | {f"k{number}": "" for number in range(8)}
_KEPT = {"kept": "1"}


def _row(key: str, value: str) -> str:
    return f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>"


def _document(rows: str) -> bytes:
    """Return a Tagging document with these rows."""
    return (
        f'<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>{rows}</TagSet></Tagging>'.encode()
    )


def _of(tags: Mapping[str, str]) -> bytes:
    return _document("".join(_row(*tag) for tag in tags.items()))


def _md5_of(document: bytes) -> dict[str, str]:
    return {"content-md5": md5_base64(document)}


def _put(probe: Probe, key: str, document: bytes) -> Reply:
    """PUT ?tagging, with the Content-MD5 that every client sends."""
    return probe.request("PUT", probe.path(key), _QUERY, _md5_of(document), document)


def _given_tags(probe: Probe, key: str, tags: Mapping[str, str]) -> str:
    """Give an object tags, or block the check. Returns its key."""
    with probe.setting_up("an object could not be given tags"):
        _put(probe, key, _of(tags)).expect("200")
    return key


def _expect_tags(probe: Probe, key: str, tags: Mapping[str, str], about: str) -> None:
    """Raise Failed unless an object has these tags, in any order."""
    reply = probe.get(key, query=_QUERY).expect("200", about=f"GET ?tagging of {about}")
    document = reply.xml
    equal(document.tag, "Tagging", f"the root of GET ?tagging of {about}")
    equal(len(document.findall("TagSet")), 1, f"how many TagSet elements GET ?tagging of {about} has")
    found = [(tag.findtext("Key"), tag.findtext("Value")) for tag in document.findall("TagSet/Tag")]
    equal(sorted(found, key=str), sorted(tags.items(), key=str), f"the tags of {about}")


@check("TAG-01", operation=_PUT, quick=True)
def put_tags(probe: Probe) -> None:
    """PUT ?tagging gives an object tags, which GET ?tagging tells."""
    key = probe.given_object()
    tags = {"colour": "deep blue", "a+b=c": "x/y:z@1.2_-", "empty": ""}
    _put(probe, key, _of(tags)).expect("200", about="PUT ?tagging")
    _expect_tags(probe, key, tags, "an object with tags")


@check("TAG-01", operation=_DELETE, quick=True)
def delete_tags(probe: Probe) -> None:
    """DELETE ?tagging takes an object's tags away, and leaves the object."""
    key = _given_tags(probe, probe.given_object(), _KEPT)
    probe.delete(key, query=_QUERY).expect("204", about="DELETE ?tagging")
    _expect_tags(probe, key, {}, "an object after DELETE ?tagging")


@check("TAG-02", operation=_GET, quick=True)
def no_tags(probe: Probe) -> None:
    """GET ?tagging of an object without tags is an empty TagSet."""
    _expect_tags(probe, probe.shared_object(), {}, "an object without tags")


@check("TAG-03", operation="PutObject")
def tags_of_a_put(probe: Probe) -> None:
    """x-amz-tagging of a PUT is decoded as a URL query and stored."""
    probe.put(probe.key(), headers={_HEADER: _ENCODED}).expect("200", about=f"PUT with {_HEADER}")
    _expect_tags(probe, probe.key(), _DECODED, f"an object put with {_HEADER}: {_ENCODED}")


@check("TAG-03", operation="CreateMultipartUpload")
def tags_of_an_upload(probe: Probe) -> None:
    """x-amz-tagging of a multipart upload is decoded as a URL query and stored with the object."""
    key = probe.key()
    reply = probe.request("POST", probe.path(key), "uploads", {_HEADER: _ENCODED})
    reply.expect("200", about=f"CreateMultipartUpload with {_HEADER}")
    upload = Upload(probe.bucket, key, reply.need_text("UploadId"))
    given_end(probe, upload, (probe.given_part(upload),))
    _expect_tags(probe, key, _DECODED, f"an object of an upload with {_HEADER}: {_ENCODED}")


@check("TAG-04", operation=_PUT)
def tags_within_the_limits(probe: Probe) -> None:
    """Ten tags, keys of 128 and values of 256 characters, empty values and empty sets are accepted."""
    key = probe.given_object()
    about = "PUT ?tagging with ten tags, keys of 128 and values of 256 characters"
    _put(probe, key, _of(_LONGEST)).expect("200", about=about)
    _expect_tags(probe, key, _LONGEST, "an object with the most and longest tags")
    _put(probe, key, _of({})).expect("200", about="PUT ?tagging with an empty TagSet")


@check("TAG-04", operation=_PUT)
def tags_beyond_the_limits(probe: Probe) -> None:
    """Too many or too long tags, repeated keys, the prefix aws: and incomplete tags are refused."""
    key = _given_tags(probe, probe.given_object(), _KEPT)
    trials = (
        ("11 tags", _of({f"k{number}": "v" for number in range(11)}), _REFUSED),
        ("a key of 129 characters", _of({"k" * 129: "v"}), _REFUSED),
        ("a value of 257 characters", _of({"k": "v" * 257}), _REFUSED),
        ("the key aws:k", _of({"aws:k": "v"}), _REFUSED),
        ("a key twice", _document(_row("a", "1") + _row("a", "2")), _REFUSED),
        ("a Tag without a Key", _document("<Tag><Value>1</Value></Tag>"), (_MALFORMED,)),
        ("a Tag without a Value", _document("<Tag><Key>a</Key></Tag>"), (_MALFORMED,)),
    )
    with together() as each:
        for what, document, expected in trials:
            with each():
                _put(probe, key, document).expect(*expected, about=f"PUT ?tagging with {what}")
        with each():
            reply = probe.put(
                probe.key("eleven"), headers={_HEADER: "&".join(f"k{number}=v" for number in range(11))}
            )
            reply.expect(*_REFUSED, about=f"PUT with 11 tags in {_HEADER}")
        with each():
            _expect_tags(probe, key, _KEPT, "an object after PUTs of tags that were refused")


@check("TAG-05", operation="GetObject")
def count_of_tags(probe: Probe) -> None:
    """GET and HEAD tell the number of tags in x-amz-tagging-count, and nothing if there are none."""
    without = probe.shared_object()
    key = _given_tags(probe, probe.given_object(), {"a": "1", "b": "2"})
    with together() as each:
        for ask, one, count in ((probe.get, key, "2"), (probe.head, key, "2"), (probe.head, without, None)):
            with each():
                reply = ask(one).expect("200")
                about = f"{reply.exchange.method} of an object with {count or 'no'} tags"
                equal(reply.header(_COUNT), count, f"{_COUNT} of {about}")


@check("TAG-06", operation=_PUT)
def only_the_tags_change(probe: Probe) -> None:
    """PUT ?tagging replaces all tags, and changes neither content, ETag nor Last-Modified."""
    key = _given_tags(probe, probe.given_object(), {"a": "1", "b": "2"})
    before = probe.get(key).expect("200")
    time.sleep(_RESOLUTION_S)  # another Last-Modified would be seen
    _put(probe, key, _of({"c": "3"})).expect("200", about="PUT ?tagging of an object with other tags")
    _expect_tags(probe, key, {"c": "3"}, "an object after its tags were replaced")
    after = probe.expect_content(key, CONTENT, about="the object after its tags were replaced")
    for name in ("etag", "last-modified"):
        equal(after.need(name), before.need(name), f"{name} after the tags were replaced")


@check("TAG-07", operation="CopyObject")
def tags_of_a_copy(probe: Probe) -> None:
    """A copy has the tags of its source, or with x-amz-tagging-directive: REPLACE those of the request."""
    source = _given_tags(probe, probe.given_object("source"), {"a": "1"})
    replaced = {_DIRECTIVE: "REPLACE", _HEADER: "b=2"}
    trials: tuple[tuple[dict[str, str], dict[str, str]], ...] = (({}, {"a": "1"}), (replaced, {"b": "2"}))
    with together() as each:
        for number, (headers, tags) in enumerate(trials):
            with each():
                key = probe.key(f"copy-{number}")
                about = f"a copy with {headers or 'no directive'}"
                lines = {"x-amz-copy-source": probe.path(source), **headers}
                probe.request("PUT", probe.path(key), headers=lines).expect("200", about=about)
                _expect_tags(probe, key, tags, about)


@check("TAG-08", operation="PutObject")
def a_new_object_has_none(probe: Probe) -> None:
    """An object that is overwritten, or deleted and put again, without tags has none."""
    key = _given_tags(probe, probe.given_object(), _KEPT)
    probe.put(key).expect("200", about="PUT without tags over an object with tags")
    with together() as each:
        with each():
            _expect_tags(probe, key, {}, "an object that was overwritten without tags")
        with each():
            _given_tags(probe, key, _KEPT)
            with probe.setting_up("an object could not be deleted and put again"):
                probe.delete(key).expect("204")
                probe.put(key).expect("200")
            _expect_tags(probe, key, {}, "an object that was deleted and put again without tags")


@check("TAG-08", operation="CompleteMultipartUpload")
def a_new_object_of_parts_has_none(probe: Probe) -> None:
    """An object that is overwritten by a multipart upload without tags has none."""
    upload = probe.given_upload()
    part = probe.given_part(upload)
    key = _given_tags(probe, probe.given_object(), _KEPT)
    given_end(probe, upload, (part,))
    _expect_tags(probe, key, {}, "an object that was overwritten by an upload without tags")


@check("TAG-08", operation=_GET)
def tags_of_nothing(probe: Probe) -> None:
    """GET, PUT and DELETE ?tagging of a missing key or bucket are NoSuchKey and NoSuchBucket."""
    key = probe.key("missing")
    with together() as each:
        for method in ("GET", "PUT", "DELETE"):
            body = _of(_KEPT) if method == "PUT" else b""
            headers = _md5_of(body) if body else {}
            for path, expected in (
                (probe.path(key), "404 NoSuchKey"),
                (probe.path(key, probe.missing_bucket), "404 NoSuchBucket"),
            ):
                with each():
                    about = f"{method} ?tagging of what is missing"
                    probe.request(method, path, _QUERY, headers, body).expect(expected, about=about)
