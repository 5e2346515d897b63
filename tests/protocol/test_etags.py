"""ETags: quotes, lists, and those of objects made of parts."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import etags
from anys3.protocol.etags import EntityTag


@pytest.mark.parametrize(
    ("value", "etag"),
    [
        (b'"abc"', "abc"),
        (b"abc", "abc"),
        (b' "abc" ', "abc"),
        (b'"', '"'),
        (b'""', ""),
        (b'W/"abc"', 'W/"abc"'),
        (b'"abc', '"abc'),
        (b"", ""),
    ],
)
def test_quotes_around_an_etag_are_optional(value: bytes, etag: str) -> None:
    assert etags.unquote(value) == etag


@pytest.mark.requirement("CPL-03")
@given(st.lists(st.binary(max_size=20), min_size=1, max_size=10))
def test_a_multipart_etag_is_the_md5_of_the_binary_md5s(parts: list[bytes]) -> None:
    binary = b"".join(hashlib.md5(part).digest() for part in parts)
    expected = f"{hashlib.md5(binary).hexdigest()}-{len(parts)}"
    assert etags.multipart([hashlib.md5(part).hexdigest() for part in parts]) == expected


@pytest.mark.requirement("CONDR-09")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'"a"', (EntityTag("a"),)),
        (b"a", (EntityTag("a"),)),
        (b'"a", W/"b",c', (EntityTag("a"), EntityTag("b", is_weak=True), EntityTag("c"))),
        (b'"a,b" , "c d"', (EntityTag("a,b"), EntityTag("c d"))),
        (b'"*"', (EntityTag("*"),)),
        (b"", ()),
        (b" , ,", ()),
    ],
)
def test_a_list_of_etags_is_split_at_its_commas(value: bytes, expected: tuple[EntityTag, ...]) -> None:
    assert etags.parse_list(value) == expected


@pytest.mark.requirement("CONDR-09")
def test_a_star_is_any_and_a_quoted_star_is_not() -> None:
    assert etags.parse_list(b" * ") is etags.ANY
    assert etags.parse_list(b'"*"') is not etags.ANY


@pytest.mark.requirement("CONDR-09")
@given(st.lists(st.tuples(st.booleans(), st.text("abc ,*/-", max_size=5))))
def test_listed_etags_come_back(tags: list[tuple[bool, str]]) -> None:
    value = ", ".join(f'{"W/" if weak else ""}"{tag}"' for weak, tag in tags).encode()
    assert etags.parse_list(value) == tuple(EntityTag(tag, weak) for weak, tag in tags)


@given(st.binary())
def test_no_bytes_break_the_list(value: bytes) -> None:
    assert isinstance(etags.parse_list(value), tuple)
