"""Dates out against the standard library's formatters, and in against their inverse."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import dates

NOV_6 = 784_111_777

seconds = st.integers(0, 4_102_444_799)
times_ms = st.integers(0, 4_102_444_799_999)


@given(times_ms)
def test_an_http_date_is_an_imf_fixdate(ms: int) -> None:
    assert dates.http_date(ms) == formatdate(ms // 1000, usegmt=True).encode()


@given(times_ms)
def test_an_iso_date_has_milliseconds(ms: int) -> None:
    time = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    assert dates.iso(ms) == time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@given(seconds)
def test_an_http_date_parses_to_its_second(second: int) -> None:
    assert dates.parse_http_date(dates.http_date(second * 1000)) == second


@given(st.integers(0, 3_155_759_999))
def test_the_obsolete_forms_parse_to_their_second(second: int) -> None:
    time = datetime.fromtimestamp(second, UTC)
    rfc_850 = time.strftime("%A, %d-%b-%y %H:%M:%S GMT").encode()
    asctime = time.ctime().encode()
    assert (dates.parse_http_date(rfc_850), dates.parse_http_date(asctime)) == (second, second)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"yesterday",
        b"784111777",
        b"Sun, 31 Feb 1994 08:49:37 GMT",
        b"Sun, 06 Foo 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 CET",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_http_date_is_none(value: bytes) -> None:
    assert dates.parse_http_date(value) is None


@given(st.binary(max_size=40))
def test_no_bytes_break_the_parsers(value: bytes) -> None:
    assert dates.parse_http_date(value) is None
    assert dates.parse_amz_date(value) is None


def test_white_space_around_an_http_date_and_a_leap_second_are_accepted() -> None:
    assert dates.parse_http_date(b" Sun, 06 Nov 1994 08:49:37 GMT ") == NOV_6
    assert dates.parse_http_date(b"Sat, 31 Dec 2016 23:59:60 GMT") == 1_483_228_800


@given(seconds)
def test_an_amz_date_parses_to_its_second(second: int) -> None:
    value = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ").encode()
    assert dates.parse_amz_date(value) == second


@pytest.mark.parametrize(
    "value",
    [
        b"19941106T084937",
        b"19941106T084937z",
        b"19941106 084937Z",
        b"19941306T084937Z",
        b"19940231T084937Z",
        b"19941106T244937Z",
        b"19941106T086037Z",
        b"1994110 T084937Z",
        b"19941106T0849+7Z",
        b"00001106T084937Z",
    ],
)
def test_what_is_no_amz_date_is_none(value: bytes) -> None:
    assert dates.parse_amz_date(value) is None
