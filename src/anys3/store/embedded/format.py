"""The records on disk: everything here is big-endian, and none of it may change its meaning.

A change of a record's layout raises `FORMAT`; a store of a newer format is refused (known mistake 52). Format 2
gave each row of the index a checksum (rows.py); rows of format 1 are still read. What is here turns rows that
were verified into values: of an old one, which has no checksum, whatever can't be read is Corrupt.
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple, get_args

from isal import isal_zlib

from anys3.model import Checksum, ChecksumAlgorithm, ChecksumType, Entry, Part, Upload
from anys3.store.embedded.rows import MARK, TRAILER_SIZE
from anys3.store.errors import Corrupt

FORMAT = 2
_TRAILERS = {1: 0, MARK[0]: TRAILER_SIZE}
"""By the first byte of an entry's or an upload's row, which is its version: how long its trailer is."""
UNREADABLE = (struct.error, ValueError, LookupError, TypeError)
"""What decoding raises for bytes that nobody encoded (UnicodeDecodeError and JSON's are ValueErrors)."""

# Kinds of content. The last is no content: it stands in the outbox for all parts of an ended upload.
INLINE, BLOB, MANIFEST, PARTS = 1, 2, 3, 4


class Reference(NamedTuple):
    """Names a content: its kind, its id in that kind's table or directory, its size and its CRC32.

    The CRC32 is that of the bytes (INLINE), of the table of block checksums (BLOB), or 0 (MANIFEST).
    Inline id 0 is the empty content, which has no row.
    """

    kind: int
    id: int
    size: int
    crc: int


class Counters(NamedTuple):
    """The one row of `meta`: what the last commit left behind."""

    format: int
    sequence: int
    generation: int
    next_id: int
    next_inline: int
    oldest: int
    """The format of the oldest rows that may be there."""


_COUNTERS = struct.Struct(">IQQQQI")
_OLD_COUNTERS = struct.Struct(">IQQQQ")
_ID = struct.Struct(">Q")
# version, kind, listing, size, modified, sequence, content id, crc, headers, stored, parts,
# etag, checksum code, checksum, upload id, tags
_ENTRY = struct.Struct(">BBIQqQQIIIHBBBBI")
_ENTRY_SIZE = _ENTRY.size
_LISTING = struct.Struct(">BBI")
_SEQUENCE = struct.Struct(">22xQ")
_ENTRY_REFERENCE = struct.Struct(">xBxxxxQ16xQI")
# number, kind, id, size, crc, modified, etag, checksum code, checksum
_PART = struct.Struct(">HBQQIqBBB")
# version, row id, initiated, entry sequence, stored
_UPLOAD = struct.Struct(">BQqQI")
_CHUNK = struct.Struct(">QQH")
_FREED = struct.Struct(">BQ")

_ALGORITHMS: tuple[ChecksumAlgorithm, ...] = get_args(ChecksumAlgorithm)
_TYPES: tuple[ChecksumType, ...] = get_args(ChecksumType)
_CODES = {
    (algorithm, type_): 1 + a * len(_TYPES) + t
    for a, algorithm in enumerate(_ALGORITHMS)
    for t, type_ in enumerate(_TYPES)
}
_KINDS_OF_CHECKSUM = {code: kind for kind, code in _CODES.items()}

pack_id = _ID.pack
_new = tuple.__new__
"""Makes a named tuple in a third of the time that calling its class takes: rows are read at every request."""
crc32 = isal_zlib.crc32


def unpack_id(raw: bytes) -> int:
    """Return the id that `pack_id` wrote."""
    number: int = _ID.unpack_from(raw)[0]
    return number


def encode_counters(counters: Counters) -> bytes:
    """Return the row of `meta`, which has no mark, since `format` comes first in every version."""
    return _COUNTERS.pack(*counters)


def decode_counters(raw: bytes) -> Counters:
    """Return the counters of any format that is known, or of a newer one its number. Raises Corrupt."""
    if len(raw) == _COUNTERS.size + TRAILER_SIZE:
        return Counters._make(_COUNTERS.unpack_from(raw))
    if len(raw) < _OLD_COUNTERS.size:
        raise Corrupt(f"the index's counters have {len(raw)} bytes")
    old = Counters._make((*_OLD_COUNTERS.unpack_from(raw), 1))
    if old.format <= FORMAT and (old.format != 1 or len(raw) != _OLD_COUNTERS.size):
        raise Corrupt("the index's counters are damaged")
    return old


# --- entries ------------------------------------------------------------------------------------------


def encode_entry(entry: Entry, reference: Reference, sequence: int) -> bytes:
    """Return an entry's row, to be sealed: fixed part, listing fragment, headers, what few requests need."""
    etag = entry.etag.encode()
    checksum = entry.checksum
    code, value = (
        (_CODES[checksum.algorithm, checksum.type], checksum.value.encode()) if checksum else (0, b"")
    )
    upload_id = entry.upload_id.encode()
    tags = json.dumps(entry.tags, ensure_ascii=False).encode() if entry.tags else b""
    if not entry.headers.endswith(entry.stored):
        raise ValueError("an entry's headers must end with its stored headers")
    fixed = _ENTRY.pack(
        MARK[0],
        reference.kind,
        len(entry.listing),
        entry.size,
        entry.modified_ms,
        sequence,
        reference.id,
        reference.crc,
        len(entry.headers),
        len(entry.stored),
        entry.part_count,
        len(etag),
        code,
        len(value),
        len(upload_id),
        len(tags),
    )
    return b"".join((fixed, entry.listing, entry.headers, etag, value, upload_id, tags))


def decode_entry(raw: bytes) -> Entry:
    """Return the entry of a row that was verified. Raises Corrupt if it is none of ours."""
    try:
        (
            version, kind, listing, size, modified_ms, sequence, content_id, crc, headers, stored, part_count,
            etag, code, value, upload_id, tags,
        ) = _ENTRY.unpack_from(raw)  # fmt: skip
        at = _ENTRY_SIZE + listing
        end = at + headers
        after = end + etag
        rest = after + value
        behind = rest + upload_id
        checksum = None
        if code:
            algorithm, type_ = _KINDS_OF_CHECKSUM[code]
            checksum = _new(Checksum, (algorithm, type_, raw[after:rest].decode()))
        if len(raw) != behind + tags + _TRAILERS[version]:
            raise Corrupt("an entry's row has another length than it says")
        return _new(
            Entry,
            (
                size,
                modified_ms,
                raw[end:after].decode(),
                raw[at:end],
                raw[end - stored : end],
                raw[_ENTRY_SIZE:at],
                checksum,
                _tags(raw[behind : behind + tags]) if tags else (),
                part_count,
                raw[rest:behind].decode() if upload_id else "",
                sequence,
                _new(Reference, (kind, content_id, size, crc)),
            ),
        )
    except UNREADABLE as error:
        raise Corrupt(f"an entry's row is damaged: {error!r}") from error


def _tags(raw: bytes) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(raw))


def entry_listing(raw: bytes) -> bytes:
    """Return the listing fragment of an entry's row, and read nothing else. Raises Corrupt."""
    try:
        return raw[_ENTRY_SIZE : _ENTRY_SIZE + _LISTING.unpack_from(raw)[2]]
    except struct.error as error:
        raise Corrupt("an entry's row is too short") from error


def entry_sequence(raw: bytes) -> int:
    """Return the sequence of an entry's row. Raises Corrupt."""
    _check_size(raw)
    sequence: int = _SEQUENCE.unpack_from(raw)[0]
    return sequence


def entry_reference(raw: bytes) -> Reference:
    """Return the content of an entry's row. Raises Corrupt."""
    _check_size(raw)
    kind, size, content_id, crc = _ENTRY_REFERENCE.unpack_from(raw)
    return Reference(kind, content_id, size, crc)


def _check_size(raw: bytes) -> None:
    if len(raw) < _ENTRY_SIZE:
        raise Corrupt("an entry's row is too short")


# --- uploads, parts and manifests ---------------------------------------------------------------------


def encode_part(part: Part, reference: Reference) -> bytes:
    """Return a part's record; records may stand one behind the other."""
    etag = part.etag.encode()
    checksum = part.checksum
    code, value = (
        (_CODES[checksum.algorithm, checksum.type], checksum.value.encode()) if checksum else (0, b"")
    )
    fixed = _PART.pack(
        part.number,
        reference.kind,
        reference.id,
        reference.size,
        reference.crc,
        part.modified_ms,
        len(etag),
        code,
        len(value),
    )
    return fixed + etag + value


def decode_part(raw: bytes, at: int = 0) -> tuple[Part, int]:
    """Return the part whose record begins at `at`, and where that record ends. Raises Corrupt."""
    try:
        part, end = _decode_part(raw, at)
    except UNREADABLE as error:
        raise Corrupt(f"a part's record is damaged: {error!r}") from error
    if end > len(raw):
        raise Corrupt("a part's record is too short")
    return part, end


def _decode_part(raw: bytes, at: int) -> tuple[Part, int]:
    number, kind, content_id, size, crc, modified_ms, etag, code, value = _PART.unpack_from(raw, at)
    start = at + _PART.size
    middle = start + etag
    end = middle + value
    checksum = None
    if code:
        algorithm, type_ = _KINDS_OF_CHECKSUM[code]
        checksum = Checksum(algorithm, type_, raw[middle:end].decode())
    reference = Reference(kind, content_id, size, crc)
    return Part(number, size, raw[start:middle].decode(), modified_ms, checksum, reference), end


def part_reference(raw: bytes) -> Reference:
    """Return the content of a part's record. Raises Corrupt."""
    content = decode_part(raw)[0].content
    assert isinstance(content, Reference)
    return content


PARTS_A_CHUNK = 256


def encode_manifest(parts: list[tuple[int, bytes]]) -> list[bytes]:
    """Return the chunks of a manifest made of (size, record) pairs (known mistake 49).

    Each begins with the offset of its first byte in the object, its length in bytes and its parts.
    """
    chunks = []
    offset = 0
    for at in range(0, len(parts), PARTS_A_CHUNK):
        chosen = parts[at : at + PARTS_A_CHUNK]
        length = sum(size for size, _ in chosen)
        chunks.append(_CHUNK.pack(offset, length, len(chosen)) + b"".join(record for _, record in chosen))
        offset += length
    return chunks


def chunk_span(raw: bytes) -> tuple[int, int]:
    """Return the offset and length of the bytes that a chunk describes. Raises Corrupt."""
    if len(raw) < _CHUNK.size:
        raise Corrupt("a manifest's chunk is too short")
    offset, length, _ = _CHUNK.unpack_from(raw)
    return offset, length


def chunk_contents(raw: bytes, start: int, end: int) -> list[tuple[int, Reference]]:
    """Return (offset, content) for each part of a chunk with bytes from `start` to before `end`.

    Raises Corrupt.
    """
    offset, _ = chunk_span(raw)
    count = _CHUNK.unpack_from(raw)[2]
    at = _CHUNK.size
    found = []
    try:
        for _ in range(count):
            if offset >= end:
                break
            _, kind, content_id, size, crc, _, etag, _, value = _PART.unpack_from(raw, at)
            if size and offset + size > start:
                found.append((offset, Reference(kind, content_id, size, crc)))
            offset += size
            at += _PART.size + etag + value
    except struct.error as error:
        raise Corrupt("a manifest's chunk is too short") from error
    return found


def chunk_parts(raw: bytes) -> list[Part]:
    """Return the parts of a chunk. Raises Corrupt if they do not add up."""
    _, length = chunk_span(raw)
    parts = []
    at = _CHUNK.size
    for _ in range(_CHUNK.unpack_from(raw)[2]):
        part, at = decode_part(raw, at)
        parts.append(part)
    if at != len(raw) or sum(part.size for part in parts) != length:
        raise Corrupt("a manifest's chunk does not add up")
    return parts


def encode_upload(upload: Upload, row_id: int) -> bytes:
    """Return an upload's row, to be sealed. `row_id` is the name of its parts' rows."""
    fixed = _UPLOAD.pack(MARK[0], row_id, upload.initiated_ms, upload.entry_sequence, len(upload.stored))
    rest = [
        upload.upload_id,
        upload.tags,
        upload.checksum_algorithm,
        upload.checksum_type,
        upload.owner,
    ]
    return fixed + upload.stored + json.dumps(rest, ensure_ascii=False).encode()


def decode_upload(key: bytes, raw: bytes) -> Upload:
    """Return the upload of a row under `key`. Raises Corrupt if it is none of ours."""
    try:
        version, _, initiated_ms, sequence, stored = _UPLOAD.unpack_from(raw)
        at = _UPLOAD.size + stored
        end = len(raw) - _TRAILERS[version]
        upload_id, tags, algorithm, type_, owner = json.loads(raw[at:end])
        pairs = tuple((name, value) for name, value in tags)
    except UNREADABLE as error:
        raise Corrupt(f"an upload's row is damaged: {error!r}") from error
    return Upload(
        key, upload_id, initiated_ms, raw[_UPLOAD.size : at], pairs, algorithm, type_, owner, sequence
    )


def upload_row_id(raw: bytes) -> int:
    """Return the name of the rows of an upload's parts. Raises Corrupt."""
    if len(raw) < _UPLOAD.size:
        raise Corrupt("an upload's row is too short")
    row_id: int = _UPLOAD.unpack_from(raw)[1]
    return row_id


def encode_freed(kind: int, content_id: int) -> bytes:
    """Return a row of the outbox."""
    return _FREED.pack(kind, content_id)


def decode_freed(raw: bytes) -> tuple[int, int]:
    """Return kind and id of a row of the outbox. Raises Corrupt."""
    if len(raw) != _FREED.size or raw[0] not in (INLINE, BLOB, MANIFEST, PARTS):
        raise Corrupt("a row of the outbox is damaged")
    kind, content_id = _FREED.unpack_from(raw)
    return kind, content_id
