"""DeleteObjects: DELS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from xml.sax.saxutils import escape

import pytest

from tests.rawclient import RawClient, Response, crc32_b64, key_path, md5_b64, sha256_b64


def document(rows: Iterable[str], head: str = "") -> bytes:
    """Return the body; `rows` are the insides of the Object elements."""
    return f"<Delete>{head}{''.join(f'<Object>{row}</Object>' for row in rows)}</Delete>".encode()


def of_keys(*keys: str, head: str = "") -> bytes:
    """Return the body for keys."""
    return document((f"<Key>{escape(key)}</Key>" for key in keys), head)


def send(s3: RawClient, bucket: str, body: bytes, **headers: str) -> Response:
    """Send DeleteObjects with Content-MD5, or with the given headers instead."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()} or {
        "content-md5": md5_b64(body)
    }
    return s3.request("POST", f"/{bucket}", "delete", lines, body)


def put(s3: RawClient, bucket: str, *keys: str) -> None:
    """Put objects that must be accepted."""
    assert {s3.request("PUT", key_path(bucket, key), body=b"x").status for key in keys} == {200}


def keys_of(s3: RawClient, bucket: str) -> list[str]:
    """Return the keys that exist."""
    return s3.request("GET", f"/{bucket}", [("list-type", "2")]).texts("Contents/Key")


@pytest.mark.requirement("DELS-01")
def test_each_key_is_deleted_and_reported_once(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", "b", "c")
    response = send(s3, bucket, of_keys("a", "b"))
    assert (response.status, response.xml.tag) == (200, "DeleteResult")
    assert (response.texts("Deleted/Key"), response.texts("Error")) == (["a", "b"], [])
    assert keys_of(s3, bucket) == ["c"]


@pytest.mark.requirement("DELS-02")
def test_a_quiet_deletion_lists_errors_only(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", "b", "c")
    rows = ["<Key>a</Key>", "<Key>b</Key><VersionId>other</VersionId>"]
    response = send(s3, bucket, document(rows, "<Quiet>true</Quiet>"))
    assert (response.status, response.texts("Deleted"), response.texts("Error/Key")) == (200, [], ["b"])
    assert keys_of(s3, bucket) == ["b", "c"]


@pytest.mark.requirement("DELS-02")
def test_a_deletion_that_is_not_quiet_lists_what_was_deleted(s3: RawClient, bucket: str) -> None:
    response = send(s3, bucket, of_keys("a", head="<Quiet>false</Quiet>"))
    assert (response.status, response.texts("Deleted/Key")) == (200, ["a"])


@pytest.mark.requirement("DELS-03")
def test_a_thousand_keys_are_deleted_at_once(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k0000", "k0999", "stays")
    response = send(s3, bucket, of_keys(*(f"k{number:04}" for number in range(1000))))
    assert (response.status, len(response.texts("Deleted/Key"))) == (200, 1000)
    assert keys_of(s3, bucket) == ["stays"]


@pytest.mark.requirement("DELS-03", "ERR-08")
def test_1001_keys_are_refused_and_nothing_is_deleted(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "k0000")
    response = send(s3, bucket, of_keys(*(f"k{number:04}" for number in range(1001))))
    assert response.verdict == (400, "MalformedXML")
    assert keys_of(s3, bucket) == ["k0000"]


@pytest.mark.requirement("DELS-03")
def test_a_thousand_keys_of_the_greatest_length_are_accepted(s3: RawClient, bucket: str) -> None:
    keys = [f"{number:04}" + "&" * 1020 for number in range(1000)]
    put(s3, bucket, keys[0])
    response = send(s3, bucket, of_keys(*keys))
    assert (response.status, response.texts("Deleted/Key")) == (200, keys)
    assert keys_of(s3, bucket) == []


@pytest.mark.requirement("DELS-04")
def test_missing_keys_are_reported_as_deleted(s3: RawClient, bucket: str) -> None:
    response = send(s3, bucket, of_keys("never", "neither"))
    assert (response.status, response.texts("Deleted/Key")) == (200, ["never", "neither"])


@pytest.mark.requirement("DELS-05", "ERR-08")
def test_a_deletion_without_an_integrity_value_is_refused(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a")
    response = s3.request("POST", f"/{bucket}", "delete", body=of_keys("a"))
    assert response.verdict == (400, "InvalidRequest")
    assert keys_of(s3, bucket) == ["a"]


@pytest.mark.requirement("DELS-05")
def test_a_checksum_announced_as_a_trailer_is_enough(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a")
    body = of_keys("a")
    lines = {
        "host": s3.host,
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(body)),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    mode = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    signed = s3.sign("POST", f"/{bucket}", "delete", lines, b"", mode)
    wire = s3.chunked([body], signed, mode=mode, trailer=("x-amz-checksum-crc32", crc32_b64(body)))
    response = s3.request("POST", f"/{bucket}", "delete", signed, wire, sign=False)
    assert (response.status, response.texts("Deleted/Key")) == (200, ["a"])
    assert keys_of(s3, bucket) == []


@pytest.mark.requirement("DELS-05", "DELS-06")
@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("content-md5", md5_b64),
        ("x-amz-checksum-crc32", crc32_b64),
        ("x-amz-checksum-sha256", sha256_b64),
    ],
)
def test_one_integrity_value_is_enough_and_is_verified(
    s3: RawClient, bucket: str, name: str, digest: Callable[[bytes], str]
) -> None:
    put(s3, bucket, "a")
    body = of_keys("a")
    assert send(s3, bucket, body, **{name: digest(b"else")}).verdict == (400, "BadDigest")
    assert keys_of(s3, bucket) == ["a"]
    assert send(s3, bucket, body, **{name: digest(body)}).status == 200
    assert keys_of(s3, bucket) == []


@pytest.mark.requirement("DELS-07", "KEY-13")
@pytest.mark.parametrize("key", ["a%2Fb", " a ", "a&b", "<a>", "a+b", "\ta", "é", "../a", "a//b", "%00"])
def test_a_key_is_unescaped_but_neither_decoded_nor_trimmed(s3: RawClient, bucket: str, key: str) -> None:
    put(s3, bucket, key, "a/b", "a", "a b")
    response = send(s3, bucket, of_keys(key))
    assert (response.status, response.texts("Deleted/Key")) == (200, [key])
    assert keys_of(s3, bucket) == ["a", "a b", "a/b"]


@pytest.mark.requirement("DELS-07")
@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("a&#38;b", "a&b"),
        ("a&#x2B;b", "a+b"),
        ("<![CDATA[a&amp;b]]>", "a&amp;b"),
        ("a&#13;b", "a\rb"),
        ("a&#10;", "a\n"),
    ],
)
def test_every_way_to_write_a_character_in_xml_is_read(
    s3: RawClient, bucket: str, written: str, key: str
) -> None:
    put(s3, bucket, key)
    assert send(s3, bucket, document([f"<Key>{written}</Key>"])).texts("Deleted/Key") == [key]
    assert keys_of(s3, bucket) == []


@pytest.mark.requirement("DELS-08", "ERR-05")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Delete/>",
        b"<Delete><Quiet>true</Quiet></Delete>",
        b"<Delete><Object><Key>a</Key></Object>",
        b"<Delete><Object><Key>a</Key></Delete></Object>",
        b"<Delete><Object></Object></Delete>",
        b"<Other><Object><Key>a</Key></Object></Other>",
        b'{"Objects": [{"Key": "a"}]}',
        b"<Delete><Object><Key>a</Key></Object><Object><VersionId>null</VersionId></Object></Delete>",
    ],
)
def test_a_body_without_objects_or_not_well_formed_is_refused(
    s3: RawClient, bucket: str, body: bytes
) -> None:
    put(s3, bucket, "a")
    assert send(s3, bucket, body).verdict == (400, "MalformedXML")
    assert keys_of(s3, bucket) == ["a"]


@pytest.mark.requirement("DELS-09")
@pytest.mark.parametrize("bad", ["k" * 1025, ""])
def test_a_failure_is_reported_for_its_key_and_the_others_are_deleted(
    s3: RawClient, bucket: str, bad: str
) -> None:
    put(s3, bucket, "a", "b")
    response = send(s3, bucket, of_keys("a", bad, "b"))
    assert (response.status, response.texts("Deleted/Key")) == (200, ["a", "b"])
    error = response.xml.find("Error")
    assert error is not None
    assert [child.tag for child in error] == ["Key", "Code", "Message"]
    assert (error.findtext("Key"), error.findtext("Message") != "") == (bad, True)
    assert keys_of(s3, bucket) == []


@pytest.mark.requirement("DELS-10")
def test_a_deletion_in_a_missing_bucket_is_no_such_bucket(s3: RawClient, new_name: Callable[[], str]) -> None:
    assert send(s3, new_name(), of_keys("a")).verdict == (404, "NoSuchBucket")


@pytest.mark.requirement("DELS-11")
def test_the_version_null_is_the_object_and_another_one_is_an_error_of_its_key(
    s3: RawClient, bucket: str
) -> None:
    put(s3, bucket, "a", "b")
    rows = ["<Key>a</Key><VersionId>null</VersionId>", "<Key>b</Key><VersionId>x1</VersionId>"]
    response = send(s3, bucket, document(rows))
    assert (response.status, response.texts("Deleted/Key")) == (200, ["a"])
    assert (response.texts("Error/Key"), response.texts("Error/VersionId")) == (["b"], ["x1"])
    assert response.texts("Error/Code") == ["NoSuchVersion"]
    assert keys_of(s3, bucket) == ["b"]


@pytest.mark.requirement("DELS-11")
@pytest.mark.parametrize(
    "condition", ["<Size>1</Size>", "<LastModifiedTime>Thu, 01 Jan 1998 00:00:00 GMT</LastModifiedTime>"]
)
def test_a_condition_that_is_not_implemented_keeps_its_key(
    s3: RawClient, bucket: str, condition: str
) -> None:
    put(s3, bucket, "a", "b")
    response = send(s3, bucket, document([f"<Key>a</Key>{condition}", "<Key>b</Key>"]))
    assert (response.status, response.texts("Deleted/Key")) == (200, ["b"])
    assert (response.texts("Error/Key"), response.texts("Error/Code")) == (["a"], ["NotImplemented"])
    assert keys_of(s3, bucket) == ["a"]


@pytest.mark.requirement("DELS-11", "CONDW-10")
def test_an_etag_is_a_condition_of_its_key_alone(s3: RawClient, bucket: str) -> None:
    put(s3, bucket, "a", "b", "c")
    etag = s3.request("HEAD", f"/{bucket}/a").headers["etag"]
    rows = [
        f"<Key>a</Key><ETag>{escape(etag)}</ETag>",
        "<Key>b</Key><ETag>0123</ETag>",
        f"<Key>c</Key><ETag>{etag.strip(chr(34))}</ETag>",
    ]
    response = send(s3, bucket, document(rows))
    assert (response.texts("Deleted/Key"), response.texts("Error/Key")) == (["a", "c"], ["b"])
    assert response.texts("Error/Code") == ["PreconditionFailed"]
    assert keys_of(s3, bucket) == ["b"]


@pytest.mark.known_mistake(28)
def test_keys_of_a_bucket_without_a_grant_are_not_deleted(
    root: RawClient, stranger: RawClient, root_bucket: str
) -> None:
    """seaweedfs#9793: DeleteObjects was authorised once, and not for what it deleted."""
    put(root, root_bucket, "a")
    assert send(stranger, root_bucket, of_keys("a")).verdict == (403, "AccessDenied")
    assert keys_of(root, root_bucket) == ["a"]


@pytest.mark.known_mistake(28, 21)
def test_a_key_never_reaches_into_another_bucket(
    root: RawClient, stranger: RawClient, root_bucket: str, new_name: Callable[[], str]
) -> None:
    """seaweedfs#9793, CVE-2026-54917: `..` in a key led out of the bucket that was authorised."""
    own = new_name()
    assert stranger.request("PUT", f"/{own}").status == 200
    put(root, root_bucket, "a")
    response = send(stranger, own, of_keys(f"../{root_bucket}/a", f"/{root_bucket}/a"))
    assert response.status == 200
    assert keys_of(root, root_bucket) == ["a"]
