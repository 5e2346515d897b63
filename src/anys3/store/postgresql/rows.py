"""Rows of PostgreSQL as the model's values, and back. Every statement that reads a kind of row selects its columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from isal import isal_zlib

from anys3.model import AccessKey, Bucket, Checksum, CorsRule, Entry, Grant, Part, Upload
from anys3.store.contents import Stored
from anys3.store.errors import Corrupt

INLINE, BLOB, PARTS = 1, 2, 3
"""Kinds of content; 0 keeps the one that is there."""

BUCKET = "id, name, created_ms, owner, is_public, cors, operator_cors"
KEY = "access_key_id, secret_access_key, name, is_root, may_create_buckets, grants, created_ms"
UPLOAD = "key, upload_id, initiated_ms, stored, tags, checksum_algorithm, checksum_type, access_key_id, entry_sequence"
PART = "number, size, etag, modified_ms, checksum, sequence, kind, crc, blob"
ENTRY_COLUMNS = (
    "size", "modified_ms", "etag", "headers", "stored_length", "listing", "checksum", "tags", "part_count",
    "upload_id", "sequence", "kind", "crc", "blob", "owner",
)  # fmt: skip
ENTRY = ", ".join(ENTRY_COLUMNS)

crc32 = isal_zlib.crc32
_new = tuple.__new__
"""Makes a named tuple in a third of the time that calling its class takes."""


class Reference(NamedTuple):
    """Names the content of an entry: inline bytes by their CRC32, a blob by its name, or parts by their owner."""

    kind: int
    crc: int
    blob: str | None
    owner: int | None


class PartReference(NamedTuple):
    """Names the content of a part; its sequence tells it from any other under the same number."""

    sequence: int
    kind: int
    crc: int
    blob: str | None


def entry(row: Any, at: int = 0) -> Entry:
    """Return the entry whose columns begin at `at`."""
    (
        size, modified_ms, etag, headers, stored_length, listing, checksum, tags, part_count, upload_id, sequence,
        kind, crc, blob, owner,
    ) = row[at : at + 15]  # fmt: skip
    return _new(
        Entry,
        (
            size,
            modified_ms,
            etag,
            headers,
            headers[len(headers) - stored_length :],
            listing,
            None if checksum is None else _checksum(checksum),
            () if tags is None else _tags(tags),
            part_count,
            "" if upload_id is None else upload_id.decode(),
            sequence,
            _new(Reference, (kind, crc, blob, owner)),
        ),
    )


def entry_values(made: Entry) -> tuple[object, ...]:
    """Return an entry's values for object_put, as far as they don't name its content."""
    if not made.headers.endswith(made.stored):
        raise ValueError("an entry's headers must end with its stored headers")
    return (
        made.size,
        made.modified_ms,
        made.etag,
        made.headers,
        len(made.stored),
        made.listing,
        _checksum_text(made.checksum),
        json.dumps(made.tags, ensure_ascii=False) if made.tags else None,
        made.part_count,
        made.upload_id.encode() if made.upload_id else None,
    )


def content_values(content: object) -> tuple[int, int, str | None, bytes | None]:
    """Return kind, CRC32, blob and bytes of a content as the operations hand it over."""
    if content is None:
        return 0, 0, None, None
    if isinstance(content, Stored):
        return BLOB, 0, content.name, None
    if isinstance(content, bytes | bytearray | memoryview):
        data = bytes(content)
        return INLINE, crc32(data), None, data
    raise TypeError(f"not a content of this engine: {content!r}")


def verified(data: bytes, size: int, crc: int, what: str) -> bytes:
    """Return inline bytes that are what was put. Raises Corrupt."""
    if len(data) != size or crc32(data) != crc:
        raise Corrupt(f"the bytes of {what} in the index are damaged")
    return data


def part(row: Any) -> Part:
    """Return the part of a row of PART."""
    number, size, etag, modified_ms, checksum, sequence, kind, crc, blob = row[:9]
    return Part(
        number,
        size,
        etag,
        modified_ms,
        None if checksum is None else _checksum(checksum),
        PartReference(sequence, kind, crc, blob),
    )


def part_values(made: Part) -> tuple[object, ...]:
    """Return a part's values for part_put, as far as they don't name its content."""
    return made.number, made.size, made.etag, made.modified_ms, _checksum_text(made.checksum)


def upload(row: Any) -> Upload:
    """Return the upload of a row of UPLOAD."""
    key, upload_id, initiated_ms, stored, tags, algorithm, type_, owner, sequence = row
    pairs = () if tags is None else _tags(tags)
    return Upload(key, upload_id.decode(), initiated_ms, stored, pairs, algorithm, type_, owner, sequence)


def upload_values(made: Upload) -> tuple[object, ...]:
    """Return an upload's values for upload_put."""
    return (
        made.key,
        made.upload_id.encode(),
        made.initiated_ms,
        made.stored,
        json.dumps(made.tags, ensure_ascii=False) if made.tags else None,
        made.checksum_algorithm,
        made.checksum_type,
        made.owner,
        made.entry_sequence,
    )


def bucket(row: Any) -> Bucket:
    """Return the bucket of a row of BUCKET."""
    id_, name, created_ms, owner, is_public, cors, operator_cors = row
    return Bucket(name, id_, created_ms, owner, is_public, _rules(cors), _rules(operator_cors))


def bucket_settings(made: Bucket) -> tuple[object, ...]:
    """Return what can be changed of a bucket: owner, is_public, cors, operator_cors."""
    return made.owner, made.is_public, _rules_text(made.cors), _rules_text(made.operator_cors)


def key(row: Any) -> AccessKey:
    """Return the access key of a row of KEY."""
    id_, secret, name, is_root, may_create, grants, created_ms = row
    rights: Mapping[str, list[bool]] = json.loads(grants)
    granted = {bucket_name: Grant(*rights[bucket_name]) for bucket_name in sorted(rights)}
    return AccessKey(id_, secret, name, is_root, may_create, granted, created_ms)


def key_values(made: AccessKey) -> tuple[object, ...]:
    """Return an access key's values, in the order of KEY."""
    grants = {name: [grant.read, grant.write, grant.owner] for name, grant in made.grants.items()}
    return (
        made.access_key_id,
        made.secret_access_key,
        made.name,
        made.is_root,
        made.may_create_buckets,
        json.dumps(grants),
        made.created_ms,
    )


def is_text(value: str) -> bool:
    """Tell whether PostgreSQL could hold a text at all; what it can't hold it does not hold."""
    if value.isprintable():
        return True
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _checksum(text: str) -> Checksum:
    algorithm, type_, value = text.split(" ", 2)
    return _new(Checksum, (algorithm, type_, value))


def _checksum_text(checksum: Checksum | None) -> str | None:
    return None if checksum is None else " ".join(checksum)


def _tags(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text))


def _rules(text: str | None) -> tuple[CorsRule, ...] | None:
    if text is None:
        return None
    return tuple(
        CorsRule(tuple(origins), tuple(methods), tuple(headers), tuple(expose), max_age_s, id_)
        for origins, methods, headers, expose, max_age_s, id_ in json.loads(text)
    )


def _rules_text(rules: tuple[CorsRule, ...] | None) -> str | None:
    if rules is None:
        return None
    return json.dumps(
        [
            [
                one.allowed_origins,
                one.allowed_methods,
                one.allowed_headers,
                one.expose_headers,
                one.max_age_s,
                one.id,
            ]
            for one in rules
        ]
    )
