"""Queries against the standard library's parser."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import queries
from anys3.spec.errors import S3Error


@given(st.lists(st.tuples(st.text(), st.text())), st.sampled_from(["", "/", ":/?"]))
def test_the_first_value_of_each_name_is_found(pairs: list[tuple[str, str]], safe: str) -> None:
    query = urlencode(pairs, safe=safe)
    expected = dict(reversed(parse_qsl(query, keep_blank_values=True)))
    assert queries.parse(query.encode()) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", {}),
        (b"uploads", {"uploads": ""}),
        (b"uploads=", {"uploads": ""}),
        (b"&&acl&", {"acl": ""}),
        (b"prefix=a+b%2Bc", {"prefix": "a b+c"}),
        (b"prefix=a%252Fb", {"prefix": "a%2Fb"}),
        (b"a=1&a=2", {"a": "1"}),
        (b"a=b=c", {"a": "b=c"}),
        ("prefix=é".encode(), {"prefix": "é"}),
    ],
)
def test_a_query_is_decoded_once(query: bytes, expected: dict[str, str]) -> None:
    assert queries.parse(query) == expected


@pytest.mark.requirement("KEY-12")
@pytest.mark.parametrize(
    "query", [b"prefix=%", b"prefix=%zz", b"prefix=%FF", b"prefix=\xff", b"%ff", b"&".join([b"a"] * 257)]
)
def test_a_broken_query_is_refused(query: bytes) -> None:
    with pytest.raises(S3Error, match="InvalidURI"):
        queries.parse(query)


def test_256_parameters_are_not_too_many() -> None:
    assert len(queries.parse(b"&".join(b"a%d" % number for number in range(256)))) == 256
