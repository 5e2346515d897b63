"""The records on disk: they say what they were told, and their layout does not move."""

from __future__ import annotations

import contextlib
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.model import AccessKey, Bucket, Checksum, CorsRule, Entry, Grant, Part, Upload
from anys3.store.embedded import configuration
from anys3.store.embedded import format as records
from anys3.store.embedded.format import BLOB, INLINE, Counters, Reference
from anys3.store.embedded.rows import Rows
from anys3.store.errors import Corrupt

ENTRIES = Rows("entries", None)
UPLOADS = Rows("uploads", None)

u64 = st.integers(0, 2**64 - 1)
short = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ascii_text = st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=80)
times = st.integers(-(2**63), 2**63 - 1)
pairs = st.lists(st.tuples(short, short), max_size=10).map(tuple)
checksums = st.none() | st.builds(
    Checksum,
    st.sampled_from(["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]),
    st.sampled_from(["FULL_OBJECT", "COMPOSITE"]),
    ascii_text,
)
references = st.builds(Reference, st.sampled_from([INLINE, BLOB]), u64, u64, st.integers(0, 2**32 - 1))
parts = st.builds(Part, st.integers(0, 65_535), u64, ascii_text, times, checksums)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    stored = draw(st.binary(max_size=60))
    return Entry(
        draw(u64),
        draw(times),
        draw(ascii_text),
        draw(st.binary(max_size=60)) + stored,
        stored,
        draw(st.binary(max_size=60)),
        draw(checksums),
        draw(pairs),
        draw(st.integers(0, 10_000)),
        draw(ascii_text),
        draw(u64),
    )


@given(entries(), references)
def test_an_entry_is_read_as_it_was_written(entry: Entry, reference: Reference) -> None:
    reference = reference._replace(size=entry.size)
    row = ENTRIES.seal(b"place", records.encode_entry(entry, reference, entry.sequence))
    ENTRIES.check(b"place", row)
    found = records.decode_entry(row)
    assert type(found) is Entry
    assert found.content == reference
    assert records.entry_reference(row) == reference
    assert records.entry_listing(row) == entry.listing
    assert records.entry_sequence(row) == entry.sequence
    fields = [
        "size",
        "modified_ms",
        "etag",
        "headers",
        "stored",
        "listing",
        "checksum",
        "tags",
        "part_count",
        "upload_id",
        "sequence",
    ]
    assert [getattr(found, name) for name in fields] == [getattr(entry, name) for name in fields]


def test_an_entry_that_was_read_is_frozen() -> None:
    found = records.decode_entry(GOLDEN_ENTRY)
    with pytest.raises(AttributeError):
        found.size = 1  # type: ignore[misc]


@given(st.lists(st.tuples(parts, references), max_size=5))
def test_parts_in_a_manifest_are_read_as_they_were_written(given_parts: list[tuple[Part, Reference]]) -> None:
    given_parts = [(part, content._replace(size=content.size % 1000)) for part, content in given_parts]
    encoded = [(reference.size, records.encode_part(part, reference)) for part, reference in given_parts]
    chunks = records.encode_manifest(encoded)
    found = [part for chunk in chunks for part in records.chunk_parts(chunk)]
    assert [(one.number, one.etag, one.modified_ms, one.checksum, one.content) for one in found] == [
        (part.number, part.etag, part.modified_ms, part.checksum, reference)
        for part, reference in given_parts
    ]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(0, 1500), st.integers(1, 1500))
def test_only_the_parts_of_a_slice_are_taken_from_a_chunk(sizes: list[int], start: int, length: int) -> None:
    ends = list(accumulate(sizes))
    contents = [Reference(records.BLOB, number, size, 7) for number, size in enumerate(sizes, 1)]
    encoded = [
        (size, records.encode_part(Part(content.id, size, "e" * content.id, 1), content))
        for size, content in zip(sizes, contents, strict=True)
    ]
    (chunk,) = records.encode_manifest(encoded)
    expected = [
        (upto - size, content)
        for upto, size, content in zip(ends, sizes, contents, strict=True)
        if size and upto - size < start + length and upto > start
    ]
    assert records.chunk_contents(chunk, start, start + length) == expected


@pytest.mark.known_mistake(49)
def test_a_manifest_of_ten_thousand_parts_is_kept_in_small_chunks() -> None:
    record = records.encode_part(Part(1, 7, "e" * 32, 0), Reference(BLOB, 1, 7, 0))
    chunks = records.encode_manifest([(7, record)] * 10_000)
    assert len(chunks) == 40
    assert max(len(chunk) for chunk in chunks) < 20_000
    assert [records.chunk_span(chunk) for chunk in chunks[:2]] == [(0, 1792), (1792, 1792)]


@given(
    st.builds(
        Upload,
        st.just(b"key"),
        ascii_text,
        times,
        st.binary(max_size=60),
        pairs,
        st.none() | st.just("CRC32"),
        st.none() | st.just("COMPOSITE"),
        short,
        u64,
    ),
    u64,
)
def test_an_upload_is_read_as_it_was_written(upload: Upload, row_id: int) -> None:
    row = UPLOADS.seal(b"place", records.encode_upload(upload, row_id))
    assert records.decode_upload(b"key", row) == upload
    assert records.upload_row_id(row) == row_id


rules = st.lists(
    st.builds(
        CorsRule,
        st.lists(short, max_size=2).map(tuple),
        st.just(("GET",)),
        st.just(()),
        st.lists(short, max_size=2).map(tuple),
        st.none() | st.integers(),
        st.none() | short,
    ),
    max_size=2,
).map(tuple)


@given(
    st.builds(Bucket, st.just("name"), u64, times, short, st.booleans(), st.none() | rules, st.none() | rules)
)
def test_a_bucket_is_read_as_it_was_written(bucket: Bucket) -> None:
    assert configuration.decode_bucket("name", configuration.encode_bucket(bucket)) == bucket


@given(st.builds(AccessKey, st.just("id"), short, short, grants=st.dictionaries(short, st.builds(Grant))))
def test_a_key_is_read_as_it_was_written(key: AccessKey) -> None:
    assert configuration.decode_key("id", configuration.encode_key(key)) == key


GOLDEN = [
    (
        "01020000000300000000000010000000000000000005000000000000000900000000000000070000000b000000040000"
        "00020002020204040000000d3c613e453a537465316162633d75702d315b5b2274222c2022c3a9225d5d"
    ),
    "000301000000000000000800000000000000060000000c000000000000000502090465316162633d",
    (
        "010000000000000006000000000000000500000000000000040000000253745b2275222c205b5d2c2022435243333222"
        "2c2022434f4d504f53495445222c20226d65225d"
    ),
    "000000010000000000000002000000000000000300000000000000040000000000000005",
    "020000000000000007",
]
GOLDEN_ENTRY = bytes.fromhex(GOLDEN[0])


GOLDEN_VALUES = (
    Entry(
        4096, 5, "e1", b"E:St", b"St", b"<a>",
        Checksum("CRC32", "COMPOSITE", "abc="), (("t", "é"),), 2, "up-1", 9, Reference(BLOB, 7, 4096, 11),
    ),
    Part(3, 6, "e1", 5, Checksum("SHA256", "FULL_OBJECT", "abc="), Reference(INLINE, 8, 6, 12)),
    Upload(b"k", "u", 5, b"St", (), "CRC32", "COMPOSITE", "me", 4),
    Counters(1, 2, 3, 4, 5, 1),
    (BLOB, 7),
)  # fmt: skip


@pytest.mark.requirement("CON-07")
@pytest.mark.known_mistake(52)
def test_rows_of_format_1_are_read() -> None:
    entry, part, upload, counters, freed = map(bytes.fromhex, GOLDEN)
    found = (
        records.decode_entry(entry),
        records.decode_part(part)[0],
        records.decode_upload(b"k", upload),
        records.decode_counters(counters),
        records.decode_freed(freed),
    )
    assert found == GOLDEN_VALUES


GOLDEN_2 = [
    (
        "f2020000000300000000000010000000000000000005000000000000000900000000000000070000000b000000040000"
        "00020002020204040000000d3c613e453a537465316162633d75702d315b5b2274222c2022c3a9225d5d9cd3eac7"
    ),
    "f2000301000000000000000800000000000000060000000c000000000000000502090465316162633d7553d66c",
    (
        "f20000000000000006000000000000000500000000000000040000000253745b2275222c205b5d2c2022435243333222"
        "2c2022434f4d504f53495445222c20226d65225d1bd19ac8"
    ),
    "000000020000000000000002000000000000000300000000000000040000000000000005000000014eab7b33",
    "f2020000000000000007f0adc257",
]


@pytest.mark.requirement("CON-07")
@pytest.mark.known_mistake(52)
def test_the_layout_of_format_2_does_not_move() -> None:
    entry, part, upload, _, _ = GOLDEN_VALUES
    found = [
        ENTRIES.seal(b"place", records.encode_entry(entry, Reference(BLOB, 7, 4096, 11), 9)),
        Rows("parts", None).seal_content(b"place", records.encode_part(part, Reference(INLINE, 8, 6, 12))),
        UPLOADS.seal(b"place", records.encode_upload(upload, 6)),
        Rows("meta", None).seal(b"counters", records.encode_counters(Counters(2, 2, 3, 4, 5, 1))),
        Rows("freed", None).seal_content(b"place", records.encode_freed(BLOB, 7)),
    ]
    assert [row.hex() for row in found] == GOLDEN_2


@given(st.binary(max_size=120))
def test_bytes_that_nobody_encoded_are_corrupt_or_nothing_worse(raw: bytes) -> None:
    readers = (
        records.decode_entry,
        records.entry_listing,
        records.entry_sequence,
        records.entry_reference,
        records.decode_part,
        records.part_reference,
        records.chunk_span,
        records.chunk_parts,
        lambda row: records.chunk_contents(row, 0, 2**63),
        lambda row: records.decode_upload(b"k", row),
        records.upload_row_id,
        records.decode_counters,
        records.decode_freed,
        lambda row: configuration.decode_bucket("name", row),
        lambda row: configuration.decode_key("id", row),
    )
    for read in readers:
        with contextlib.suppress(Corrupt):
            read(raw)


def test_a_row_of_an_unknown_version_is_corrupt() -> None:
    with pytest.raises(Corrupt):
        records.decode_entry(b"\2" + bytes(100))
    with pytest.raises(Corrupt):
        records.decode_upload(b"k", b"\2" + bytes(100))
