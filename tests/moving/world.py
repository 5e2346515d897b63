"""Stores with something of everything, and what can be seen of a store, to be compared with another one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from anys3.model import (
    AccessKey,
    Bucket,
    Checksum,
    ChecksumAlgorithm,
    ChecksumType,
    CorsRule,
    Entry,
    Grant,
    Part,
    Upload,
)
from anys3.operations.publishing import make_entry
from anys3.protocol import checksums, etags
from anys3.store.errors import NoSuchUpload
from anys3.store.interface import Store
from anys3.store.mutations import CompleteUpload, DeleteEntry, Mutation, PutEntry, PutPart, PutUpload
from tests.store.suite import content, pattern, read

NOW_MS = 1_790_000_000_000
STORED = b"Content-Type: text/plain\r\nx-amz-meta-name: caf\xc3\xa9\r\n"


_pattern = lru_cache(maxsize=64)(pattern)


@dataclass(frozen=True)
class Body:
    """Bytes by their size and a seed."""

    size: int
    seed: int = 1

    @property
    def bytes(self) -> bytes:
        return _pattern(self.size, self.seed)


@dataclass(frozen=True)
class ObjectPlan:
    """An object to be put, in one piece or in parts."""

    key: bytes
    bodies: tuple[Body, ...]
    upload_id: str = ""
    """"": put in one piece."""
    numbers: tuple[int, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    algorithm: ChecksumAlgorithm | None = "CRC32"
    kind: ChecksumType = "FULL_OBJECT"
    modified_ms: int = NOW_MS
    is_unfinished: bool = False
    """The upload is not completed."""


@dataclass(frozen=True)
class BucketPlan:
    """A bucket and what lies in it."""

    name: str
    objects: tuple[ObjectPlan, ...] = ()
    owner: str = ""
    is_public: bool = False
    cors: tuple[CorsRule, ...] | None = None
    operator_cors: tuple[CorsRule, ...] | None = None
    created_ms: int = NOW_MS


@dataclass(frozen=True)
class StorePlan:
    """A whole store."""

    buckets: tuple[BucketPlan, ...] = ()
    keys: tuple[AccessKey, ...] = field(default=())


# --- filling ------------------------------------------------------------------------------------------


def md5(data: bytes) -> str:
    """Return the MD5 of bytes, which is their ETag."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def checksum(plan: ObjectPlan, data: bytes) -> Checksum | None:
    """Return the checksum of bytes that a plan asks for."""
    if plan.algorithm is None:
        return None
    return Checksum(plan.algorithm, "FULL_OBJECT", checksums.encode(checksums.digest(plan.algorithm, data)))


async def fill(store: Store, plan: StorePlan) -> None:
    """Make everything of a plan in an empty store."""
    for bucket in plan.buckets:
        made = await store.create_bucket(
            Bucket(
                bucket.name,
                0,
                bucket.created_ms,
                bucket.owner,
                bucket.is_public,
                bucket.cors,
                bucket.operator_cors,
            )
        )
        for one in bucket.objects:
            await put(store, made, one)
    for key in plan.keys:
        await store.put_key(key)


async def put(store: Store, bucket: Bucket, plan: ObjectPlan) -> None:
    """Put one object or upload of a plan."""
    if plan.upload_id:
        await _put_parts(store, bucket, plan)
        return
    data = plan.bodies[0].bytes
    entry = make_entry(
        size=len(data),
        etag=md5(data),
        modified_ms=plan.modified_ms,
        stored=STORED,
        tags=plan.tags,
        checksum=checksum(plan, data),
    )
    await store.commit(Mutation(bucket, (PutEntry(plan.key, entry, content(store, data)),)))


async def _put_parts(store: Store, bucket: Bucket, plan: ObjectPlan) -> None:
    now = await store.entry(bucket, plan.key)
    upload = Upload(
        plan.key,
        plan.upload_id,
        plan.modified_ms,
        STORED,
        plan.tags,
        plan.algorithm,
        plan.kind,
        "AKIA",
        now.sequence if now else 0,
    )
    await store.commit(Mutation(bucket, (PutUpload(upload),)))
    for number, body in zip(plan.numbers, plan.bodies, strict=True):
        await put_part(store, bucket, plan, number, body)
    if not plan.is_unfinished:
        await complete(store, bucket, plan)


async def put_part(store: Store, bucket: Bucket, plan: ObjectPlan, number: int, body: Body) -> None:
    """Put one part of an upload."""
    data = body.bytes
    part = Part(number, len(data), md5(data), plan.modified_ms + number, checksum(plan, data))
    await store.commit(Mutation(bucket, (PutPart(plan.key, plan.upload_id, part, content(store, data)),)))


async def complete(store: Store, bucket: Bucket, plan: ObjectPlan) -> None:
    """Complete an upload with all of its parts."""
    parts = await store.parts(bucket, plan.key, plan.upload_id)
    entry = make_entry(
        size=sum(part.size for part in parts),
        etag=etags.multipart([part.etag for part in parts]),
        modified_ms=plan.modified_ms,
        stored=STORED,
        tags=plan.tags,
        checksum=_joined(plan, parts),
        part_count=len(parts),
        upload_id=plan.upload_id,
    )
    await store.commit(Mutation(bucket, (CompleteUpload(plan.key, plan.upload_id, entry, parts),)))


def _joined(plan: ObjectPlan, parts: Sequence[Part]) -> Checksum | None:
    if plan.algorithm is None:
        return None
    values = [part.checksum.value for part in parts if part.checksum]
    if plan.kind == "COMPOSITE":
        return Checksum(plan.algorithm, plan.kind, checksums.composite(plan.algorithm, values))
    pairs = [(value, part.size) for value, part in zip(values, parts, strict=True)]
    return Checksum(plan.algorithm, plan.kind, checksums.full_object(plan.algorithm, pairs))


async def set_tags(store: Store, bucket: Bucket, key: bytes, tags: tuple[tuple[str, str], ...]) -> None:
    """Change the tags of an object if it exists, as PutObjectTagging does."""
    now = await store.entry(bucket, key)
    if now is None:
        return
    entry = make_entry(
        size=now.size,
        etag=now.etag,
        modified_ms=now.modified_ms,
        stored=now.stored,
        tags=tags,
        checksum=now.checksum,
        part_count=now.part_count,
        upload_id=now.upload_id,
    )
    await store.commit(Mutation(bucket, (PutEntry(key, entry, None),)))


async def delete(store: Store, bucket: Bucket, key: bytes) -> None:
    """Delete an object."""
    await store.commit(Mutation(bucket, (DeleteEntry(key),)))


# --- seeing -------------------------------------------------------------------------------------------


async def state(store: Store) -> dict[str, Any]:
    """Return all that can be seen of a store, but for numbers that only mean something in it."""
    buckets = await store.buckets()
    return {
        "keys": await store.keys(),
        "buckets": [replace(bucket, id=0) for bucket in buckets],
        "objects": {
            (b.name, key): await _object(store, b, key) for b in buckets for key in await _all(store, b)
        },
        "uploads": {
            (b.name, one.key, one.upload_id): await _upload(store, b, one)
            for b in buckets
            for one in (await store.uploads(b, b"", b"", b"", None, 100_000)).uploads
        },
    }


async def _all(store: Store, bucket: Bucket) -> list[bytes]:
    page = await store.list(bucket, b"", b"", b"", 100_000)
    assert not page.is_truncated
    return [key for key, _ in page.rows]


def _shown(entry: Entry) -> Entry:
    return entry._replace(sequence=0, content=None)


def _bare(parts: Sequence[Part]) -> list[Part]:
    return [replace(part, content=None) for part in parts]


async def _object(store: Store, bucket: Bucket, key: bytes) -> tuple[Any, ...]:
    opened = await store.open(bucket, key)
    assert opened is not None
    parts = _bare(await opened.source.parts()) if opened.source else []
    completed = await store.completed(bucket, key, opened.entry.upload_id)
    shown = _shown(opened.entry)
    return (
        shown,
        parts,
        md5(read(opened)),
        None if completed is None else (_shown(completed[0]), _bare(completed[1])),
    )


async def _upload(store: Store, bucket: Bucket, upload: Upload) -> tuple[Any, ...]:
    now = await store.entry(bucket, upload.key)
    is_first = upload.entry_sequence == (now.sequence if now else 0)
    bodies = []
    parts = await store.parts(bucket, upload.key, upload.upload_id)
    for part in parts:
        opened = await store.open_part(bucket, upload.key, upload.upload_id, part.number)
        assert opened is not None
        if opened.source is None:
            assert opened.inline is not None
            bodies.append(md5(opened.inline))
        else:
            found = opened.source.slice(0, part.size)
            bodies.append(md5(b"".join(bytes(block) for block in found.blocks())))
            found.close()
    return replace(upload, entry_sequence=0), is_first, _bare(parts), bodies


async def ends_upload(store: Store, bucket: Bucket, upload: Upload) -> bool:
    """Tell whether an upload is not there any more."""
    try:
        await store.parts(bucket, upload.key, upload.upload_id)
    except NoSuchUpload:
        return True
    return False


# --- made up ------------------------------------------------------------------------------------------

SIZES = st.sampled_from([0, 1, 1000, 65_536, 65_537, 131_072, 131_073, 300_000, 1_100_000])
BODIES = st.builds(Body, SIZES, st.integers(1, 5))
KEYS = st.one_of(
    st.sampled_from([b"a", b"a/b", b"a/b/c", b"b", b"z", "ü".encode(), b"x" * 400, b"x" * 401, b"x" * 1024]),
    st.integers(0, 2000).map(lambda number: b"k/%04d" % number),
)
TAGS = st.sampled_from([(), (("a", "1"),), (("ä", "ö"), ("b", ""))])
ALGORITHMS: st.SearchStrategy[ChecksumAlgorithm | None] = st.sampled_from(
    [None, "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
)
NAMES = st.sampled_from(["photos", "site", "a.b", "zoo"])
RULES = st.sampled_from(
    [
        None,
        (),
        (CorsRule(("*",), ("GET", "PUT"), ("*",), ("ETag",), 60, "é"),),
        (CorsRule(("https://a",), ("GET",)),),
    ]
)


@st.composite
def objects(draw: st.DrawFn) -> ObjectPlan:
    """Make up an object or an unfinished upload."""
    key, tags, algorithm = draw(KEYS), draw(TAGS), draw(ALGORITHMS)
    modified_ms = NOW_MS + draw(st.integers(0, 9))
    if draw(st.booleans()):
        return ObjectPlan(key, (draw(BODIES),), tags=tags, algorithm=algorithm, modified_ms=modified_ms)
    numbers = tuple(sorted(draw(st.sets(st.integers(1, 10_000), min_size=1, max_size=3))))
    bodies = tuple(draw(BODIES) for _ in numbers)
    upload_id = f"u{draw(st.integers(0, 99)):02}"
    kind: ChecksumType = "FULL_OBJECT" if algorithm in ("CRC32", "CRC32C", "CRC64NVME") else "COMPOSITE"
    is_unfinished = draw(st.booleans())
    return ObjectPlan(key, bodies, upload_id, numbers, tags, algorithm, kind, modified_ms, is_unfinished)


BUCKETS = st.builds(
    BucketPlan,
    NAMES,
    st.lists(objects(), max_size=8).map(tuple),
    st.sampled_from(["", "AKIA1"]),
    st.booleans(),
    RULES,
    RULES,
    st.sampled_from([NOW_MS, NOW_MS + 1]),
)
ACCESS_KEYS = st.builds(
    AccessKey,
    st.sampled_from(["AKIA1", "AKIA2", "AKIA3"]),
    st.text("abc", min_size=1, max_size=5),
    st.text(min_size=1, max_size=5).filter(lambda text: text.isprintable()),
    st.booleans(),
    st.booleans(),
    st.dictionaries(NAMES, st.builds(Grant, st.booleans(), st.booleans(), st.booleans()), max_size=2),
    st.integers(0, NOW_MS),
)
STORES = st.builds(
    StorePlan,
    st.lists(BUCKETS, max_size=3, unique_by=lambda bucket: bucket.name).map(tuple),
    st.lists(ACCESS_KEYS, max_size=3, unique_by=lambda key: key.access_key_id).map(tuple),
)

SAMPLE = StorePlan(
    (
        BucketPlan(
            "photos",
            (
                ObjectPlan(b"small", (Body(10),), tags=(("a", "1"),)),
                ObjectPlan(b"large", (Body(300_000),), algorithm="SHA256"),
                ObjectPlan(b"parts", (Body(200_000), Body(7)), "u1", (1, 3), kind="FULL_OBJECT"),
                ObjectPlan(b"parts", (Body(9), Body(200_000, 2)), "u2", (2, 5), is_unfinished=True),
                ObjectPlan(b"new", (Body(8),), "u3", (1,), algorithm=None, is_unfinished=True),
            ),
            is_public=True,
            cors=(CorsRule(("*",), ("GET",)),),
        ),
        BucketPlan("empty", owner="AKIA1"),
    ),
    (
        AccessKey("AKIA0", "secret", "root", is_root=True),
        AccessKey("AKIA1", "secret", "app", grants={"photos": Grant(read=True)}, created_ms=5),
    ),
)
"""Something of everything."""
