"""PutObject: store an object whole, in one atomic step (PUT-01 to PUT-12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.call import DEFAULT_CHECKSUM, refusal
from anys3.operations.publishing import checksum_lines, expectations, publish, received_entry
from anys3.operations.receiving import receive
from anys3.protocol import metadata, tagging
from anys3.protocol.http import Answer
from anys3.store.errors import ExpectationFailed
from anys3.store.mutations import Absent, Matches

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.store.mutations import Expectation
    from anys3.wire.shapes import PutObjectInput


async def put_object(call: Call, want: PutObjectInput) -> Answer:
    """Store the payload under the key; the former object, if any, is replaced as one unit (PUT-06).

    Answers after the commit that holds it. Raises S3Error PreconditionFailed or NoSuchKey where a
    condition does not hold (CONDW-01 to 04), and whatever the payload is guilty of (PAY).
    """
    stored = metadata.stored_lines(call.request.headers, want.metadata)
    tags = tagging.parse_header(want.tagging) if want.tagging else ()
    expect = expectations(call.key, want.if_match, want.if_none_match)
    if expect:
        await _refuse_early(call, expect[0])
    incoming = await receive(call, DEFAULT_CHECKSUM)
    received = incoming.received
    entry = received_entry(call, received, stored, tags)
    await publish(call, entry, incoming, expect)
    return Answer(200, b'ETag: "%b"\r\n%b' % (received.md5_hex.encode(), checksum_lines(received.checksum)))


async def _refuse_early(call: Call, expectation: Expectation) -> None:
    """Refuse an upload before its body is sent and judged (HTTP-11, ERR-09); the commit decides again."""
    current = await call.store.entry(call.bucket, call.key)
    if isinstance(expectation, Absent):
        is_met = current is None
    else:
        is_met = current is not None and isinstance(expectation, Matches) and current.etag == expectation.etag
    if not is_met:
        raise refusal(ExpectationFailed(expectation, current))
