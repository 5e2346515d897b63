"""Read XML request bodies whole, with their integrity verified before they are parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.call import MAX_XML_BYTES
from anys3.protocol import payload, xml

if TYPE_CHECKING:
    from anys3.operations.call import Call


async def read_body(call: Call, max_bytes: int = MAX_XML_BYTES) -> bytes:
    """Return the decoded body, verified as its headers say (PAY). Raises MaxMessageLengthExceeded."""
    body = await call.request.body.whole(max_bytes)
    return payload.whole(call.plan, body, None)[0]


async def read_document(call: Call, root: str, max_bytes: int = MAX_XML_BYTES) -> xml.Node:
    """Return the body as a document with that root. Raises S3Error MalformedXML (ERR-05)."""
    return xml.parse(await read_body(call, max_bytes), root=root)
