"""Access keys and buckets. Each change raises the store's generation in the same transaction.

All lock in one order, so that two never wait for each other: the store's row, the bucket's, those of keys.
"""

from __future__ import annotations

from typing import Any

from anys3.model import AccessKey, Bucket
from anys3.store.errors import BucketChanged, BucketExists, BucketNotEmpty, NoSuchBucket, Paused, Unavailable
from anys3.store.postgresql import rows
from anys3.store.postgresql.committing import DONE, NOT_EMPTY, PAUSED
from anys3.store.postgresql.connections import Pool
from anys3.store.postgresql.lease import Lease
from anys3.store.postgresql.pausing import Pauses, is_open

_ATTEMPTS = 10


class Configuration:
    """Keys and buckets, read and changed over a pool of connections."""

    def __init__(self, schema: str, pool: Pool, lease: Lease, pauses: Pauses) -> None:
        self._pauses = pauses
        self._schema = schema
        self._pool = pool
        self._lease = lease
        self._raise = f"UPDATE {schema}.store SET generation = generation + 1"
        self._open = f"SELECT 1 FROM {schema}.store WHERE {is_open('{}')} FOR UPDATE"

    # access keys

    async def key(self, access_key_id: str) -> AccessKey | None:
        """Return a key, None if unknown."""
        if not rows.is_text(access_key_id):
            return None
        found = await self._pool.read(
            f"SELECT {rows.KEY} FROM {self._schema}.access_key WHERE access_key_id = $1", access_key_id
        )
        return rows.key(found[0]) if found else None

    async def keys(self) -> list[AccessKey]:
        """Return all keys, by access key id."""
        found = await self._pool.read(f"SELECT {rows.KEY} FROM {self._schema}.access_key")
        return sorted(map(rows.key, found), key=lambda key: key.access_key_id)

    async def put_key(self, key: AccessKey) -> None:
        """Create or replace a key."""
        async with self._lease.changing(self._pool):
            changed = await self._pool.change(
                f"WITH raised AS ({self._raise} WHERE {is_open('$8')} RETURNING generation)"
                f" INSERT INTO {self._schema}.access_key ({rows.KEY})"
                " SELECT $1, $2, $3, $4, $5, $6::jsonb, $7 FROM raised"
                " ON CONFLICT (access_key_id) DO UPDATE SET secret_access_key = $2, name = $3, is_root = $4,"
                " may_create_buckets = $5, grants = $6::jsonb, created_ms = $7"
                " RETURNING (SELECT generation FROM raised)",
                *(*rows.key_values(key), self._pauses.holder),
            )
            await self._adopt(changed)

    async def claim_root(self, key: AccessKey) -> AccessKey:
        """Make `key` the root key unless there is one, and return the one that there is then."""
        id_, secret, name, _, may_create, grants, created_ms = rows.key_values(key)
        [(root, generation)] = await self._pool.read(  # again, it finds what it has made
            f"SELECT root, generation FROM {self._schema}.root_claim($1, $2, $3, $4, $5::jsonb, $6, $7)",
            *(id_, secret, name, may_create, grants, created_ms, self._pauses.holder),
        )
        if root is None:
            raise await self._pauses.refusal()
        if generation is not None:
            await self._lease.make_known(self._pool, generation)
        found = await self.key(root)
        return await self.claim_root(key) if found is None else found

    async def delete_key(self, access_key_id: str) -> bool:
        """Delete a key; False if it did not exist."""
        if not rows.is_text(access_key_id):
            return False
        async with self._lease.changing(self._pool):
            changed = await self._pool.change(
                f"WITH raised AS ({self._raise} WHERE {is_open('$2')} RETURNING generation),"
                f" gone AS (DELETE FROM {self._schema}.access_key WHERE access_key_id = $1"
                " AND EXISTS (SELECT 1 FROM raised) RETURNING 1)"
                " SELECT generation, (SELECT count(*) FROM gone) FROM raised",
                *(access_key_id, self._pauses.holder),
            )
            await self._adopt(changed)
        return bool(changed[0][1])

    async def _adopt(self, changed: list[Any]) -> None:
        if not changed:
            raise await self._pauses.refusal()
        self._lease.adopt(changed[0][0])

    # buckets

    async def bucket(self, name: str) -> Bucket | None:
        """Return a bucket's row, None if it does not exist."""
        if not rows.is_text(name):
            return None
        found = await self._pool.read(
            f"SELECT {rows.BUCKET} FROM {self._schema}.bucket WHERE name = $1", name
        )
        return rows.bucket(found[0]) if found else None

    async def buckets(self, after: str = "", prefix: str = "", limit: int = 10_000) -> list[Bucket]:
        """Return the first `limit` buckets after that name and with that prefix, by name."""
        if not (rows.is_text(after) and rows.is_text(prefix)):
            return []
        found = await self._pool.read(
            f"SELECT {rows.BUCKET} FROM {self._schema}.bucket"
            " WHERE name > $1 AND name >= $2 AND left(name, length($2)) = $2 ORDER BY name LIMIT $3",
            *(after, prefix, limit),
        )
        return list(map(rows.bucket, found))

    async def create_bucket(self, bucket: Bucket) -> Bucket:
        """Create an empty bucket and return its row with its new `id`. Raises BucketExists."""
        for _ in range(_ATTEMPTS):
            made = await self._pool.change(
                f"WITH open AS ({self._open.format('$7')}), made AS (INSERT INTO {self._schema}.bucket ({rows.BUCKET})"
                f" SELECT nextval('{self._schema}.ids'), $1, $2, $3, $4, $5, $6 FROM open"
                f" ON CONFLICT (name) DO NOTHING RETURNING {rows.BUCKET})"
                f" {self._raise} WHERE EXISTS (SELECT 1 FROM made)"
                f" RETURNING generation, {', '.join(f'(SELECT {one} FROM made)' for one in rows.BUCKET.split(', '))}",
                *(bucket.name, bucket.created_ms, *rows.bucket_settings(bucket), self._pauses.holder),
            )
            if made:
                # It takes nothing away: others may hear of it a little later, and look a bucket up that they miss.
                self._lease.adopt(made[0][0])
                return rows.bucket(made[0][1:])
            existing = await self.bucket(bucket.name)
            if existing is not None:
                raise BucketExists(existing)
            await self._check_open()
        raise Unavailable(f"bucket {bucket.name!r} is made and deleted all the time")

    async def update_bucket(self, bucket: Bucket, *, was: Bucket | None = None) -> None:
        """Replace settings of the bucket. Raises NoSuchBucket, BucketChanged."""
        if not rows.is_text(bucket.name):
            raise NoSuchBucket(bucket.name)
        async with self._lease.changing(self._pool):
            changed = await self._pool.change(
                f"WITH open AS ({self._open.format('$12')}), changed AS (UPDATE {self._schema}.bucket"
                " SET owner = $3, is_public = $4, cors = $5, operator_cors = $6 WHERE id = $1 AND name = $2"
                " AND ($7 OR (owner = $8 AND is_public = $9 AND cors IS NOT DISTINCT FROM $10"
                " AND operator_cors IS NOT DISTINCT FROM $11)) AND EXISTS (SELECT 1 FROM open) RETURNING 1)"
                f" {self._raise} WHERE EXISTS (SELECT 1 FROM changed) RETURNING generation",
                *(bucket.id, bucket.name, *rows.bucket_settings(bucket)),
                *(was is None, *rows.bucket_settings(was or bucket), self._pauses.holder),
            )
            if not changed:
                await self.check(bucket)
                await self._check_open()
                raise BucketChanged(bucket.name)
            await self._adopt(changed)

    async def delete_bucket(self, bucket: Bucket) -> None:
        """Delete the bucket, its unfinished uploads, and all grants on it. Raises NoSuchBucket, BucketNotEmpty."""
        if not rows.is_text(bucket.name):
            raise NoSuchBucket(bucket.name)
        async with self._lease.changing(self._pool):
            [(outcome, generation)] = await self._pool.change(
                f"SELECT outcome, generation FROM {self._schema}.bucket_delete($1, $2, $3)",
                *(bucket.id, bucket.name, self._pauses.holder),
            )
            if outcome == DONE:
                self._lease.adopt(generation)
        if outcome == PAUSED:
            raise await self._pauses.refusal()
        if outcome == NOT_EMPTY:
            raise BucketNotEmpty(bucket.name)
        if outcome != DONE:
            raise NoSuchBucket(bucket.name)

    async def _check_open(self) -> None:
        """Raise Paused unless changes are taken now."""
        pause = await self._pauses.now()
        if (pause.holder if pause else "") != self._pauses.holder:
            raise Paused(pause)

    async def check(self, bucket: Bucket) -> None:
        """Raise NoSuchBucket unless this very bucket exists."""
        found = await self._pool.read(f"SELECT name FROM {self._schema}.bucket WHERE id = $1", bucket.id)
        if not found or found[0][0] != bucket.name:
            raise NoSuchBucket(bucket.name)
