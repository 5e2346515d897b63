"""Buckets and access keys: rows of the index, changed by jobs of the committer."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

from anys3.model import AccessKey, Bucket, CorsRule, Grant
from anys3.store.embedded import format as records
from anys3.store.embedded import strides
from anys3.store.embedded.changes import Batch
from anys3.store.embedded.format import PARTS, pack_id
from anys3.store.embedded.index import Index
from anys3.store.embedded.rows import Rows
from anys3.store.errors import BucketChanged, BucketExists, BucketNotEmpty, Corrupt, NoSuchBucket


def encode_bucket(bucket: Bucket) -> bytes:
    """Return a bucket's row, JSON."""
    return json.dumps(
        {
            "id": bucket.id,
            "created_ms": bucket.created_ms,
            "owner": bucket.owner,
            "is_public": bucket.is_public,
            "cors": _encode_rules(bucket.cors),
            "operator_cors": _encode_rules(bucket.operator_cors),
        }
    ).encode()


@lru_cache(maxsize=256)
def decode_bucket(name: str, raw: bytes) -> Bucket:
    """Return the bucket of a row. Cached by the row's bytes, so it can't be out of date. Raises Corrupt."""
    try:
        row = json.loads(raw)
        return Bucket(
            name,
            row["id"],
            row["created_ms"],
            row["owner"],
            row["is_public"],
            _decode_rules(row["cors"]),
            _decode_rules(row["operator_cors"]),
        )
    except records.UNREADABLE as error:
        raise Corrupt(f"the row of the bucket {name!r} is damaged: {error!r}") from error


def _encode_rules(rules: tuple[CorsRule, ...] | None) -> list[dict[str, Any]] | None:
    if rules is None:
        return None
    return [
        {
            "allowed_origins": rule.allowed_origins,
            "allowed_methods": rule.allowed_methods,
            "allowed_headers": rule.allowed_headers,
            "expose_headers": rule.expose_headers,
            "max_age_s": rule.max_age_s,
            "id": rule.id,
        }
        for rule in rules
    ]


def _decode_rules(rows: list[dict[str, Any]] | None) -> tuple[CorsRule, ...] | None:
    if rows is None:
        return None
    return tuple(
        CorsRule(
            tuple(row["allowed_origins"]),
            tuple(row["allowed_methods"]),
            tuple(row["allowed_headers"]),
            tuple(row["expose_headers"]),
            row["max_age_s"],
            row["id"],
        )
        for row in rows
    )


def encode_key(key: AccessKey) -> bytes:
    """Return a key's row, JSON."""
    grants = {name: [grant.read, grant.write, grant.owner] for name, grant in key.grants.items()}
    return json.dumps(
        {
            "secret_access_key": key.secret_access_key,
            "name": key.name,
            "is_root": key.is_root,
            "may_create_buckets": key.may_create_buckets,
            "grants": grants,
            "created_ms": key.created_ms,
        }
    ).encode()


def decode_key(access_key_id: str, raw: bytes) -> AccessKey:
    """Return the key of a row. Raises Corrupt."""
    try:
        row = json.loads(raw)
        return AccessKey(
            access_key_id,
            row["secret_access_key"],
            row["name"],
            row["is_root"],
            row["may_create_buckets"],
            {name: Grant(*rights) for name, rights in row["grants"].items()},
            row["created_ms"],
        )
    except records.UNREADABLE as error:
        raise Corrupt(f"the row of the access key {access_key_id!r} is damaged") from error


# --- reading and changing -----------------------------------------------------------------------------


def row_name(name: str) -> bytes | None:
    """Return a name as a row's place; None for one that no row can have."""
    try:
        raw = name.encode()
    except UnicodeEncodeError:
        return None
    return raw if 0 < len(raw) <= 255 else None


def buckets(index: Index, txn: Any, after: str, prefix: str, limit: int) -> list[Bucket]:
    """Return the first `limit` buckets after a name and with a prefix, by name. Raises Corrupt."""
    rows = index.rows.buckets
    found: list[Bucket] = []
    beginning = prefix.encode()
    start = max(after.encode() + b"\0" if after else b"", beginning)[:255]
    last = b""
    with txn.cursor(db=rows.db) as cursor:
        is_there = rows.seek(cursor, start) if start else cursor.first()
        while is_there and len(found) < limit:
            name, raw = cursor.item()
            content = rows.content(name, raw)
            if name <= last:
                raise Corrupt("the rows of buckets are out of order")
            last = name
            if not name.startswith(beginning):
                break
            found.append(decode_bucket(_text(name), content))
            is_there = cursor.next()
    return found


def keys(index: Index, txn: Any) -> list[AccessKey]:
    """Return all keys, by access key id. Raises Corrupt."""
    return [decode_key(_text(name), content) for name, content in all_contents(index.rows.keys, txn)]


def all_contents(rows: Rows, txn: Any) -> list[tuple[bytes, bytes]]:
    """Return (place, content) of a whole table, which is small. Raises Corrupt."""
    with txn.cursor(db=rows.db) as cursor:
        found = list(cursor)
    rows.check_all(found)
    if len(found) != txn.stat(rows.db)["entries"]:
        raise Corrupt(f"the table {rows.table} has {len(found)} rows, and says another number")
    return [(place, rows.content(place, raw)) for place, raw in found]


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise Corrupt(f"the name {name!r} is damaged") from error


def _row(batch: Batch, bucket: Bucket) -> Bucket:
    name = row_name(bucket.name)
    raw = batch.index.rows.buckets.get_content(batch.txn, name) if name else None
    if raw is None:
        raise NoSuchBucket(bucket.name)
    found = decode_bucket(bucket.name, raw)
    if found.id != bucket.id:
        raise NoSuchBucket(bucket.name)
    return found


def create_bucket(batch: Batch, bucket: Bucket) -> Bucket:
    """Create an empty bucket with a new id. Raises BucketExists, Paused."""
    batch.check_open()
    name = row_name(bucket.name)
    if name is None:
        raise ValueError(f"not a bucket's name: {bucket.name!r}")
    rows, names = batch.index.rows.buckets, batch.index.rows.names
    raw = rows.get_content(batch.txn, name)
    if raw is not None:
        raise BucketExists(decode_bucket(bucket.name, raw))
    made = replace(bucket, id=batch.new_id())
    place = pack_id(made.id)
    batch.txn.put(name, rows.seal_content(name, encode_bucket(made)), db=rows.db)
    batch.txn.put(place, names.seal_content(place, name), db=names.db)
    batch.sequence += 1
    batch.generation += 1
    return made


def update_bucket(batch: Batch, change: tuple[Bucket, Bucket | None]) -> None:
    """Replace a bucket's settings by the first, made from the second. Raises NoSuchBucket, BucketChanged, Paused."""
    batch.check_open()
    bucket, was = change
    now = _row(batch, bucket)
    if was is not None and now != was:
        raise BucketChanged(bucket.name)
    changed = replace(bucket, created_ms=now.created_ms)
    name, rows = bucket.name.encode(), batch.index.rows.buckets
    batch.txn.put(name, rows.seal_content(name, encode_bucket(changed)), db=rows.db)
    batch.sequence += 1
    batch.generation += 1


def delete_bucket(batch: Batch, bucket: Bucket) -> None:
    """Delete an empty bucket with its uploads (DB-05). Raises NoSuchBucket, BucketNotEmpty, Paused."""
    batch.check_open()
    namespace = pack_id(_row(batch, bucket).id)
    if not strides.is_empty(batch.txn, batch.index.rows.entries, namespace):
        raise BucketNotEmpty(bucket.name)
    _delete_uploads(batch, namespace)
    _delete_grants(batch, bucket.name)
    batch.txn.delete(bucket.name.encode(), db=batch.index.buckets)
    batch.txn.delete(namespace, db=batch.index.names)
    batch.forget_bucket(bucket)
    batch.sequence += 1
    batch.generation += 1


def _delete_grants(batch: Batch, bucket: str) -> None:
    """Take the bucket out of all keys' grants: whoever makes it anew shares it with nobody."""
    for key in keys(batch.index, batch.txn):
        if bucket in key.grants:
            _put_key(batch, key.access_key_id.encode(), key.without_grant(bucket))


def _put_key(batch: Batch, name: bytes, key: AccessKey) -> None:
    rows = batch.index.rows.keys
    batch.txn.put(name, rows.seal_content(name, encode_key(key)), db=rows.db)


def _delete_uploads(batch: Batch, namespace: bytes) -> None:
    """Delete all uploads of a namespace and of those below it; their parts become the janitor's."""
    uploads = batch.index.rows.uploads
    for place, value in list(strides.walk(batch.txn, uploads, namespace)):
        if place.endswith(strides.DESCEND):
            _delete_uploads(batch, uploads.content(place, value))
        else:
            batch.put_freed(PARTS, records.upload_row_id(value))
        batch.txn.delete(place, db=batch.index.uploads)


def put_key(batch: Batch, key: AccessKey) -> None:
    """Create or replace a key. Raises Paused."""
    batch.check_open()
    name = row_name(key.access_key_id)
    if name is None:
        raise ValueError(f"not an access key id: {key.access_key_id!r}")
    _put_key(batch, name, key)
    batch.generation += 1


def claim_root(batch: Batch, key: AccessKey) -> AccessKey:
    """Put the root key unless there is one, and return the one that there is then. Raises Corrupt."""
    for other in keys(batch.index, batch.txn):
        if other.is_root:
            return other
    put_key(batch, key)
    return key


def delete_key(batch: Batch, access_key_id: str) -> bool:
    """Delete a key; False if it did not exist. Raises Paused."""
    batch.check_open()
    name = row_name(access_key_id)
    is_deleted = bool(name and batch.txn.delete(name, db=batch.index.keys))
    batch.generation += is_deleted
    return is_deleted
