"""The bytes of vectors: every range is the range of the whole."""

from __future__ import annotations

import base64
import hashlib
import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.conformance.vectors import content
from anys3.conformance.vectors.content import Blob, BlobFile, Literal, Pattern, Prng, Slice

sizes = st.integers(0, 200)
prngs = st.builds(Prng, st.text(max_size=3), sizes)
patterns = st.builds(Pattern, st.binary(min_size=1, max_size=9), sizes)


@st.composite
def slices(draw: st.DrawFn) -> Slice:
    of = draw(prngs | patterns)
    offset = draw(st.integers(0, of.size))
    return Slice(of, offset, draw(st.integers(0, of.size - offset)))


blobs = prngs | patterns | slices() | st.builds(Literal, st.binary(max_size=50))


@given(blob=blobs, offset=sizes, length=sizes)
def test_a_range_is_the_range_of_the_whole(blob: Blob, offset: int, length: int) -> None:
    whole = content.whole(blob)
    assert len(whole) == blob.size
    assert blob.read(offset, length) == whole[offset : offset + length]


@given(blob=blobs, step=st.integers(1, 40))
def test_a_file_of_a_blob_reads_as_files_do(blob: Blob, step: int) -> None:
    ours, theirs = BlobFile(blob), io.BytesIO(content.whole(blob))
    assert [ours.read(step) for _ in range(3)] == [theirs.read(step) for _ in range(3)]
    assert (ours.seek(-2, io.SEEK_END) if blob.size > 2 else 0) == (
        theirs.seek(-2, io.SEEK_END) if blob.size > 2 else 0
    )
    assert (ours.read(), ours.tell()) == (theirs.read(), theirs.tell())


def test_the_stream_is_sha_256_of_seed_and_counter() -> None:
    first = hashlib.sha256("ä".encode() + bytes(8)).digest()
    second = hashlib.sha256("ä".encode() + bytes(7) + b"\1").digest()
    assert Prng("ä", 40).read(0, 40) == (first + second)[:40]


def test_the_end_of_a_huge_blob_needs_nothing_before_it() -> None:
    huge = Prng("far", 1 << 62)
    block = hashlib.sha256(b"far" + ((1 << 57) - 1).to_bytes(8, "big")).digest()
    assert huge.read((1 << 62) - 4, 100) == block[-4:]
    assert Pattern(b"abc", 1 << 62).read((1 << 61), 3) == (b"abc" * 2)[(1 << 61) % 3 :][:3]
    assert Slice(huge, (1 << 61), 9).read(0, 9) == huge.read(1 << 61, 9)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_fields_of_data_are_its_digests() -> None:
    data = b"123456789"
    blob = Pattern(data, 9)
    found = {name: content.field(blob, name) for name in content.FIELDS}
    assert found == {
        "size": 9,
        "md5": hashlib.md5(data).hexdigest(),
        "etag": f'"{hashlib.md5(data).hexdigest()}"',
        "sha256": hashlib.sha256(data).hexdigest(),
        "sha256B64": b64(hashlib.sha256(data).digest()),
        "sha1B64": b64(hashlib.sha1(data).digest()),
        "crc32B64": b64(zlib.crc32(data).to_bytes(4, "big")),
        "crc32cB64": b64(bytes.fromhex("e3069283")),  # the check values of the CRC catalogue
        "crc64nvmeB64": b64(bytes.fromhex("ae8b14860a799888")),
    }


@pytest.mark.parametrize("size", [content.PIECE_BYTES - 1, content.PIECE_BYTES, content.PIECE_BYTES + 1])
def test_digests_of_long_data_are_computed_by_pieces(size: int) -> None:
    blob = Prng("long", size)
    assert content.field(blob, "sha256") == hashlib.sha256(blob.read(0, size)).hexdigest()
