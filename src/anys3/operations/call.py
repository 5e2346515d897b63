"""One call of one operation: who asks, for what, of which store, at what time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from anys3.model import AccessKey, Bucket, ChecksumAlgorithm, Entry, Identity, Target
from anys3.spec.errors import S3Error
from anys3.store.errors import BucketNotEmpty, ExpectationFailed, NoSuchBucket, NoSuchUpload
from anys3.store.interface import Store
from anys3.store.mutations import Absent, Committed, Matches, Mutation, Present

if TYPE_CHECKING:
    from anys3.protocol.form_data import FormDecoder
    from anys3.protocol.http import Request
    from anys3.protocol.payload import Plan
    from anys3.protocol.post_policy import LengthRange

Result = TypeVar("Result")

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MAX_SINGLE_BYTES = 5 * GIB
"""Most bytes of one PutObject, UploadPart or CopyObject (PUT-04, UP-07, COPY-09)."""
MIN_PART_BYTES = 5 * MIB
"""Fewest bytes of a part that is not the last (CPL-07)."""
MAX_PARTS = 10_000
MAX_PAGE = 1_000
"""Most entries on one page of a listing (LIST-07, LP-02, LMU-02)."""
MAX_XML_BYTES = 4 * MIB
"""Most bytes of an XML request body; HTTP-22 asks for at least 2 MiB."""
DEFAULT_CHECKSUM: ChecksumAlgorithm = "CRC64NVME"
"""The algorithm used where the client sent no checksum (CK-05)."""


@dataclass(frozen=True, slots=True)
class PostForm:
    """The fields of a POST form, and the decoder that stands at the first byte of its file."""

    fields: dict[str, str]
    decoder: FormDecoder
    file_head: bytes
    length_range: LengthRange | None = None


@dataclass(slots=True)
class Call:
    """What a handler needs beside its bound input. `bucket` is the row of the bucket addressed."""

    request: Request
    target: Target
    identity: Identity
    store: Store
    plan: Plan
    now_ms: int
    region: str
    random: Callable[[int], bytes]
    find_bucket: Callable[[str], object]
    row: Bucket | None = None
    form: PostForm | None = None
    now_us: int = 0

    @property
    def bucket(self) -> Bucket:
        """Return the row of the bucket; authorization has made sure that it is there."""
        assert self.row is not None
        return self.row

    @property
    def key(self) -> bytes:
        """Return the object key; routing has made sure that there is one."""
        assert self.target.key is not None
        return self.target.key

    @property
    def principal(self) -> str:
        """Return the access key id that owns what this call creates; "" is the root key."""
        key = self.identity.key
        return "" if key is None or key.is_root else key.access_key_id

    def missing_key(self) -> S3Error:
        """Return the error for a key that is not there."""
        return S3Error("NoSuchKey", Key=self.key.decode())

    async def commit(self, mutation: Mutation) -> Committed:
        """Commit, and tell what failed in S3's terms. Raises PartChanged, which is for a completion to see."""
        try:
            return await self.store.commit(mutation)
        except ExpectationFailed as failure:
            raise refusal(failure) from failure
        except NoSuchBucket as failure:
            raise S3Error("NoSuchBucket", BucketName=mutation.bucket.name) from failure
        except BucketNotEmpty as failure:
            raise S3Error("BucketNotEmpty", BucketName=mutation.bucket.name) from failure
        except NoSuchUpload as failure:
            raise S3Error("NoSuchUpload") from failure


def refusal(failure: ExpectationFailed) -> S3Error:
    """Return what a failed expectation means to the client (CONDW-01, 03, 04, 08, 09, 11)."""
    expectation, current = failure.expectation, failure.current
    if isinstance(expectation, Absent):
        return S3Error("PreconditionFailed", Condition="If-None-Match")
    if isinstance(expectation, Matches | Present):
        if current is None:
            return S3Error("NoSuchKey", Key=expectation.key.decode())
        return S3Error("PreconditionFailed", Condition="If-Match")
    return S3Error("ConditionalRequestConflict", Key=expectation.key.decode())


async def in_thread(work: Callable[[], Result]) -> Result:
    """Run blocking work in a worker thread."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


def may(key: AccessKey, bucket: Bucket, permission: str) -> bool:
    """Return whether a key has `permission` (read, write or owner) in a bucket (AUTH-17)."""
    if key.is_root or bucket.owner == key.access_key_id:
        return True
    grant = key.grants.get(bucket.name)
    return grant is not None and bool(getattr(grant, permission))


def current_or_missing(entry: Entry | None, key: bytes) -> Entry:
    """Return the entry. Raises S3Error NoSuchKey where there is none (ERR-03)."""
    if entry is None:
        raise S3Error("NoSuchKey", Key=key.decode())
    return entry
