"""Object tags: TAG. The form field of POST is in test_post.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pytest

from tests.rawclient import RawClient, Response, encode_query, md5_b64
from tests.uploads import begin, finished

TEN = {f"k{number}": f"v{number}" for number in range(10)}


def document(tags: Mapping[str, str]) -> bytes:
    """Return a Tagging document."""
    return of_rows("".join(row(key, value) for key, value in tags.items()))


def of_rows(rows: str) -> bytes:
    """Return a Tagging document with these insides of its TagSet."""
    return (
        f'<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>{rows}</TagSet></Tagging>'.encode()
    )


def row(key: str, value: str) -> str:
    """Return one Tag."""
    return f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>"


def set_tags(s3: RawClient, path: str, body: bytes) -> Response:
    """Send PutObjectTagging."""
    return s3.request("PUT", path, "tagging", {"content-md5": md5_b64(body)}, body)


def tags(s3: RawClient, path: str) -> dict[str, str]:
    """Return the tags of an object."""
    response = s3.request("GET", path, "tagging")
    assert (response.status, response.xml.tag) == (200, "Tagging")
    keys, values = response.texts("TagSet/Tag/Key"), response.texts("TagSet/Tag/Value")
    return dict(zip(keys, values, strict=True))


@pytest.fixture
def path(s3: RawClient, bucket: str) -> str:
    """The path of a fresh object without tags."""
    assert s3.request("PUT", f"/{bucket}/k", body=b"content").status == 200
    return f"/{bucket}/k"


@pytest.mark.requirement("TAG-01")
@pytest.mark.parametrize("wanted", [{"a": "1"}, {"b": "2", "a": ""}, TEN, {"ключ": "значение", "<&>": "\"'"}])
def test_tags_are_put_read_and_deleted(s3: RawClient, path: str, wanted: dict[str, str]) -> None:
    assert set_tags(s3, path, document(wanted)).verdict == (200, "")
    assert tags(s3, path) == wanted
    deleted = s3.request("DELETE", path, "tagging")
    assert (deleted.status, deleted.body, tags(s3, path)) == (204, b"", {})


@pytest.mark.requirement("TAG-01")
def test_tags_are_put_without_an_integrity_value(s3: RawClient, path: str) -> None:
    assert s3.request("PUT", path, "tagging", body=document({"a": "1"})).status == 200
    assert tags(s3, path) == {"a": "1"}


@pytest.mark.requirement("TAG-01", "PAY-05")
def test_a_damaged_document_is_refused(s3: RawClient, path: str) -> None:
    headers = {"content-md5": md5_b64(b"else")}
    assert s3.request("PUT", path, "tagging", headers, document({"a": "1"})).verdict == (400, "BadDigest")
    assert tags(s3, path) == {}


@pytest.mark.requirement("TAG-02")
def test_an_object_without_tags_has_an_empty_set(s3: RawClient, path: str) -> None:
    response = s3.request("GET", path, "tagging")
    assert (response.status, len(response.xml.findall("TagSet")), response.texts("TagSet/Tag")) == (
        200,
        1,
        [],
    )


@pytest.mark.requirement("TAG-03")
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a=1", {"a": "1"}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a%20b=c%26d%3D", {"a b": "c&d="}),
        ("a=", {"a": ""}),
        ("a", {"a": ""}),
        ("a+b=c+d", {"a b": "c d"}),
        ("%D0%BA=%C3%BC", {"к": "ü"}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_tags_of_the_header_are_decoded_and_stored(
    s3: RawClient, bucket: str, header: str, expected: dict[str, str]
) -> None:
    headers = {"x-amz-tagging": header}
    assert s3.request("PUT", f"/{bucket}/k", headers=headers, body=b"x").verdict == (200, "")
    finished(s3, bucket, "m", [b"part"], x_amz_tagging=header)
    assert (tags(s3, f"/{bucket}/k"), tags(s3, f"/{bucket}/m")) == (expected, expected)


@pytest.mark.requirement("TAG-04")
@pytest.mark.parametrize(
    "accepted",
    [
        {"k" * 128: "v" * 256},
        {"к" * 128: "ü" * 256},
        {"\U0001f600" * 128: "\U0001f600" * 256},
        TEN,
        {"k": ""},
        {"Key": "1", "key": "2"},
        {"a": "x", "b": "x"},
        {"caws:": "1"},
    ],
)
def test_tags_within_the_limits_are_accepted(s3: RawClient, path: str, accepted: dict[str, str]) -> None:
    assert set_tags(s3, path, document(accepted)).verdict == (200, "")
    assert tags(s3, path) == accepted
    other = {"x-amz-tagging": urlencode(accepted)}
    assert s3.request("PUT", path + "2", headers=other, body=b"x").verdict == (200, "")
    assert tags(s3, path + "2") == accepted


@pytest.mark.requirement("TAG-04", "ERR-08")
@pytest.mark.parametrize(
    ("refused", "code"),
    [
        ({f"k{number}": "v" for number in range(11)}, "BadRequest"),
        ({"k" * 129: "v"}, "InvalidTag"),
        ({"к" * 129: "v"}, "InvalidTag"),
        ({"k": "v" * 257}, "InvalidTag"),
        ({"k": "ü" * 257}, "InvalidTag"),
        ({"aws:k": "v"}, "InvalidTag"),
        ({"AWS:k": "v"}, "InvalidTag"),
        ({"": "v"}, "InvalidTag"),
    ],
)
def test_tags_beyond_the_limits_are_refused(
    s3: RawClient, path: str, refused: dict[str, str], code: str
) -> None:
    set_tags(s3, path, document({"kept": "1"}))
    assert set_tags(s3, path, document(refused)).verdict == (400, code)
    assert tags(s3, path) == {"kept": "1"}


@pytest.mark.requirement("TAG-04", "ERR-08")
@pytest.mark.parametrize(
    "header",
    [
        encode_query((f"k{number}", "v") for number in range(11)),
        "k" * 129 + "=v",
        "k=" + "v" * 257,
        "aws:k=v",
        "a=1&a=2",
        "=v",
        "a=%ZZ",
        "a=%FF",
        "a=%00",
    ],
)
def test_a_put_with_wrong_tags_stores_nothing(s3: RawClient, path: str, header: str) -> None:
    headers = {"x-amz-tagging": header}
    response = s3.request("PUT", path, headers=headers, body=b"new")
    assert (response.status, response.code in {"InvalidTag", "BadRequest", "InvalidArgument"}) == (400, True)
    assert s3.request("GET", path).body == b"content"
    assert s3.request("POST", path, "uploads", headers).status == 400


@pytest.mark.requirement("TAG-04")
def test_a_repeated_key_is_refused(s3: RawClient, path: str) -> None:
    assert set_tags(s3, path, of_rows(row("a", "1") + row("a", "2"))).verdict == (400, "InvalidTag")
    assert tags(s3, path) == {}


@pytest.mark.requirement("TAG-04", "ERR-05")
@pytest.mark.parametrize(
    "body",
    [
        of_rows("<Tag><Key>a</Key></Tag>"),
        of_rows("<Tag><Value>1</Value></Tag>"),
        of_rows("<Tag/>"),
        b"<Tagging/>",
        b"<Other><TagSet/></Other>",
        b"<Tagging><TagSet>",
        b"",
    ],
)
def test_a_document_without_its_elements_is_refused(s3: RawClient, path: str, body: bytes) -> None:
    set_tags(s3, path, document({"kept": "1"}))
    assert set_tags(s3, path, body).verdict == (400, "MalformedXML")
    assert tags(s3, path) == {"kept": "1"}


@pytest.mark.requirement("TAG-04")
def test_an_empty_set_is_accepted(s3: RawClient, path: str) -> None:
    set_tags(s3, path, document({"a": "1"}))
    assert set_tags(s3, path, document({})).status == 200
    assert tags(s3, path) == {}


@pytest.mark.requirement("TAG-05")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_tags_are_counted_if_there_are_any(s3: RawClient, path: str, method: str) -> None:
    before = s3.request(method, path).headers.get("x-amz-tagging-count")
    set_tags(s3, path, document(TEN))
    during = s3.request(method, path).headers.get("x-amz-tagging-count")
    s3.request("DELETE", path, "tagging")
    after = s3.request(method, path).headers.get("x-amz-tagging-count")
    assert (before, during, after) == (None, "10", None)


@pytest.mark.requirement("TAG-06")
def test_new_tags_replace_the_old_and_nothing_else(s3: RawClient, bucket: str) -> None:
    headers = {"content-type": "text/x", "x-amz-meta-a": "1", "x-amz-tagging": "a=1&b=2"}
    content = b"x" * 200_000
    s3.request("PUT", f"/{bucket}/k", headers=headers, body=content)
    before = s3.request("GET", f"/{bucket}/k")
    listed = s3.request("GET", f"/{bucket}", "list-type=2").body
    assert set_tags(s3, f"/{bucket}/k", document({"c": "3"})).status == 200
    after = s3.request("GET", f"/{bucket}/k")
    kept = ("etag", "last-modified", "content-type", "x-amz-meta-a")
    assert [after.headers[name] for name in kept] == [before.headers[name] for name in kept]
    assert (after.body, tags(s3, f"/{bucket}/k")) == (content, {"c": "3"})
    assert s3.request("GET", f"/{bucket}", "list-type=2").body == listed


@pytest.mark.requirement("TAG-06")
def test_tags_of_a_multipart_object_change_and_its_parts_stay(s3: RawClient, bucket: str) -> None:
    finished(s3, bucket, "m", [b"x" * (5 << 20), b"tail"])
    before = s3.request("HEAD", f"/{bucket}/m", [("partNumber", "2")]).headers
    set_tags(s3, f"/{bucket}/m", document({"a": "1"}))
    after = s3.request("GET", f"/{bucket}/m", [("partNumber", "2")])
    kept = ("etag", "last-modified", "x-amz-mp-parts-count", "content-length")
    assert [after.headers[name] for name in kept] == [before[name] for name in kept]
    assert after.body == b"tail"


@pytest.mark.requirement("TAG-07")
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, {"a": "1"}),
        ({"x-amz-tagging-directive": "COPY"}, {"a": "1"}),
        ({"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "b=2"}, {"b": "2"}),
        ({"x-amz-tagging-directive": "REPLACE"}, {}),
        ({"x-amz-metadata-directive": "REPLACE"}, {"a": "1"}),
    ],
)
def test_a_copy_takes_the_tags_that_the_directive_says(
    s3: RawClient, path: str, headers: dict[str, str], expected: dict[str, str]
) -> None:
    set_tags(s3, path, document({"a": "1"}))
    assert s3.request("PUT", path + "2", headers={"x-amz-copy-source": path, **headers}).status == 200
    assert (tags(s3, path + "2"), tags(s3, path)) == (expected, {"a": "1"})


@pytest.mark.requirement("TAG-07", "COPY-08")
def test_a_copy_onto_itself_may_replace_the_tags(s3: RawClient, path: str) -> None:
    headers = {"x-amz-copy-source": path, "x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "b=2"}
    assert s3.request("PUT", path, headers=headers).status == 200
    assert (tags(s3, path), s3.request("GET", path).body) == ({"b": "2"}, b"content")


@pytest.mark.requirement("TAG-07")
@pytest.mark.parametrize("value", ["replace", "MERGE", ""])
def test_another_tagging_directive_is_refused(s3: RawClient, path: str, value: str) -> None:
    headers = {"x-amz-copy-source": path, "x-amz-tagging-directive": value}
    assert s3.request("PUT", path + "2", headers=headers).verdict == (400, "InvalidArgument")
    assert s3.request("HEAD", path + "2").status == 404


@pytest.mark.requirement("TAG-08")
def test_a_put_without_tags_clears_them(s3: RawClient, path: str) -> None:
    set_tags(s3, path, document({"a": "1"}))
    s3.request("PUT", path, body=b"new")
    assert tags(s3, path) == {}


@pytest.mark.requirement("TAG-08")
def test_a_completed_upload_without_tags_clears_them(s3: RawClient, bucket: str, path: str) -> None:
    upload = begin(s3, bucket)
    etag = upload.put(1, b"part")
    set_tags(s3, path, document({"a": "1"}))
    assert upload.complete([(1, etag)]).status == 200
    assert (tags(s3, path), s3.request("GET", path).body) == ({}, b"part")


@pytest.mark.requirement("TAG-08")
def test_deleting_and_putting_again_clears_tags(s3: RawClient, path: str) -> None:
    set_tags(s3, path, document({"a": "1"}))
    s3.request("DELETE", path)
    s3.request("PUT", path, body=b"content")
    assert tags(s3, path) == {}


@pytest.mark.requirement("TAG-08")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_tags_of_what_is_missing_are_not_found(
    s3: RawClient, bucket: str, new_name: Callable[[], str], method: str
) -> None:
    body = document({"a": "1"}) if method == "PUT" else b""
    assert s3.request(method, f"/{bucket}/none", "tagging", body=body).verdict == (404, "NoSuchKey")
    assert s3.request(method, f"/{new_name()}/k", "tagging", body=body).verdict == (404, "NoSuchBucket")
