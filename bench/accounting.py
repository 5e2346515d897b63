"""What a server's processes have used: CPU, resident memory, and calls that wait for the disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
TRACED = "fsync,fdatasync,sync_file_range,syncfs,msync,pwrite64,pwritev"
ATTACH_LIMIT_S = 10.0
SYNC = re.compile(r"\b(fsync|fdatasync|sync_file_range|syncfs)\(|\bmsync\(.*MS_SYNC")
WRITE = re.compile(r"\bpwrite(?:64|v)\((\d+<[^>]*>)")


def tree(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting.extend(map(int, children.read_text().split()))
            except OSError:
                continue
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """Return user and system time so far, of all threads, also of those that have ended.

    The process's own CPU clock has nanoseconds; children that ended meanwhile are added from the clock of
    their parent, in ticks.
    """
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime_ns(~pid << 3 | 2) / 1e9  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            total += (int(fields[13]) + int(fields[14])) * TICK_S
        except OSError:
            continue
    return total


def reset_peak(pids: Iterable[int]) -> None:
    """Begin anew to look for the peak of resident memory, where the kernel lets us."""
    for pid in pids:
        try:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        except OSError:
            continue


def rss_mib(pids: Iterable[int], *, is_peak: bool) -> float:
    """Return resident memory of all processes together, now or at their peaks; shared pages count in each."""
    return _memory_mib(pids, ("VmHWM:",) if is_peak else ("VmRSS:",))


def anonymous_mib(pids: Iterable[int]) -> float:
    """Return the resident memory that is no page of a file: an index that is mapped is not in it."""
    return _memory_mib(pids, ("RssAnon:",))


def file_mib(pids: Iterable[int]) -> float:
    """Return the resident memory that is pages of files: of an index that is mapped, what was read of it."""
    return _memory_mib(pids, ("RssFile:", "RssShmem:"))


def _memory_mib(pids: Iterable[int], names: tuple[str, ...]) -> float:
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(names))
    return total / 1024


def can_trace() -> bool:
    """Return whether strace is here."""
    return shutil.which("strace") is not None


def synced_files(pids: Iterable[int]) -> frozenset[str]:
    """Return what is open with O_DSYNC or O_SYNC, so that a write waits for the disk: as strace has it, 7</file>.

    LMDB writes its meta pages so; its data pages go through another descriptor of the same file.
    """
    found = set()
    for pid in pids:
        for info in Path(f"/proc/{pid}/fdinfo").glob("*"):
            try:
                flags = re.search(r"^flags:\s*([0-7]+)", info.read_text(), re.MULTILINE)
                if flags and int(flags[1], 8) & os.O_DSYNC:
                    found.add(f"{info.name}<{Path(f'/proc/{pid}/fd/{info.name}').readlink()}>")
            except OSError:
                continue
    return frozenset(found)


class Tracing:
    """strace attached to processes for the length of a block; `count` is then how often they waited for the disk."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self.count = 0

    def __enter__(self) -> Self:
        self._synced = synced_files(self._pids)
        self._output = tempfile.NamedTemporaryFile(prefix="anys3-strace-")
        command = ["strace", "-f", "-y", "-qq", "-e", f"trace={TRACED}", "-e", "signal=none"]
        command += ["-o", self._output.name, *(f"--attach={pid}" for pid in self._pids)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + ATTACH_LIMIT_S
        while not _are_traced(self._pids) and self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if not _are_traced(self._pids):
            self.__exit__(None, None, None)
            raise RuntimeError("strace can't attach here")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(ATTACH_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.count = count_syncs(
            Path(self._output.name).read_text("utf-8", "replace").splitlines(), self._synced
        )
        self._output.close()


def count_syncs(lines: Iterable[str], synced: frozenset[str]) -> int:
    """Return how many of strace's lines are calls that wait for the disk; each call counts once.

    >>> lines = ["7 fdatasync(9</a>) = 0", "7 pwrite64(8</b>, ...) = 1", "7 pwrite64(6</b>, ...) = 1"]
    >>> count_syncs(lines, frozenset(["8</b>"]))
    2
    """
    total = 0
    for line in lines:
        write = WRITE.search(line)
        total += bool(SYNC.search(line) or (write and write[1] in synced))
    return total


def _are_traced(pids: Iterable[int]) -> bool:
    """Return whether all threads of all processes have a tracer."""
    for pid in pids:
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            try:
                if "TracerPid:\t0\n" in status.read_text():
                    return False
            except OSError:
                continue
    return True
