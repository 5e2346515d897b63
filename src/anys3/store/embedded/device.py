"""What operating systems and file systems do differently, found by trying: everything else is portable."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PAGE = 4096
_O_DIRECT = getattr(os, "O_DIRECT", 0)
_O_BINARY = getattr(os, "O_BINARY", 0)
O_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_sync_data = getattr(os, "fdatasync", os.fsync)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, where directories can be synced."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(descriptor: int) -> None:
    """Make a file's bytes and length durable."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync alone stops at the drive's cache there
    else:
        _sync_data(descriptor)


def sync_file_system(path: Path) -> None:
    """Make everything durable that was written to the file system that a directory lies on."""
    if not sys.platform.startswith("linux"):
        os.sync()
        return
    import ctypes  # noqa: PLC0415 (only a relaxed store asks for it)

    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(path))
    finally:
        os.close(descriptor)


def create(path: Path) -> tuple[int, bool]:
    """Create a file to write to; return its descriptor and whether it by-passes the page cache.

    With True, offsets and lengths of writes must be whole pages from page-aligned memory.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_CLOEXEC | _O_BINARY
    if _O_DIRECT:
        try:
            return os.open(path, flags | _O_DIRECT, 0o600), True
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            path.unlink(missing_ok=True)  # some kernels create it before they refuse the flag
    return os.open(path, flags, 0o600), False


def open_to_read(path: Path) -> int:
    """Open a file to read."""
    return os.open(path, os.O_RDONLY | O_CLOEXEC | _O_BINARY)


def free_bytes(path: Path) -> int:
    """Return how much more may be written to the device that a directory lies on. Raises OSError."""
    return shutil.disk_usage(path).free


def reserve(descriptor: int, length: int) -> None:
    """Reserve room for a file, where the file system can. Raises OSError ENOSPC, and then reserves nothing.

    Asked first, because a file system takes all that it has before it says that it was not enough.
    """
    if not hasattr(os, "posix_fallocate") or length == 0:
        return
    device = os.fstatvfs(descriptor)
    if length > device.f_bavail * device.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    try:
        os.posix_fallocate(descriptor, 0, length)
    except OSError as error:
        os.ftruncate(descriptor, 0)
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise


def write_at(descriptor: int, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`."""
    while len(data):
        if hasattr(os, "pwrite"):
            written = os.pwrite(descriptor, data, offset)
        else:
            os.lseek(descriptor, offset, os.SEEK_SET)
            written = os.write(descriptor, data)
        data = data[written:]
        offset += written


def drop_direct(descriptor: int) -> bool:
    """Turn a by-passing descriptor into an ordinary one; False if it was one already."""
    if not _O_DIRECT:
        return False
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~_O_DIRECT)
    return bool(flags & _O_DIRECT)


def set_direct(descriptor: int, *, is_direct: bool) -> bool:
    """Let a descriptor by-pass the page cache, or not; return whether it does now.

    While it does, offsets, lengths and memory of reads and writes must be whole pages.
    """
    if not _O_DIRECT:
        return False
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    wanted = flags | _O_DIRECT if is_direct else flags & ~_O_DIRECT
    if wanted != flags:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETFL, wanted)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return False
    return is_direct


def is_misaligned(error: OSError) -> bool:
    """Say whether a read or write past the page cache failed because it was one."""
    return error.errno == errno.EINVAL


def expect_random_reads(descriptor: int) -> None:
    """Keep the system from reading ahead what nobody asks for."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)


def read_at(descriptor: int, into: memoryview, offset: int) -> int:
    """Fill `into` from `offset` on; return how many bytes there were."""
    done = 0
    while done < len(into):
        if hasattr(os, "preadv"):
            got = os.preadv(descriptor, [into[done:]], offset + done)
        else:
            os.lseek(descriptor, offset + done, os.SEEK_SET)
            piece = os.read(descriptor, len(into) - done)
            got = len(piece)
            into[done : done + got] = piece
        if got == 0:
            break
        done += got
    return done


def lock_file(descriptor: int) -> bool:
    """Lock a file for this process and its forks; False if somebody else holds it."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_byte(descriptor: int, position: int) -> bool:
    """Lock one byte for this process alone; False if another process holds it."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, position)
    except (BlockingIOError, PermissionError):
        return False
    return True


def unlock_byte(descriptor: int, position: int) -> None:
    """Let go of a byte."""
    if sys.platform != "win32":
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, position)
