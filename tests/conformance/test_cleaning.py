"""What a run made is taken away, and what is not there costs one request."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anys3.conformance.cleaning import _batches, clean
from anys3.conformance.ground import Ground
from anys3.conformance.probe import Probe
from anys3.protocol.http import Answer, Request
from tests.broken_servers import BreakableServer, Proceed, error_answer, hooked


@pytest.fixture
def ground(breakable: BreakableServer, tmp_path: Path) -> Iterator[Ground]:
    """A ground over our own server, taken away at the end."""
    with breakable.ground(tmp_path) as made:
        yield made


def cleaned(ground: Ground) -> int:
    """Clean up, and return how many requests that took; nothing may be left."""
    before = ground.meter.total
    left = clean(ground, ground.journal.made, ground.journal.run_id)
    assert left == []
    return ground.meter.total - before


def nfc(key: str) -> str:
    """Compose a key, as some file systems do."""
    return unicodedata.normalize("NFC", key)


def cut(key: str) -> str:
    """Cut a key where file systems cut names."""
    return key.encode()[:255].decode(errors="ignore")


def test_a_bucket_that_is_not_there_costs_one_request_whatever_should_be_in_it(ground: Ground) -> None:
    probe = Probe(ground, "PUT-01/x")
    requests = cleaned(ground)
    ground.journal.will_create_bucket(probe.missing_bucket)
    ground.journal.will_create_object(probe.missing_bucket, probe.key("a"))
    ground.journal.will_create_object(probe.missing_bucket, probe.key("b c"))
    ground.journal.will_create_upload(probe.missing_bucket, probe.key("d"))
    assert cleaned(ground) == requests + 1


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=60), unique=True
    )
)
@example(["a b", "A+b", "a%20b", "a-b.", "a_b", "e\u0301", "é", "s" * 300, "s" * 301, "K", "\u212a"])
def test_keys_that_a_server_may_take_for_one_are_in_different_batches(keys: list[str]) -> None:
    batches = list(_batches(keys))
    assert sorted(key for batch in batches for key in batch) == sorted(keys)
    for change in (str.lower, str.strip, nfc, cut, unquote_plus):
        assert [len({change(key) for key in batch}) for batch in batches] == [len(batch) for batch in batches]


def test_a_signal_while_it_cleans_does_not_end_it_half_way(
    breakable: BreakableServer, ground: Ground
) -> None:
    probe = Probe(ground, "PUT-01/x")
    for name in ("a", "b//c", "d/../e"):
        probe.given_object(name)
    probe.given_upload()
    heard: list[bytes] = []

    async def hook(request: Request, proceed: Proceed) -> Answer:
        ground.stop.set()  # what the handler of SIGINT does
        heard.append(request.method)
        return error_answer("SlowDown") if len(heard) == 2 else await proceed(request)

    with hooked("is interrupted", hook).enter(breakable):
        cleaned(ground)
    ground.stop.clear()
    assert len(heard) > 4
    assert probe.request("HEAD", probe.path()).status == 404


def test_buckets_with_objects_and_uploads_are_emptied_and_deleted(ground: Ground) -> None:
    probe = Probe(ground, "PUT-01/x")
    aside = probe.aside()
    probe.given_object("plain", bucket=aside)
    probe.given_object("odd //é ", bucket=aside)
    probe.request("POST", probe.path(probe.key("upload"), aside), "uploads").expect("200")
    cleaned(ground)
    assert probe.request("HEAD", probe.path(bucket=aside)).status == 404
    assert probe.request("HEAD", probe.path()).status == 404
