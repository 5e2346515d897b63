"""Which object a copy takes."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import copy_source
from anys3.protocol.copy_source import CopySource
from anys3.spec.errors import S3Error

key_texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=200
)


@pytest.mark.requirement("COPY-02")
@pytest.mark.known_mistake(20)
@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"photos/a", b"a"),
        (b"/photos/a", b"a"),
        (b"photos%2Fa", b"a"),
        (b"%2Fphotos%2Fa", b"a"),
        (b"photos//a", b"/a"),
        (b"photos/a%2Bb%20c%3Fd", b"a+b c?d"),
        (b"photos/a%252Fb", b"a%2Fb"),
        (b"photos/a+b", b"a+b"),
        (b"photos/a?b", b"a?b"),
        (b"photos/a?versionId=null", b"a"),
        (b"photos/a%3FversionId=x", b"a?versionId=x"),
        (b"photos/../other/k", b"../other/k"),
        (b"photos/%2e%2e%2fother/k", b"../other/k"),
        ("photos/é".encode(), "é".encode()),
    ],
)
def test_the_source_is_decoded_once_and_never_normalised(value: bytes, key: bytes) -> None:
    assert copy_source.parse(value) == CopySource("photos", key)


@pytest.mark.requirement("COPY-02")
@given(key_texts, st.sampled_from(["", "/"]), st.sampled_from(["", "/", "/+!*'()"]))
def test_any_key_can_be_a_source(text: str, slash: str, raw: str) -> None:
    key = text.encode()
    value = slash.encode() + b"photos/" + quote_from_bytes(key, safe=raw).encode()
    assert copy_source.parse(value) == CopySource("photos", key)


@pytest.mark.requirement("COPY-04")
@pytest.mark.parametrize(
    "value",
    [b"", b"/", b"photos", b"photos/", b"/photos/", b"//photos/k", b"a/k", b"Photos/k", b"../photos/k"]
    + [b"photos/%", b"photos/%zz", b"photos/%ff", b"photos/\xff", b"photos/a%00b", b"photos/k?versionId=abc"]
    + [b"photos/k?versionId=", b"arn:aws:s3:eu-west-1:123456789012:accesspoint/ap/object/k"],
)
def test_what_is_no_bucket_and_key_is_refused(value: bytes) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        copy_source.parse(value)


@pytest.mark.requirement("KEY-01")
def test_a_source_key_that_is_too_long_is_refused() -> None:
    with pytest.raises(S3Error, match="KeyTooLongError"):
        copy_source.parse(b"photos/" + b"k" * 1025)


@given(st.binary(max_size=40))
def test_no_bytes_break_the_parser(value: bytes) -> None:
    try:
        source = copy_source.parse(value)
    except S3Error as error:
        assert error.code == "InvalidArgument"
    else:
        assert source.bucket and source.key
