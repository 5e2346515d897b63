"""User metadata: META."""

from __future__ import annotations

from base64 import b64decode, b64encode
from email.header import decode_header, make_header

import pytest

from tests.rawclient import RawClient, Response, key_path, render

NAMES = [
    "Colour", "UPPER", "with-dash", "with_underscore", "digits123", "9", "a.b", "x-amz-meta-x"
]  # fmt: skip
VALUES = [
    "plain", "two  spaces", "a;b,c=d", '"quoted"', "100%", "a+b", "%41", "\\", "{json: [1]}", "~!@#$^&*()", "?=", "=?",
    "=?x", "tab\there",
]  # fmt: skip


def put(s3: RawClient, path: str, metadata: dict[str, str], method: str = "PUT", **headers: str) -> Response:
    """Put an object with metadata, by names without their prefix."""
    lines = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
    return s3.request(method, path, headers={**lines, **headers}, body=b"" if headers else b"x")


def of(response: Response) -> dict[str, str]:
    """Return the metadata of an answer, by names without their prefix."""
    start = len("x-amz-meta-")
    return {name[start:]: text for name, text in response.headers.items() if name.startswith("x-amz-meta-")}


def stored(s3: RawClient, path: str) -> dict[str, str]:
    """Return the metadata of an object, the same from HEAD and GET."""
    from_head, from_get = of(s3.request("HEAD", path)), of(s3.request("GET", path))
    assert from_head == from_get
    return from_head


@pytest.mark.requirement("META-01")
@pytest.mark.parametrize("name", NAMES)
def test_names_are_returned_in_lower_case(s3: RawClient, bucket: str, name: str) -> None:
    path = f"/{bucket}/k"
    assert put(s3, path, {name: "v"}).status == 200
    assert f"x-amz-meta-{name.lower()}: ".encode() in s3.request("HEAD", path).raw_head
    assert stored(s3, path) == {name.lower(): "v"}


@pytest.mark.requirement("META-01")
def test_names_are_the_same_in_any_case(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    lines = s3.sign("PUT", path, "", {"host": s3.host, "x-amz-meta-name": "v"}, b"x")
    lines = {"X-AMZ-Meta-NAME" if name == "x-amz-meta-name" else name: value for name, value in lines.items()}
    assert s3.send(render("PUT", path, {**lines, "content-length": "1"}) + b"x", "PUT").status == 200
    assert stored(s3, path) == {"name": "v"}


@pytest.mark.requirement("META-02")
@pytest.mark.parametrize(
    "metadata",
    [
        {"k": "v" * 1_899},
        {"k" * 950: "v" * 950},
        {f"k{number:02}": "v" * 92 for number in range(20)},
    ],
)
def test_1900_bytes_of_names_and_values_are_kept(
    s3: RawClient, bucket: str, metadata: dict[str, str]
) -> None:
    assert put(s3, f"/{bucket}/k", metadata).status == 200
    assert stored(s3, f"/{bucket}/k") == metadata


@pytest.mark.requirement("META-02", "ERR-08")
@pytest.mark.parametrize(
    "metadata",
    [
        {"k": "v" * 2_599},
        {"k" * 2_599: "v"},
        {f"k{number:02}": "v" * 127 for number in range(20)},
        {"k" * 1_300: "v" * 1_300},
    ],
)
def test_2600_bytes_of_names_and_values_are_refused(
    s3: RawClient, bucket: str, metadata: dict[str, str]
) -> None:
    path = f"/{bucket}/k"
    put(s3, path, {"kept": "1"})
    assert put(s3, path, metadata).verdict == (400, "MetadataTooLarge")
    assert s3.request(
        "POST", path, "uploads", {f"x-amz-meta-{k}": v for k, v in metadata.items()}
    ).verdict == (
        400,
        "MetadataTooLarge",
    )
    assert stored(s3, path) == {"kept": "1"}


@pytest.mark.requirement("META-03", "PUT-09")
@pytest.mark.parametrize("value", VALUES)
def test_printable_ascii_round_trips_through_put_and_copy(s3: RawClient, bucket: str, value: str) -> None:
    path, copy = f"/{bucket}/k", f"/{bucket}/copy"
    assert put(s3, path, {"v": value}).status == 200
    assert s3.request("PUT", copy, headers={"x-amz-copy-source": path}).status == 200
    assert (stored(s3, path), stored(s3, copy)) == ({"v": value}, {"v": value})


@pytest.mark.requirement("META-03")
def test_outer_white_space_is_trimmed(s3: RawClient, bucket: str) -> None:
    assert put(s3, f"/{bucket}/k", {"v": " \t a b \t "}).status == 200
    assert stored(s3, f"/{bucket}/k") == {"v": "a b"}


@pytest.mark.requirement("META-03", "PUT-06")
def test_a_put_replaces_all_metadata(s3: RawClient, bucket: str) -> None:
    put(s3, f"/{bucket}/k", {"a": "1", "b": "2"})
    put(s3, f"/{bucket}/k", {"b": "3"})
    assert stored(s3, f"/{bucket}/k") == {"b": "3"}
    put(s3, f"/{bucket}/k", {})
    assert stored(s3, f"/{bucket}/k") == {}


@pytest.mark.requirement("META-03", "COPY-06")
def test_a_replacing_copy_takes_the_requests_metadata(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    put(s3, path, {"a": "1"})
    headers = {"x-amz-copy-source": path, "x-amz-metadata-directive": "REPLACE"}
    assert put(s3, path, {"b": "2"}, **headers).status == 200
    assert stored(s3, path) == {"b": "2"}


@pytest.mark.requirement("META-04")
def test_empty_values_are_kept(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    put(s3, path, {"x": "", "y": "1"})
    assert stored(s3, path) == {"x": "", "y": "1"}
    s3.request("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": path})
    assert stored(s3, f"/{bucket}/copy") == {"x": "", "y": "1"}


@pytest.mark.requirement("META-05")
@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("ü".encode(), "ü"),
        ("schöne Grüße".encode(), "schöne Grüße"),
        ("日本語".encode(), "日本語"),
        ("🪣".encode() * 40, "🪣" * 40),
        (b"caf\xe9", "café"),
        ("\u0085\u009b".encode(), "\u0085\u009b"),
    ],
)
def test_values_beyond_ascii_come_back_as_rfc_2047_words(
    s3: RawClient, bucket: str, sent: bytes, meant: str
) -> None:
    response = put(s3, f"/{bucket}/k", {"v": sent.decode("latin-1")})
    assert response.status == 200
    headed = s3.request("HEAD", f"/{bucket}/k")
    assert headed.raw_head.isascii()
    assert str(make_header(decode_header(of(headed)["v"]))) == meant
    assert {word[:10] for word in of(headed)["v"].split(" ")} == {"=?UTF-8?B?"}
    assert max(len(word) for word in of(headed)["v"].split(" ")) <= 75


@pytest.mark.requirement("META-05", "HTTP-19")
@pytest.mark.parametrize("control", ["\0", "\x01", "\x0b", "\x1f", "\x7f", "a\rb"])
def test_control_characters_never_reach_an_answer(s3: RawClient, bucket: str, control: str) -> None:
    lines = s3.sign("PUT", f"/{bucket}/k", "", {"host": s3.host, "x-amz-meta-v": f"a{control}b"}, b"x")
    response = s3.send(render("PUT", f"/{bucket}/k", {**lines, "content-length": "1"}) + b"x", "PUT")
    assert response.status == 400
    assert s3.request("HEAD", f"/{bucket}/k").status == 404


@pytest.mark.requirement("META-06")
def test_a_repeated_header_is_joined_with_a_comma(s3: RawClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    lines = s3.sign("PUT", path, "", {"host": s3.host, "x-amz-meta-v": "a,b"}, b"x")
    lines["x-amz-meta-v"] = "a\r\nx-amz-meta-v: b"
    assert s3.send(render("PUT", path, {**lines, "content-length": "1"}) + b"x", "PUT").status == 200
    assert stored(s3, path) == {"v": "a,b"}


@pytest.mark.requirement("META-07")
@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("=?UTF-8?B?" + b64encode(b"plain text").decode() + "?=", "plain text"),
        ("=?utf-8?Q?plain=20text?=", "plain text"),
        ("=?UTF-8?Q?plain_text?=", "plain text"),
        ("=?US-ASCII?B?" + b64encode(b"x").decode() + "?=", "x"),
    ],
)
def test_words_of_ascii_come_back_decoded(s3: RawClient, bucket: str, word: str, meant: str) -> None:
    put(s3, f"/{bucket}/k", {"v": word})
    assert stored(s3, f"/{bucket}/k") == {"v": meant}


@pytest.mark.requirement("META-07", "META-05")
@pytest.mark.parametrize("hidden", [b"a\r\nx-evil: 1", b"a\0b", "ü".encode(), b" outer "])
def test_words_that_hide_what_a_header_can_not_hold_come_back_as_they_are(
    s3: RawClient, bucket: str, hidden: bytes
) -> None:
    word = "=?UTF-8?B?" + b64encode(hidden).decode() + "?="
    put(s3, f"/{bucket}/k", {"v": word})
    head = s3.request("HEAD", f"/{bucket}/k")
    assert "x-evil" not in head.headers
    assert b64decode(of(head)["v"].split("?")[3]) == hidden


@pytest.mark.requirement("META-03")
def test_metadata_of_any_key_is_its_own(s3: RawClient, bucket: str) -> None:
    for key in ("a", "a/", "a//b", "A"):
        put(s3, key_path(bucket, key), {"key": key})
    assert [stored(s3, key_path(bucket, key))["key"] for key in ("a", "a/", "a//b", "A")] == [
        "a",
        "a/",
        "a//b",
        "A",
    ]
