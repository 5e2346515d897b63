"""Content headers and metadata: what is stored, refused, and replaced in an answer."""

from __future__ import annotations

from email.header import Header, decode_header, make_header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anys3.protocol import metadata
from anys3.spec.errors import S3Error

DEFAULT = (b"Content-Type", b"binary/octet-stream")

printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=100)


def stored(content: dict[bytes, bytes], user: dict[bytes, bytes] | None = None) -> list[tuple[bytes, bytes]]:
    return metadata.parse_lines(metadata.stored_lines(content, user or {}))


def stored_value(value: bytes) -> bytes:
    """Return what comes back for one metadata value."""
    return dict(stored({}, {b"x": value}))[b"x-amz-meta-x"]


def decoded(value: bytes) -> str:
    return str(make_header(decode_header(value.decode("ascii"))))


@pytest.mark.requirement("PUT-07")
def test_a_missing_content_type_is_binary() -> None:
    assert stored({}) == stored({b"content-type": b""}) == [DEFAULT]


@pytest.mark.requirement("PUT-08")
def test_content_headers_are_stored_as_sent_and_others_are_not() -> None:
    sent = [
        (b"Content-Type", b"Text/Plain;  charset=UTF-8"),
        (b"Cache-Control", b"max-age=1 , no-store"),
        (b"Content-Disposition", 'attachment; filename="é"'.encode()),
        (b"Content-Language", b"de, en"),
        (b"Expires", b"whenever"),
        (b"Content-Encoding", b"gzip,br"),
    ]
    headers = {name.lower(): value for name, value in sent} | {b"host": b"h", b"content-length": b"1"}
    assert sorted(stored(headers)) == sorted(sent)


@pytest.mark.requirement("PAY-10")
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"aws-chunked", b""),
        (b"aws-chunked,gzip", b"gzip"),
        (b"gzip, aws-chunked", b"gzip"),
        (b"gzip, AWS-Chunked , br,", b"gzip, br"),
        (b"aws-chunked,aws-chunked", b""),
        (b"gzip,br", b"gzip,br"),
    ],
)
def test_aws_chunked_leaves_the_content_encoding(sent: bytes, expected: bytes) -> None:
    lines = dict(stored({b"content-encoding": sent}))
    assert lines.get(b"Content-Encoding", b"") == expected


@pytest.mark.requirement("META-01", "META-04", "PUT-09")
def test_metadata_names_become_lower_case_and_empty_values_stay() -> None:
    sent = {b"Color-Of_Sky2": b"Blue", b"empty": b""}
    assert stored({}, sent) == [DEFAULT, (b"x-amz-meta-color-of_sky2", b"Blue"), (b"x-amz-meta-empty", b"")]


@pytest.mark.requirement("META-03", "PUT-09")
@given(printable)
@example("=?")
@example("=?utf-8?b?!!!?=")
@example("a =?utf-8?q?b?= c")
@example("100 =?")
def test_ascii_that_is_no_encoded_word_comes_back_trimmed(text: str) -> None:
    assert stored_value(text.encode()) == text.strip().encode()


@pytest.mark.requirement("META-05")
@given(
    st.text(
        st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), max_size=200
    )
)
@example("café" * 40)
def test_text_beyond_ascii_comes_back_as_rfc_2047_words(text: str) -> None:
    value = stored_value(f"é{text}ü".encode())
    assert decoded(value) == f"é{text}ü"
    assert max(map(len, value.split(b" "))) <= 75


@pytest.mark.requirement("META-05")
def test_bytes_that_are_not_utf8_are_taken_for_latin_1() -> None:
    assert decoded(stored_value(b"caf\xe9")) == "café"


@pytest.mark.requirement("META-07")
@pytest.mark.parametrize(
    ("word", "value"),
    [
        (b"=?UTF-8?B?aGVsbG8=?=", b"hello"),
        (b"=?utf-8?q?a_b=3Dc?=", b"a b=c"),
        (b"=?US-ASCII?Q?one?= =?US-ASCII?Q?two?=", b"onetwo"),
        # Beyond ASCII, broken or unsafe to send: as it came.
        (b"=?UTF-8?B?w6k=?=", b"=?UTF-8?B?w6k=?="),
        (b"=?UTF-8?B?aGVsbG8?=", b"=?UTF-8?B?aGVsbG8?="),
        (b"=?UTF-8?Q?a=0D=0AX-Evil:1?=", b"=?UTF-8?Q?a=0D=0AX-Evil:1?="),
        (b"=?UTF-8?Q?_a?=", b"=?UTF-8?Q?_a?="),
        (b"=?koi8-r?Q?a?=", b"=?koi8-r?Q?a?="),
        (b"=?UTF-8?Q??=", b"=?UTF-8?Q??="),
    ],
)
def test_encoded_words_of_ascii_come_back_decoded(word: bytes, value: bytes) -> None:
    assert stored_value(word) == value


@pytest.mark.requirement("META-07")
@given(printable.map(str.strip).filter(bool))
def test_what_the_standard_library_encodes_comes_back_decoded(text: str) -> None:
    word = Header(text, "utf-8", maxlinelen=10_000).encode(linesep="").encode()
    assert stored_value(word) == text.encode()


@pytest.mark.requirement("META-02")
def test_metadata_has_at_most_2_kb_of_names_and_values() -> None:
    metadata.stored_lines({}, {b"name": b"v" * 2000, b"n": b"v" * 43})
    with pytest.raises(S3Error, match="MetadataTooLarge"):
        metadata.stored_lines({}, {b"name": b"v" * 2000, b"n": b"v" * 44})


@pytest.mark.requirement("OVR-02")
@given(
    st.dictionaries(
        st.sampled_from([b"content-type", b"cache-control", b"content-encoding", b"expires"]), st.binary()
    ),
    st.dictionaries(st.binary(max_size=5), st.binary(max_size=20)),
)
@example({}, {b"a": b"b\r\nX-Evil: 1"})
@example({b"expires": b"0\r\nX-Evil: 1"}, {})
@example({}, {b"a: b\r\nx-evil": b"1"})
def test_no_value_adds_a_line(content: dict[bytes, bytes], user: dict[bytes, bytes]) -> None:
    try:
        lines = metadata.stored_lines(content, user)
    except S3Error as error:
        assert error.code == "InvalidArgument"
    else:
        allowed = {b"content-type", *content, *(b"x-amz-meta-" + name.lower() for name in user)}
        assert {name.lower() for name, _ in metadata.parse_lines(lines)} <= allowed
        assert lines.count(b"\r") == lines.count(b"\n") == len(metadata.parse_lines(lines))


def test_metadata_is_found_among_headers() -> None:
    headers = {b"host": b"h", b"x-amz-meta-a": b"1", b"x-amz-meta-": b"2", b"x-amz-metabolism": b"3"}
    assert metadata.of_headers(headers) == {b"a": b"1", b"": b"2"}


LINES = b'ETag: "abc"\r\nContent-Type: text/plain\r\nx-amz-meta-content-type: kept\r\n'


@pytest.mark.requirement("OVR-01")
def test_overrides_replace_or_add_lines() -> None:
    overrides = {b"content-type": b"text/html", b"Content-Disposition": "inline; é".encode(), b"expires": b""}
    assert metadata.parse_lines(metadata.override(LINES, overrides)) == [
        (b"ETag", b'"abc"'),
        (b"x-amz-meta-content-type", b"kept"),
        (b"Content-Type", b"text/html"),
        (b"Content-Disposition", b"inline; \xe9"),
    ]
    assert metadata.override(LINES, {}) == LINES
    assert metadata.override(b"", {b"expires": b"0"}) == b"Expires: 0\r\n"


@pytest.mark.requirement("OVR-02")
@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0", "a\x7f", "a\x85", "price: 5 €", "日本"])
def test_an_override_that_no_header_can_carry_is_refused(value: str) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        metadata.override(LINES, {b"content-type": value.encode()})


@pytest.mark.requirement("OVR-02")
@pytest.mark.parametrize(("name", "value"), [(b"etag", b"x"), (b"content-type", b"\xff")])
def test_other_headers_and_broken_utf8_are_refused(name: bytes, value: bytes) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        metadata.override(LINES, {name: value})
