"""From a mutation to calls in the database, and from what they answer to what the contract says."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, NoReturn

from anys3.model import Bucket, Entry
from anys3.store.contents import Stored
from anys3.store.errors import ExpectationFailed, NoSuchBucket, NoSuchUpload, PartChanged, Paused, Unavailable
from anys3.store.mutations import (
    AbortUpload,
    Change,
    Committed,
    CompleteUpload,
    DeleteEntry,
    Expectation,
    Mutation,
    PutEntry,
    PutPart,
    PutUpload,
)
from anys3.store.postgresql import committing, rows
from anys3.store.postgresql.committing import Lane, conditions, statement
from anys3.store.postgresql.connections import Link, Pool, Unknown
from anys3.store.postgresql.names import BlobNames
from anys3.store.postgresql.pausing import Pauses

_NOTHING = (False, False, None, None)
_CONDITIONAL = (PutEntry, DeleteEntry, CompleteUpload)
"""Changes whose function takes expectations on their key."""


class Mutations:
    """Applies mutations."""

    def __init__(self, schema: str, pool: Pool, names: BlobNames, pauses: Pauses) -> None:
        self._pauses = pauses
        self._schema = schema
        self._pool = pool
        self._names = names
        self._sql = {name: statement(schema, name) for name in committing.FUNCTIONS}
        self._lanes = {name: Lane(pool, sql, names.settle) for name, sql in self._sql.items()}

    async def commit(self, mutation: Mutation) -> Committed:
        """Apply a mutation; see Store.commit."""
        try:
            return await self._commit(mutation)
        except Paused:
            raise await self._pauses.refusal() from None

    async def _commit(self, mutation: Mutation) -> Committed:
        changes, expect = mutation.changes, mutation.expect
        if len(changes) == 1:
            found = conditions(expect, _key(changes[0])) if expect else _NOTHING
            if found is not None and (not expect or isinstance(changes[0], _CONDITIONAL)):
                return await self._commit_one(mutation.bucket, changes[0], found, expect)
        elif not expect and all(isinstance(change, DeleteEntry) for change in changes):
            return await self._delete(mutation)
        return await self._commit_together(mutation)

    async def finish(self) -> None:
        """Return when all that was submitted is answered."""
        for lane in self._lanes.values():
            await lane.finish()

    async def _commit_one(
        self, bucket: Bucket, change: Change, found: tuple[Any, ...], expect: tuple[Expectation, ...]
    ) -> Committed:
        name, arguments, content = call_of(bucket, change, found)
        row = await self._lanes[name].call((*arguments, self._pauses.holder), content)
        if row[0] != committing.DONE:
            _refuse(row, bucket, change, expect)
        return Committed(row[1])

    async def _delete(self, mutation: Mutation) -> Committed:
        """Delete many keys in one round trip."""
        keys = sorted(call_of(mutation.bucket, change, _NOTHING)[1] for change in set(mutation.changes))
        if not keys:
            return await self._commit_together(mutation)
        calls = [(*arguments, self._pauses.holder) for arguments in keys]
        sql = self._sql["object_delete"]
        work = self._pool.attempt(lambda link: link.fetch_many(sql, calls), may_repeat=False)
        # While asyncpg waits to send more of them it wants to be a task, and the server's handlers are none.
        found = await asyncio.get_running_loop().create_task(work)
        if found[0][0] != committing.DONE:
            _refuse(found[0], mutation.bucket, mutation.changes[0], ())
        return Committed(max(row[1] for row in found))

    async def _commit_together(self, mutation: Mutation) -> Committed:
        """Apply several changes, or one with expectations of others, in a transaction of several round trips."""
        contents = [content for change in mutation.changes if isinstance(content := _content(change), Stored)]
        for content in contents:
            content.is_claimed = True
        try:
            committed = await self._pool.once(partial(self._transact, mutation=mutation))
        except BaseException as error:
            for content in contents:
                # Of what was cancelled, nobody knows either.
                if isinstance(error, Unknown) or not isinstance(error, Exception):
                    self._names.settle(content.name)
                else:
                    content.is_claimed = False
            raise
        return Committed(committed)

    async def _transact(self, link: Link, mutation: Mutation) -> int:
        with link.deadline():
            async with link.raw.transaction():
                return await self._change(link, mutation)

    async def _change(self, link: Link, mutation: Mutation) -> int:
        bucket = mutation.bucket
        # In one order everywhere, so that two can't wait for each other.
        changes = sorted(mutation.changes, key=_key)
        # Each key is locked before one of them is judged.
        locked: dict[bytes, Entry | None] = {}
        keys = {one.key for one in mutation.expect} | {_key(one) for one in changes if mutation.expect}
        for key in sorted(keys):
            [row] = await link.fetch(self._sql["object_lock"], (bucket.id, key, self._pauses.holder))
            if row[0] in (committing.NO_BUCKET, committing.PAUSED):
                _refuse(row, bucket, mutation.changes[0], ())
            locked[key] = _current(row)
        for expectation in mutation.expect:
            if committing.first_failed((expectation,), locked[expectation.key]) is not None:
                raise ExpectationFailed(expectation, locked[expectation.key])
        sequence = 0
        for change in changes:
            name, arguments, _ = call_of(bucket, change, _NOTHING)
            [row] = await link.fetch(self._sql[name], (*arguments, self._pauses.holder))
            if row[0] != committing.DONE:
                _refuse(row, bucket, change, ())
            sequence = max(sequence, row[1])
        for key in locked:  # what was only locked
            await link.fetch(
                f"DELETE FROM {self._schema}.object"
                " WHERE bucket = $1 AND key = $2 AND newest = 0 AND sequence = 0",
                (bucket.id, key),
            )
        return sequence


def call_of(bucket: Bucket, change: Change, found: tuple[Any, ...]) -> tuple[str, tuple[Any, ...], object]:
    """Return the function that makes a change, its arguments, and the content that it names."""
    match change:
        case PutEntry(key=key, entry=entry, content=content):
            kind, crc, blob, data = rows.content_values(content)
            values = (*found, *rows.entry_values(entry), kind, crc, blob, None, data)
            return "object_put", (bucket.id, key, *values), content if blob else data
        case DeleteEntry(key=key):
            return "object_delete", (bucket.id, key, *found), None
        case PutUpload(upload=upload):
            return "upload_put", (bucket.id, *rows.upload_values(upload)), None
        case PutPart(key=key, upload_id=upload_id, part=part, content=content):
            kind, crc, blob, data = rows.content_values(content)
            values = (upload_id_bytes(upload_id), *rows.part_values(part), kind, crc, blob, data)
            return "part_put", (bucket.id, key, *values), content if blob else data
        case CompleteUpload(key=key, upload_id=upload_id, entry=entry, parts=parts):
            numbers = [part.number for part in parts]
            sequences = [_part_sequence(part.content) for part in parts]
            values = rows.entry_values(entry._replace(upload_id=upload_id))
            return "upload_complete", (bucket.id, key, *found, *values, numbers, sequences), None
        case AbortUpload(key=key, upload_id=upload_id):
            return "upload_abort", (bucket.id, key, upload_id_bytes(upload_id)), None


def upload_id_bytes(upload_id: str) -> bytes:
    """Return an upload id, which may be any that a client has made up, as the index has it."""
    return upload_id.encode("utf-8", "surrogatepass")


def _part_sequence(content: object) -> int:
    assert isinstance(content, rows.PartReference)
    return content.sequence


def _key(change: Change) -> bytes:
    return change.upload.key if isinstance(change, PutUpload) else change.key


def _content(change: Change) -> object:
    return change.content if isinstance(change, PutEntry | PutPart) else None


def _current(row: Any) -> Entry | None:
    """Return the entry that a call tells behind its outcome and its sequence."""
    return rows.entry(row, 2) if row[2 + rows.ENTRY_COLUMNS.index("sequence")] else None


def _refuse(row: Any, bucket: Bucket, change: Change, expect: tuple[Expectation, ...]) -> NoReturn:
    """Raise what an outcome means."""
    outcome = row[0]
    if outcome == committing.NO_BUCKET:
        raise NoSuchBucket(bucket.name)
    if outcome == committing.PAUSED:
        raise Paused(None)
    if outcome == committing.FAILED:
        current = _current(row)
        failed = committing.first_failed(expect, current)
        assert failed is not None
        raise ExpectationFailed(failed, current)
    if outcome == committing.NO_UPLOAD:
        raise NoSuchUpload(getattr(change, "upload_id", ""))
    if outcome == committing.PART_CHANGED:
        raise PartChanged(getattr(change, "upload_id", ""))
    if outcome == committing.NAME_LOST:
        raise Unavailable(
            "this process has not reached PostgreSQL for too long: the blob's name was taken back"
        )
    raise ValueError(f"there is no content of {_key(change)!r} to keep")
