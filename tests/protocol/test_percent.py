"""Percent-decoding against the standard library's."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import percent


@pytest.mark.requirement("KEY-04")
@given(st.binary())
def test_decoding_undoes_one_encoding(raw: bytes) -> None:
    once = quote_from_bytes(raw).encode()
    twice = quote_from_bytes(once).encode()
    assert (percent.decode(once), percent.decode(twice)) == (raw, once)


@pytest.mark.requirement("KEY-12")
@pytest.mark.parametrize("text", [b"%", b"a%", b"%1", b"%g0", b"%0g", b"%%20", b"%u0041", b"%+1"])
def test_a_broken_escape_has_no_decoding(text: bytes) -> None:
    assert percent.decode(text) is None
    assert percent.decode_utf8(text) is None


def test_bytes_that_are_not_utf8_have_no_text() -> None:
    assert percent.decode_utf8(b"caf%C3%A9") == "café"
    assert percent.decode_utf8(b"caf%E9") is None
