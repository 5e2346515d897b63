"""A small tracer: runs a command, and tells the system calls that it made between two moments.

    python tests/costs/tracing.py SOCKET COMMAND...

It stands above the command as its parent, and does nothing until it is asked over SOCKET. `begin` is answered
when every thread stops at each system call; `end` is answered with the calls since then, in order, as JSON.
Linux on x86_64 and aarch64, from kernel 5.3 on; see `reason_to_skip`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

SEIZE, INTERRUPT, LISTEN, CONT, SYSCALL = 0x4206, 0x4207, 0x4208, 7, 24
GET_SYSCALL_INFO = 0x420E
OPTIONS = 0x1 | 0x8  # TRACESYSGOOD, TRACECLONE
WALL = 0x40000000
EVENT_STOP = 128
SYSCALL_STOP = signal.SIGTRAP | 0x80
ENTRY = 1
O_DSYNC = 0o10000

# fmt: off
X86_64 = {
    0: "read", 1: "write", 3: "close", 5: "fstat", 7: "poll", 8: "lseek", 9: "mmap", 10: "mprotect", 11: "munmap",
    12: "brk", 17: "pread64", 18: "pwrite64", 19: "readv", 20: "writev", 25: "mremap", 26: "msync", 28: "madvise",
    39: "getpid", 40: "sendfile", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 72: "fcntl",
    74: "fsync", 75: "fdatasync", 76: "truncate", 77: "ftruncate", 82: "rename", 86: "link", 87: "unlink",
    162: "sync", 186: "gettid", 202: "futex", 219: "restart_syscall", 228: "clock_gettime", 232: "epoll_wait",
    233: "epoll_ctl", 257: "openat", 262: "newfstatat", 263: "unlinkat", 265: "linkat", 277: "sync_file_range",
    281: "epoll_pwait", 285: "fallocate", 288: "accept4", 290: "eventfd2", 295: "preadv", 296: "pwritev",
    306: "syncfs", 318: "getrandom", 326: "copy_file_range", 327: "preadv2", 328: "pwritev2",
    426: "io_uring_enter", 435: "clone3", 441: "epoll_pwait2",
}
AARCH64 = {
    19: "eventfd2", 21: "epoll_ctl", 22: "epoll_pwait", 25: "fcntl", 35: "unlinkat", 37: "linkat",
    38: "renameat", 45: "truncate", 46: "ftruncate", 47: "fallocate", 56: "openat", 57: "close", 62: "lseek",
    63: "read", 64: "write", 65: "readv", 66: "writev", 67: "pread64", 68: "pwrite64", 69: "preadv",
    70: "pwritev", 71: "sendfile", 73: "ppoll", 79: "newfstatat", 80: "fstat", 81: "sync", 82: "fsync",
    83: "fdatasync", 84: "sync_file_range", 98: "futex", 113: "clock_gettime", 128: "restart_syscall",
    172: "getpid", 178: "gettid", 206: "sendto", 207: "recvfrom", 211: "sendmsg", 212: "recvmsg", 214: "brk",
    215: "munmap", 216: "mremap", 222: "mmap", 226: "mprotect", 227: "msync", 233: "madvise", 242: "accept4",
    267: "syncfs", 278: "getrandom", 285: "copy_file_range", 286: "preadv2", 287: "pwritev2",
    426: "io_uring_enter", 435: "clone3", 441: "epoll_pwait2",
}
# fmt: on
NAMES = {"x86_64": X86_64, "aarch64": AARCH64}.get(platform.machine(), {})
WITH_FILE = {
    *("read", "write", "readv", "writev", "recvfrom", "recvmsg", "sendto", "sendmsg"),
    *(
        "pread64",
        "preadv",
        "pwrite64",
        "pwritev",
        "pwritev2",
        "fsync",
        "fdatasync",
        "sync_file_range",
        "syncfs",
    ),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One system call, as it was entered."""

    name: str
    thread: int
    file: str = ""
    """What its first argument is open on, for calls that read, write or sync: a path, `socket`, `pipe`..."""
    is_synced: bool = False
    """Whether a write to that file reaches the device before it returns (O_DSYNC)."""


class SyscallInfo(ctypes.Structure):
    """`struct ptrace_syscall_info` at an entry."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    )


_ptrace = ctypes.CDLL(None, use_errno=True).ptrace if sys.platform == "linux" else None
if _ptrace is not None:
    _ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    _ptrace.restype = ctypes.c_long


def ptrace(request: int, thread: int, address: int = 0, data: int = 0) -> None:
    """Ask the kernel. Raises OSError."""
    assert _ptrace is not None
    if _ptrace(request, thread, address, data) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Tracer:
    """Follows the threads of one process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.is_recording = False
        self.calls: list[Call] = []
        self._threads: set[int] = set()
        self._awaited: set[int] = set()

    def begin(self) -> None:
        """Let every thread stop at its system calls; `is_ready` says when all do."""
        self.calls = []
        self.is_recording = True
        running = {int(task.name) for task in Path(f"/proc/{self.pid}/task").iterdir()}
        for thread in running - self._threads:
            ptrace(SEIZE, thread, 0, OPTIONS)
        self._threads = running
        self._awaited = set(running)
        for thread in running:
            with contextlib.suppress(ProcessLookupError):
                ptrace(INTERRUPT, thread)

    @property
    def is_ready(self) -> bool:
        """Whether every thread has been stopped once since `begin`."""
        return not self._awaited

    def follow(self) -> int | None:
        """Let everything go on that stopped; return the exit status of the process once it has ended."""
        while True:
            try:
                thread, status = os.waitpid(-1, WALL | os.WNOHANG)
            except ChildProcessError:
                return 0
            if thread == 0:
                return None
            if not os.WIFSTOPPED(status):
                self._threads.discard(thread)
                self._awaited.discard(thread)
                if thread == self.pid:
                    return os.waitstatus_to_exitcode(status)
                continue
            self._threads.add(thread)
            self._awaited.discard(thread)
            with contextlib.suppress(ProcessLookupError):  # it was killed meanwhile
                self._go_on(thread, os.WSTOPSIG(status), status >> 16)

    def _go_on(self, thread: int, number: int, event: int) -> None:
        if number == SYSCALL_STOP:
            self._note(thread)
            number = 0
        elif event == EVENT_STOP and number in (signal.SIGSTOP, signal.SIGTSTP):
            ptrace(LISTEN, thread)
            return
        elif event:
            number = 0
        ptrace(SYSCALL if self.is_recording else CONT, thread, 0, number)

    def _note(self, thread: int) -> None:
        info = SyscallInfo()
        ptrace(GET_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.addressof(info))
        if info.op != ENTRY or not self.is_recording:
            return
        name = NAMES.get(info.number, f"syscall_{info.number}")
        file, is_synced = self._file(info.arguments[0]) if name in WITH_FILE else ("", False)
        self.calls.append(Call(name, thread, file, is_synced))

    def _file(self, descriptor: int) -> tuple[str, bool]:
        try:
            target = str(Path(f"/proc/{self.pid}/fd/{descriptor}").readlink())
            lines = Path(f"/proc/{self.pid}/fdinfo/{descriptor}").read_text().splitlines()
        except OSError:
            return "", False
        flags = next(int(line.split()[1], 8) for line in lines if line.startswith("flags:"))
        return target.partition(":")[0], bool(flags & O_DSYNC)


def main(path: str, command: list[str]) -> int:
    """Run the command until it ends, and answer at the socket meanwhile."""
    wakes, waker = socket.socketpair()
    waker.setblocking(False)
    wakes.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGTERM, lambda number, frame: None)  # the whole group gets it; the command obeys
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    process = subprocess.Popen(command)
    tracer = Tracer(process.pid)
    asked: socket.socket | None = None
    is_told = True
    while True:
        sources = [wakes, listener] + ([asked] if asked else [])
        ready = select.select(sources, [], [])[0]
        if listener in ready:
            asked = listener.accept()[0]
        if wakes in ready:
            wakes.recv(4096)
        elif asked in ready and asked is not None:
            word = asked.recv(100)
            if word == b"begin\n":
                tracer.begin()
                is_told = False
            elif word == b"end\n":
                tracer.is_recording = False
                asked.sendall(json.dumps([asdict(call) for call in tracer.calls]).encode() + b"\n")
            else:
                asked.close()
                asked = None
        code = tracer.follow()
        if code is not None:
            return code if code >= 0 else 128 - code
        if not is_told and tracer.is_ready and asked is not None:
            is_told = True
            asked.sendall(b"%d\n" % tracer.pid)


# --- for tests ------------------------------------------------------------------------------------------


class Recorder:
    """The tests' side of a tracer: `with recorder.calls() as calls: ...`, and then `calls` is full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.pid = 0
        """The process that is traced, once `calls` was used."""

    @property
    def command(self) -> tuple[str, ...]:
        """What stands before the command that is to be traced."""
        return (sys.executable, __file__, str(self._path))

    @contextlib.contextmanager
    def calls(self) -> Iterator[list[Call]]:
        """Record what the process calls inside the block."""
        found: list[Call] = []
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self._path))
            with connection.makefile("rb") as answers:
                connection.sendall(b"begin\n")
                self.pid = int(answers.readline())
                yield found
                connection.sendall(b"end\n")
                found += [Call(**call) for call in json.loads(answers.readline())]


def reason_to_skip() -> str:
    """Return why system calls can't be traced here, "" if they can."""
    if sys.platform != "linux" or not NAMES:
        return "the tracer knows Linux on x86_64 and aarch64"
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"])
    try:
        ptrace(SEIZE, child.pid, 0, OPTIONS)
        ptrace(INTERRUPT, child.pid)
        _stopped(child.pid)
        ptrace(SYSCALL, child.pid)
        _stopped(child.pid)
        info = SyscallInfo()
        ptrace(GET_SYSCALL_INFO, child.pid, ctypes.sizeof(info), ctypes.addressof(info))
    except OSError as error:
        return f"system calls can't be traced here: {error.strerror}"
    finally:
        child.kill()
        child.wait()
    return ""


def _stopped(pid: int) -> None:
    """Wait until a traced child stops. Raises OSError if it does not."""
    limit = time.monotonic() + 10
    while os.waitpid(pid, WALL | os.WNOHANG)[0] == 0:
        if time.monotonic() > limit:
            raise OSError(0, "the child did not stop")
        time.sleep(0.001)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
