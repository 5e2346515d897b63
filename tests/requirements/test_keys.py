"""Object keys: KEY."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from tests.rawclient import RawClient, key_path, md5_b64

PRINTABLE = "AZaz09/!-_.*'()& $@=;:+,?\\{}^%[]<>#~\"|`"
UNRESERVED_KEYS = [
    ".minio.sys/x",
    ".keep",
    "lost+found",
    "index.html",
    "soap",
    ".anys3",
    "CON",
    "a.meta",
    ".uploads/x",
]


def listed(s3: RawClient, bucket: str) -> list[str]:
    """Return all keys of a bucket."""
    return s3.request("GET", f"/{bucket}", [("list-type", "2")]).texts("Contents/Key")


def deletion(*keys: str) -> bytes:
    """Return a DeleteObjects document; the keys are escaped already."""
    objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    return f"<Delete>{objects}</Delete>".encode()


@pytest.mark.requirement("KEY-01")
@pytest.mark.parametrize("key", ["k", "k" * 1024, "é" * 512, "a/" * 512])
def test_a_key_of_1_to_1024_bytes_is_stored(s3: RawClient, bucket: str, key: str) -> None:
    assert s3.request("PUT", key_path(bucket, key), body=b"x").status == 200
    assert s3.request("GET", key_path(bucket, key)).body == b"x"
    assert listed(s3, bucket) == [key]


@pytest.mark.requirement("KEY-01", "ERR-08")
@pytest.mark.parametrize("key", ["k" * 1025, "é" * 512 + "x"])
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_a_longer_key_is_refused(s3: RawClient, bucket: str, method: str, key: str) -> None:
    assert s3.request(method, key_path(bucket, key)).verdict == (400, "KeyTooLongError")
    assert listed(s3, bucket) == []


@pytest.mark.requirement("KEY-02")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Key", "key"),
        (unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")),
        ("k", "k "),
        ("k", " k"),
        ("K\u212a", "KK"),
    ],
)
def test_keys_that_only_look_alike_are_two_keys(s3: RawClient, bucket: str, one: str, other: str) -> None:
    s3.request("PUT", key_path(bucket, one), body=b"1")
    s3.request("PUT", key_path(bucket, other), body=b"2")
    assert s3.request("GET", key_path(bucket, one)).body == b"1"
    assert s3.request("GET", key_path(bucket, other)).body == b"2"
    assert sorted(listed(s3, bucket)) == sorted([one, other])


@pytest.mark.requirement("KEY-03", "KEY-02", "KEY-10")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=strategies.text(
        strategies.characters(exclude_categories=["Cs", "Cc"], codec="utf-8"), min_size=1, max_size=60
    )
)
def test_any_key_is_kept_byte_for_byte(s3: RawClient, bucket: str, key: str) -> None:
    path = key_path(bucket, key)
    assert s3.request("PUT", path, body=key.encode()).status == 200
    assert s3.request("GET", path).body == key.encode()
    assert s3.request("GET", f"/{bucket}", [("list-type", "2"), ("prefix", key)]).texts("Contents/Key") == [
        key
    ]
    assert s3.request("DELETE", path).status == 204


@pytest.mark.requirement("KEY-04")
def test_a_path_is_decoded_exactly_once(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/a%2Fb", body=b"slash")
    s3.request("PUT", f"/{bucket}/a%252Fb", body=b"percent")
    assert listed(s3, bucket) == ["a%2Fb", "a/b"]
    assert s3.request("GET", f"/{bucket}/a/b").body == b"slash"
    assert s3.request("GET", f"/{bucket}/a%252Fb").body == b"percent"


@pytest.mark.requirement("KEY-04")
def test_bytes_that_need_no_escape_may_have_one(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/%61%7e%2E", body=b"x")
    assert s3.request("GET", f"/{bucket}/a~.").body == b"x"


@pytest.mark.requirement("KEY-05")
def test_a_plus_is_a_plus_and_a_space_is_percent_20(s3: RawClient, bucket: str) -> None:
    s3.request("PUT", f"/{bucket}/a+b", body=b"plus")
    s3.request("PUT", f"/{bucket}/a%20b", body=b"space")
    assert listed(s3, bucket) == ["a b", "a+b"]
    assert s3.request("GET", f"/{bucket}/a%2Bb").body == b"plus"


@pytest.mark.requirement("KEY-06")
@pytest.mark.parametrize("key", ["/k", "//k", "a//b", "a/", "a//", "/", "//"])
def test_slashes_are_kept_wherever_they_stand(s3: RawClient, bucket: str, key: str) -> None:
    s3.request("PUT", f"/{bucket}/a/b", body=b"other")
    assert s3.request("PUT", f"/{bucket}/{key}", body=b"x").status == 200
    assert s3.request("GET", f"/{bucket}/{key}").body == b"x"
    assert s3.request("GET", f"/{bucket}/a/b").body == b"other"
    assert listed(s3, bucket) == sorted([key, "a/b"])


@pytest.mark.requirement("KEY-07")
@pytest.mark.parametrize("gone", ["a", "a/", "a/b"])
def test_a_key_its_slash_form_and_its_child_live_and_die_apart(s3: RawClient, bucket: str, gone: str) -> None:
    kept = [key for key in ("a", "a/", "a/b") if key != gone]
    assert [s3.request("PUT", f"/{bucket}/{key}", body=key.encode()).status for key in [*kept, gone]] == [
        200
    ] * 3
    assert s3.request("DELETE", f"/{bucket}/{gone}").status == 204
    assert [s3.request("GET", f"/{bucket}/{key}").body for key in kept] == [key.encode() for key in kept]
    assert listed(s3, bucket) == kept


@pytest.mark.requirement("KEY-08")
@pytest.mark.known_mistake(21)
@pytest.mark.parametrize(
    "path", ["a/../k", "../{other}/k", "./k", "..%2F{other}%2Fk", "a/%2e%2e/k", "..", ".", "a/.."]
)
def test_dot_segments_are_part_of_the_key(s3: RawClient, bucket: str, new_name: object, path: str) -> None:
    """CVE-2026-54917 (SeaweedFS), RustFS GHSA-8r6f: `..` in a key reached other buckets."""
    other = new_name()  # type: ignore[operator]
    s3.request("PUT", f"/{other}")
    s3.request("PUT", f"/{other}/k", body=b"other bucket")
    s3.request("PUT", f"/{bucket}/k", body=b"other key")
    path = path.format(other=other)
    assert s3.request("PUT", f"/{bucket}/{path}", body=b"mine").status == 200
    assert s3.request("GET", f"/{bucket}/{path}").body == b"mine"
    assert s3.request("GET", f"/{other}/k").body == b"other bucket"
    assert s3.request("GET", f"/{bucket}/k").body == b"other key"


@pytest.mark.requirement("KEY-09", "AUTH-02")
@pytest.mark.parametrize("character", PRINTABLE)
def test_every_printable_character_works_in_a_key(s3: RawClient, bucket: str, character: str) -> None:
    key = f"a{character}b"
    assert s3.request("PUT", key_path(bucket, key), body=b"x").status == 200
    assert s3.request("GET", key_path(bucket, key)).body == b"x"
    assert listed(s3, bucket) == [key]


@pytest.mark.requirement("KEY-09")
@pytest.mark.parametrize("character", "!-_.*'()/AZaz09")
def test_these_characters_work_without_an_escape(s3: RawClient, bucket: str, character: str) -> None:
    assert s3.request("PUT", f"/{bucket}/a{character}b", body=b"x").status == 200
    assert listed(s3, bucket) == [f"a{character}b"]


@pytest.mark.requirement("KEY-10")
@pytest.mark.parametrize("key", ["ключ/ü", "日本語", "🪣/𝄞", "\U0010ffff"])
def test_a_key_of_any_script_goes_through_every_operation(s3: RawClient, bucket: str, key: str) -> None:
    path, copy = key_path(bucket, key), key_path(bucket, f"copy of {key}")
    assert s3.request("PUT", path, body=b"x").status == 200
    assert s3.request("PUT", copy, headers={"x-amz-copy-source": path}).status == 200
    assert s3.request("GET", copy).body == b"x"
    assert listed(s3, bucket) == sorted([key, f"copy of {key}"], key=lambda key: key.encode())
    document = deletion(key, f"copy of {key}")
    deleted = s3.request("POST", f"/{bucket}", [("delete", "")], {"content-md5": md5_b64(document)}, document)
    assert deleted.texts("Deleted/Key") == [key, f"copy of {key}"]
    assert listed(s3, bucket) == []


@pytest.mark.requirement("KEY-11", "KEY-03")
@pytest.mark.parametrize("code", [1, 8, 9, 10, 13, 27, 31, 127])
def test_control_characters_round_trip_with_url_encoding(s3: RawClient, bucket: str, code: int) -> None:
    path = f"/{bucket}/a%{code:02X}b"
    assert s3.request("PUT", path, body=b"x").status == 200
    assert s3.request("GET", path).body == b"x"
    page = s3.request("GET", f"/{bucket}", [("list-type", "2"), ("encoding-type", "url")])
    assert page.texts("Contents/Key") == [f"a%{code:02X}b"]


@pytest.mark.requirement("KEY-11", "KEY-12", "ERR-08")
@pytest.mark.parametrize("tail", ["a%00b", "%FF", "a%C3", "%C0%AF", "%ED%A0%80", "a%", "a%2", "a%zz", "a%G0"])
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_a_path_that_is_no_text_is_refused(s3: RawClient, bucket: str, method: str, tail: str) -> None:
    assert s3.request(method, f"/{bucket}/{tail}").verdict[0] == 400
    assert s3.request(method, f"/{bucket}/{tail}").code in ("InvalidURI", "InvalidArgument")
    assert listed(s3, bucket) == []


@pytest.mark.requirement("KEY-12")
@pytest.mark.parametrize("tail", ["%FF", "a%C3", "a%", "a%zz"])
def test_broken_utf_8_and_broken_escapes_are_an_invalid_uri(s3: RawClient, bucket: str, tail: str) -> None:
    assert s3.request("PUT", f"/{bucket}/{tail}").verdict == (400, "InvalidURI")


@pytest.mark.requirement("KEY-13")
@pytest.mark.parametrize("key", ["s" * 256, "s" * 1024, "a/" + "s" * 1000 + "/b"])
def test_a_path_segment_may_be_longer_than_a_file_name(s3: RawClient, bucket: str, key: str) -> None:
    assert s3.request("PUT", f"/{bucket}/{key}", body=b"x").status == 200
    assert s3.request("GET", f"/{bucket}/{key}").body == b"x"


@pytest.mark.requirement("KEY-14", "HTTP-24")
@pytest.mark.parametrize("key", UNRESERVED_KEYS)
def test_no_key_is_reserved(s3: RawClient, bucket: str, key: str) -> None:
    assert s3.request("GET", f"/{bucket}/{key}").verdict == (404, "NoSuchKey")
    assert s3.request("PUT", f"/{bucket}/{key}", body=b"x").status == 200
    assert listed(s3, bucket) == [key]


@pytest.mark.known_mistake(41)
@pytest.mark.parametrize(
    "key", ["';DROP TABLE objects;--", "a' OR '1'='1", 'a" OR ""="', "a\\'b", "%27", "$(id)", "`id`"]
)
def test_quotes_in_a_key_are_only_quotes(s3: RawClient, bucket: str, key: str) -> None:
    """CVE-2024-40120 (SeaweedFS): SQL injection by path."""
    s3.request("PUT", f"/{bucket}/other", body=b"other")
    assert s3.request("GET", key_path(bucket, key)).verdict == (404, "NoSuchKey")
    assert s3.request("PUT", key_path(bucket, key), body=b"x").status == 200
    assert s3.request("DELETE", key_path(bucket, key)).status == 204
    assert listed(s3, bucket) == ["other"]
