"""Blobs of an embedded index that lie on an engine for blobs (store/blobs.py) instead of beside it.

DIR/blobs.json   where they lie, and what their names begin with: written before the first of them
PREFIX-store     a blob that says that the place is the one: another mount, bucket or cluster has none

A blob's id is a number of 24 random bits for each opening, and one that counts: an index that was put back to an
earlier moment counts again, and must not give a name a second time. Before a blob's first byte is written its
marker is there, `incoming/<slot>/<id>`, durably; as with files it goes after the commit that names the blob, and
what a crash leaves there tells the next start what to remove. Everything that is removed waits for the janitor's
thread, since an engine may take its time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from anys3.model import Part
from anys3.store import contents
from anys3.store.blobs import BlobMissing, Blobs
from anys3.store.embedded import device
from anys3.store.embedded.blobs import Files, Written, remove
from anys3.store.embedded.directory import explain
from anys3.store.embedded.format import BLOB, Reference
from anys3.store.figures import Figure
from anys3.store.starting import Unreachable, Unsuitable
from anys3.store.urls import lasting, place_of

FILE = "blobs.json"
_COUNTED_BITS = 40
_AT_ONCE = 200
_MARK = b"anys3 store"


class Remembered(NamedTuple):
    """What a directory knows of its blobs that lie elsewhere."""

    url: str
    prefix: str
    """What the names of this store's blobs begin with: others may lie in the same place."""
    is_marked: bool = False
    """Whether the blob that marks the place was written."""

    @property
    def mark(self) -> str:
        """The name of the blob that marks the place."""
        return f"{self.prefix}-store"


def remembered(path: Path) -> Remembered | None:
    """Return where a store's blobs lie, None for its own files. Raises Unsuitable."""
    try:
        record = json.loads((path / FILE).read_text("utf-8"))
        return Remembered(record["blobs"], record["prefix"], record["is_marked"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise Unsuitable(f"{path / FILE} is damaged: restore it from a backup of the directory") from None


def settle(path: Path, url: str) -> None:
    """Remember where the blobs of a store lie from its beginning on. Raises Unsuitable if that is elsewhere."""
    known = remembered(path)
    if known is None:
        if url and has_files(path):
            raise Unsuitable(
                f"{path} keeps large contents in files of its own: serve it without --blobs, or copy it to a new"
                " store by `anys3 store copy`"
            )
        if url:
            _write(path, Remembered(lasting(url), os.urandom(8).hex()))
    elif not url:
        raise Unsuitable(f"{path} keeps large contents at {known.url}: give that as --blobs")
    elif place_of(url) != place_of(known.url):
        raise Unsuitable(
            f"{path} keeps large contents at {known.url}, not at {lasting(url)}: give the former as --blobs, or copy"
            f" the store to a new one by `anys3 store copy`; if it is one place by two names, change {path / FILE}"
        )
    elif known.url != lasting(url):
        _write(path, known._replace(url=lasting(url)))


def confirm(path: Path, blobs: Blobs) -> None:
    """See that the engine has the place of this store's blobs, and mark it the first time. Blocks.

    A directory that is not mounted looks like an empty one. Raises Unreachable, Unavailable, StoreFull.
    """
    known = remembered(path)
    assert known is not None
    if not known.is_marked:
        blobs.remove([known.mark])  # a start may have been cut short here
        sink = blobs.sink(known.mark, len(_MARK))
        try:
            sink.write(_MARK)
            sink.finish()
        except BaseException:
            sink.discard()
            raise
        _write(path, known._replace(is_marked=True))
        return
    reader = None
    try:
        reader = blobs.reader(known.mark, 0, len(_MARK))
        reader.read_into(memoryview(bytearray(len(_MARK))))
    except BlobMissing:
        raise Unreachable(
            f"there is nothing of the store {path} at {known.url}: expected the blob {known.mark!r}; see that the"
            " right thing is mounted or answers there, then start again"
        ) from None
    finally:
        if reader is not None:
            reader.close()


def has_files(path: Path) -> bool:
    """Say whether a store has blobs in files of its own."""
    return any((path / "blobs").glob("*/*"))


def check_backup(path: Path, *, is_index_only: bool) -> None:
    """Refuse a backup that would look whole and not be. Raises Unsuitable."""
    known = remembered(path)
    if known is not None and not is_index_only:
        raise Unsuitable(
            f"{path} keeps large contents at {known.url}, and a backup has nothing of that: they need one of their"
            " own there. --index-only copies the rest, which is of use as long as nothing that it names was deleted"
        )
    if known is None and is_index_only:
        raise Unsuitable(
            f"--index-only is for stores that keep large contents elsewhere, and {path} does not"
        )


def _write(path: Path, known: Remembered) -> None:
    new = path / f"{FILE}.new"
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            record = {"blobs": known.url, "prefix": known.prefix, "is_marked": known.is_marked}
            json.dump(record, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path / FILE)
        device.sync_directory(path)
    except OSError as error:
        raise explain(error, path) from error


class RemoteFiles(Files):
    """Where the blobs of a store lie if that is not in its directory."""

    def __init__(self, path: Path, slot: int, new_id: Callable[[], int], blobs: Blobs, prefix: str) -> None:
        run = int.from_bytes(os.urandom(3), "big") << _COUNTED_BITS
        super().__init__(path, slot, lambda: run | new_id())
        self.blobs = blobs
        self.prefix = prefix
        self.on_unremoved: Callable[[], None] = lambda: None
        """Called by any thread when there is something to remove."""

    def path(self, blob_id: int) -> Path:
        """Return the final name of a blob, which is one on the engine."""
        return Path(f"{self.prefix}-{blob_id:016x}")

    def writer(self, length: int | None, inline_max: int) -> RemoteWriter:
        """Return a writer for one content."""
        return RemoteWriter(self, length, inline_max)

    def new_name(self) -> str:
        """Return a name for a blob, its marker being there. Blocks."""
        blob_id, incoming = self.new()
        try:
            os.close(os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL | device.O_CLOEXEC, 0o600))
            device.sync_directory(self.incoming)
        except OSError as error:
            raise explain(error, incoming) from error
        return self.path(blob_id).name

    def give_up(self, name: str) -> None:
        """Let a blob be removed that nothing will refer to."""
        incoming = self._marker(name)
        self.remove_unnamed(Path(name), incoming)

    def _marker(self, name: str) -> Path:
        return self.incoming / name.rpartition("-")[2]

    def publish_stored(self, stored: contents.Stored) -> Written:
        """Return a finished blob, to be named by a commit."""
        stored.is_claimed = True  # from here on `Written` knows
        blob_id = int(stored.name.rpartition("-")[2], 16)
        return self.publish(Reference(BLOB, blob_id, stored.size, 0), self._marker(stored.name))

    def publish(self, reference: Reference, incoming: Path) -> Written:
        """Return a blob that has its name."""
        written = Written(self, reference, self.path(reference.id), incoming)
        self._waiting.add(written)
        return written

    def link(self, reference: Reference) -> Written | None:  # noqa: ARG002 (as Files has it)
        """Return None: engines have no second names."""
        return None

    def remove_unnamed(self, final: Path, incoming: Path) -> None:
        """Let a blob be removed that no commit has named, and then its marker."""
        self._unremoved.append((final, incoming))
        self.on_unremoved()

    def remove_again(self) -> None:
        """Remove what waits for it. Raises OSError, Unavailable."""
        while self._unremoved:
            some = self._unremoved[:_AT_ONCE]
            self.blobs.remove([final.name for final, _ in some])
            for _, incoming in some:
                remove(incoming)
            del self._unremoved[: len(some)]

    def remove_blobs(self, blob_ids: Sequence[int]) -> None:
        """Remove blobs that were freed. Raises Unavailable."""
        for at in range(0, len(blob_ids), _AT_ONCE):
            self.blobs.remove([self.path(blob_id).name for blob_id in blob_ids[at : at + _AT_ONCE]])

    def read(self, reference: Reference, start: int, length: int) -> Iterator[memoryview]:
        """Yield bytes of a blob, verified. Raises Corrupt, Unavailable."""
        return contents.read_blob(self.blobs, self.path(reference.id).name, reference.size, start, length)

    def source(
        self, reference: Reference, owner: tuple[str, bytes], let_go: Callable[[], None]
    ) -> contents.Source:
        """Return the bytes of an object that is one blob; `let_go` ends the pin that keeps it."""
        piece = contents.Piece(0, reference.size, self.path(reference.id).name)

        async def no_parts() -> Sequence[Part]:
            return ()

        return contents.Source(self.blobs, lambda *_: iter([piece]), no_parts, owner, let_go)

    def names(self) -> Iterator[str]:
        """Yield the names of all blobs of this store but the mark. Raises Unavailable."""
        beginning, mark = f"{self.prefix}-", Remembered("", self.prefix).mark
        return (name for name in self.blobs.names() if name.startswith(beginning) and name != mark)

    def figures(self) -> Sequence[Figure]:
        """Return those of the engine for blobs."""
        return self.blobs.figures()

    def close(self) -> None:
        """Let go; what no commit has named is removed by the next start."""
        super().close()
        self.blobs.close()


class RemoteWriter(contents.Writer):
    """Writes one content; see ContentWriter."""

    def __init__(self, files: RemoteFiles, length: int | None, inline_max: int) -> None:
        super().__init__(files.blobs, files, length, inline_max)
        self._files = files
        self._written: Written | None = None

    def finish(self) -> object:
        """Make the bytes durable and return the content. Raises StoreFull, Unavailable."""
        content = super().finish()
        if not isinstance(content, contents.Stored):
            return content
        self._written = self._files.publish_stored(content)
        return self._written

    def discard(self) -> None:
        """Forget the bytes. Idempotent; does nothing after a commit has named the content."""
        if self._written is None:
            super().discard()
        else:
            self._written.discard()
