"""Blobs: one immutable file for each content that is too large for the index.

    bytes | CRC32 of each block of 256 KiB, 4 bytes each | footer

A blob is written as `incoming/<slot>/<id>`, synced, linked to `blobs/<xx>/<id>`, and that directory synced:
only then may the index name it. The incoming name goes after the commit; whatever a crash leaves there is
what recovery has to look at (CON-05, CON-06, known mistake 43).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import struct
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from anys3.store.beside import Blocks
from anys3.store.embedded import device
from anys3.store.embedded.directory import explain
from anys3.store.embedded.format import BLOB, Reference, crc32
from anys3.store.embedded.passing import Recent
from anys3.store.errors import StoreError
from anys3.store.figures import Figure

_log = logging.getLogger(__name__)

BLOCK = 256 * 1024
FOOTER = struct.Struct(">8sHHIQI")
"""Magic, version, 0, block size, size, CRC32 of the table."""
MAGIC = b"anys3blb"
VERSION = 1


class Files:
    """Where the blobs of a store lie, and the ids for those that this process writes."""

    def __init__(self, path: Path, slot: int, new_id: Callable[[], int], *, is_relaxed: bool = False) -> None:
        """`is_relaxed`: nothing is synced here; the next checkpoint does (checkpoints.py)."""
        self.is_relaxed = is_relaxed
        self._blobs = path / "blobs"
        self.incoming = path / "incoming" / str(slot)
        self.incoming.mkdir(mode=0o700, exist_ok=True)
        self.recent = Recent()
        self._new_id = new_id
        self._waiting: weakref.WeakSet[Written] = weakref.WeakSet()
        self._unremoved: list[tuple[Path, Path]] = []

    def path(self, blob_id: int) -> Path:
        """Return the final name of a blob; neighbours are spread over the directories."""
        return self._blobs / f"{blob_id & 0xFF:02x}" / f"{blob_id:016x}"

    def new(self) -> tuple[int, Path]:
        """Return a new id and the incoming name for it. May block."""
        blob_id = self._new_id()
        return blob_id, self.incoming / f"{blob_id:016x}"

    def publish(self, reference: Reference, incoming: Path) -> Written:
        """Give a synced file its final name, durably. Raises OSError: the caller removes both names then."""
        final = self.path(reference.id)
        os.link(incoming, final)
        if not self.is_relaxed:
            device.sync_directory(final.parent)
        written = Written(self, reference, final, incoming)
        self._waiting.add(written)
        return written

    def close(self) -> None:
        """Remove what no commit has named, though somebody may still hold it."""
        for written in list(self._waiting):
            written.discard()

    def figures(self) -> Sequence[Figure]:
        """Return nothing: they lie in the store's directory."""
        return ()

    def link(self, reference: Reference) -> Written | None:
        """Return a second blob with the bytes of one, None where that can't be done. Blocks."""
        blob_id, incoming = self.new()
        try:
            os.link(self.path(reference.id), incoming)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                return None
            raise explain(error, incoming) from error
        try:
            return self.publish(reference._replace(id=blob_id), incoming)
        except OSError as error:
            self.remove_unnamed(self.path(blob_id), incoming)
            raise explain(error, incoming) from error

    def remove_unnamed(self, final: Path, incoming: Path) -> None:
        """Remove both names of a blob that no commit has named, later if it can't be done now.

        The incoming name goes last: while it is there, a start knows that there is something to remove.
        """
        try:
            remove(final)
            remove(incoming)
        except OSError as error:
            _log.warning("an unfinished blob stays for a while: %s", error)
            self._unremoved.append((final, incoming))

    def has_unremoved(self) -> bool:
        """Say whether `remove_again` has something to do."""
        return bool(self._unremoved)

    def remove_again(self) -> None:
        """Try once more to remove what `remove_unnamed` could not. Raises OSError."""
        while self._unremoved:
            for name in self._unremoved[0]:
                remove(name)
            del self._unremoved[0]


def remove(path: Path) -> None:
    """Remove a file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


class Written:
    """A finished blob that waits for the commit that names it; it removes itself if none does."""

    __slots__ = (
        "__weakref__",
        "_files",
        "_final",
        "_is_unwanted",
        "_lock",
        "_state",
        "incoming",
        "reference",
    )

    def __init__(self, files: Files, reference: Reference, final: Path, incoming: Path) -> None:
        self._files = files
        self.reference = reference
        self.incoming = incoming
        self._final = final
        self._lock = threading.Lock()
        self._state = "waiting"  # waiting -> claimed -> named, or waiting -> removed
        self._is_unwanted = False

    def claim(self) -> None:
        """Begin to name it. Raises StoreError if it was discarded, or belongs to something already."""
        with self._lock:
            if self._state != "waiting":
                raise StoreError(f"blob {self.reference.id} is {self._state}")
            self._state = "claimed"

    def settle(self, *, is_named: bool) -> None:
        """End what `claim` began: the commit happened, or it did not."""
        with self._lock:
            self._state = "named" if is_named else "waiting"
            is_unwanted = self._is_unwanted
        if is_unwanted:
            self.discard()

    def discard(self) -> None:
        """Remove it, unless a commit has named it. Idempotent."""
        with self._lock:
            if self._state == "claimed":
                self._is_unwanted = True
            if self._state != "waiting":
                return
            self._state = "removed"
        self._files.remove_unnamed(self._final, self.incoming)

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.discard()


class BlobWriter:
    """Writes one content; see ContentWriter. What stays small enough is returned as bytes."""

    def __init__(self, files: Files, length: int | None, inline_max: int) -> None:
        self._files = files
        self._length = length
        self._inline_max = inline_max
        self._blocks: Blocks | None = Blocks()
        self._offset = 0  # bytes in the file
        self._descriptor = -1
        self._is_direct = False
        self._id = 0
        self._incoming: Path | None = None
        self._table: list[int] = []
        self._written: Written | None = None

    def write(self, data: memoryview | bytes) -> None:
        """Append. Raises StoreFull, Unavailable."""
        blocks = self._blocks
        if blocks is None:
            raise ValueError("the content is finished or discarded")
        blocks.fill(data, partial(self._flush, blocks))

    def finish(self) -> object:
        """Make the bytes durable and return the content. Raises StoreFull, Unavailable."""
        blocks = self._blocks
        if blocks is None:
            raise ValueError("the content is finished or discarded")
        if blocks.filled <= self._inline_max and self._descriptor < 0:
            content = bytes(blocks.view[: blocks.filled])
            self._let_go()
            return content
        try:
            self._written = self._seal(blocks)
        except OSError as error:
            self.discard()
            raise explain(error, self._files.incoming) from error
        except BaseException:
            self.discard()
            raise
        self._incoming = None
        self._let_go()
        return self._written

    def _seal(self, blocks: Blocks) -> Written:
        """Write what is left, the table and the footer; sync; give the final name."""
        blocks.settle()
        if self._descriptor < 0:
            self._create()
        size = self._offset + blocks.filled
        self._sum_up(blocks.view[: blocks.filled])
        table = struct.pack(f">{len(self._table)}I", *self._table)
        reference_crc = crc32(table)
        trailer = table + FOOTER.pack(MAGIC, VERSION, 0, BLOCK, size, reference_crc)
        blocks.fill(trailer, partial(blocks.consume, self._put))
        blocks.settle()
        filled = blocks.filled
        if self._is_direct:
            filled = -(-filled // device.PAGE) * device.PAGE
        self._put(blocks.view[:filled])
        os.truncate(self._descriptor, size + len(trailer))
        if not self._files.is_relaxed:
            device.sync_file(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        assert self._incoming is not None
        return self._files.publish(Reference(BLOB, self._id, size, reference_crc), self._incoming)

    def _flush(self, blocks: Blocks) -> None:
        """Write a full block, in a thread if there is memory to spare."""
        try:
            if self._descriptor < 0:
                self._create()
                blocks.overlap()
            blocks.consume(self._take)
        except OSError as error:
            self.discard()
            raise explain(error, self._files.incoming) from error

    def _take(self, view: memoryview) -> None:
        self._sum_up(view)
        self._put(view)

    def _sum_up(self, view: memoryview) -> None:
        """Add the checksums of blocks; `view` begins on a block's border."""
        for at in range(0, len(view), BLOCK):
            self._table.append(crc32(view[at : at + BLOCK]))

    def _put(self, view: memoryview) -> None:
        """Write behind what the file has."""
        try:
            device.write_at(self._descriptor, view, self._offset)
        except OSError as error:
            # Some file systems take the flag and then want another alignment.
            if not device.is_misaligned(error) or not device.drop_direct(self._descriptor):
                raise
            device.write_at(self._descriptor, view, self._offset)
        self._offset += len(view)

    def _create(self) -> None:
        self._id, self._incoming = self._files.new()
        self._descriptor, self._is_direct = device.create(self._incoming)
        if self._length:
            blocks = -(-self._length // BLOCK)
            device.reserve(self._descriptor, self._length + 4 * blocks + FOOTER.size)

    def discard(self) -> None:
        """Forget the bytes. Idempotent; does nothing after a commit has named the content."""
        self._let_go()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._incoming is not None:
            incoming, self._incoming = self._incoming, None
            self._files.remove_unnamed(self._files.path(self._id), incoming)
        if self._written is not None:
            self._written.discard()

    def _let_go(self) -> None:
        """Give the memory back, after what is being written."""
        blocks, self._blocks = self._blocks, None
        if blocks is not None:
            blocks.close()

    def __del__(self) -> None:
        if self._written is None:
            with contextlib.suppress(OSError):
                self.discard()
