"""One pass over two stores, in which the one becomes what the other is: over everything, or over what was noted."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from anys3.model import Bucket, Entry
from anys3.store.damage import Damage
from anys3.store.errors import Corrupt, NoSuchBucket, NoSuchUpload
from anys3.store.interface import Noted, Notes, Store
from anys3.store.moving.carrying import Buckets, Carrier, is_same_entry
from anys3.store.moving.contents import Contents
from anys3.store.moving.report import Pass, Progress
from anys3.store.moving.verifying import Mismatch
from anys3.store.moving.walking import Difference, Fetch, compare, patiently

PAGE = 1000
AT_ONCE = 64
"""Objects under way: most are small, and the engines commit together what comes together."""
_REMOVED_AT_ONCE = 200
_UPLOADS_A_PAGE = 50
"""Of one key, which mostly has none."""
NOTES_MAX = 1_000_000
"""After so many keys a pass begins, whatever else was noted: they lie in memory."""
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
        self._ids: dict[str, int] = {}
        """Of the buckets, by their names, as they were met last in the source."""
        self._damaged: dict[tuple[int, bytes], list[Damage]] = {}
        """By bucket and key: what could not be copied, and was not changed since then."""

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
            with suppress(NoSuchBucket):  # deleted just now
                async for _, entry in _rows(_entries(self._source, bucket)):
                    total += entry.size
                    self._progress("counting", total, 0)
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

    async def count(self) -> Pass:
        """Return counts of what the source holds."""
        found = Pass(keys=len(await patiently(self._source.keys)))
        for bucket in await patiently(lambda: _all_buckets(self._source)):
            found.buckets += 1
            with suppress(NoSuchBucket, NoSuchUpload):  # ended just now
                async for _, entry in _rows(_entries(self._source, bucket)):
                    found.objects += 1
                    found.bytes += entry.size
                    self._progress("counting", found.bytes, 0)
                async for (key, upload_id), _ in _rows(_uploads(self._source, bucket)):
                    found.uploads += 1
                    found.parts += len(await self._source.parts(bucket, key, upload_id))
        return found

    async def run(self, title: str, total: int) -> Pass:
        """Make the target what the source is; what can't be copied is told."""
        self._damaged.clear()
        with self._pass(title, total) as counts:
            for buckets in await patiently(self._buckets):
                counts.buckets += 1
                try:
                    await self._objects(buckets)
                    await self._uploads(buckets)
                except NoSuchBucket:  # deleted just now: the next pass finds out
                    counts.changes += 1
            await patiently(self._keys)
        return counts

    async def follow(self, title: str, notes: Notes, *, is_last: bool = False) -> Pass:
        """Do so with the keys that were noted since `run`, all buckets and all access keys. Raises NotesEnded.

        `is_last`: nothing changes meanwhile, and each object that was copied is compared once more.
        """
        with self._pass(title, 0) as counts:
            self._is_last = is_last
            noted = await self._take(notes, is_last=is_last)
            counts.changes += len(noted)
            by_id = {buckets.ours.id: buckets for buckets in await patiently(self._buckets)}
            room = asyncio.Semaphore(AT_ONCE)
            with _alone():
                async with asyncio.TaskGroup() as group:
                    for bucket_id, key in noted:
                        self._damaged.pop((bucket_id, key), None)
                        if bucket_id in by_id:  # else deleted meanwhile, and so it is in the target
                            await room.acquire()
                            group.create_task(self._noted(by_id[bucket_id], key, room))
            await patiently(self._keys)
        return counts

    async def _take(self, notes: Notes, *, is_last: bool) -> list[Noted]:
        """Strike what is noted, and return it: what changes from here on is noted again."""
        found: dict[Noted, None] = {}
        while page := await patiently(lambda: self._source.noted(notes, PAGE)):
            await patiently(lambda: self._source.strike_noted(notes, page))
            found.update(dict.fromkeys(page))
            if not is_last and (len(page) < PAGE or len(found) >= NOTES_MAX):
                break
        return list(found)

    @contextmanager
    def _pass(self, title: str, total: int) -> Iterator[Pass]:
        """Begin new counts, say what is going on meanwhile, and end them."""
        began = time.monotonic()
        counts = self._carrier.counts = Pass()
        self._is_last = False
        self._done = 0
        telling = asyncio.ensure_future(self._tell(title, total))
        try:
            yield counts
        finally:
            telling.cancel()
        counts.seconds = time.monotonic() - began
        names = {number: name for name, number in self._ids.items()}
        counts.damaged = sorted(
            (one for (number, _), found in self._damaged.items() if number in names for one in found),
            key=lambda one: (one.bucket, one.key, one.upload_id),
        )

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
            if name not in ours or self._was_made_anew(ours[name], there):
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
        self._ids = {name: bucket.id for name, bucket in ours.items()}
        return found

    def _was_made_anew(self, ours: Bucket, theirs: Bucket) -> bool:
        """Tell whether the copy's bucket is of one that was deleted; its objects were not noted under the new id."""
        return ours.created_ms != theirs.created_ms or self._ids.get(ours.name, ours.id) != ours.id

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
        with _alone():
            async with asyncio.TaskGroup() as group:
                async for window in compare(*self._compare(buckets)):
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

    async def _remove(self, buckets: Buckets, keys: list[bytes]) -> None:
        for at in range(0, len(keys), _REMOVED_AT_ONCE):
            some = keys[at : at + _REMOVED_AT_ONCE]
            await patiently(lambda: self._carrier.remove(buckets, some))  # noqa: B023 (called at once)

    async def _object(self, buckets: Buckets, key: bytes, room: asyncio.Semaphore) -> None:
        try:
            await self._carry(buckets, key)
        finally:
            room.release()

    async def _noted(self, buckets: Buckets, key: bytes, room: asyncio.Semaphore) -> None:
        """Make a key what it is in the source: its object, then its unfinished uploads."""
        try:
            await self._carry(buckets, key)
            await self._uploads(buckets, key)
        except NoSuchBucket:  # deleted just now: the next pass finds out
            if self._is_last:
                raise
        finally:
            room.release()

    async def _carry(self, buckets: Buckets, key: bytes) -> None:
        with self._telling(buckets, key):
            await patiently(lambda: self._carrier.carry_object(buckets, key))
            if self._is_last:
                await patiently(lambda: self._verify(buckets, key))

    async def _verify(self, buckets: Buckets, key: bytes) -> None:
        ours = await self._source.entry(buckets.ours, key)
        theirs = await self._target.entry(buckets.theirs, key)
        if ours is None and theirs is None:
            return
        if ours is None or theirs is None or not is_same_entry(ours, theirs):
            raise Mismatch("its copy does not read as it was written")

    # unfinished uploads

    async def _uploads(self, buckets: Buckets, only: bytes | None = None) -> None:
        """Make the uploads the same, of one key or of all."""
        ours, theirs = (
            _uploads(self._source, buckets.ours, only),
            _uploads(self._target, buckets.theirs, only),
        )
        async for window in compare(ours, theirs, lambda *_: False):  # their parts are still to be compared
            for one in window.differences:
                key, upload_id = one.place
                with self._telling(buckets, key, upload_id):
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
    def _telling(self, buckets: Buckets, key: bytes, upload_id: str = "") -> Iterator[None]:
        """Remember what is damaged, and let the rest go on."""
        try:
            yield
        except (Corrupt, Mismatch) as error:
            reason = error.args[0] if error.args else str(error)
            damage = Damage(buckets.ours.name, key, str(reason), upload_id)
            self._damaged.setdefault((buckets.ours.id, key), []).append(damage)


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


def _uploads(store: Store, bucket: Bucket, only: bytes | None = None) -> Fetch:
    """Return what fetches the unfinished uploads of a bucket, or of one key."""

    async def fetch(after: tuple[bytes, str] | None) -> list[tuple[tuple[bytes, str], object]]:
        key, upload_id = after or (b"", None)
        limit = PAGE if only is None else _UPLOADS_A_PAGE
        page = await store.uploads(bucket, only or b"", b"", key, upload_id, limit)
        found = [one for one in page.uploads if only in (None, one.key)]
        return [((one.key, one.upload_id), one) for one in found]

    return fetch


async def _rows(fetch: Fetch) -> AsyncIterator[tuple[Any, Any]]:
    """Yield all rows."""
    after = None
    while page := await patiently(lambda: fetch(after)):  # noqa: B023 (called at once)
        for row in page:
            yield row
        after = page[-1][0]


async def _all_buckets(store: Store) -> list[Bucket]:
    found: list[Bucket] = []
    while page := await store.buckets(found[-1].name if found else "", limit=PAGE):
        found += page
    return found
