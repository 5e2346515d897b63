"""ListBuckets: the buckets of the caller, by name (LB-01 to LB-05)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anys3.operations.listing_page import owner_element
from anys3.protocol import listing
from anys3.protocol.dates import iso
from anys3.protocol.xml import escape
from anys3.spec.errors import S3Error
from anys3.wire.encoding import xml_answer

if TYPE_CHECKING:
    from anys3.model import Bucket
    from anys3.operations.call import Call
    from anys3.protocol.http import Answer
    from anys3.wire.shapes import ListBucketsInput

MAX_BUCKETS = 10_000
BATCH = 1_000


async def list_buckets(call: Call, want: ListBucketsInput) -> Answer:
    """Send the buckets in which the caller has any right. Raises S3Error InvalidArgument (LB-05)."""
    limit = MAX_BUCKETS if want.max_buckets is None else want.max_buckets
    if not 1 <= limit <= MAX_BUCKETS:
        raise S3Error(
            "InvalidArgument",
            "Argument max-buckets must be an integer between 1 and 10000",
            ArgumentName="max-buckets",
            ArgumentValue=str(limit),
        )
    after = _name_of(want.continuation_token) if want.continuation_token else ""
    buckets: list[Bucket] = []
    if want.bucket_region in (None, "", call.region):
        buckets = await _visible(call, after, want.prefix or "", limit + 1)
    is_truncated = len(buckets) > limit
    buckets = buckets[:limit]
    rows = "".join(
        f"<Bucket><Name>{escape(bucket.name)}</Name><CreationDate>{iso(bucket.created_ms)}</CreationDate>"
        f"<BucketRegion>{escape(call.region)}</BucketRegion></Bucket>"
        for bucket in buckets
    )
    tail = f"<Prefix>{escape(want.prefix)}</Prefix>" if want.prefix else ""
    if is_truncated:
        token = listing.encode_token(buckets[-1].name.encode())
        tail += f"<ContinuationToken>{token}</ContinuationToken>"
    owner = owner_element(call.principal)
    return xml_answer(200, "ListAllMyBucketsResult", f"{owner}<Buckets>{rows}</Buckets>{tail}")


def _name_of(token: str) -> str:
    """Return the name that a page ended with. Raises S3Error InvalidArgument, also for a token of keys."""
    try:
        return listing.decode_token(token).decode()
    except UnicodeDecodeError:
        raise S3Error(
            "InvalidArgument",
            "The continuation token provided is incorrect.",
            ArgumentName="continuation-token",
        ) from None


async def _visible(call: Call, after: str, prefix: str, limit: int) -> list[Bucket]:
    """Return up to `limit` buckets that the caller has rights in (LB-02)."""
    key = call.identity.key
    assert key is not None
    found: list[Bucket] = []
    while len(found) < limit:
        batch = await call.store.buckets(after, prefix, max(BATCH, limit))
        for bucket in batch:
            is_visible = key.is_root or bucket.owner == key.access_key_id or bucket.name in key.grants
            if is_visible and len(found) < limit:
                found.append(bucket)
        if len(batch) < max(BATCH, limit):
            break
        after = batch[-1].name
    return found
