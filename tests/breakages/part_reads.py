"""Servers broken for the checks of reading by part number."""

from __future__ import annotations

from dataclasses import replace

from tests.broken_servers import (
    accepting,
    all_of,
    answering,
    breaks,
    handled,
    saying,
    set_header,
    without_header,
)

_COUNT = "x-amz-mp-parts-count"


async def gives_the_whole(call, want, proceed):
    want.part_number = None
    return await proceed(call, want)


async def gives_the_first(call, want, proceed):
    want.part_number = want.part_number and 1
    return await proceed(call, want)


async def prefers_the_part(call, want, proceed):
    if want.part_number is not None:
        want.range = None
    return await proceed(call, want)


def counting(request, answer):
    """Tell a part count in every answer."""
    return set_header(answer, _COUNT, "1") if answer.status in (200, 206) else None


def as_200(request, answer):
    return replace(answer, status=200) if answer.status == 206 else None


breaks(
    "PN-01/part-of-an-object",
    all_of(
        "partNumber is ignored",
        handled("", "GetObject", gives_the_whole),
        handled("", "HeadObject", gives_the_whole),
    ),
)
breaks("PN-01/part-of-an-object", handled("every part is the first", "GetObject", gives_the_first))
breaks("PN-01/part-of-an-object", handled("HEAD ignores partNumber", "HeadObject", gives_the_whole))
breaks("PN-01/part-of-an-object", without_header(_COUNT))
breaks("PN-01/part-of-an-object", without_header("Content-Range", method="HEAD"))
breaks(
    ("PN-01/whole-has-no-count", "PN-01/part-1-of-a-simple-object", "PN-02/part-1-is-the-whole"),
    answering("every answer tells a part count", counting),
)
breaks("PN-02/part-1-is-the-whole", answering("part 1 of a simple object is a 200", as_200))
breaks(
    "PN-02/part-1-is-the-whole",
    handled("HEAD of part 1 is a 200", "HeadObject", gives_the_whole),
)
breaks(
    ("PN-02/part-that-is-not-there", "PN-02/part-2-of-a-simple-object"),
    handled("a part that is not there is the first", "GetObject", gives_the_first),
)
breaks(
    ("PN-02/part-that-is-not-there", "PN-02/part-2-of-a-simple-object"),
    saying("InvalidPart", instead_of="InvalidPartNumber"),
)
breaks(
    "PN-02/part-that-is-not-there",
    handled("HEAD of a part that is not there is that of the first", "HeadObject", gives_the_first),
)
breaks("PN-02/range-and-part-number", handled("Range is ignored", "GetObject", prefers_the_part))
breaks("PN-02/no-part-number", accepting("InvalidArgument", method="GET", query="partNumber="))
breaks("PN-02/no-part-number-of-head", accepting("InvalidArgument", method="HEAD", query="partNumber="))
