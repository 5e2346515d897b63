"""Which bucket names and keys are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import names
from anys3.spec.errors import S3Error

BUCKET_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-"


@pytest.mark.requirement("BN-01", "BN-05")
@pytest.mark.parametrize(
    "name", ["abc", "a-b", "0ab", "a" * 63, "my.bucket", "1.2.3", "1.2.3.4.5", "1.2.3.a", "s3alias", "a--b"]
)
def test_a_valid_bucket_name_is_accepted(name: str) -> None:
    assert names.check_bucket_name(name, is_new=True) is None


@pytest.mark.requirement("BN-02", "BN-03", "BN-04", "BN-07")
@pytest.mark.parametrize(
    "name",
    ["", "ab", "a" * 64, "Abc", "a_b", "a b", "bücher", "-abc", "abc-", ".abc", "abc.", "a..b", "192.168.5.4"]
    + ["a/b", "abc\n", "abc\0", "../abc", "١٢٣"],
)
@pytest.mark.parametrize("is_new", [True, False])
def test_an_invalid_bucket_name_is_refused_everywhere(name: str, is_new: bool) -> None:
    with pytest.raises(S3Error, match="InvalidBucketName"):
        names.check_bucket_name(name, is_new=is_new)


@pytest.mark.requirement("BN-06")
@pytest.mark.parametrize(
    "name",
    ["a.-b", "a-.b", "xn--abc", "sthree-abc", "amzn-s3-demo-abc"]
    + ["abc-s3alias", "abc--ol-s3", "abc.mrap", "abc--x-s3", "abc--table-s3"],
)
def test_a_reserved_bucket_name_is_refused_to_a_new_bucket_only(name: str) -> None:
    names.check_bucket_name(name, is_new=False)
    with pytest.raises(S3Error, match="InvalidBucketName"):
        names.check_bucket_name(name, is_new=True)


@pytest.mark.requirement("BN-01")
@given(st.text(BUCKET_ALPHABET, min_size=1, max_size=61))
def test_any_letters_digits_and_hyphens_may_stand_inside(middle: str) -> None:
    assert names.check_bucket_name(f"a{middle}z", is_new=False) is None


@pytest.mark.requirement("KEY-01", "KEY-02", "KEY-08", "KEY-13", "KEY-14")
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_any_text_without_nul_is_a_key(text: str) -> None:
    assert names.check_key(text.encode()[:1024].decode(errors="ignore").encode()) is None


@pytest.mark.requirement("KEY-01", "KEY-13")
def test_a_key_has_at_most_1024_bytes() -> None:
    names.check_key("é".encode() * 512)
    with pytest.raises(S3Error, match="KeyTooLongError"):
        names.check_key("é".encode() * 512 + b"a")


@pytest.mark.requirement("KEY-11", "KEY-12")
@pytest.mark.parametrize(
    ("key", "code"),
    [
        (b"a\0b", "InvalidArgument"),
        (b"", "InvalidArgument"),
        (b"caf\xe9", "InvalidURI"),
        (b"\xc0\xaf", "InvalidURI"),
        (b"\xed\xa0\x80", "InvalidURI"),
    ],
)
def test_nul_and_what_is_not_utf8_are_refused(key: bytes, code: str) -> None:
    with pytest.raises(S3Error, match=code):
        names.check_key(key)
