"""What the listings of objects share: how a page is asked for, and how its rows are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anys3.operations.call import MAX_PAGE
from anys3.protocol import listing
from anys3.protocol.xml import escape, escape_key
from anys3.spec.errors import S3Error
from anys3.store.interface import Listing

if TYPE_CHECKING:
    from anys3.operations.call import Call


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for: a prefix, a delimiter, how many, and whether keys are percent-encoded."""

    prefix: bytes
    delimiter: bytes
    max_keys: int
    is_url: bool

    def text(self, key: bytes) -> str:
        """Return a key, prefix or marker as this page writes them (LIST-15, LIST-18)."""
        return (listing.encode_url(key) if self.is_url else escape_key(key)).decode()

    def element(self, name: str, key: bytes) -> str:
        """Return `<name>key</name>`, or nothing for an empty key."""
        return f"<{name}>{self.text(key)}</{name}>" if key else ""


def read_page(
    prefix: str | None, delimiter: str | None, max_keys: int | None, encoding_type: str | None
) -> Page:
    """Return the page asked for. Raises S3Error InvalidArgument (LIST-09, LIST-17)."""
    if encoding_type is not None and encoding_type != "url":
        raise S3Error(
            "InvalidArgument",
            "Invalid Encoding Method specified in Request",
            ArgumentName="encoding-type",
            ArgumentValue=encoding_type,
        )
    if max_keys is None:
        max_keys = MAX_PAGE
    if max_keys < 0:
        raise S3Error(
            "InvalidArgument",
            "Argument maxKeys must be an integer between 0 and 2147483647",
            ArgumentName="maxKeys",
            ArgumentValue=str(max_keys),
        )
    return Page(
        (prefix or "").encode(),
        (delimiter or "").encode(),
        min(max_keys, MAX_PAGE),
        encoding_type is not None,
    )


async def read_rows(call: Call, page: Page, after: bytes) -> Listing:
    """Return the page's rows; an empty page if none were asked for (LIST-08)."""
    if page.max_keys == 0:
        return Listing([], [], is_truncated=False, last=b"", is_last_prefix=False)
    return await call.store.list(call.bucket, page.prefix, page.delimiter, after, page.max_keys)


def resume_after(rows: Listing) -> bytes:
    """Return the position that the next page starts behind (LIST-11)."""
    return rows.last + b"\xff" if rows.is_last_prefix else rows.last


def owner_id(owner: str) -> str:
    """Return how answers name the owner of a bucket: the key that made it."""
    return owner or "root"


def owner_element(owner: str) -> str:
    """Return the Owner of everything in a bucket."""
    name = escape(owner_id(owner))
    return f"<Owner><ID>{name}</ID><DisplayName>{name}</DisplayName></Owner>"


def common_elements(call: Call, page: Page) -> str:
    """Return the elements that each listing begins with."""
    return (
        f"<Name>{escape(call.bucket.name)}</Name><Prefix>{page.text(page.prefix)}</Prefix>"
        f"{page.element('Delimiter', page.delimiter)}<MaxKeys>{page.max_keys}</MaxKeys>"
        f"{'<EncodingType>url</EncodingType>' if page.is_url else ''}"
    )


def render_rows(rows: Listing, page: Page, owner: str | None) -> bytes:
    """Return Contents and CommonPrefixes; `owner` is an id, shown if it is given."""
    contents = listing.render_contents(rows.rows, is_url=page.is_url, owner=owner)
    return contents + listing.render_prefixes(rows.prefixes, is_url=page.is_url)
