"""GetObject: send an object, or a slice of it (GET, RNG, CONDR, PN, OVR)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.reading import not_modified, plan_reading
from anys3.protocol.http import Answer

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.wire.shapes import GetObjectInput


async def get_object(call: Call, want: GetObjectInput) -> Answer:
    """Send one complete version of the object: headers, length and body belong together (GET-08).

    Raises S3Error NoSuchKey, PreconditionFailed, InvalidRange.
    """
    opened = await call.store.open(call.bucket, call.key)
    if opened is None:
        raise call.missing_key()
    entry, source = opened.entry, opened.source
    try:
        parts = await source.parts() if source is not None and want.part_number is not None else ()
        reading = plan_reading(call, want, entry, parts)
        if reading is None:
            return not_modified(entry)
        if opened.inline is not None:
            body = opened.inline
            if reading.length != len(body):
                body = body[reading.start : reading.start + reading.length]
            return Answer(reading.status, reading.headers, body)
        assert source is not None
        if reading.length == 0:
            return Answer(reading.status, reading.headers)
        content = source.slice(reading.start, reading.length)
        source = None
        return Answer(reading.status, reading.headers, content)
    finally:
        if source is not None:
            source.close()
