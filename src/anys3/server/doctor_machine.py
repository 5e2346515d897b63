"""What `anys3 doctor DIR` looks at beside the store: device, file system, time keeping, limits, memory."""

from __future__ import annotations

import ctypes
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from anys3.server.findings import Finding, Level
from anys3.server.limits import Limits
from anys3.store.findings import size
from anys3.store.places import MEMORY, NETWORK, file_system
from anys3.store.upkeep import device

SYNCS = 25
_LOW_BYTES = 1 << 30
_NO_BYTES = 64 << 20
_LOW_SHARE = 0.05
_LOW_INODES = 10_000
_NO_INODES = 500
_SLOW_MS = 20.0
_VERY_SLOW_MS = 100.0
_FAST_MS = 0.02
_MEMORY_A_WORKER = 256 << 20
_SPARE_DESCRIPTORS = 256
_TIMEX_BYTES = 512
_TIME_ERROR = 5


def of_device(directory: Path) -> Iterator[Finding]:
    """Tell of the room, the kind of file system, what it can do, and how long a sync takes."""
    if hasattr(os, "statvfs"):
        now = os.statvfs(directory)
        yield of_room(now.f_bavail * now.f_frsize, now.f_blocks * now.f_frsize)
        if now.f_files:
            yield of_inodes(now.f_favail)
    kind = file_system(directory)
    if kind:
        yield of_kind(kind)
    if os.access(directory, os.W_OK | os.X_OK):
        try:
            with tempfile.TemporaryDirectory(prefix=".doctor-", dir=directory) as scratch:
                yield from of_abilities(Path(scratch))
                yield of_syncs(sync_times_ms(Path(scratch) / "synced"))
        except OSError as error:
            yield Finding(
                "sync", "problem", f"a file can't be written and synced: {error.strerror}", "see `room`"
            )


def of_room(free: int, total: int) -> Finding:
    """Tell how full the device is."""
    told = f"{size(free)} free of {size(total)}"
    advice = "make room, or grow the device: writes are refused with 503 when it is full, and reads go on"
    if free < _NO_BYTES:
        return Finding("room", "problem", told, advice)
    if free < max(_LOW_BYTES, _LOW_SHARE * total):
        return Finding("room", "warning", told, advice)
    return Finding("room", "ok", told)


def of_inodes(free: int) -> Finding:
    """Tell how many more files there may be: each object above 128 KiB is one."""
    told = f"{free} more files can be made"
    advice = "remove files, or make the file system with more inodes: each object above 128 KiB is a file"
    if free < _NO_INODES:
        return Finding("inodes", "problem", told, advice)
    return Finding("inodes", "warning", told, advice) if free < _LOW_INODES else Finding("inodes", "ok", told)


def of_kind(kind: str) -> Finding:
    """Tell what a kind of file system means for a store."""
    if kind in NETWORK:
        return Finding(
            "file-system", "problem", f"{kind}, a file system over the network",
            "use a local one: the index is shared memory and needs its locks, and syncs must reach the device",
        )  # fmt: skip
    if kind in MEMORY:
        return Finding(
            "file-system", "warning", f"{kind}: everything is lost when this machine stops",
            "use a directory on a disk, or `anys3 serve --memory` if it is to be forgotten",
        )  # fmt: skip
    if kind == "overlay":
        return Finding(
            "file-system", "warning", "overlay: this is the layer of a container, and goes with it",
            "mount a volume of the host for the store",
        )  # fmt: skip
    if kind.startswith("fuse"):
        return Finding(
            "file-system", "note", f"{kind}: what a sync means there is up to the program behind it",
            "make sure that it keeps what it has synced, and is on this machine",
        )  # fmt: skip
    return Finding("file-system", "ok", kind)


def of_abilities(scratch: Path) -> Iterator[Finding]:
    """Try what a store needs of a file system."""
    descriptor, is_direct = device.create(scratch / "one")
    os.close(descriptor)
    if not is_direct and sys.platform.startswith("linux"):
        yield Finding(
            "direct-io",
            "note",
            "no O_DIRECT: large writes go through the page cache",
            "nothing: it is a bit slower",
        )
    try:
        os.link(scratch / "one", scratch / "two")
        device.sync_directory(scratch)
    except OSError as error:
        yield Finding(
            "links", "problem", f"hard links or syncs of directories fail: {error.strerror}",
            "use another file system: objects above 128 KiB are published by a link",
        )  # fmt: skip
    else:
        yield Finding("links", "ok", "hard links and syncs of directories work")


def sync_times_ms(file: Path) -> list[float]:
    """Return how long each of some syncs of 4 KiB took."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | device.O_CLOEXEC, 0o600)
    page = memoryview(os.urandom(device.PAGE))
    times = []
    try:
        for number in range(SYNCS):
            device.write_at(descriptor, page, number * device.PAGE)
            began = time.perf_counter()
            device.sync_file(descriptor)
            times.append(1000 * (time.perf_counter() - began))
    finally:
        os.close(descriptor)
    return times


def of_syncs(times_ms: list[float]) -> Finding:
    """Tell what the time of a sync means: writes that arrive together share one."""
    median, worst = statistics.median(times_ms), max(times_ms)
    told = f"4 KiB are synced in {median:.2f} ms (median of {len(times_ms)}), {worst:.2f} ms at worst"
    advice = "look for other load on the device, or take a faster one: every write waits for a sync"
    if median < _FAST_MS:
        return Finding(
            "sync", "note", f"{told}: too fast for a device",
            "make sure that syncs are not turned off (memory, eatmydata, a virtual disk that ignores them)",
        )  # fmt: skip
    if median > _VERY_SLOW_MS:
        return Finding("sync", "warning", told, advice)
    level: Level = "note" if median > _SLOW_MS else "ok"
    return Finding("sync", level, told, advice if level == "note" else "")


def of_time_keeping() -> Iterator[Finding]:
    """Tell whether the kernel's clock is kept by something."""
    if not sys.platform.startswith("linux"):
        return
    # An empty timex asks and changes nothing; the answer is the state of the clock.
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    yield of_clock_state(state)


def of_clock_state(state: int) -> Finding:
    """Tell what adjtimex answered."""
    if state == _TIME_ERROR:
        return Finding(
            "ntp", "note", "the kernel doesn't know of anything that keeps its clock",
            "run an NTP client here, or on the host if this is a virtual machine or a container",
        )  # fmt: skip
    if state < 0:
        return Finding("ntp", "note", "the state of the clock can't be read here")
    return Finding("ntp", "ok", "the clock is kept by NTP")


def of_process(workers: int) -> Iterator[Finding]:
    """Tell what this user's processes may have, and how much memory there is."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 (not on Windows)

        yield of_descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    available = memory_available()
    if available is not None:
        yield of_memory(available, workers or 1)


def of_descriptors(hard: int) -> Finding:
    """Compare the limit, which a server raises as far as it may, with its connections."""
    wanted = Limits().connections_max + _SPARE_DESCRIPTORS
    if 0 <= hard < wanted:
        return Finding(
            "descriptors", "warning", f"a process may open {hard} files, and a worker takes up to {wanted}",
            f"raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd) to {wanted} or more",
        )  # fmt: skip
    return Finding("descriptors", "ok", f"a process may open {hard if hard >= 0 else 'any number of'} files")


def memory_available(root: Path = Path("/")) -> int | None:
    """Return how many bytes a new process can have, of the system and of its control group."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    free = next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
    try:
        group = root / "sys/fs/cgroup"
        left = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return free
    return left if free is None else min(free, left)


def of_memory(available: int, workers: int) -> Finding:
    """Compare what there is with what workers use under load."""
    told = f"{size(available)} of memory available for {workers} worker{'s' if workers > 1 else ''}"
    if available < workers * _MEMORY_A_WORKER:
        return Finding(
            "memory",
            "warning",
            told,
            f"have {size(_MEMORY_A_WORKER)} for each worker, or run fewer (--workers)",
        )
    return Finding("memory", "ok", told)
