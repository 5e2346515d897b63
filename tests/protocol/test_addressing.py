"""What paths and Host headers address."""

from __future__ import annotations

from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anys3.model import Target
from anys3.protocol import addressing
from anys3.spec.errors import S3Error

DOMAINS = (b"s3.example.com", b"localhost")

keys = st.text(min_size=1).map(str.encode)


def by_path(path: bytes) -> Target:
    return addressing.parse(path, b"localhost:9000", ())


@pytest.mark.requirement("HTTP-03")
def test_the_root_is_the_service_and_a_trailing_slash_means_nothing_to_a_bucket() -> None:
    assert by_path(b"/") == Target(None, None)
    assert by_path(b"/photos") == by_path(b"/photos/") == Target("photos", None)


@pytest.mark.requirement("KEY-03", "KEY-04", "KEY-05", "KEY-06", "KEY-08", "KEY-09")
@pytest.mark.known_mistake(21)
@pytest.mark.parametrize(
    ("path", "key"),
    [
        (b"/b/k", b"k"),
        (b"/b/a%2Fb", b"a/b"),
        (b"/b/a%252Fb", b"a%2Fb"),
        (b"/b/a+b", b"a+b"),
        (b"/b/a%20b", b"a b"),
        (b"/b//k", b"/k"),
        (b"/b///", b"//"),
        (b"/b/a//b", b"a//b"),
        (b"/b/a/", b"a/"),
        (b"/b/../other/k", b"../other/k"),
        (b"/b/%2e%2e/other/k", b"../other/k"),
        (b"/b/./k", b"./k"),
    ],
)
def test_the_path_is_decoded_once_and_never_normalised(path: bytes, key: bytes) -> None:
    assert by_path(path) == Target("b", key)


@pytest.mark.requirement("KEY-03", "KEY-04", "KEY-09", "KEY-10")
@given(keys, st.sampled_from(["", "/", "!-_.*'()", "%"]))
@example(b"%2F", "")
def test_any_encoding_of_a_key_addresses_that_key(key: bytes, raw: str) -> None:
    path = b"/bucket/" + quote_from_bytes(key, safe=raw.replace("%", "")).encode()
    assert by_path(path) == Target("bucket", key)


@pytest.mark.requirement("KEY-12")
@pytest.mark.parametrize("path", [b"/b/%", b"/b/%2", b"/b/%zz", b"/b/100%", b"/b/%FF", b"/b/\xff", b"/%ff/k"])
def test_a_broken_escape_and_what_is_not_utf8_are_refused(path: bytes) -> None:
    with pytest.raises(S3Error, match="InvalidURI"):
        by_path(path)


@pytest.mark.requirement("KEY-03", "KEY-12")
@given(st.binary(max_size=30))
def test_a_path_is_its_one_decoding_or_refused(rest: bytes) -> None:
    try:
        target = by_path(b"/bucket/" + rest)
    except S3Error as error:
        assert error.code == "InvalidURI"
    else:
        assert (target.key or b"") == unquote_to_bytes(rest)


@pytest.mark.parametrize("path", [b"", b"*", b"bucket/key"])
def test_a_target_that_is_no_path_is_refused(path: bytes) -> None:
    with pytest.raises(S3Error, match="InvalidURI"):
        by_path(path)


@pytest.mark.requirement("BN-07")
def test_an_empty_bucket_name_is_refused_and_another_invalid_one_is_left_to_the_operation() -> None:
    with pytest.raises(S3Error, match="InvalidBucketName"):
        by_path(b"//k")
    assert by_path(b"/B%C3%BCcher/k") == Target("Bücher", b"k")
    assert by_path(b"/a%2Fb/k") == Target("a/b", b"k")


@pytest.mark.requirement("VH-01", "VH-05")
@pytest.mark.parametrize(
    "host",
    [
        b"photos.s3.example.com",
        b"photos.s3.example.com:9000",
        b"PHOTOS.S3.Example.COM",
        b"photos.localhost:1",
    ],
)
def test_a_virtual_host_names_the_bucket_and_the_whole_path_is_the_key(host: bytes) -> None:
    assert addressing.parse(b"/b/k", host, DOMAINS) == Target("photos", b"b/k", is_virtual_host=True)
    assert addressing.parse(b"//k", host, DOMAINS) == Target("photos", b"/k", is_virtual_host=True)
    assert addressing.parse(b"/", host, DOMAINS) == Target("photos", None, is_virtual_host=True)


@pytest.mark.requirement("VH-01", "VH-02", "VH-03")
@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"s3.example.com",
        b"S3.EXAMPLE.COM:443",
        b"example.com",
        b"photos.example.org",
        b"photos.s3.example.com.evil.org",
        b"photoss3.example.com",
        b".s3.example.com",
        b"my.photos.s3.example.com",
        b"127.0.0.1:9000",
        b"[::1]",
        b"[::1]:9000",
        b"caf\xe9.s3.example.com",
    ],
)
def test_any_other_host_means_path_style(host: bytes) -> None:
    assert addressing.parse(b"/b/k", host, DOMAINS) == Target("b", b"k")
