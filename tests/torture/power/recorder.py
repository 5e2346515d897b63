"""Records what a server does to the files of its store, with the data, and when it answers whom.

    python -m tests.torture.power.recorder RECORDING STORE COMMAND...

It stands above the command as its parent (ptrace, with a seccomp filter that stops only where files change), and
follows its forks and threads. Operations on the store are let through one at a time, so that the order of the
recording is the order in which they happened, over all processes. SIGUSR1 kills the command between two of them,
POWER_KILL_AFTER in the environment after that many.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import stat
import sys
from collections import deque
from pathlib import Path
from typing import NamedTuple

from tests.costs.tracing import (
    CONT,
    EVENT_STOP,
    GET_SYSCALL_INFO,
    LISTEN,
    SEIZE,
    SYSCALL,
    SYSCALL_STOP,
    WALL,
    SyscallInfo,
    ptrace,
)
from tests.torture.power import filtering, trace
from tests.torture.power.calls import Finish, Memory, Store, begin
from tests.torture.power.filesystem import Disk

# Kill with the tracer; tell of exec, clone, vfork, fork; stop where the filter says; mark stops at calls.
OPTIONS = 0x100000 | 0x80 | 0x10 | 0x8 | 0x4 | 0x2 | 0x1
EVENT_SECCOMP = 7


class _Exit(ctypes.Structure):
    """`struct ptrace_syscall_info` at an exit."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("is_error", ctypes.c_uint8),
    )


class _Call(NamedTuple):
    thread: int
    name: str
    arguments: tuple[int, ...]


class Recorder:
    """Follows a command and writes its recording."""

    def __init__(self, recording: Path, store: Path) -> None:
        self._store = Store(store)
        earlier = trace.read(recording) if recording.exists() else []
        self._file = recording.open("ab")
        self._write(continue_from(self._store, earlier))
        self._threads: set[int] = set()
        self._waiting: deque[_Call] = deque()
        self._busy: int | None = None
        """The thread whose operation is being done now."""
        self._finish: Finish | None = None
        self._is_to_be_killed = False
        self._left_until_killed = int(os.environ.pop("POWER_KILL_AFTER", "0"))
        self._child = 0

    def run(self, command: list[str]) -> int:
        """Run the command to its end and return its exit status."""
        self._child = _start(command)
        self._threads.add(self._child)
        signal.signal(signal.SIGUSR1, self._note_kill)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # the whole group gets it; the command obeys
        code = 0
        while True:
            try:
                thread, status = os.waitpid(-1, WALL)
            except ChildProcessError:
                self._file.close()
                return code
            if os.WIFSTOPPED(status):
                with contextlib.suppress(ProcessLookupError):
                    self._stopped(thread, os.WSTOPSIG(status), status >> 16)
            else:
                self._ended(thread)
                if thread == self._child:
                    code = os.waitstatus_to_exitcode(status)

    def _write(self, operations: list[trace.Operation]) -> None:
        for operation in operations:
            pickle.dump(operation, self._file, pickle.HIGHEST_PROTOCOL)
        self._file.flush()

    def _stopped(self, thread: int, number: int, event: int) -> None:
        self._threads.add(thread)
        if event == EVENT_SECCOMP:
            self._entered(thread)
        elif number == SYSCALL_STOP:
            self._left(thread)
        elif event == EVENT_STOP and number in (
            signal.SIGSTOP,
            signal.SIGTSTP,
            signal.SIGTTIN,
            signal.SIGTTOU,
        ):
            ptrace(LISTEN, thread)
        else:
            ptrace(CONT, thread, 0, 0 if event else number)

    def _entered(self, thread: int) -> None:
        info = SyscallInfo()
        ptrace(GET_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.addressof(info))
        call = _Call(thread, filtering.NAMES[info.number], tuple(info.arguments))
        answer = self._store.answer(call.name, thread, call.arguments)
        if answer is not None:
            self._write([answer])
            ptrace(CONT, thread)
        elif not self._store.concerns(call.name, thread, call.arguments):
            ptrace(CONT, thread)
        else:
            self._waiting.append(call)
            self._next()

    def _next(self) -> None:
        """Let the next operation be done, if none is."""
        while self._busy is None and self._waiting:
            call = self._waiting.popleft()
            with contextlib.suppress(ProcessLookupError):
                self._finish = begin(self._store, Memory(call.thread), call.name, call.arguments)
                self._busy = call.thread
                ptrace(SYSCALL, call.thread)

    def _left(self, thread: int) -> None:
        """Note an operation that has been done, and go on."""
        info = _Exit()
        ptrace(GET_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.addressof(info))
        finish, self._finish = self._finish, None
        assert thread == self._busy, f"thread {thread} left a call that {self._busy} is in"
        assert finish is not None
        if not info.is_error:
            self._write(finish(info.result))
        self._busy = None
        self._left_until_killed -= 1
        self._is_to_be_killed = self._is_to_be_killed or self._left_until_killed == 0
        if self._is_to_be_killed:
            self._kill()
        ptrace(CONT, thread)
        self._next()

    def _ended(self, thread: int) -> None:
        self._threads.discard(thread)
        self._waiting = deque(call for call in self._waiting if call.thread != thread)
        if thread == self._busy:
            # It was killed in the middle, as no test of ours does: what it did is not known.
            raise RuntimeError("a process was killed within an operation: the recording can't be trusted")

    def _note_kill(self, *_: object) -> None:
        self._is_to_be_killed = True
        if self._busy is None:
            self._kill()

    def _kill(self) -> None:
        self._waiting.clear()
        for process in {_process_of(thread) for thread in self._threads} - {0}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def continue_from(store: Store, earlier: list[trace.Operation]) -> list[trace.Operation]:
    """Learn the files of an earlier recording; return what makes a store that no recording knows."""
    disk = Disk()
    for operation in earlier:
        disk.do(operation)
    for number in disk.files:
        store.know_number(number)
    made: list[trace.Operation] = []
    for path in store.paths():
        name, status = store.name(path), Path(path).stat()
        if name in disk.live:
            store.know(status, disk.live[name])
        elif stat.S_ISDIR(status.st_mode):
            made.append(trace.MakeDirectory(name))
        else:
            file = store.new(status)
            made += [trace.Create(name, file), trace.Write(file, 0, Path(path).read_bytes())]
    return [*made, trace.SyncAll()] if made else []


def _process_of(thread: int) -> int:
    """Return the process of a thread, 0 if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{thread}/status").read_text().splitlines():
            if line.startswith("Tgid:"):
                return int(line.split()[1])
    return 0


def _start(command: list[str]) -> int:
    """Start the command under the filter, traced from its first step on."""
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(go)
            os.read(ready, 1)
            filtering.install()
            os.execvp(command[0], command)
        except OSError as error:
            os.write(2, f"{command[0]}: {error}\n".encode())
        finally:
            os._exit(127)
    os.close(ready)
    try:
        ptrace(SEIZE, child, 0, OPTIONS)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    os.close(go)
    return child


def main(arguments: list[str]) -> int:
    """Record the command of the arguments."""
    recording, store, *command = arguments
    code = Recorder(Path(recording), Path(store)).run(command)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
