"""Bugs to be planted in a server, each a mistake that servers have made. The races must find every one.

`python -m tests.torture.server --with tests.torture.races.planted:stale_entries -- serve ...` starts a server with one.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from anys3.model import Bucket
from anys3.store.embedded import changes, configuration
from anys3.store.embedded import format as records
from anys3.store.embedded.changes import Batch
from anys3.store.embedded.committer import Committer
from anys3.store.embedded.control import Control
from anys3.store.embedded.engine import EmbeddedStore
from anys3.store.embedded.format import pack_id
from anys3.store.embedded.janitor import Janitor
from anys3.store.errors import BucketNotEmpty, ExpectationFailed, NoSuchUpload
from anys3.store.interface import Listing, Opened
from anys3.store.mutations import (
    Absent,
    Committed,
    CompleteUpload,
    DeleteEntry,
    Expectation,
    Matches,
    Mutation,
    Present,
    PutEntry,
)
from tests.torture import planting

_STALE_S = 0.05
_WINDOW_S = 0.004
"""How long a race is held open, so that a slow machine finds it as well as a fast one."""


def stale_entries() -> None:
    """A worker answers reads from a cache of its own for a moment; only its own writes clear it."""
    cache: dict[tuple[int, bytes], tuple[float, Opened | None]] = {}
    original, commit = EmbeddedStore.open, EmbeddedStore.commit

    async def cached(self: EmbeddedStore, bucket: Bucket, key: bytes) -> Opened | None:
        place = (bucket.id, key)
        until, opened = cache.get(place, (0.0, None))
        if time.monotonic() < until:
            return opened
        opened = await original(self, bucket, key)
        if opened is None or opened.inline is not None:
            cache[place] = (time.monotonic() + _STALE_S, opened)
        return opened

    async def clearing(self: EmbeddedStore, mutation: Mutation) -> Committed:
        for change in mutation.changes:
            if isinstance(change, PutEntry | DeleteEntry):
                cache.pop((mutation.bucket.id, change.key), None)
        committed = await commit(self, mutation)
        cache.clear()
        return committed

    EmbeddedStore.open = cached  # type: ignore[method-assign]
    EmbeddedStore.commit = clearing  # type: ignore[method-assign]


def check_then_act() -> None:
    """A conditional write is decided before its transaction, by what is there then."""
    original = EmbeddedStore.commit

    async def commit(self: EmbeddedStore, mutation: Mutation) -> Committed:
        for expectation in mutation.expect:
            await _decide(self, mutation.bucket, expectation)
        return await original(self, mutation._replace(expect=()))

    EmbeddedStore.commit = commit  # type: ignore[method-assign]


async def _decide(store: EmbeddedStore, bucket: Bucket, expectation: Expectation) -> None:
    current = await store.entry(bucket, expectation.key)
    if isinstance(expectation, Absent):
        holds = current is None
    elif isinstance(expectation, Present):
        holds = current is not None
    elif isinstance(expectation, Matches):
        holds = current is not None and current.etag == expectation.etag
    else:
        holds = (current.sequence if current else 0) == expectation.sequence
    if not holds:
        raise ExpectationFailed(expectation, current)


def answer_before_commit() -> None:
    """A write without a condition is answered while its transaction is still to come."""
    planting.answer_before_commit(EmbeddedStore, _WINDOW_S)


def emptiness_before_transaction() -> None:
    """DeleteBucket looks whether the bucket is empty first, and deletes it in a transaction of its own."""
    original = configuration.delete_bucket
    is_empty = configuration.strides.is_empty

    async def delete_bucket(self: EmbeddedStore, bucket: Bucket) -> None:
        with self._reading() as txn:
            if not is_empty(txn, self.index.entries, pack_id(bucket.id)):
                raise BucketNotEmpty(bucket.name)
        await asyncio.sleep(_WINDOW_S)
        await self._committer.submit(_unchecked, bucket)

    def _unchecked(batch: Batch, bucket: Bucket) -> None:
        configuration.strides.is_empty = lambda *_: True  # type: ignore[assignment]
        try:
            original(batch, bucket)
        finally:
            configuration.strides.is_empty = is_empty

    EmbeddedStore.delete_bucket = delete_bucket  # type: ignore[method-assign]


def completion_unchecked() -> None:
    """CompleteMultipartUpload publishes what it read, whether or not the upload is still there."""
    seen: dict[str, int] = {}
    find, read, commit = changes._upload, EmbeddedStore._upload, EmbeddedStore.commit
    is_completing = False

    def reading(self: EmbeddedStore, txn: Any, bucket: Bucket, key: bytes, upload_id: str) -> bytes | None:
        raw = read(self, txn, bucket, key, upload_id)
        if raw is not None:
            seen[upload_id] = records.upload_row_id(raw)
        return raw

    def forgiving(batch: Batch, bucket: Bucket, key: bytes, upload_id: str) -> tuple[bytes, int]:
        try:
            return find(batch, bucket, key, upload_id)
        except NoSuchUpload:
            if upload_id not in seen or not is_completing:
                raise
            return b"", seen[upload_id]

    def check(batch: Batch, bucket: Bucket, change: changes.Change) -> None:
        nonlocal is_completing
        is_completing = isinstance(change, CompleteUpload)
        original_check(batch, bucket, change)

    original_check = changes._check

    async def slowly(self: EmbeddedStore, mutation: Mutation) -> Committed:
        if isinstance(mutation.changes[0], CompleteUpload):
            await asyncio.sleep(_WINDOW_S)
        return await commit(self, mutation)

    changes._upload, changes._check = forgiving, check
    EmbeddedStore._upload = reading  # type: ignore[method-assign]
    EmbeddedStore.commit = slowly  # type: ignore[method-assign]
    # The parts of an aborted upload go at once else, and a completion would miss them by luck.
    Janitor.tell = lambda *_: None  # type: ignore[method-assign,assignment]


def parts_of_different_moments() -> None:
    """A reader takes the row and, a moment later, the bytes: of two versions, if a write comes in between."""
    original = EmbeddedStore.open

    async def torn(self: EmbeddedStore, bucket: Bucket, key: bytes) -> Opened | None:
        row = await self.entry(bucket, key)
        await asyncio.sleep(_WINDOW_S)
        opened = await original(self, bucket, key)
        if row is None or opened is None:
            if opened is not None and opened.source is not None:
                opened.source.close()
            return None
        return opened._replace(entry=row)

    EmbeddedStore.open = torn  # type: ignore[method-assign]


def pages_by_count() -> None:
    """A later page of a listing begins after as many keys as were on the pages before, not after the last one."""
    original = EmbeddedStore.list
    counts: dict[tuple[int, bytes, bytes], int] = {}

    async def counting(
        self: EmbeddedStore, bucket: Bucket, prefix: bytes, delimiter: bytes, after: bytes, limit: int
    ) -> Listing:
        skip = counts.get((bucket.id, prefix, after), 0)
        whole = await original(self, bucket, prefix, delimiter, b"", 1_000) if skip else None
        if whole is None:
            page = await original(self, bucket, prefix, delimiter, after, limit)
        else:
            rows = whole.rows[skip : skip + limit]
            is_truncated = len(whole.rows) > skip + limit
            page = Listing(rows, [], is_truncated, rows[-1][0] if rows else after, False)
        if page.is_truncated:
            counts[bucket.id, prefix, page.last] = skip + len(page.rows)
        return page

    EmbeddedStore.list = counting  # type: ignore[method-assign]


def news_kept_to_itself() -> None:
    """A worker that changes keys or buckets does not tell the others."""
    news = 0

    def tell(self: Control, generation: int) -> None:
        nonlocal news
        news = generation

    Control.tell_generation = tell  # type: ignore[method-assign]
    EmbeddedStore.generation = lambda self: news  # type: ignore[method-assign]


def late_news() -> None:
    """Other workers are told of a change after its commit, a moment after it can be seen."""
    tell, settle = Control.tell_generation, Committer._settle

    def late(self: Committer, batch: Batch | None, *, is_named: bool) -> None:
        if is_named and batch is not None and batch.has_new_configuration:
            time.sleep(_WINDOW_S)
            tell(self._control, batch.generation)
        settle(self, batch, is_named=is_named)

    Control.tell_generation = lambda *_: None  # type: ignore[method-assign]
    Committer._settle = late  # type: ignore[method-assign]
