"""One comparison of two stores, in which the one becomes what the other is."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from anys3.model import Bucket, Entry
from anys3.store.damage import Damage
from anys3.store.errors import Corrupt, NoSuchBucket
from anys3.store.interface import Store
from anys3.store.moving.carrying import Buckets, Carrier, is_same_entry
from anys3.store.moving.contents import Contents
from anys3.store.moving.report import Pass, Progress
from anys3.store.moving.verifying import Mismatch
from anys3.store.moving.walking import Difference, Fetch, Known, compare, patiently

PAGE = 1000
AT_ONCE = 64
"""Objects under way: most are small, and the engines commit together what comes together."""
_REMOVED_AT_ONCE = 200
_TELL_EVERY_S = 0.2


class Passing:
    """What all passes of a copy have in common: the stores, the threads, and who is told."""

    def __init__(self, source: Store, target: Store, progress: Progress) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._lock = threading.Lock()
        self._done = 0
        self._contents = Contents(target, self._count)
        self._carrier = Carrier(source, target, self._contents)
        self._is_last = False
        self._known: dict[tuple[int, int], Known] = {}

    def _count(self, size: int) -> None:
        with self._lock:
            self._done += size

    async def close(self) -> None:
        """End what is under way."""
        await self._contents.close()

    async def measure(self) -> int:
        """Return how many bytes the objects of the source have."""
        total = 0
        for bucket in await patiently(lambda: _all_buckets(self._source)):
            fetch, after = _entries(self._source, bucket), None
            try:
                while page := await patiently(lambda: fetch(after)):  # noqa: B023 (called at once)
                    total += sum(entry.size for _, entry in page)
                    after = page[-1][0]
                    self._progress("counting", total, 0)
            except NoSuchBucket:  # deleted just now
                continue
        return total

    async def differences(self) -> int:
        """Return how many objects, buckets and keys are not the same in both stores now, and change nothing."""
        ours, others = [await patiently(store.keys) for store in (self._source, self._target)]
        count = sum(one not in others for one in ours) + sum(one not in ours for one in others)
        theirs = {bucket.name: bucket for bucket in await patiently(lambda: _all_buckets(self._target))}
        for bucket in await patiently(lambda: _all_buckets(self._source)):
            there = theirs.pop(bucket.name, None)
            if there is None or replace(bucket, id=there.id) != there:
                count += 1
                continue
            async for window in compare(*self._compare(Buckets(bucket, there))):
                count += len(window.differences)
        return count + len(theirs)

    async def run(self, title: str, total: int, *, is_last: bool = False) -> Pass:
        """Make the target what the source is; what can't be copied is noted.

        `is_last`: nothing changes meanwhile, and each object that was copied is compared once more.
        """
        began = time.monotonic()
        counts = self._carrier.counts = Pass()
        self._is_last = is_last
        self._done = 0
        telling = asyncio.ensure_future(self._tell(title, total))
        try:
            for buckets in await patiently(self._buckets):
                counts.buckets += 1
                try:
                    await self._objects(buckets)
                    await self._uploads(buckets)
                except NoSuchBucket:  # deleted just now: the next pass finds out
                    if is_last:
                        raise
                    counts.changes += 1
            await patiently(self._keys)
        finally:
            telling.cancel()
        counts.seconds = time.monotonic() - began
        counts.damaged.sort(key=lambda one: (one.bucket, one.key, one.upload_id))
        return counts

    async def _tell(self, title: str, total: int) -> None:
        while True:
            self._progress(title, self._done, total)
            await asyncio.sleep(_TELL_EVERY_S)

    # buckets and keys

    async def _buckets(self) -> list[Buckets]:
        """Make the buckets the same, and return them. Repeatable."""
        counts = self._carrier.counts
        ours = {bucket.name: bucket for bucket in await _all_buckets(self._source)}
        theirs = {bucket.name: bucket for bucket in await _all_buckets(self._target)}
        for name, there in list(theirs.items()):
            if name not in ours or ours[name].created_ms != there.created_ms:
                await self._delete_bucket(theirs.pop(name))
        found = []
        for name, bucket in ours.items():
            if name not in theirs:
                counts.changes += 1
                theirs[name] = await self._target.create_bucket(replace(bucket, id=0))
            wanted = replace(bucket, id=theirs[name].id)
            if theirs[name] != wanted:
                counts.changes += 1
                await self._target.update_bucket(wanted)
            found.append(Buckets(bucket, wanted))
        return found

    async def _delete_bucket(self, bucket: Bucket) -> None:
        self._carrier.counts.changes += 1
        while page := await self._target.entries(bucket, b"", _REMOVED_AT_ONCE):
            await self._carrier.remove(Buckets(bucket, bucket), [key for key, _ in page])
        await self._target.delete_bucket(bucket)

    async def _keys(self) -> None:
        """Make the access keys the same: last, since buckets that were deleted took grants with them."""
        counts = self._carrier.counts
        ours = {key.access_key_id: key for key in await self._source.keys()}
        theirs = {key.access_key_id: key for key in await self._target.keys()}
        counts.keys = len(ours)
        for name in theirs.keys() - ours.keys():
            counts.changes += 1
            await self._target.delete_key(name)
        for name, key in ours.items():
            if theirs.get(name) != key:
                counts.changes += 1
                await self._target.put_key(key)

    # objects

    def _compare(self, buckets: Buckets) -> tuple[Fetch, Fetch, Callable[[Entry, Entry], bool]]:
        ours, theirs = _entries(self._source, buckets.ours), _entries(self._target, buckets.theirs)
        return ours, theirs, is_same_entry

    async def _objects(self, buckets: Buckets) -> None:
        counts = self._carrier.counts
        room = asyncio.Semaphore(AT_ONCE)
        ids = (buckets.ours.id, buckets.theirs.id)
        before, now = self._known.pop(ids, Known()), Known()
        with _alone():
            async with asyncio.TaskGroup() as group:
                async for window in before.compare(*self._compare(buckets)):
                    now.add(window)
                    counts.objects += len(window.rows)
                    counts.changes += len(window.differences)
                    size = sum(entry.size for _, entry in window.rows)
                    counts.bytes += size
                    self._count(size - sum(one.ours.size for one in window.differences if one.ours))
                    await self._remove(buckets, [one.place for one in window.differences if not one.ours])
                    for one in window.differences:
                        if one.ours is not None:
                            await room.acquire()
                            group.create_task(self._object(buckets, one.place, room))
        self._known[ids] = now

    async def _remove(self, buckets: Buckets, keys: list[bytes]) -> None:
        for at in range(0, len(keys), _REMOVED_AT_ONCE):
            some = keys[at : at + _REMOVED_AT_ONCE]
            await patiently(lambda: self._carrier.remove(buckets, some))  # noqa: B023 (called at once)

    async def _object(self, buckets: Buckets, key: bytes, room: asyncio.Semaphore) -> None:
        try:
            with self._noting(buckets, key):
                await patiently(lambda: self._carrier.carry_object(buckets, key))
                if self._is_last:
                    await patiently(lambda: self._verify(buckets, key))
        finally:
            room.release()

    async def _verify(self, buckets: Buckets, key: bytes) -> None:
        ours = await self._source.entry(buckets.ours, key)
        theirs = await self._target.entry(buckets.theirs, key)
        if ours is None or theirs is None or not is_same_entry(ours, theirs):
            raise Mismatch("its copy does not read as it was written")

    # unfinished uploads

    async def _uploads(self, buckets: Buckets) -> None:
        ours, theirs = _uploads(self._source, buckets.ours), _uploads(self._target, buckets.theirs)
        async for window in compare(ours, theirs, lambda *_: False):  # their parts are still to be compared
            for one in window.differences:
                key, upload_id = one.place
                with self._noting(buckets, key, upload_id):
                    await self._upload(buckets, key, upload_id, one)

    async def _upload(self, buckets: Buckets, key: bytes, upload_id: str, one: Difference) -> None:
        theirs = one.theirs

        async def carry() -> None:
            nonlocal theirs
            if theirs is None:  # what was begun by an attempt that failed is not in the window
                theirs = await self._target.upload(buckets.theirs, key, upload_id)
            await self._carrier.carry_upload(buckets, key, upload_id, one.ours, theirs)

        await patiently(carry)

    @contextmanager
    def _noting(self, buckets: Buckets, key: bytes, upload_id: str = "") -> Iterator[None]:
        """Note what is damaged, and let the rest go on."""
        try:
            yield
        except (Corrupt, Mismatch) as error:
            reason = error.args[0] if error.args else str(error)
            self._carrier.counts.damaged.append(Damage(buckets.ours.name, key, str(reason), upload_id))


@contextmanager
def _alone() -> Iterator[None]:
    """Let the first error of a group of tasks stand for all."""
    try:
        yield
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def _entries(store: Store, bucket: Bucket) -> Fetch:
    return lambda after: store.entries(bucket, after or b"", PAGE)


def _uploads(store: Store, bucket: Bucket) -> Fetch:
    async def fetch(after: tuple[bytes, str] | None) -> list[tuple[tuple[bytes, str], object]]:
        key, upload_id = after or (b"", None)
        page = await store.uploads(bucket, b"", b"", key, upload_id, PAGE)
        return [((upload.key, upload.upload_id), upload) for upload in page.uploads]

    return fetch


async def _all_buckets(store: Store) -> list[Bucket]:
    found: list[Bucket] = []
    while page := await store.buckets(found[-1].name if found else "", limit=PAGE):
        found += page
    return found
