"""Bugs that are planted in copies, each a mistake that is easily made. The tests beside must find every one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from anys3.model import AccessKey, Upload
from anys3.store.errors import NoSuchUpload, Paused
from anys3.store.memory import MemoryStore, noting
from anys3.store.moving import carrying, copying, passing, walking
from anys3.store.moving.carrying import Carrier
from anys3.store.moving.copying import Copy
from anys3.store.moving.passing import Passing
from anys3.store.moving.report import Report
from anys3.store.moving.verifying import Sums
from anys3.store.mutations import PutPart

Plant = Callable[[pytest.MonkeyPatch], None]


def the_last_page_is_skipped(patch: pytest.MonkeyPatch) -> None:
    """A page that is not full is taken for the end, and what lies on it is forgotten."""
    original = walking._Side.fill

    async def fill(self: Any) -> None:
        is_first = self._after is None
        await original(self)
        if len(self.page) < passing.PAGE and not is_first:
            self.page, self.is_over = [], True

    patch.setattr(walking._Side, "fill", fill)


def tags_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    """Rows are the same if their bytes are."""
    patch.setattr(passing, "is_same_entry", carrying._has_same_content)
    patch.setattr(carrying, "is_same_entry", carrying._has_same_content)


def nothing_is_removed(patch: pytest.MonkeyPatch) -> None:
    """What was deleted meanwhile stays in the copy."""

    async def remove(*_: object) -> None:
        pass

    patch.setattr(Passing, "_remove", remove)


def parts_are_joined(patch: pytest.MonkeyPatch) -> None:
    """An object of parts becomes one that was put in one piece."""
    original = Carrier._object_of_parts

    async def joined(self: Any, buckets: Any, key: bytes, entry: Any, opened: Any) -> None:
        parts = await opened.source.parts()
        if len(parts) > 1:
            await original(self, buckets, key, entry, opened)
            return
        content = await self._copy(opened, 0, entry.size, parts[0].etag, None)
        await self._commit(buckets, carrying.PutEntry(key, entry, content))

    patch.setattr(Carrier, "_object_of_parts", joined)


def parts_that_are_there_are_believed(patch: pytest.MonkeyPatch) -> None:
    """A part that was replaced meanwhile keeps its old bytes."""
    patch.setattr(carrying, "_is_same_part", lambda one, other: other is not None)


def uploads_are_left_out(patch: pytest.MonkeyPatch) -> None:
    """Who comes back to an upload after the move finds none."""

    async def none(*_: object) -> None:
        pass

    patch.setattr(Passing, "_uploads", none)


def sequences_are_copied(patch: pytest.MonkeyPatch) -> None:
    """What an upload remembers of its key is a number of the other store."""

    async def base(_: object, __: object, upload: Upload) -> int:
        return upload.entry_sequence

    patch.setattr(Carrier, "_base", base)


def ended_uploads_stay(patch: pytest.MonkeyPatch) -> None:
    """An upload that was aborted, or completed, lives on in the copy."""

    async def keep(*_: object) -> None:
        pass

    patch.setattr(Carrier, "_abort", keep)


def keys_come_first(patch: pytest.MonkeyPatch) -> None:
    """A bucket that is deleted in the copy takes along a grant that was just made."""
    buckets, keys = Passing._buckets, Passing._keys

    async def keys_then_buckets(self: Any) -> Any:
        await keys(self)
        return await buckets(self)

    async def nothing(_: object) -> None:
        pass

    patch.setattr(Passing, "_buckets", keys_then_buckets)
    patch.setattr(Passing, "_keys", nothing)


def deleted_keys_stay(patch: pytest.MonkeyPatch) -> None:
    """An access key that was deleted works again after the move."""

    async def put_only(self: Any) -> None:
        for key in await self._source.keys():
            await self._target.put_key(key)

    patch.setattr(Passing, "_keys", put_only)


def settings_are_left_out(patch: pytest.MonkeyPatch) -> None:
    """Buckets that are there keep the settings that they had."""
    original = MemoryStore.update_bucket

    async def update(self: Any, bucket: Any, **others: Any) -> None:
        if not self._holder:
            await original(self, bucket, **others)

    patch.setattr(MemoryStore, "update_bucket", update)


def nobody_waits_for_the_last_pass(patch: pytest.MonkeyPatch) -> None:
    """The source is paused after the last pass, not before."""
    original = Passing.follow

    async def follow(self: Any, title: str, notes: Any, *, is_last: bool = False) -> Any:
        source = self._source
        pause = await source.paused()
        if is_last and pause is not None:
            await source.resume(pause)
            found = await original(self, title, notes, is_last=is_last)
            source._store.kept.pause = pause  # as if it had never ended
            return found
        return await original(self, title, notes, is_last=is_last)

    patch.setattr(Passing, "follow", follow)


def an_ended_pause_is_no_matter(patch: pytest.MonkeyPatch) -> None:
    """The source is marked as moved even if it took changes again before."""

    async def check(*_: object) -> None:
        pass

    patch.setattr(MemoryStore, "_check_pause", check)


def a_failed_move_leaves_the_pause(patch: pytest.MonkeyPatch) -> None:
    """Writes are refused until somebody finds out."""

    async def leave(*_: object) -> None:
        pass

    patch.setattr(Copy, "_resume", leave)


def the_half_may_be_served(patch: pytest.MonkeyPatch) -> None:
    """The target takes everybody's changes while it is filled."""

    async def check(self: Any) -> None:
        pause = await self.paused()
        if pause is not None and "filled" not in pause.reason and pause.holder != self._holder:
            raise Paused(pause)

    patch.setattr(MemoryStore, "_check_open", check)


def the_target_is_opened_first(patch: pytest.MonkeyPatch) -> None:
    """Between two marks both stores take changes."""
    original = Copy._switch

    async def switch(self: Any, *passing_and_notes: Any) -> None:
        mark = await self._target.paused()
        await self._target.resume(mark)
        try:
            await original(self, *passing_and_notes)
        finally:
            await self._target.pause(mark.reason)

    patch.setattr(Copy, "_switch", switch)


def bytes_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    """Whatever comes is written."""
    patch.setattr(Sums, "check", lambda _: None)


def damage_is_no_hindrance(patch: pytest.MonkeyPatch) -> None:
    """A store is moved though some of it could not be."""
    patch.setattr(Report, "damaged", property(lambda _: []))


def a_change_forgets_to_ask(patch: pytest.MonkeyPatch) -> None:
    """One kind of change does not look at the pause."""

    async def put_key(self: Any, key: AccessKey) -> None:
        self.kept.keys[key.access_key_id] = key
        self.kept.generation += 1

    patch.setattr(MemoryStore, "put_key", put_key)


def a_copy_begins_anew(patch: pytest.MonkeyPatch) -> None:
    """An unfinished upload of the copy is thrown away instead of being gone on with."""
    original = Carrier._object_of_parts

    async def anew(self: Any, buckets: Any, key: bytes, entry: Any, opened: Any) -> None:
        try:
            await self._commit(buckets, carrying.AbortUpload(key, entry.upload_id))
        except NoSuchUpload:
            pass
        await original(self, buckets, key, entry, opened)

    patch.setattr(Carrier, "_object_of_parts", anew)


def a_second_copy_is_not_noticed(patch: pytest.MonkeyPatch) -> None:
    """Who has lost the target to another run goes on writing."""

    async def check(self: Any) -> None:
        pause = await self.paused()
        if pause is not None and not self._holder:
            raise Paused(pause)

    patch.setattr(MemoryStore, "_check_open", check)


def engines_that_are_away_end_the_copy(patch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an engine."""

    async def at_once(call: Any) -> Any:
        return await call()

    for module in (walking, passing, copying):
        patch.setattr(module, "patiently", at_once)


def a_change_is_not_noted(patch: pytest.MonkeyPatch) -> None:
    """One kind of mutation forgets to note its key."""
    original = noting.keys_of

    def keys_of(mutation: Any) -> list[bytes]:
        return [] if isinstance(mutation.changes[0], PutPart) else original(mutation)

    patch.setattr(noting, "keys_of", keys_of)


def notes_are_struck_after_the_copy(patch: pytest.MonkeyPatch) -> None:
    """What was changed between the copy of a key and the end of its note is not noted again."""
    original = Passing.follow

    async def take(self: Any, notes: Any, **_: object) -> list[Any]:
        self.taken = await self._source.noted(notes, 10**6)
        return list(self.taken)

    async def follow(self: Any, title: str, notes: Any, **others: Any) -> Any:
        counts = await original(self, title, notes, **others)
        await self._source.strike_noted(notes, self.taken)
        return counts

    patch.setattr(Passing, "_take", take)
    patch.setattr(Passing, "follow", follow)


def notes_begin_after_the_second_pass(patch: pytest.MonkeyPatch) -> None:
    """What was changed while everything was compared, behind where that was, is not noted."""
    original = Passing.run

    async def run(self: Any, title: str, total: int) -> Any:
        counts = await original(self, title, total)
        self._source._store.kept.noting._keys.clear()
        return counts

    patch.setattr(Passing, "run", run)


def one_page_of_notes_is_taken(patch: pytest.MonkeyPatch) -> None:
    """The last pass leaves what is noted behind its first page."""

    async def take(self: Any, notes: Any, **_: object) -> list[Any]:
        page: list[Any] = await self._source.noted(notes, passing.PAGE)
        await self._source.strike_noted(notes, page)
        return page

    patch.setattr(Passing, "_take", take)


def uploads_are_not_looked_at_for_notes(patch: pytest.MonkeyPatch) -> None:
    """Of a key that was noted only the object is copied."""
    original = Passing._uploads

    async def uploads(self: Any, buckets: Any, only: bytes | None = None) -> None:
        if only is None:
            await original(self, buckets)

    patch.setattr(Passing, "_uploads", uploads)


def notes_that_ended_are_no_matter(patch: pytest.MonkeyPatch) -> None:
    """Who has lost the notes takes it that nothing was changed."""

    async def noted(self: Any, notes: Any, limit: int) -> list[Any]:
        kept = self.kept.noting
        return kept.first(notes, limit) if kept.notes == notes else []

    patch.setattr(MemoryStore, "noted", noted)


def old_notes_are_for_new_buckets(patch: pytest.MonkeyPatch) -> None:
    """A bucket is told from the one before it by its time alone."""
    patch.setattr(Passing, "_was_made_anew", lambda _, ours, theirs: ours.created_ms != theirs.created_ms)


def damage_is_told_once(patch: pytest.MonkeyPatch) -> None:
    """A pass over what was noted forgets what could not be copied before."""
    original = Passing.follow

    async def follow(self: Any, *args: Any, **others: Any) -> Any:
        self._damaged.clear()
        return await original(self, *args, **others)

    patch.setattr(Passing, "follow", follow)


PLANTED: list[Plant] = [
    a_change_is_not_noted,
    notes_are_struck_after_the_copy,
    notes_begin_after_the_second_pass,
    one_page_of_notes_is_taken,
    uploads_are_not_looked_at_for_notes,
    notes_that_ended_are_no_matter,
    old_notes_are_for_new_buckets,
    damage_is_told_once,
    the_last_page_is_skipped,
    tags_are_not_compared,
    nothing_is_removed,
    parts_are_joined,
    parts_that_are_there_are_believed,
    uploads_are_left_out,
    sequences_are_copied,
    ended_uploads_stay,
    keys_come_first,
    deleted_keys_stay,
    settings_are_left_out,
    nobody_waits_for_the_last_pass,
    an_ended_pause_is_no_matter,
    a_failed_move_leaves_the_pause,
    the_half_may_be_served,
    the_target_is_opened_first,
    bytes_are_not_compared,
    damage_is_no_hindrance,
    a_change_forgets_to_ask,
    a_copy_begins_anew,
    a_second_copy_is_not_noticed,
    engines_that_are_away_end_the_copy,
]
