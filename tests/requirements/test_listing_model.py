"""Paging, held against a model: whatever the page size, prefix and delimiter, the pages make one listing."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.keepalive import KeepAlive
from tests.rawclient import RawClient, Response, encode_query, key_path

FEW_LETTERS = st.sampled_from(
    ["a", "b", "/", "/", "//", "-", "+", "%2F", " ", "é", "\ufffd", "\U00010000", "\U0010ffff"]
)
KEYS = st.lists(FEW_LETTERS, min_size=1, max_size=5).map("".join)
KEY_SETS = st.sets(KEYS, max_size=14)
PREFIXES = st.one_of(st.just(""), st.lists(FEW_LETTERS, max_size=2).map("".join))
DELIMITERS = st.sampled_from(["", "/", "//", "a", "-/", "é", "\U0010ffff"])
SIZES = st.integers(1, 6)

Row = tuple[bytes, bool]
"""A key, or a common prefix: True."""

_names = itertools.count()


@dataclass(frozen=True)
class Style:
    """One of the listings: where its rows stand, and how its next page is asked for."""

    query: tuple[tuple[str, str], ...]
    row: str
    next_page: Callable[[Response, str], tuple[str, str]]


def _after_v1(page: Response, delimiter: str) -> tuple[str, str]:
    marker = page.text("NextMarker") if delimiter else page.texts("Contents/Key")[-1]
    return "marker", marker or ""


STYLES = {
    "version 2": Style(
        (("list-type", "2"),),
        "Contents",
        lambda page, _: ("continuation-token", page.text("NextContinuationToken") or ""),
    ),
    "version 1": Style((), "Contents", _after_v1),
    "versions": Style(
        (("versions", ""),), "Version", lambda page, _: ("key-marker", page.text("NextKeyMarker") or "")
    ),
}


def expected_rows(keys: Iterable[str], prefix: str, delimiter: str) -> list[Row]:
    """Return what a whole listing has, from the words of LIST-02 to LIST-06."""
    rows: dict[Row, None] = {}
    for key in sorted(key.encode() for key in keys if key.startswith(prefix)):
        start = len(prefix.encode())
        at = key.find(delimiter.encode(), start) if delimiter else -1
        rows[(key, False) if at < 0 else (key[: at + len(delimiter.encode())], True)] = None
    return list(rows)


def rows_of(page: Response, row: str) -> list[Row]:
    """Return the rows of a page in the merged order of LIST-05."""
    keys = [(text.encode(), False) for text in page.texts(f"{row}/Key")]
    prefixes = [(text.encode(), True) for text in page.texts("CommonPrefixes/Prefix")]
    assert (keys, prefixes) == (sorted(keys), sorted(prefixes))
    return sorted(keys + prefixes)


class Scenario:
    """A bucket of its own on one connection."""

    def __init__(self, s3: RawClient) -> None:
        self.connection = KeepAlive(s3)
        self.name = f"model-{os.getpid()}-{next(_names)}"
        assert self.connection.request("PUT", f"/{self.name}").status == 200

    def put(self, keys: Iterable[str]) -> None:
        """Put objects."""
        for key in keys:
            assert self.connection.request("PUT", key_path(self.name, key), body=b"").status == 200

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects."""
        for key in keys:
            assert self.connection.request("DELETE", key_path(self.name, key)).status == 204

    def walk(
        self, style: Style, prefix: str, delimiter: str, size: int, between: Callable[[], None] = lambda: None
    ) -> list[list[Row]]:
        """Return the rows of every page; `between` runs after each. An endless listing fails."""
        query = [*style.query, ("prefix", prefix), ("delimiter", delimiter), ("max-keys", str(size))]
        position: list[tuple[str, str]] = []
        pages = []
        for _ in range(60):
            page = self.connection.request("GET", f"/{self.name}", encode_query(query + position))
            assert page.verdict == (200, "")
            pages.append(rows_of(page, style.row))
            if page.text("IsTruncated") == "false":
                return pages
            position = [style.next_page(page, delimiter)]
            between()
        raise AssertionError(f"no end after {len(pages)} pages: {pages}")


MODEL = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@pytest.mark.requirement("LIST-02", "LIST-03", "LIST-04", "LIST-05", "LIST-10", "LIST-11", "LIST-25")
@pytest.mark.known_mistake(48)
@pytest.mark.parametrize("style", STYLES)
@given(keys=KEY_SETS, prefix=PREFIXES, delimiter=DELIMITERS, size=SIZES)
@MODEL
def test_pages_of_any_size_make_the_whole_listing(
    s3: RawClient, style: str, keys: set[str], prefix: str, delimiter: str, size: int
) -> None:
    """seaweedfs#10652, #10656, #7705, #7703, #7850: paging lost rows, repeated them or never ended."""
    scenario = Scenario(s3)
    try:
        scenario.put(keys)
        pages = scenario.walk(STYLES[style], prefix, delimiter, size)
    finally:
        scenario.connection.close()
    rows = expected_rows(keys, prefix, delimiter)
    assert pages == [rows[at : at + size] for at in range(0, len(rows), size)] or pages == [[]] == [rows]


@pytest.mark.requirement("LIST-05", "LIST-14")
@pytest.mark.known_mistake(48)
@given(keys=KEY_SETS, prefix=PREFIXES, delimiter=DELIMITERS, size=SIZES, after=KEYS)
@MODEL
def test_pages_behind_any_position_make_the_rest_of_the_listing(
    s3: RawClient, keys: set[str], prefix: str, delimiter: str, size: int, after: str
) -> None:
    """seaweedfs#10652: start-after with a delimiter lost rows."""
    scenario = Scenario(s3)
    style = Style((("list-type", "2"), ("start-after", after)), "Contents", STYLES["version 2"].next_page)
    try:
        scenario.put(keys)
        pages = scenario.walk(style, prefix, delimiter, size)
    finally:
        scenario.connection.close()
    rows = [row for row in expected_rows(keys, prefix, delimiter) if row[0] > after.encode()]
    assert [row for page in pages for row in page] == rows


@pytest.mark.requirement("LIST-11", "LIST-22")
@pytest.mark.known_mistake(48)
@pytest.mark.parametrize("style", STYLES)
@given(
    kept=KEY_SETS,
    coming=KEY_SETS,
    going=KEY_SETS,
    prefix=PREFIXES,
    delimiter=st.sampled_from(["", "/"]),
    size=SIZES,
)
@MODEL
def test_what_exists_all_the_time_is_listed_exactly_once_whatever_changes(
    s3: RawClient,
    style: str,
    kept: set[str],
    coming: set[str],
    going: set[str],
    prefix: str,
    delimiter: str,
    size: int,
) -> None:
    """seaweedfs#7703, #7850: a page that began at a key which had gone lost or repeated rows."""
    scenario = Scenario(s3)
    coming -= kept
    going -= kept | coming
    steps = itertools.zip_longest(sorted(going), sorted(coming, reverse=True))

    def change() -> None:
        for leaving, entering in itertools.islice(steps, 3):
            scenario.delete([leaving] if leaving else [])
            scenario.put([entering] if entering else [])

    try:
        scenario.put(kept | going)
        rows = [row for page in scenario.walk(STYLES[style], prefix, delimiter, size, change) for row in page]
    finally:
        scenario.connection.close()
    assert rows == sorted(set(rows))
    assert set(expected_rows(kept, prefix, delimiter)) <= set(rows)
    assert set(rows) <= set(expected_rows(kept | coming | going, prefix, delimiter))
