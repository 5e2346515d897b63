"""Runs a command until it ends or standard input does; then nothing that the command has started is left.

Standard input is a pipe from the process that wants the command to run. When that process ends, however it does,
the pipe ends. A parent-death signal would not do: it is bound to a thread, and a change of the user clears it.
A byte on the pipe is the number of a signal for the command. Standard output gets the command's process id.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv: list[str]) -> int:
    """Run the command and return its exit code."""
    # What loses its parent below this process becomes its child, such as PostgreSQL's postmaster under Patroni.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        _become(argv)
    os.write(1, b"%d\n" % child)
    os.close(1)
    code = _watch(child)
    _end_all()
    return code


def _become(argv: list[str]) -> None:
    for number in FORWARDED:
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        os._exit(127)


def _watch(child: int) -> int:
    """Wait until the child or standard input ends, and reap whatever else ends meanwhile."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 0
            if pid == child:
                return os.waitstatus_to_exitcode(status) % 256
            if pid == 0:
                break
        readable, _, _ = select.select([0, woken], [], [])
        if woken in readable:
            os.read(woken, 512)
        if 0 in readable:
            numbers = os.read(0, 1)
            if not numbers:
                return 0
            os.kill(child, numbers[0])


def _end_all() -> None:
    """Kill all descendants: the children of one that has ended become ours, so it takes a few rounds."""
    while True:
        for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
