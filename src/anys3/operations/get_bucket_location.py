"""GetBucketLocation: the canonical region, empty for us-east-1 (LOC-01)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.protocol.xml import escape
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.operations.call import Call
    from anys3.protocol.http import Answer
    from anys3.wire.shapes import GetBucketLocationInput


async def get_bucket_location(call: Call, want: GetBucketLocationInput) -> Answer:
    """Send the region."""
    del want
    return xml_answer(200, "LocationConstraint", "" if call.region == "us-east-1" else escape(call.region))
