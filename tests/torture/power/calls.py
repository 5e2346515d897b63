"""What each system call does to a store: found out at its entry, told once it has succeeded."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path

from tests.torture.power import trace
from tests.torture.power.filtering import CHANGING, FLAGS_AT
from tests.torture.power.trace import Operation

Finish = Callable[[int], list[Operation]]
"""Takes the call's result and returns what happened."""
HEAD_BYTES = 1024
_SENDING = {"write", "writev", "sendto", "sendmsg"}
_BY_DESCRIPTOR = {
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate", "fsync", "fdatasync"),
    *("sync_file_range", "syncfs", "sendfile"),
}
_PATHS = {
    # Where a call has its paths: (directory's argument or -1, path's argument) each.
    "open": ((-1, 0),), "creat": ((-1, 0),), "openat": ((0, 1),), "openat2": ((0, 1),), "truncate": ((-1, 0),),
    "rename": ((-1, 0), (-1, 1)), "renameat": ((0, 1), (2, 3)), "renameat2": ((0, 1), (2, 3)),
    "link": ((-1, 0), (-1, 1)), "linkat": ((0, 1), (2, 3)), "symlink": ((-1, 1),), "symlinkat": ((1, 2),),
    "unlink": ((-1, 0),), "unlinkat": ((0, 1),), "rmdir": ((-1, 0),), "mkdir": ((-1, 0),), "mkdirat": ((0, 1),),
}  # fmt: skip
_AT_CWD = -100
_KEEP_SIZE = 1
_SYNCED = os.O_DSYNC | os.O_SYNC

_libc = ctypes.CDLL(None, use_errno=True)


class Memory:
    """The memory of a stopped thread, and what its descriptors are."""

    def __init__(self, thread: int) -> None:
        self.thread = thread

    def read(self, address: int, length: int) -> bytes:
        """Return bytes of it. Raises OSError."""
        into = ctypes.create_string_buffer(length)
        ours = struct.pack("=QQ", ctypes.addressof(into), length)
        theirs = struct.pack("=QQ", address, length)
        got = _libc.process_vm_readv(
            self.thread, ours, ctypes.c_ulong(1), theirs, ctypes.c_ulong(1), ctypes.c_ulong(0)
        )
        if got != length:
            raise OSError(
                ctypes.get_errno(), f"{length} bytes of memory at {address:#x} can't be read: {got}"
            )
        return into.raw

    def text(self, address: int) -> str:
        """Return the string that begins there."""
        found = b""
        while b"\0" not in found:
            at = address + len(found)
            found += self.read(at, 4096 - at % 4096)
        return os.fsdecode(found.partition(b"\0")[0])

    def vector(self, address: int, count: int, limit: int) -> bytes:
        """Return the first `limit` bytes of an array of `struct iovec`."""
        pieces = b""
        for start, length in struct.iter_unpack("=QQ", self.read(address, 16 * count)):
            if len(pieces) >= limit:
                break
            pieces += self.read(start, min(length, limit - len(pieces)))
        return pieces

    def path(self, directory: int, address: int) -> str:
        """Return the absolute path that a directory's descriptor (-1: none) and a string name."""
        name = self.text(address)
        if name.startswith("/"):
            return os.path.normpath(name)
        number = ctypes.c_int(directory).value
        base = "cwd" if number in (-1, _AT_CWD) else f"fd/{number}"
        above = Path(f"/proc/{self.thread}/{base}").readlink()
        return os.path.normpath(above / name) if name else str(above)

    def open_path(self, descriptor: int) -> str:
        """Return what /proc calls an open file, "" if it is not open."""
        try:
            return os.readlink(f"/proc/{self.thread}/fd/{descriptor}")  # noqa: PTH115 (it may be no path)
        except OSError:
            return ""

    def status(self, descriptor: int) -> os.stat_result:
        """Return the `stat` of an open file."""
        return Path(f"/proc/{self.thread}/fd/{descriptor}").stat()

    def position(self, descriptor: int) -> tuple[int, int]:
        """Return an open file's offset and flags."""
        lines = Path(f"/proc/{self.thread}/fdinfo/{descriptor}").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines[:2])
        return int(fields["pos"]), int(fields["flags"], 8)


class Store:
    """Which paths and files are a store's, and which number each file has in the recording."""

    def __init__(self, path: Path) -> None:
        self.top = str(path.resolve().parent)
        self._root = str(path.resolve())
        self._files: dict[tuple[int, int], int] = {}
        self._last = 0
        self._device = path.resolve().parent.stat().st_dev

    def has(self, path: str) -> bool:
        """Whether a path is the store's or lies in it."""
        return path == self._root or path.startswith(self._root + "/")

    def name(self, path: str) -> str:
        """Return a path as the recording has it."""
        return "" if path == self.top else os.path.relpath(path, self.top)

    def new(self, status: os.stat_result) -> int:
        """Return the number of a file that was just made: the system may have given its inode before."""
        self._last += 1
        self._files[status.st_dev, status.st_ino] = self._last
        return self._last

    def number(self, status: os.stat_result) -> int:
        """Return the number of a file."""
        return self._files[status.st_dev, status.st_ino]

    def know(self, status: os.stat_result, number: int) -> None:
        """Learn a file's number from an earlier recording."""
        self._files[status.st_dev, status.st_ino] = number

    def know_number(self, number: int) -> None:
        """Learn that a number is taken."""
        self._last = max(self._last, number)

    def paths(self) -> list[str]:
        """Return everything that lies in the store, and itself, directories first."""
        found = [self._root] if os.path.exists(self._root) else []  # noqa: PTH110
        for above, directories, files in os.walk(self._root):
            found += [f"{above}/{name}" for name in directories + files]
        return found

    def answer(self, name: str, thread: int, arguments: tuple[int, ...]) -> trace.Answer | None:
        """Return what a call sends to a client, None if it sends nothing to anybody."""
        if name not in _SENDING and name != "sendfile":
            return None
        memory = Memory(thread)
        target = memory.open_path(arguments[0])
        if not target.startswith("socket:"):
            return None
        head = b""
        if name in ("write", "sendto"):
            head = memory.read(arguments[1], min(arguments[2], HEAD_BYTES))
        elif name == "writev":
            head = memory.vector(arguments[1], arguments[2], HEAD_BYTES)
        elif name == "sendmsg":
            vector, count = struct.unpack("=QQ", memory.read(arguments[1] + 16, 16))
            head = memory.vector(vector, count, HEAD_BYTES)
        return trace.Answer(target, head if head.startswith(b"HTTP/1.1 ") else b"", time.monotonic_ns())

    def concerns(self, name: str, thread: int, arguments: tuple[int, ...]) -> bool:
        """Whether a call may change the store."""
        memory = Memory(thread)
        if name == "sync":
            return True
        if name == "msync":
            return False  # of what is mapped nothing has to last; see `Mapped`
        if name == "mmap":
            return self.has(memory.open_path(ctypes.c_int(arguments[4]).value))
        if name == "syncfs":
            return memory.status(arguments[0]).st_dev == self._device
        if name in ("copy_file_range", "splice"):
            return self.has(memory.open_path(arguments[2]))
        if name in _BY_DESCRIPTOR:
            target = memory.open_path(arguments[0])
            return self.has(target) or (name == "fsync" and target == self.top)
        if name in FLAGS_AT and not arguments[FLAGS_AT[name]] & CHANGING:
            return False
        return any(self.has(memory.path(*_place(arguments, one))) for one in _PATHS[name])


def _place(arguments: tuple[int, ...], place: tuple[int, int]) -> tuple[int, int]:
    return (-1 if place[0] < 0 else arguments[place[0]]), arguments[place[1]]


def begin(store: Store, memory: Memory, name: str, arguments: tuple[int, ...]) -> Finish:
    """Return what tells, once the call has succeeded, what happened."""
    if name in ("write", "pwrite64", "writev", "pwritev", "pwritev2"):
        return _write(store, memory, name, arguments)
    if name in ("open", "creat", "openat"):
        return _open(store, memory, name, arguments)
    handler = _HANDLERS.get(name)
    if handler is None:
        raise NotImplementedError(f"{name} on a store: the recorder does not know what it does")
    return handler(store, memory, name, arguments)


def _write(store: Store, memory: Memory, name: str, arguments: tuple[int, ...]) -> Finish:
    descriptor, address, count = arguments[:3]
    file = store.number(memory.status(descriptor))
    position, flags = memory.position(descriptor)
    offset = position if name in ("write", "writev") else arguments[3]
    if flags & os.O_APPEND:
        offset = memory.status(descriptor).st_size

    def finish(result: int) -> list[Operation]:
        is_plain = name in ("write", "pwrite64")
        data = memory.read(address, result) if is_plain else memory.vector(address, count, result)
        return [trace.Write(file, offset, data, bool(flags & _SYNCED))]

    return finish


def _open(store: Store, memory: Memory, name: str, arguments: tuple[int, ...]) -> Finish:
    path = memory.path(*_place(arguments, _PATHS[name][0]))
    flags = CHANGING if name == "creat" else arguments[FLAGS_AT[name]]
    was_there = os.path.lexists(path)

    def finish(result: int) -> list[Operation]:
        status = memory.status(result)
        if not was_there:
            return [trace.Create(store.name(path), store.new(status))]
        is_cut = flags & os.O_TRUNC and stat.S_ISREG(status.st_mode)
        return [trace.Resize(store.number(status), 0)] if is_cut else []

    return finish


def _of_descriptor(store: Store, memory: Memory, name: str, arguments: tuple[int, ...]) -> Finish:
    status = memory.status(arguments[0])
    told: list[Operation]
    if stat.S_ISDIR(status.st_mode):
        told = [trace.SyncNames(store.name(memory.open_path(arguments[0])))]
        return lambda _: told
    file = store.number(status)
    if name == "ftruncate":
        told = [trace.Resize(file, arguments[1])]
    elif name == "fallocate":
        if arguments[1] & ~_KEEP_SIZE:
            raise NotImplementedError(f"fallocate with mode {arguments[1]}")
        told = [] if arguments[1] else [trace.Allocate(file, arguments[2] + arguments[3])]
    else:
        told = [trace.SyncFile(file)]
    return lambda _: told


def _mapped(store: Store, memory: Memory, _: str, arguments: tuple[int, ...]) -> Finish:
    told: list[Operation] = [trace.Mapped(store.name(memory.open_path(arguments[4])))]
    return lambda _: told


def _of_names(store: Store, memory: Memory, name: str, arguments: tuple[int, ...]) -> Finish:
    paths = [store.name(memory.path(*_place(arguments, one))) for one in _PATHS[name]]
    told: list[Operation]
    if name.startswith("mkdir"):
        told = [trace.MakeDirectory(paths[0])]
    elif name.startswith(("unlink", "rmdir")):
        told = [trace.Remove(paths[0])]
    elif name.startswith("rename"):
        if name == "renameat2" and arguments[4]:
            raise NotImplementedError(f"renameat2 with flags {arguments[4]}")
        told = [trace.Rename(*paths)]
    else:
        told = [trace.Link(*paths)]
    return lambda _: told


def _truncate(store: Store, memory: Memory, _: str, arguments: tuple[int, ...]) -> Finish:
    status = Path(memory.path(-1, arguments[0])).stat()
    told: list[Operation] = [trace.Resize(store.number(status), arguments[1])]
    return lambda _: told


_HANDLERS: dict[str, Callable[[Store, Memory, str, tuple[int, ...]], Finish]] = {
    "ftruncate": _of_descriptor,
    "fallocate": _of_descriptor,
    "fsync": _of_descriptor,
    "fdatasync": _of_descriptor,
    "sync_file_range": lambda *_: lambda _: [],  # it promises nothing: no flush, no metadata
    "syncfs": lambda *_: lambda _: [trace.SyncAll()],
    "sync": lambda *_: lambda _: [trace.SyncAll()],
    "mmap": _mapped,
    "truncate": _truncate,
    **dict.fromkeys(
        (
            "rename",
            "renameat",
            "renameat2",
            "link",
            "linkat",
            "unlink",
            "unlinkat",
            "rmdir",
            "mkdir",
            "mkdirat",
        ),
        _of_names,
    ),
}
