"""URLs of blobs at an S3 provider."""

from __future__ import annotations

import doctest
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from anys3.client.credentials import Found
from anys3.client.signing import Credentials
from anys3.store.s3 import Address, address, parse, writing
from anys3.store.s3.requests import Requester, Surroundings


def test_the_examples_are_true() -> None:
    assert [doctest.testmod(module).failed for module in (address, writing)] == [0, 0]


def test_all_that_is_not_said_has_a_default() -> None:
    assert parse("s3://blobs") == Address("blobs", "", None, is_virtual=True)


def test_all_that_can_be_said_is_heard(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.touch()
    found = parse(
        "s3://blobs/a/b/?endpoint=https://s3.example.com:9000&region=eu-1&profile=store&addressing=virtual"
        f"&part_size=5MiB&timeout=2.5&check=no&ca_file={authorities}"
    )
    assert found.endpoint is not None
    assert found == Address(
        "blobs", "a/b/", found.endpoint, "eu-1", "store", str(authorities), True, 5 << 20, 2.5, False
    )
    assert found.endpoint.url == "https://s3.example.com:9000"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://", "expected s3://BUCKET"),
        ("s3:blobs", "expected s3://BUCKET"),
        ("https://blobs", "expected s3://BUCKET"),
        ("s3://Blobs", "expected s3://BUCKET"),
        ("s3://blobs#x", "expected s3://BUCKET"),
        ("s3://key:secret@blobs", "holds credentials"),
        ("s3://blobs?endpoint=http://key:secret@localhost", "holds credentials"),
        ("s3://blobs?endpoint=ftp://localhost", "expected http:// or https://"),
        ("s3://blobs?endpoint=http://localhost/blobs", "expected scheme, host and port only"),
        ("s3://blobs/a%00b", "expected a prefix of letters"),
        ("s3://blobs?end_point=x", "'end_point' is not known; expected endpoint, region"),
        ("s3://blobs?addressing=both", "expected path or virtual"),
        ("s3://blobs?check=maybe", "expected yes or no"),
        ("s3://blobs?part_size=4MiB", "expected 5MiB to 512MiB"),
        ("s3://blobs?part_size=lots", "expected 5MiB to 512MiB"),
        ("s3://blobs?timeout=0", "expected 1 to 600 seconds"),
        ("s3://blobs?timeout=soon", "expected 1 to 600 seconds"),
        ("s3://blobs?ca_file=/no/such.pem", "no such file of certificate authorities"),
    ],
)
def test_what_is_wrong_is_said_and_no_secret_with_it(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://blobs?region=eu-central-1", "https://blobs.s3.eu-central-1.amazonaws.com"),
        ("s3://blobs?region=eu-central-1&addressing=path", "https://s3.eu-central-1.amazonaws.com"),
        ("s3://blobs?endpoint=http://localhost:9000", "http://localhost:9000"),
        ("s3://blobs?endpoint=http://localhost:9000&addressing=virtual", "http://blobs.localhost:9000"),
    ],
)
def test_requests_go_to_the_endpoint_or_to_aws(url: str, expected: str) -> None:
    found = Found(Credentials("key", "secret"), "us-east-1", "environment")
    around = Surroundings(lambda: datetime.now(UTC), random.random, lambda: found)
    requester = Requester(parse(url), around)
    assert requester.endpoint.url == expected
