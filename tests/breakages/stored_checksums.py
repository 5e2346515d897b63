"""Servers broken for the checks of checksums that objects keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from anys3.model import Checksum, ChecksumAlgorithm, Entry
from anys3.operations.call import Call
from anys3.operations.publishing import received_entry
from anys3.protocol import checksums
from anys3.protocol.payload import Received
from tests.breakages.aws_chunked import UNVERIFIED
from tests.breakages.body_checksums import CHECKED, headers_alone, planned, verifying_but, without
from tests.broken_servers import (
    Breakage,
    Handler,
    answering,
    breaks,
    handled,
    overlooking,
    patched,
    replace_in_body,
    saying,
    when,
    without_header,
)

KEPT = ("CK-01/checksums-in-headers", "CK-01/checksums-in-trailers")
COPIED = ("CK-10/of-a-copy", "CK-10/of-a-copy-by-another-algorithm")
LISTED = ("CK-11/in-listings", "CK-11/in-listings-of-parts")
_digest = checksums.digest


def digesting(sentence: str, *algorithms: ChecksumAlgorithm) -> Breakage:
    """Works out some checksums with their bytes the wrong way round."""

    def digest(algorithm: ChecksumAlgorithm, data: bytes | memoryview) -> bytes:
        found = _digest(algorithm, data)
        return found[::-1] if algorithm in algorithms else found

    return patched(sentence, "anys3.protocol.checksums.digest", digest)


def keeping(sentence: str, operation: str, change: Callable[[Checksum], Checksum | None]) -> Breakage:
    """Keeps another checksum with an object than was worked out."""

    def entry(call: Call, received: Received, stored: bytes, tags: tuple[tuple[str, str], ...]) -> Entry:
        assert received.checksum is not None
        return received_entry(call, received._replace(checksum=change(received.checksum)), stored, tags)

    return patched(sentence, f"anys3.operations.{operation}.received_entry", entry)


def rewording(sentence: str, old: str, new: str, query: str = "") -> Breakage:
    """Has other words in its documents."""
    return answering(
        sentence,
        lambda request, answer: (
            replace_in_body(answer, old, new)
            if when(request, query=query) and answer.status == 200 and isinstance(answer.body, bytes)
            else None
        ),
    )


async def as_the_default(call: Call, want: Any, proceed: Handler) -> Any:
    """Make the default checksum, whatever the source has."""
    want.checksum_algorithm = want.checksum_algorithm or b"CRC64NVME"
    return await proceed(call, want)


async def always_enabled(call: Call, want: Any, proceed: Handler) -> Any:
    want.checksum_mode = b"ENABLED"
    return await proceed(call, want)


def trailer_alone(headers: dict[bytes, bytes]) -> None:
    """Look at no checksum header where there is a trailer."""
    if b"x-amz-trailer" in headers:
        headers.pop(b"x-amz-checksum-sha256", None)


def header_alone(headers: dict[bytes, bytes]) -> None:
    """Look at one checksum header where there is no trailer."""
    if b"x-amz-trailer" not in headers:
        headers.pop(b"x-amz-checksum-sha256", None)


breaks(KEPT, UNVERIFIED)
breaks(KEPT, saying("InvalidRequest", instead_of="BadDigest"))
breaks(KEPT, keeping("checksums are verified and forgotten", "put_object", lambda _: None))
breaks(
    KEPT, keeping("values are in lower case", "put_object", lambda one: replace(one, value=one.value.lower()))
)
breaks(KEPT, digesting("CRC32C is sent with its last byte first", "CRC32C"))
breaks(KEPT, digesting("CRC64NVME is sent with its last byte first", "CRC64NVME"))
breaks(KEPT, verifying_but("SHA256"))
breaks(KEPT[1], patched("checksums of trailers are not compared", CHECKED, headers_alone))
for _method in ("GET", "HEAD"):
    for _name in ("x-amz-checksum-crc32", "x-amz-checksum-type"):
        breaks("CK-03/only-if-asked", without_header(_name, method=_method))
breaks("CK-03/only-if-asked", handled("HEAD always tells the checksum", "HeadObject", always_enabled))
breaks("CK-04/two-checksums", planned("one checksum header counts", header_alone))
breaks("CK-04/two-checksums", planned("a trailer counts beside a header", trailer_alone))
breaks("CK-04/two-checksums", planned("a header hides the trailer", without(b"x-amz-checksum-sha256")))
breaks(
    "CK-05/default-checksum",
    patched("there is no default", "anys3.operations.put_object.DEFAULT_CHECKSUM", None),
)
breaks(
    "CK-05/default-checksum",
    patched("the default is CRC32", "anys3.operations.put_object.DEFAULT_CHECKSUM", "CRC32"),
)
breaks(
    COPIED,
    keeping(
        "a copy keeps the type of its source",
        "copy_object",
        lambda one: Checksum(one.algorithm, "COMPOSITE", f"{one.value}-2"),
    ),
)
breaks(COPIED[0], handled("a copy has the default checksum", "CopyObject", as_the_default))
breaks(COPIED[1], overlooking("CopyObject", "checksum_algorithm"))
_ELEMENTS: Mapping[str, str] = dict(zip(COPIED, ("ChecksumCRC32>", "ChecksumSHA256>"), strict=True))
for _check, _element in _ELEMENTS.items():
    breaks(_check, rewording("the result of a copy has no checksum", _element, "Sum>"))
breaks(COPIED[0], without_header("x-amz-checksum-crc32", method="HEAD"))
breaks(COPIED[1], without_header("x-amz-checksum-sha256", method="HEAD"))
for _element in ("ChecksumAlgorithm>", "ChecksumType>"):
    breaks(LISTED, rewording(f"listings have no {_element[:-1]}", _element, "Sum>"))
breaks(LISTED, rewording("everything listed is of one type", "COMPOSITE", "FULL_OBJECT"))
breaks(LISTED[1], rewording("listed parts have no checksum", "ChecksumSHA256>", "Sum>"))
