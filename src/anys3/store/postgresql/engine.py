"""The index on PostgreSQL, with large contents on an engine for blobs: any number of processes on one store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from anys3.model import AccessKey, Bucket, Entry, Upload
from anys3.store import contents, interface
from anys3.store.blobs import Blobs
from anys3.store.errors import Corrupt, NoSuchUpload, Pause, StoreError, Unavailable
from anys3.store.figures import Figure
from anys3.store.interface import (
    Entries,
    Keys,
    Listing,
    Noted,
    Notes,
    Opened,
    OpenedPart,
    Parts,
    UploadListing,
)
from anys3.store.mutations import Committed, Mutation
from anys3.store.postgresql import counts, rows, schema
from anys3.store.postgresql.address import Address
from anys3.store.postgresql.configuration import Configuration
from anys3.store.postgresql.connections import Pool, connect
from anys3.store.postgresql.janitor import Janitor
from anys3.store.postgresql.lease import Lease
from anys3.store.postgresql.listing import Listings
from anys3.store.postgresql.mutations import Mutations, upload_id_bytes
from anys3.store.postgresql.names import BlobNames
from anys3.store.postgresql.noting import Noting
from anys3.store.postgresql.pausing import Pauses
from anys3.store.postgresql.reading import Sources
from anys3.store.postgresql.side import Side

_log = logging.getLogger(__name__)
_SIDE_CONNECTIONS = 2
_MIGRATION_S = 60


async def open_store(dsn: str, blobs: Blobs, *, is_server: bool = True) -> PostgresqlStore:
    """Open the store at a DSN (see Address), and make it first if there is none.

    The store closes `blobs`, also if it can't be opened. `is_server`: whether to tidy up beside the requests.
    Raises Unsuitable, NewerFormat, NotAStore, Unavailable.
    """
    try:
        address = Address(dsn)
        connection = await connect(address)
        try:
            async with asyncio.timeout(_MIGRATION_S):
                store_id = await schema.prepare(connection, address.schema)
        except TimeoutError:
            connection.terminate()
            raise Unavailable(f"PostgreSQL has not made the schema in {_MIGRATION_S} s") from None
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)
        store = PostgresqlStore(dsn, address, blobs, store_id, is_server=is_server)
        await store.begin()
    except BaseException:
        await asyncio.to_thread(blobs.close)
        raise
    return store


class PostgresqlStore:
    """See interface.Store. To be used from one event loop; writers and sources by any thread."""

    inline_max = contents.INLINE_MAX

    def __init__(self, dsn: str, address: Address, blobs: Blobs, store_id: str, *, is_server: bool) -> None:
        self.store_id = store_id
        self._schema = name = address.schema
        self._blobs = blobs
        self._side = Side("anys3-postgresql")
        self._lease = Lease(address)
        self._pool = Pool(address, address.pool_size)
        self._side_pool = Pool(address, _SIDE_CONNECTIONS)
        # Who copies the store must not miss what a standby does not have yet.
        lists_standby = address.lists_standby and is_server
        self._listing_pool = Pool(address.standby(dsn), address.pool_size) if lists_standby else self._pool
        self._names = BlobNames(name, self._side, self._side_pool, self._lease)
        self._janitor = Janitor(name, self._side_pool, self._lease, self._names, blobs, is_server=is_server)
        self._janitor.keep_s = address.keep_s
        self._pauses = Pauses(name, self._pool)
        self._noting = Noting(name, self._pool)
        self._configuration = Configuration(name, self._pool, self._lease, self._pauses)
        self._mutations = Mutations(name, self._pool, self._names, self._pauses)
        self._listings = Listings(name, self._listing_pool)
        self._sources = Sources(name, self._pool, self._side, self._side_pool, blobs)
        place = f"FROM {name}.object WHERE bucket = $1 AND key = $2 AND newest = 0"
        self._entry_sql = f"SELECT {rows.ENTRY} {place}"
        self._open_sql = f"SELECT {rows.ENTRY}, content {place}"
        place = "WHERE bucket = $1 AND key = $2 AND upload_id = $3"
        self._entries_sql = (
            f"SELECT key, {rows.ENTRY} FROM {name}.object"
            " WHERE bucket = $1 AND key > $2 AND newest = 0 ORDER BY key LIMIT $3"
        )
        self._upload_sql = f"SELECT {rows.UPLOAD} FROM {name}.upload {place}"
        self._parts_sql = (
            f"SELECT {rows.PART} FROM {name}.part"
            f" WHERE owner = (SELECT owner FROM {name}.upload {place}) AND number > $4 ORDER BY number LIMIT $5"
        )
        self._part_sql = (
            f"SELECT {rows.PART}, content FROM {name}.part"
            f" WHERE owner = (SELECT owner FROM {name}.upload {place}) AND number = $4"
        )

    async def begin(self) -> None:
        """Let others know of this process, and start what goes on beside the requests. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        self._lease.when_lost += [
            lambda: loop.call_soon_threadsafe(self._pool.forget_idle),
            self._side_pool.forget_idle,
        ]
        try:
            await self._side.do(self._lease.begin())
            await self._side.do(self._begin_beside())
            if self._listing_pool is not self._pool:
                await schema.arrive(self._listing_pool, self._schema)
        except BaseException:
            await self.close()
            raise

    async def _begin_beside(self) -> None:
        self._janitor.begin()

    async def close(self) -> None:
        """Finish what is being committed, and let go of everything."""
        await self._mutations.finish()
        try:
            await self._side.do(self._end_beside())
        finally:
            await asyncio.to_thread(self._side.end)
            await self._pool.close()
            if self._listing_pool is not self._pool:
                await self._listing_pool.close()
            await asyncio.to_thread(self._blobs.close)

    async def _end_beside(self) -> None:
        await self._janitor.end()
        try:
            await self._names.end()
            await self._janitor.leave()
        except StoreError as error:
            _log.info("others will take this process for dead: %s", error)
        finally:
            await self._lease.end()
            await self._side_pool.close()

    def generation(self) -> int:
        """Return the number of the configuration. Raises Unavailable."""
        return self._lease.generation()

    def figures(self) -> Sequence[Figure]:
        """Return how the connections do, what waits to be removed, and what the engine for blobs tells."""
        pools = {self._pool, self._side_pool, self._listing_pool}
        own = counts.figures(pool.counts() for pool in pools)
        return [*own, *self._janitor.figures(), *self._blobs.figures()]

    # pauses

    async def paused(self) -> Pause | None:
        """Return the pause that is in force."""
        return await self._pauses.now()

    async def pause(self, reason: str, *, was: Pause | None = None, lasts_s: float | None = None) -> Pause:
        """Refuse all changes, in every process, but those through this object. Raises PauseChanged."""
        return await self._pauses.begin(reason, was, lasts_s)

    async def resume(self, was: Pause) -> None:
        """End that pause, whoever began it. Raises PauseChanged."""
        await self._pauses.end(was)

    # notes of changed keys

    async def begin_noting(self, lasts_s: float) -> Notes:
        """Let the keys of every mutation be noted, in every process; others' notes end."""
        return await self._noting.begin(lasts_s)

    async def keep_noting(self, notes: Notes, lasts_s: float) -> None:
        """Let them end after `lasts_s` from now. Raises NotesEnded."""
        await self._noting.keep(notes, lasts_s)

    async def noted(self, notes: Notes, limit: int) -> Keys:
        """Return the first `limit` keys, by bucket and key. Raises NotesEnded."""
        return await self._noting.first(notes, limit)

    async def strike_noted(self, notes: Notes, keys: Sequence[Noted]) -> None:
        """Forget these notes. Raises NotesEnded."""
        await self._noting.strike(notes, keys)

    async def end_noting(self, notes: Notes) -> None:
        """End them."""
        await self._noting.end(notes)

    # configuration: keys and buckets

    async def key(self, access_key_id: str) -> AccessKey | None:
        """Return a key, None if unknown."""
        return await self._configuration.key(access_key_id)

    async def keys(self) -> list[AccessKey]:
        """Return all keys, by access key id."""
        return await self._configuration.keys()

    async def put_key(self, key: AccessKey) -> None:
        """Create or replace a key."""
        await self._configuration.put_key(key)

    async def claim_root(self, key: AccessKey) -> AccessKey:
        """Make `key` the root key unless there is one, and return the one that there is then."""
        return await self._configuration.claim_root(key)

    async def delete_key(self, access_key_id: str) -> bool:
        """Delete a key; False if it did not exist."""
        return await self._configuration.delete_key(access_key_id)

    async def bucket(self, name: str) -> Bucket | None:
        """Return a bucket's row, None if it does not exist."""
        return await self._configuration.bucket(name)

    async def buckets(self, after: str = "", prefix: str = "", limit: int = 10_000) -> list[Bucket]:
        """Return the first `limit` buckets after that name and with that prefix, by name."""
        return await self._configuration.buckets(after, prefix, limit)

    async def create_bucket(self, bucket: Bucket) -> Bucket:
        """Create an empty bucket and return its row with its new `id`. Raises BucketExists."""
        return await self._configuration.create_bucket(bucket)

    async def update_bucket(self, bucket: Bucket, *, was: Bucket | None = None) -> None:
        """Replace settings of the bucket. Raises NoSuchBucket, BucketChanged."""
        await self._configuration.update_bucket(bucket, was=was)

    async def delete_bucket(self, bucket: Bucket) -> None:
        """Delete the bucket and its unfinished uploads. Raises NoSuchBucket, BucketNotEmpty."""
        await self._configuration.delete_bucket(bucket)

    # objects

    async def entry(self, bucket: Bucket, key: bytes) -> Entry | None:
        """Return an object's row. Raises NoSuchBucket."""
        found = await self._pool.read(self._entry_sql, bucket.id, key)
        if found:
            return rows.entry(found[0])
        await self._configuration.check(bucket)
        return None

    async def open(self, bucket: Bucket, key: bytes) -> Opened | None:
        """Return an object's row and bytes. Raises NoSuchBucket, Corrupt."""
        reading = self._lease.read()
        is_kept = False
        try:
            found = await self._pool.read(self._open_sql, bucket.id, key)
            if not found:
                await self._configuration.check(bucket)
                return None
            row = found[0]
            entry = rows.entry(row)
            kind, crc = row[11:13]
            if kind == rows.INLINE:
                return Opened(entry, rows.verified(row[15], entry.size, crc, "the object"), None)
            is_kept = True
            return Opened(entry, None, self._sources.source(reading, entry, (bucket.name, key)))
        except Corrupt as error:
            raise error.about(bucket.name, key) from None
        finally:
            if not is_kept:
                reading.end()

    async def list(
        self, bucket: Bucket, prefix: bytes, delimiter: bytes, after: bytes, limit: int
    ) -> Listing:
        """Return the first `limit` keys and common prefixes strictly after `after`."""
        page = await self._listings.page(bucket, prefix, delimiter, after, limit)
        if not page.rows and not page.prefixes:
            await self._configuration.check(bucket)
        return page

    async def entries(self, bucket: Bucket, after: bytes, limit: int) -> Entries:
        """Return the first `limit` keys after `after` with their rows. Raises NoSuchBucket."""
        found = await self._pool.read(self._entries_sql, bucket.id, after, limit)
        if not found:
            await self._configuration.check(bucket)
        return [(row[0], rows.entry(row, 1)) for row in found]

    async def commit(self, mutation: Mutation) -> Committed:
        """Apply a mutation; see Store.commit."""
        return await self._mutations.commit(mutation)

    # contents

    def writer(self, length: int | None) -> interface.ContentWriter:
        """Return a writer for one content of `length` bytes (None: not known)."""
        return contents.Writer(self._blobs, self._names, length, self.inline_max)

    async def copy_content(self, opened: Opened) -> object | None:
        """Return inline bytes again; None for all others: engines for blobs can't have one twice."""
        return opened.inline

    def discard_content(self, content: object) -> None:
        """Do nothing: inline bytes are nobody's."""

    # uploads

    async def upload(self, bucket: Bucket, key: bytes, upload_id: str) -> Upload | None:
        """Return an unfinished upload of that key, else None. Raises NoSuchBucket."""
        found = await self._pool.read(self._upload_sql, bucket.id, key, upload_id_bytes(upload_id))
        if found:
            return rows.upload(found[0])
        await self._configuration.check(bucket)
        return None

    async def uploads(
        self,
        bucket: Bucket,
        prefix: bytes,
        delimiter: bytes,
        after_key: bytes,
        after_upload_id: str | None,
        limit: int,
    ) -> UploadListing:
        """Return the first `limit` uploads (and common prefixes) after a position. Raises NoSuchBucket."""
        page = await self._listings.uploads(bucket, prefix, delimiter, after_key, after_upload_id, limit)
        if not page.uploads and not page.prefixes:
            await self._configuration.check(bucket)
        return page

    async def parts(
        self, bucket: Bucket, key: bytes, upload_id: str, after: int = 0, limit: int = 10_000
    ) -> Parts:
        """Return the parts with numbers above `after`, ascending. Raises NoSuchUpload."""
        arguments = (bucket.id, key, upload_id_bytes(upload_id), min(after, 2**31 - 1), limit)
        found = await self._pool.read(self._parts_sql, *arguments)
        if not found and await self.upload(bucket, key, upload_id) is None:
            raise NoSuchUpload(upload_id)
        return [rows.part(row) for row in found]

    async def open_part(self, bucket: Bucket, key: bytes, upload_id: str, number: int) -> OpenedPart | None:
        """Return a part's row and bytes, None if there is no such part. Raises NoSuchUpload, Corrupt."""
        reading = self._lease.read()
        is_kept = False
        try:
            arguments = (bucket.id, key, upload_id_bytes(upload_id), number)
            found = await self._pool.read(self._part_sql, *arguments)
            if not found:
                if await self.upload(bucket, key, upload_id) is None:
                    raise NoSuchUpload(upload_id)
                return None
            part = rows.part(found[0])
            kind, crc, blob, data = found[0][6:10]
            if kind == rows.INLINE:
                return OpenedPart(part, rows.verified(data, part.size, crc, f"part {number}"), None)
            is_kept = True
            return OpenedPart(part, None, self._sources.blob(reading, blob, part.size, (bucket.name, key)))
        except Corrupt as error:
            raise error.about(bucket.name, key) from None
        finally:
            if not is_kept:
                reading.end()

    async def completed(self, bucket: Bucket, key: bytes, upload_id: str) -> tuple[Entry, Parts] | None:
        """Return the current entry and its parts if that upload made it, else None (CPL-13, CPL-18)."""
        reading = self._lease.read()  # the parts' rows stay as long
        try:
            entry = await self.entry(bucket, key)
            if entry is None or not upload_id or entry.upload_id != upload_id:
                return None
            reference = entry.content
            assert isinstance(reference, rows.Reference)
            if reference.kind != rows.PARTS:
                return None
            return entry, list(await self._sources.parts(reference.owner))
        finally:
            reading.end()
