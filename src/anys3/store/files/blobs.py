"""Blobs as files: written under a name of their own, synced, and linked to their final name.

Nothing here is held open or locked between calls, so that any number of machines may share the directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from anys3.store.blobs import NAME, BlobMissing, probe
from anys3.store.errors import Unavailable
from anys3.store.figures import Figure
from anys3.store.files.layout import NEW, directory_of, explain, is_marked, prepare, sync_directory

_CANNOT_LINK = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_sync_data = getattr(os, "fdatasync", os.fsync)


def open_blobs(url: str) -> FileBlobs:
    """Return the blobs of `file:DIR`, which is made when it is used first. Raises ValueError."""
    return FileBlobs(directory_named(url))


def directory_named(url: str) -> Path:
    """Return the directory that `file:DIR` names. Raises ValueError."""
    scheme, _, path = url.partition(":")
    if path.startswith("//"):
        path = path[2:]
        if not path.startswith("/"):
            raise ValueError(f"expected file:DIR or file:///DIR, without a host, not {url!r}")
    if scheme != "file" or not path:
        raise ValueError(f"expected file:DIR, not {url!r}")
    return Path(unquote(path))


class FileBlobs:
    """Blobs in a directory; see Blobs."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.abspath(root))  # noqa: PTH100  (symbolic links are the administrator's)
        self._lock = threading.Lock()
        self._is_ready = False
        self.may_make = True
        """Whether a directory that holds nothing of ours is made one for blobs; else it is one that is not mounted."""

    def sink(self, name: str, length: int | None) -> FileSink:
        """Return what takes the bytes of a new blob. Raises StoreFull, Unavailable."""
        self._get_ready()
        return FileSink(self._path(name), length)

    def reader(self, name: str, start: int, length: int) -> FileReader:
        """Return a reader of a range. Raises BlobMissing, Unavailable."""
        path = self._path(name)
        try:
            return FileReader(path, start, length)
        except FileNotFoundError:
            self._insist()
            raise BlobMissing(f"{path} does not exist") from None
        except OSError as error:
            raise explain(error, path) from error

    def remove(self, names: Sequence[str]) -> None:
        """Remove blobs, and what is there of unfinished ones, durably."""
        self._insist()
        paths = [self._path(name) for name in names]
        try:
            for path in paths:
                path.unlink(missing_ok=True)
                path.with_name(path.name + NEW).unlink(missing_ok=True)
            for directory in {path.parent for path in paths}:
                sync_directory(directory)
        except OSError as error:
            raise explain(error, self._root) from error

    def names(self) -> Iterator[str]:
        """Yield the names of all blobs, directory by directory."""
        self._insist()
        try:
            for number in range(256):
                files = (self._root / "blobs" / f"{number:02x}").iterdir()
                yield from filter(NAME.fullmatch, {file.name.removesuffix(NEW) for file in files})
        except OSError as error:
            raise explain(error, self._root) from error

    def check(self) -> None:
        """Write, read and remove a blob. Raises StoreFull, Unavailable."""
        probe(self)

    def figures(self) -> Sequence[Figure]:
        """Return the room that is left."""
        try:
            free = shutil.disk_usage(self._root).free
        except OSError:
            return ()
        about = "Room left where blobs are kept (file:)."
        return [Figure("anys3_blobs_free_bytes", about, free, over="least")]

    def close(self) -> None:
        """Do nothing: nothing is held open."""

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't be a blob's name")
        return directory_of(self._root, name) / name

    def _get_ready(self) -> None:
        if self._is_ready:
            return
        with self._lock:
            try:
                if self.may_make:
                    prepare(self._root)
                elif not is_marked(self._root):
                    raise Unavailable(f"{self._root} holds no blobs of anys3: is it mounted?")
            except OSError as error:
                raise explain(error, self._root) from error
            self._is_ready = True

    def _insist(self) -> None:
        """See that what is missing is missing, and not the file system that it lies on."""
        self._get_ready()
        try:
            is_there = is_marked(self._root)
        except OSError as error:
            raise explain(error, self._root) from error
        if not is_there:
            raise Unavailable(f"{self._root} has lost its file 'format': is it mounted?")


class FileSink:
    """Writes one blob; see BlobSink."""

    def __init__(self, path: Path, length: int | None) -> None:
        """Create its file, and reserve its room. Raises StoreFull, Unavailable."""
        self._path = path
        self._new = path.with_name(path.name + NEW)
        self._ours: list[Path] = []  # names to be removed by `discard`
        self._size = 0
        self._descriptor = -1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self._new, flags, 0o600)
            self._ours.append(self._new)
            if length:
                _reserve(self._descriptor, length)
        except OSError as error:
            self.discard()
            raise explain(error, self._new) from error

    def write(self, data: memoryview | bytes) -> None:
        """Append."""
        view = memoryview(data).cast("B")
        try:
            while len(view):
                written = os.write(self._descriptor, view)
                self._size += written
                view = view[written:]
        except OSError as error:
            raise explain(error, self._new) from error

    def finish(self) -> None:
        """Sync the bytes, then the name."""
        try:
            os.ftruncate(self._descriptor, self._size)  # what was reserved and not written
            _sync_data(self._descriptor)
            self._publish()
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)  # a network's file system may say only here what went wrong
            sync_directory(self._path.parent)
        except OSError as error:
            raise explain(error, self._path) from error
        self._ours = []

    def _publish(self) -> None:
        """Give the final name, which nobody has. Raises OSError."""
        try:
            os.link(self._new, self._path)
        except OSError as error:
            if error.errno in _CANNOT_LINK:
                self._new.rename(self._path)
            # A server may have done it, and lost its answer: asked again, it says that the name exists.
            elif error.errno != errno.EEXIST or not self._has_final_name():
                raise
        self._ours.append(self._path)
        self._new.unlink(missing_ok=True)

    def _has_final_name(self) -> bool:
        return os.path.samestat(os.fstat(self._descriptor), self._path.stat())

    def discard(self) -> None:
        """Close and remove the file."""
        with contextlib.suppress(OSError):
            self._close()
        while self._ours:
            with contextlib.suppress(OSError):
                self._ours.pop().unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = _close


class FileReader:
    """Reads a range of one blob; see BlobReader. The system reads ahead."""

    def __init__(self, path: Path, start: int, length: int) -> None:
        """Open the file. Raises OSError."""
        self._path = path
        self._at = start
        self._end = start + length
        self._descriptor = -1
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read_into(self, view: memoryview) -> None:
        """Fill all of `view`."""
        if self._at + len(view) > self._end:
            raise ValueError(f"{len(view)} bytes asked for at {self._at} of a range that ends at {self._end}")
        try:
            while len(view):
                count = os.preadv(self._descriptor, [view], self._at)
                if count == 0:
                    raise BlobMissing(f"{self._path} ends at {self._at}")
                self._at += count
                view = view[count:]
        except OSError as error:
            raise explain(error, self._path) from error

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _reserve(descriptor: int, length: int) -> None:
    """Reserve room, where the file system can. Raises OSError.

    By fallocate(2) itself: where a file system has none, the library's posix_fallocate writes to every block.
    """
    device = os.fstatvfs(descriptor)
    if length > device.f_bavail * device.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    error = _fallocate(descriptor, length)
    if error and error not in _CANNOT_RESERVE:
        raise OSError(error, os.strerror(error))


def _fallocate(descriptor: int, length: int) -> int:
    if not sys.platform.startswith("linux"):
        return errno.ENOSYS
    fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return 0 if fallocate(descriptor, 0, 0, length) == 0 else ctypes.get_errno()
