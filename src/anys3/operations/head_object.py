"""HeadObject: what GetObject would say, without the bytes (HEAD-01, HEAD-02)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.reading import not_modified, plan_reading
from anys3.protocol.http import Answer

if TYPE_CHECKING:
    from anys3.model import Entry, Part
    from anys3.operations.call import Call
    from anys3.wire.shapes import HeadObjectInput


async def head_object(call: Call, want: HeadObjectInput) -> Answer:
    """Send the headers of GetObject. Raises S3Error NoSuchKey, PreconditionFailed, InvalidRange."""
    parts: tuple[Part, ...] = ()
    if want.part_number is None:
        entry: Entry | None = await call.store.entry(call.bucket, call.key)
    else:
        entry, parts = await _entry_with_parts(call)
    if entry is None:
        raise call.missing_key()
    reading = plan_reading(call, want, entry, parts)
    if reading is None:
        return not_modified(entry)
    return Answer(reading.status, reading.headers, length=reading.length)


async def _entry_with_parts(call: Call) -> tuple[Entry | None, tuple[Part, ...]]:
    opened = await call.store.open(call.bucket, call.key)
    if opened is None:
        return None, ()
    if opened.source is None:
        return opened.entry, ()
    try:
        return opened.entry, tuple(await opened.source.parts())
    finally:
        opened.source.close()
