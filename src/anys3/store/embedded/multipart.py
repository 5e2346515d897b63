"""Objects made of parts: a manifest names the parts' contents, which are read one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from anys3.model import Part
from anys3.store.contents import Slice
from anys3.store.embedded import blobs, reading, strides
from anys3.store.embedded import format as records
from anys3.store.embedded.control import Control
from anys3.store.embedded.format import BLOB, Reference, crc32, pack_id
from anys3.store.embedded.index import Index
from anys3.store.embedded.remote import RemoteFiles
from anys3.store.errors import Corrupt


def chunks(index: Index, txn: Any, manifest: Reference) -> Iterator[bytes]:
    """Yield the chunks of a manifest, in order. Raises Corrupt."""
    rows = index.rows.manifests
    beginning = pack_id(manifest.id)
    for number, (place, row) in enumerate(strides.walk(txn, rows, beginning)):
        if place != beginning + number.to_bytes(4, "big"):
            raise Corrupt(f"manifest {manifest.id} has no chunk {number}")
        yield rows.content(place, row)


def read_manifest(index: Index, txn: Any, manifest: Reference) -> list[Part]:
    """Return all parts of an object. Raises Corrupt if they do not add up."""
    parts = [part for chunk in chunks(index, txn, manifest) for part in records.chunk_parts(chunk)]
    if sum(part.size for part in parts) != manifest.size:
        raise Corrupt(f"manifest {manifest.id} is damaged")
    return parts


def inline_content(index: Index, reference: Reference, txn: Any | None = None) -> bytes:
    """Return a content that lies in the index. Raises Corrupt."""
    if not reference.id:
        return b""
    if txn is None:
        with index.env.begin() as reading_txn:
            return inline_content(index, reference, reading_txn)
    content: bytes | None = txn.get(pack_id(reference.id), db=index.inline)
    if content is None or len(content) != reference.size or crc32(content) != reference.crc:
        raise Corrupt(f"inline content {reference.id} is damaged")
    return content


class ManifestSource:
    """The bytes of an object made of parts. The pin keeps them until `close`."""

    def __init__(
        self, index: Index, files: blobs.Files, manifest: Reference, control: Control, pin: int
    ) -> None:
        self._index = index
        self._files = files
        self._manifest = manifest
        self._control = control
        self._pin: int | None = pin

    def slice(self, start: int, length: int) -> Slice:
        """Return `length` bytes from `start` on."""
        return Slice(self, start, length)

    async def parts(self) -> Sequence[Part]:
        """Return the parts, in order."""
        with self._index.env.begin() as txn:
            return read_manifest(self._index, txn, self._manifest)

    def blocks(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes, each part opened when its turn comes."""
        end = start + length
        at = start
        while at < end:
            before = at
            for offset, content in self._contents(at, end):
                skip = max(start - offset, 0)
                taken = min(end - offset, content.size) - skip
                yield from self._part_blocks(content, skip, taken)
                at = offset + skip + taken
            if at == before:
                raise Corrupt(f"manifest {self._manifest.id} is damaged")

    def _contents(self, start: int, end: int) -> list[tuple[int, Reference]]:
        """Return (offset, content) for the parts in the chunk that holds the byte `start`, up to `end`."""
        with self._index.env.begin() as txn:
            for chunk in chunks(self._index, txn, self._manifest):
                offset, length = records.chunk_span(chunk)
                if offset + length > start:
                    return records.chunk_contents(chunk, start, end)
        return []

    def _part_blocks(self, reference: Reference, start: int, length: int) -> Iterator[memoryview]:
        if reference.kind != BLOB:
            yield memoryview(inline_content(self._index, reference))[start : start + length]
            return
        if isinstance(self._files, RemoteFiles):
            yield from self._files.read(reference, start, length)
            return
        try:
            blob = reading.OpenBlob(self._files, reference)
        except FileNotFoundError as error:
            raise Corrupt(f"blob {reference.id} is missing") from error
        try:
            yield from blob.blocks(start, length)
        finally:
            blob.close()

    def close(self) -> None:
        """Let the parts go. Idempotent."""
        if self._pin is not None:
            pin, self._pin = self._pin, None
            self._control.unpin(pin)

    def __del__(self) -> None:
        self.close()


class PartSource(ManifestSource):
    """The bytes of one part of an unfinished upload. The pin keeps them until `close`."""

    async def parts(self) -> Sequence[Part]:
        """Return no parts."""
        return ()

    def blocks(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes, verified."""
        return self._part_blocks(self._manifest, start, length)
