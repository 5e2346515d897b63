"""Conditional requests on an object with ETag `abc`, changed at second 1,000,000."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.protocol import conditions
from anys3.protocol.conditions import Conditions
from anys3.protocol.dates import http_date
from anys3.spec.errors import S3Error

MODIFIED_MS = 1_000_000_400
NOW_MS = MODIFIED_MS + 3_600_000

BEFORE = http_date(MODIFIED_MS - 1000)
EQUAL = http_date(MODIFIED_MS)
AFTER = http_date(MODIFIED_MS + 60_000)
FUTURE = http_date(NOW_MS + 60_000)


def read(**headers: bytes) -> int:
    """Return the status that a read earns."""
    try:
        is_not_modified = conditions.is_not_modified(Conditions(**headers), "abc", MODIFIED_MS, NOW_MS)
    except S3Error as error:
        return error.status
    return 304 if is_not_modified else 200


def copy(**headers: bytes) -> int:
    """Return the status that a copy of the object earns."""
    try:
        conditions.check_copy_source(Conditions(**headers), "abc", MODIFIED_MS, NOW_MS)
    except S3Error as error:
        return error.status
    return 200


READS = [
    pytest.param({}, 200, id="none"),
    *[
        pytest.param({"if_match": value}, status, id=f"{name} {value!r}")
        for value, status, name in [
            (b'"abc"', 200, "CONDR-01"),
            (b"abc", 200, "CONDR-01"),
            (b'"x"', 412, "CONDR-01"),
            (b"", 412, "CONDR-01"),
            (b"*", 200, "CONDR-09"),
            (b'"x", "abc"', 200, "CONDR-09"),
            (b'W/"abc"', 412, "CONDR-09"),
            (b'"*"', 412, "CONDR-09"),
        ]
    ],
    *[
        pytest.param({"if_none_match": value}, status, id=f"{name} {value!r}")
        for value, status, name in [
            (b'"abc"', 304, "CONDR-02"),
            (b"abc", 304, "CONDR-02"),
            (b'"x"', 200, "CONDR-02"),
            (b"*", 304, "CONDR-09"),
            (b'"x", W/"abc"', 304, "CONDR-09"),
        ]
    ],
    *[
        pytest.param({"if_modified_since": value}, status, marks=pytest.mark.requirement("CONDR-03"))
        for value, status in [(BEFORE, 200), (EQUAL, 304), (AFTER, 304), (FUTURE, 200), (b"soon", 200)]
    ],
    *[
        pytest.param({"if_unmodified_since": value}, status, marks=pytest.mark.requirement("CONDR-04"))
        for value, status in [(BEFORE, 412), (EQUAL, 200), (AFTER, 200), (FUTURE, 200), (b"soon", 200)]
    ],
    *[
        pytest.param(headers, status, marks=pytest.mark.requirement("CONDR-05"))
        for headers, status in [
            ({"if_match": b"abc", "if_unmodified_since": BEFORE}, 200),
            ({"if_match": b"x", "if_unmodified_since": AFTER}, 412),
            ({"if_none_match": b"abc", "if_modified_since": BEFORE}, 304),
            ({"if_none_match": b"x", "if_modified_since": AFTER}, 200),
            ({"if_match": b"x", "if_none_match": b"abc"}, 412),
            ({"if_match": b"abc", "if_none_match": b"abc"}, 304),
            ({"if_unmodified_since": BEFORE, "if_none_match": b"abc"}, 412),
        ]
    ],
]


@pytest.mark.parametrize(("headers", "status"), READS)
def test_a_read_earns_200_304_or_412(headers: dict[str, bytes], status: int) -> None:
    assert read(**headers) == status


@pytest.mark.requirement("CONDC-01", "CONDC-02")
@pytest.mark.parametrize(("headers", "status"), READS)
def test_a_copy_is_refused_wherever_a_read_would_not_get_the_object(
    headers: dict[str, bytes], status: int
) -> None:
    assert copy(**headers) == (200 if status == 200 else 412)


@pytest.mark.requirement("CONDR-01", "CONDC-01")
def test_the_error_names_the_condition() -> None:
    with pytest.raises(S3Error) as read_error:
        conditions.is_not_modified(Conditions(if_match=b"x"), "abc", MODIFIED_MS, NOW_MS)
    with pytest.raises(S3Error) as copy_error:
        conditions.check_copy_source(Conditions(if_none_match=b"abc"), "abc", MODIFIED_MS, NOW_MS)
    assert read_error.value.details == {"Condition": "If-Match"}
    assert copy_error.value.details == {"Condition": "x-amz-copy-source-If-None-Match"}


def test_no_conditions_cost_nothing() -> None:
    assert not conditions.is_not_modified(conditions.NONE, "abc", MODIFIED_MS, NOW_MS)
    conditions.check_copy_source(conditions.NONE, "abc", MODIFIED_MS, NOW_MS)


values = st.none() | st.binary(max_size=12) | st.sampled_from([b"abc", b"*", BEFORE, EQUAL, AFTER, FUTURE])


@pytest.mark.requirement("CONDR-09")
@given(values, values, values, values)
def test_no_header_value_is_a_bad_request(
    match: bytes | None, none_match: bytes | None, modified: bytes | None, unmodified: bytes | None
) -> None:
    assert read(
        if_match=match, if_none_match=none_match, if_modified_since=modified, if_unmodified_since=unmodified
    ) in {200, 304, 412}


@pytest.mark.requirement("RNG-07")
@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (b'"abc"', True),
        (b"abc", True),
        (b'"x"', False),
        (b'W/"abc"', False),
        (EQUAL, True),
        (BEFORE, False),
        (AFTER, False),
        (b"", False),
    ],
)
def test_if_range_compares_exactly(value: bytes, holds: bool) -> None:
    assert conditions.if_range_holds(value, "abc", MODIFIED_MS) is holds
