"""The rendered header lines and LIST fragment of an object."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from anys3.model import Checksum
from anys3.protocol import representation

MODIFIED_MS = 784_111_777_123
STORED = b"Content-Type: text/plain\r\n"


@pytest.mark.requirement("LIST-20")
def test_headers_and_listing_show_the_same_object() -> None:
    headers, listing = representation.render(etag="abc", modified_ms=MODIFIED_MS, stored=STORED, size=7)
    assert headers == (
        b'ETag: "abc"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nAccept-Ranges: bytes\r\n' + STORED
    )
    parsed = ElementTree.fromstring(b"<Contents>" + listing + b"</Contents>")
    assert {element.tag: element.text for element in parsed} == {
        "LastModified": "1994-11-06T08:49:37.123Z",
        "ETag": '"abc"',
        "Size": "7",
        "StorageClass": "STANDARD",
    }


@pytest.mark.requirement("TAG-05")
def test_the_tagging_count_stands_before_what_is_stored() -> None:
    tags = (("a", "1"), ("b", "2"))
    headers, _ = representation.render(etag="abc", modified_ms=0, stored=STORED, size=7, tags=tags)
    assert headers.endswith(b"\r\nx-amz-tagging-count: 2\r\n" + STORED)


@pytest.mark.requirement("CK-11")
def test_the_listing_shows_the_kind_of_checksum() -> None:
    checksum = Checksum("CRC32", "COMPOSITE", "AAAAAA==-2")
    _, listing = representation.render(etag="abc", modified_ms=0, stored=STORED, size=7, checksum=checksum)
    parsed = ElementTree.fromstring(b"<Contents>" + listing + b"</Contents>")
    assert parsed.findtext("ChecksumAlgorithm") == "CRC32"
    assert parsed.findtext("ChecksumType") == "COMPOSITE"
