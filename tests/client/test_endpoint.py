"""The URL of an endpoint, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.client import endpoint
from anys3.client.endpoint import Endpoint


@pytest.mark.parametrize(
    ("url", "expected", "written"),
    [
        ("https://s3.example.com", Endpoint("https", "s3.example.com", 443), "https://s3.example.com"),
        ("https://S3.Example.com:443/", Endpoint("https", "s3.example.com", 443), "https://s3.example.com"),
        ("http://s3.example.com", Endpoint("http", "s3.example.com", 80), "http://s3.example.com"),
        ("http://s3.example.com:443", Endpoint("http", "s3.example.com", 443), "http://s3.example.com:443"),
        ("localhost:9000", Endpoint("https", "localhost", 9000), "https://localhost:9000"),
        ("http://[::1]:9000", Endpoint("http", "::1", 9000), "http://[::1]:9000"),
        ("https://[2001:db8::1]", Endpoint("https", "2001:db8::1", 443), "https://[2001:db8::1]"),
    ],
)
def test_a_url_names_an_endpoint(url: str, expected: Endpoint, written: str) -> None:
    assert endpoint.parse(url) == expected
    assert expected.url == written


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://h", "expected http:// or https://"),
        ("https://", "no host name"),
        ("https://:9000", "no host name"),
        ("https://h/bucket", "expected scheme, host and port only"),
        ("https://h/?x=1", "expected scheme, host and port only"),
        ("https://h#x", "expected scheme, host and port only"),
        ("https://h:99999", "99999|range"),
        ("https://h:zebra", "zebra"),
        ("https://h:0", "port 0"),
        ("https://[::1", "IPv6"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_a_reason(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        endpoint.parse(url)


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="credentials") as refused:
        endpoint.parse("https://AKID:zebra-secret@s3.example.com")
    assert "zebra" not in str(refused.value)


@given(st.text(max_size=20))
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    try:
        found = endpoint.parse(text)
    except ValueError:
        return
    assert endpoint.parse(found.url) == found


@pytest.mark.parametrize(
    ("host", "is_loopback", "is_ip_address"),
    [
        ("localhost", True, False),
        ("bucket.localhost", True, False),
        ("127.0.0.53", True, True),
        ("::1", True, True),
        ("10.0.0.1", False, True),
        ("notlocalhost", False, False),
        ("localhost.example.com", False, False),
    ],
)
def test_what_is_on_this_machine_is_known(host: str, is_loopback: bool, is_ip_address: bool) -> None:
    found = Endpoint("https", host, 443)
    assert (found.is_loopback, found.is_ip_address) == (is_loopback, is_ip_address)


def test_another_host_is_named_on_the_same_port() -> None:
    assert Endpoint("http", "h", 9000).authority_of("b.h") == "b.h:9000"
    assert Endpoint("https", "h", 443).authority_of("b.h") == "b.h"
