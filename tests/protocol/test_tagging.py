"""Tags from headers and documents."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import tagging, xml
from anys3.spec.errors import S3Error

carried = st.characters(
    exclude_categories=["Cs"], exclude_characters="\ufffe\uffff", min_codepoint=0x20
) | st.sampled_from("\t\r\n")
tag_sets = st.dictionaries(
    st.text(carried, min_size=1, max_size=128).filter(lambda key: not key.lower().startswith("aws:")),
    st.text(carried, max_size=256),
    max_size=10,
).map(lambda tags: tuple(tags.items()))


def document(tags: str) -> xml.Node:
    return xml.parse(f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode())


@pytest.mark.requirement("TAG-03")
@given(tag_sets, st.booleans())
def test_a_header_is_a_url_query(tags: tagging.Tags, is_form: bool) -> None:
    value = urlencode(tags) if is_form else urlencode(tags, quote_via=quote)
    assert tagging.parse_header(value.encode()) == tags


@pytest.mark.requirement("TAG-01", "TAG-02")
@given(tag_sets)
def test_a_rendered_tag_set_parses_to_itself(tags: tagging.Tags) -> None:
    assert tagging.parse_document(xml.parse(f"<Tagging>{tagging.render(tags)}</Tagging>".encode())) == tags


@pytest.mark.requirement("TAG-03")
@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (b"", ()),
        (b"a", (("a", ""),)),
        (b"a=", (("a", ""),)),
        (b"a=1&b=2&", (("a", "1"), ("b", "2"))),
        (b"a+b=c%2Bd%26", (("a b", "c+d&"),)),
        (b"a=b=c", (("a", "b=c"),)),
    ],
)
def test_a_header_is_decoded_once(value: bytes, tags: tagging.Tags) -> None:
    assert tagging.parse_header(value) == tags


@pytest.mark.requirement("TAG-04")
@pytest.mark.parametrize("value", [b"=v", b"a=%", b"a=%ff", b"a=\xff", b"a=1&a=2", b"a=1&%61=2"])
def test_a_broken_header_is_refused(value: bytes) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        tagging.parse_header(value)


@pytest.mark.requirement("TAG-04")
@pytest.mark.parametrize(
    ("tags", "code"),
    [
        (tuple((str(number), "") for number in range(11)), "BadRequest"),
        ((("", "v"),), "InvalidTag"),
        ((("k" * 129, "v"),), "InvalidTag"),
        ((("k", "v" * 257),), "InvalidTag"),
        ((("k", "1"), ("k", "2")), "InvalidTag"),
        ((("aws:k", "v"),), "InvalidTag"),
        ((("AWS:k", "v"),), "InvalidTag"),
        ((("k", "\x01"),), "InvalidTag"),
    ],
)
def test_tags_beyond_the_limits_are_refused(tags: tagging.Tags, code: str) -> None:
    with pytest.raises(S3Error, match=code):
        tagging.check(tags)


@pytest.mark.requirement("TAG-04")
def test_lengths_are_in_unicode_characters() -> None:
    tags = (("😀" * 128, "😀" * 256),)
    assert tagging.check(tags) == tags


@pytest.mark.requirement("TAG-04")
@pytest.mark.parametrize(
    "body",
    [
        "<Tagging/>",
        "<TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet>",
        "<Tags><TagSet/></Tags>",
        "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Value>v</Value></Tag></TagSet></Tagging>",
    ],
)
def test_another_document_is_malformed(body: str) -> None:
    with pytest.raises(S3Error, match="MalformedXML"):
        tagging.parse_document(xml.parse(body.encode()))


@pytest.mark.requirement("TAG-04")
def test_an_empty_tag_set_has_no_tags_and_a_repeated_key_is_refused() -> None:
    tag = "<Tag><Key>k</Key><Value/></Tag>"
    assert tagging.parse_document(document("")) == ()
    assert tagging.parse_document(document(tag)) == (("k", ""),)
    with pytest.raises(S3Error, match="InvalidTag"):
        tagging.parse_document(document(tag + tag))
