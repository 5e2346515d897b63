"""CopyObject: COPY-01 to COPY-12, and its ETag (HTTP-21)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from anys3.client.signing import encode_path
from anys3.conformance.digests import md5_etag
from anys3.conformance.kit.times import http_time, iso_time
from anys3.conformance.probe import CONTENT, Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import Reply, equal, require

_SOURCE_HEADERS = {
    "content-type": "text/plain",
    "cache-control": "max-age=60",
    "content-disposition": "inline",
    "content-language": "de",
    "x-amz-meta-from": "source",
    "x-amz-meta-old": "1",
}
_REQUEST_HEADERS = {
    "content-type": "text/html",
    "cache-control": "no-cache",
    "content-disposition": "attachment",
    "content-language": "fr",
    "x-amz-meta-from": "request",
    "x-amz-meta-more": "request",
}
_REPLACE = {"x-amz-metadata-directive": "REPLACE"}
_MIN_PART = 5 * 1024 * 1024


@check("COPY-01", operation="CopyObject", quick=True)
def copies_an_object(probe: Probe) -> None:
    """A copy is answered with its ETag and time, which are those that HEAD shows."""
    reply = _copied(probe, _source(probe, probe.shared_object()), probe.key("copy"))
    head = probe.head(probe.key("copy")).expect("200", about="HEAD of the copy")
    etag = reply.need_text("ETag").strip('"')
    equal(etag, (head.header("etag") or etag).strip('"'), "the ETag in CopyObjectResult, against HEAD's")
    said, shown = reply.need_text("LastModified"), head.need("last-modified")
    apart = abs((iso_time(said) - http_time(shown)).total_seconds())
    require(apart < 2, f"LastModified in CopyObjectResult: expected HEAD's {shown!r}, got {said!r}")


@check("HTTP-21", operation="CopyObject")
def etag_of_copy_quoted(probe: Probe) -> None:
    """The ETag in the answer to a copy is double-quoted."""
    reply = _copied(probe, _source(probe, probe.shared_object()), probe.key("copy"))
    etag = reply.need_text("ETag")
    require(re.fullmatch('"[^"]+"', etag), f"the ETag in CopyObjectResult: expected it quoted, got {etag!r}")


@check("COPY-01", operation="CopyObject", needs=("buckets",))
def copies_between_buckets(probe: Probe) -> None:
    """An object is copied from one bucket to another."""
    aside = probe.aside()
    source = probe.given_object("source", bucket=aside)
    _copied(probe, _source(probe, source, aside), probe.key("copy"))
    probe.expect_content(probe.key("copy"), CONTENT, about="the copy from another bucket")


@check("COPY-02", operation="CopyObject")
def source_with_and_without_slash(probe: Probe) -> None:
    """The source may be written as bucket/key and as /bucket/key."""
    source = _source(probe, probe.shared_object())
    for name, form in (("plain", source), ("slash", f"/{source}")):
        _copied(probe, form, probe.key(name))
        probe.expect_content(probe.key(name), CONTENT, about=f"the copy from x-amz-copy-source: {form}")


@check("COPY-02", operation="CopyObject")
def source_decoded_once(probe: Probe) -> None:
    """The source is percent-decoded exactly once: %2B is a plus, %20 a space, %3F a question mark."""
    for number, name in enumerate(("a+b c?d é", "a%2Bb")):
        body = f"the object {name}".encode()
        form = _source(probe, probe.given_object(name, body))
        _copied(probe, form, probe.key(f"copy {number}"))
        probe.expect_content(probe.key(f"copy {number}"), body, about=f"the copy of {name!r} from {form}")


@check("COPY-02", operation="CopyObject")
def encoded_slash(probe: Probe) -> None:
    """The slash behind the bucket of the source may be %2F."""
    form = _source(probe, probe.shared_object()).replace("/", "%2F", 1)
    _copied(probe, form, probe.key("copy"))
    probe.expect_content(probe.key("copy"), CONTENT, about=f"the copy from x-amz-copy-source: {form}")


@check("COPY-02", operation="CopyObject")
def version_id_null(probe: Probe) -> None:
    """A source with ?versionId=null is the object itself."""
    form = _source(probe, probe.shared_object()) + "?versionId=null"
    _copied(probe, form, probe.key("copy"))
    probe.expect_content(probe.key("copy"), CONTENT, about="the copy of versionId=null")


@check("COPY-03", operation="CopyObject")
def source_bucket_missing(probe: Probe) -> None:
    """A copy from a bucket that does not exist is refused with 404 NoSuchBucket."""
    reply = _copy(probe, _source(probe, "object", probe.missing_bucket), probe.key("copy"))
    reply.expect("404 NoSuchBucket", about="a copy from a bucket that does not exist")
    probe.expect_no_object(probe.key("copy"), about="the copy of nothing")


@check("COPY-03", operation="CopyObject")
def source_key_missing(probe: Probe) -> None:
    """A copy of a key that does not exist is refused with 404 NoSuchKey."""
    reply = _copy(probe, _source(probe, probe.key("none")), probe.key("copy"))
    reply.expect("404 NoSuchKey", about="a copy of a key that does not exist")
    probe.expect_no_object(probe.key("copy"), about="the copy of nothing")


@check("COPY-03", operation="CopyObject")
def destination_bucket_missing(probe: Probe) -> None:
    """A copy into a bucket that does not exist is refused with 404 NoSuchBucket."""
    source = _source(probe, probe.shared_object())
    path = probe.path(probe.key("copy"), probe.missing_bucket)
    reply = probe.request("PUT", path, headers={"x-amz-copy-source": source})
    reply.expect("404 NoSuchBucket", about="a copy into a bucket that does not exist")


@check("COPY-04", operation="CopyObject")
def source_not_bucket_and_key(probe: Probe) -> None:
    """A source that is not bucket/key is refused with 400 InvalidArgument."""
    for form in (probe.bucket, f"{probe.bucket}/", f"/{probe.bucket}/", "/"):
        reply = _copy(probe, form, probe.key("copy"))
        reply.expect("400 InvalidArgument", about=f"a copy with x-amz-copy-source: {form}")
    probe.expect_no_object(probe.key("copy"), about="the copy of nothing")


@check("COPY-05", operation="CopyObject")
def keeps_headers_by_default(probe: Probe) -> None:
    """Without a directive, headers and metadata come from the source, and those of the request are ignored."""
    source = _source(probe, probe.shared_object(headers=_SOURCE_HEADERS))
    _copied(probe, source, probe.key("copy"), _REQUEST_HEADERS)
    _expect_described(probe, probe.key("copy"), _SOURCE_HEADERS)


@check("COPY-05", operation="CopyObject")
def keeps_headers_when_told(probe: Probe) -> None:
    """With the directive COPY, headers and metadata come from the source."""
    source = _source(probe, probe.shared_object(headers=_SOURCE_HEADERS))
    _copied(probe, source, probe.key("copy"), {**_REQUEST_HEADERS, "x-amz-metadata-directive": "COPY"})
    _expect_described(probe, probe.key("copy"), _SOURCE_HEADERS)


@check("COPY-06", operation="CopyObject")
def replaces_headers(probe: Probe) -> None:
    """With the directive REPLACE, headers and metadata come from the request only."""
    source = _source(probe, probe.shared_object(headers=_SOURCE_HEADERS))
    wanted = {"content-type": "text/html", "cache-control": "no-cache", "x-amz-meta-from": "request"}
    _copied(probe, source, probe.key("copy"), wanted | _REPLACE)
    _expect_described(probe, probe.key("copy"), wanted)


@check("COPY-06", operation="CopyObject")
def replacement_without_type(probe: Probe) -> None:
    """With the directive REPLACE and no Content-Type, the copy is binary/octet-stream."""
    source = _source(probe, probe.shared_object(headers=_SOURCE_HEADERS))
    _copied(probe, source, probe.key("copy"), _REPLACE)
    head = probe.head(probe.key("copy")).expect("200", about="HEAD of the copy")
    equal(
        head.header("content-type"), "binary/octet-stream", "Content-Type of a copy that replaced with none"
    )


@check("COPY-06", operation="CopyObject")
def unknown_directive(probe: Probe) -> None:
    """Another metadata directive is refused with 400 InvalidArgument."""
    source = _source(probe, probe.shared_object())
    reply = _copy(probe, source, probe.key("copy"), {"x-amz-metadata-directive": "KEEP"})
    reply.expect("400 InvalidArgument", about="a copy with x-amz-metadata-directive: KEEP")
    probe.expect_no_object(probe.key("copy"), about="the refused copy")


@check("COPY-07", operation="CopyObject")
def onto_itself_unchanged(probe: Probe) -> None:
    """A copy onto itself that changes nothing is refused with 400 InvalidRequest."""
    key = probe.given_object("object", headers=_SOURCE_HEADERS)
    reply = _copy(probe, _source(probe, key), key)
    reply.expect("400 InvalidRequest", about="a copy of an object onto itself without a change")
    probe.expect_content(key, CONTENT, about="the object after the refused copy onto itself")


@check("COPY-08", operation="CopyObject")
def onto_itself_replacing(probe: Probe) -> None:
    """A copy onto itself with REPLACE changes the headers and keeps the content."""
    key = probe.given_object("object", headers=_SOURCE_HEADERS)
    _copied(probe, _source(probe, key), key, _REQUEST_HEADERS | _REPLACE)
    probe.expect_content(key, CONTENT, about="the object after a copy onto itself with REPLACE")
    _expect_described(probe, key, _REQUEST_HEADERS)


@check("COPY-10", operation="CopyObject")
def same_bytes_and_md5(probe: Probe) -> None:
    """A copy has the same bytes as its source, and its ETag is their MD5."""
    for name, body in (("empty", b""), ("binary", bytes(range(256)) * 300 + b"end")):
        source = _source(probe, probe.given_object(name, body))
        _copied(probe, source, probe.key(f"{name} copy"))
        reply = probe.expect_content(probe.key(f"{name} copy"), body, about=f"the copy of {len(body)} bytes")
        equal(reply.etag, md5_etag(body), f"the ETag of a copy of {len(body)} bytes")


@check("COPY-10", operation="CopyObject", where="multipart")
def md5_of_multipart_source(probe: Probe) -> None:
    """The copy of a multipart object has all its bytes, and their MD5 as its ETag."""
    first, second = b"first part " * (_MIN_PART // 11 + 1), b"the second part"
    source = _source(probe, probe.given_multipart_object(first, second, name="source"))
    _copied(probe, source, probe.key("copy"))
    reply = probe.expect_content(probe.key("copy"), first + second, about="the copy of a multipart object")
    equal(reply.etag, md5_etag(first + second), "the ETag of the copy of a multipart object")


@check("COPY-11", operation="CopyObject")
def visible_at_once(probe: Probe) -> None:
    """While copies replace an object, each GET answers with one of them, whole."""
    contents = {name: name.encode() * size for name, size in (("a", 40_000), ("b", 90_000))}
    for name, body in contents.items():
        probe.given_object(name, body, {"x-amz-meta-is": name})
    key = probe.given_object("copy", contents["a"], {"x-amz-meta-is": "a"})

    def copy(name: str) -> list[Reply]:
        return [_copy(probe, _source(probe, probe.key(name)), key) for _ in range(2)]

    def read() -> list[Reply]:
        return [probe.get(key) for _ in range(3)]

    calls: list[Callable[[], list[Reply]]] = [lambda: copy("a"), read, lambda: copy("b"), read]
    for number, replies in enumerate(probe.race(*calls)):
        for reply in replies:
            reply.expect("200", about="a GET or a copy, at the same time as other copies")
            if number in (0, 2):
                continue
            names = [name for name, body in contents.items() if body == reply.body]
            require(names, f"a GET during copies: expected one source, whole, got {len(reply.body)} bytes")
            shown = reply.header("x-amz-meta-is")
            require(
                shown in (None, *names), f"a GET during copies: content of {names}, metadata of {shown!r}"
            )


@check("COPY-11", operation="CopyObject")
def failed_copy_changes_nothing(probe: Probe) -> None:
    """A copy that fails leaves the object at its destination as it was."""
    key = probe.given_object("copy", b"old content", _SOURCE_HEADERS)
    before = _described(probe, key)
    for source in (_source(probe, probe.key("none")), _source(probe, "object", probe.missing_bucket)):
        reply = _copy(probe, source, key)
        require(reply.status >= 400, f"{reply.exchange.summary}: expected a refusal, got {reply.said}")
    probe.expect_content(key, b"old content", about="the object after copies that failed")
    equal(_described(probe, key), before, "headers and metadata after copies that failed")


@check("COPY-12", operation="CopyObject", needs=("second", "buckets"))
def source_of_another(probe: Probe) -> None:
    """Who may not read an object can't copy it either: 403 AccessDenied."""
    secret = probe.given_object("secret", b"a secret")
    with _bucket_of_second(probe) as bucket:
        with probe.setting_up("the second identity must not be allowed to read the run's bucket"):
            probe.request("GET", probe.path(secret), identity=probe.second).expect("403")
        copy = probe.path(probe.key("copy"), bucket)
        for form in (_source(probe, secret), _source(probe, secret).replace("/", "%2F", 1)):
            reply = probe.request("PUT", copy, headers={"x-amz-copy-source": form}, identity=probe.second)
            reply.expect("403 AccessDenied", about="a copy, by the second identity, of what it may not read")
        found = probe.request("HEAD", copy, identity=probe.second)
        found.expect("404", about="the copy that the second identity must not have got")


# --- within --------------------------------------------------------------------------------------------------


def _source(probe: Probe, key: str, bucket: str | None = None) -> str:
    """Return x-amz-copy-source for a key: bucket/key, percent-encoded."""
    return encode_path(bucket or probe.bucket, key).removeprefix("/")


def _copy(probe: Probe, source: str, key: str, headers: Mapping[str, str] | None = None) -> Reply:
    return probe.put(key, b"", {"x-amz-copy-source": source, **(headers or {})})


def _copied(probe: Probe, source: str, key: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Copy, and return the answer, which must be a CopyObjectResult: a 200 can also carry an error."""
    reply = _copy(probe, source, key, headers).expect("200", about=f"a copy from x-amz-copy-source: {source}")
    equal(reply.xml.tag, "CopyObjectResult", f"{reply.exchange.summary}: the document")
    return reply


def _expect_described(probe: Probe, key: str, expected: Mapping[str, str]) -> None:
    """Raise Failed unless HEAD shows those content headers and metadata, and no others of them."""
    wanted = dict(sorted(expected.items()))
    equal(_described(probe, key), wanted, "headers and metadata that HEAD shows after the copy")


def _described(probe: Probe, key: str) -> dict[str, str]:
    """Return the content headers and metadata that HEAD shows."""
    head = probe.head(key).expect("200", about="HEAD of the object")
    names = {*_SOURCE_HEADERS, *_REQUEST_HEADERS}
    return {name: value for name in sorted(names) if (value := head.header(name)) is not None}


@contextmanager
def _bucket_of_second(probe: Probe) -> Iterator[str]:
    """Yield a bucket that the second identity owns; it takes it away itself, because main may not."""
    name = f"a3-{probe.ground.journal.run_id}-second-{probe.attempt}"
    path = probe.path(bucket=name)
    with probe.setting_up("the second identity could not make a bucket"):
        made = probe.request("PUT", path, body=probe.location_document(), identity=probe.second)
        made.expect("200")
    try:
        yield name
    finally:
        probe.request("DELETE", probe.path(probe.key("copy"), name), identity=probe.second)
        probe.request("DELETE", path, identity=probe.second)
