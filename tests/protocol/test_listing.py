"""Pages of keys: tokens, encodings, and XML that a parser gives back as it was."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anys3.protocol import listing
from anys3.spec.errors import S3Error

ROW = b"<Size>1</Size>"

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).map(str.encode)


def refused(token: str) -> bool:
    with pytest.raises(S3Error, match="InvalidArgument"):
        listing.decode_token(token)
    return True


@pytest.mark.requirement("LIST-11", "LIST-13")
@given(st.binary(max_size=1100))
def test_a_token_comes_back_as_its_position_and_is_safe_in_a_url(position: bytes) -> None:
    token = listing.encode_token(position)
    assert listing.decode_token(token) == position
    assert re.fullmatch("[A-Za-z0-9_-]+", token)


@pytest.mark.requirement("LIST-13")
def test_tokens_stay_what_they_are_between_versions() -> None:
    assert listing.encode_token(b"photos/a") == "AXBob3Rvcy9hID9J9r5U"


@pytest.mark.requirement("LIST-12")
@given(st.text(max_size=40) | st.text("ABCabc012_-", max_size=40))
@example("")
@example("AQ==")
@example("YQ")
@example("photos/2026")
def test_any_other_string_is_refused(token: str) -> None:
    assert refused(token)


@pytest.mark.requirement("LIST-12")
@given(keys, st.data())
def test_a_changed_token_is_refused(position: bytes, data: st.DataObject) -> None:
    token = listing.encode_token(position)
    index = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCxyz019_-=").filter(lambda letter: letter != token[index]))
    assert refused(token[:index] + other + token[index + 1 :])
    assert refused(token + "=")
    assert refused(token[:-1])


@pytest.mark.requirement("LIST-15", "LIST-16")
@given(keys)
@example(b"a+b c/%2F~*'\xef\xbf\xbe\x01")
def test_an_url_encoded_key_decodes_with_and_without_form_decoding(key: bytes) -> None:
    encoded = listing.encode_url(key)
    assert listing.decode_url(encoded) == unquote_to_bytes(encoded) == key
    assert re.fullmatch(rb"[A-Za-z0-9._~/%-]+", encoded)
    assert encoded.count(b"/") == key.count(b"/")


@pytest.mark.requirement("LIST-16")
def test_a_space_is_percent_20_and_the_plus_of_others_is_a_space() -> None:
    assert listing.encode_url(b"a b+c") == b"a%20b%2Bc"
    assert listing.decode_url(b"a+b%2Bc") == b"a b+c"


def shown_keys(contents: bytes) -> list[str]:
    root = ElementTree.fromstring(b"<R>" + contents + b"</R>")
    assert [element.tag for element in root] == ["Contents"] * len(root)
    assert [element.findtext("Size") for element in root] == ["1"] * len(root)
    return [element.findtext("Key", "") for element in root]


def shown_prefixes(prefixes: bytes) -> list[str]:
    root = ElementTree.fromstring(b"<R>" + prefixes + b"</R>")
    assert [element.tag for element in root] == ["CommonPrefixes"] * len(root)
    return [element.findtext("Prefix", "") for element in root]


@pytest.mark.requirement("LIST-15", "LIST-16")
@given(st.lists(keys | st.sampled_from([b"photos/a.jpg", b"b"]), max_size=5))
def test_url_encoded_pages_decode_to_their_keys(page: list[bytes]) -> None:
    contents = listing.render_contents([(key, ROW) for key in page], is_url=True)
    prefixes = listing.render_prefixes(page, is_url=True)
    assert [unquote_to_bytes(key) for key in shown_keys(contents)] == page
    assert [unquote_to_bytes(prefix) for prefix in shown_prefixes(prefixes)] == page


@pytest.mark.requirement("LIST-18")
@given(st.lists(keys | st.sampled_from([b"photos/a.jpg", b"a&b", b"\xef\xbc\xa1"]), max_size=5))
@example([b"\x01", b"\xef\xbf\xbe", b"a\r\nb", b"]]>"])
def test_plain_pages_are_well_formed_and_parse_to_their_keys(page: list[bytes]) -> None:
    expected = [re.sub("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", key.decode()) for key in page]
    contents = listing.render_contents([(key, ROW) for key in page], is_url=False)
    assert shown_keys(contents) == expected
    assert shown_prefixes(listing.render_prefixes(page, is_url=False)) == expected


@pytest.mark.requirement("LIST-19")
@pytest.mark.parametrize(("owner", "shown"), [(None, [None, None]), ("", ["", ""]), ("a&b", ["a&b", "a&b"])])
def test_the_owner_stands_in_each_row_if_it_is_wanted(owner: str | None, shown: list[str | None]) -> None:
    contents = listing.render_contents([(b"a", ROW), (b"b", ROW)], is_url=True, owner=owner)
    root = ElementTree.fromstring(b"<R>" + contents + b"</R>")
    assert [element.findtext("Owner/ID") for element in root] == shown
