"""Buckets that the operator makes: by name on the command line, or at start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anys3.model import Bucket
from anys3.protocol.names import check_bucket_name
from anys3.server.options import WantedBucket
from anys3.server.refusals import Exit, Refusal
from anys3.spec.errors import S3Error
from anys3.store.errors import BucketExists
from anys3.store.interface import Store


def check_name(name: str) -> None:
    """Refuse a name that S3 does not give to new buckets. Raises Refusal (exit code 2)."""
    try:
        check_bucket_name(name, is_new=True)
    except S3Error:
        raise Refusal(
            Exit.USAGE,
            f"{name!r} can't be a bucket's name: expected 3 to 63 lower-case letters, digits, dashes and dots,"
            " beginning and ending with a letter or digit, and no reserved prefix or suffix",
        ) from None


async def make_wanted(store: Store, wanted: Sequence[WantedBucket], now_ms: int) -> list[str]:
    """Make the buckets that are missing, and public those that are to be; return which. Repeatable."""
    for each in wanted:
        check_name(each.name)
    changed = []
    for each in wanted:
        try:
            await store.create_bucket(Bucket(each.name, 0, now_ms, is_public=each.is_public))
        except BucketExists as known:
            if not each.is_public or known.bucket.is_public:
                continue
            await store.update_bucket(replace(known.bucket, is_public=True))
        changed.append(each.name)
    return changed
