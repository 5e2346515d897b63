"""What an engine for blobs gives by itself: throughput of one large blob, latency of small ones, CPU of this process.

python -m bench.blobs URL [--mib 1024] [--count 200]
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import time
from collections.abc import Callable

from anys3.store.blobs import Blobs
from anys3.store.contents import Stored, Writer, read_blob
from anys3.store.opening import open_blobs

MIB = 1 << 20
PATTERN = os.urandom(4 * MIB)


class Names:
    """Names that nobody has used."""

    def new_name(self) -> str:
        return f"bench-{secrets.token_hex(12)}"

    def give_up(self, name: str) -> None:
        """Leave it: the end removes everything."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--mib", type=int, default=1024, help="MiB of the large blob")
    parser.add_argument("--count", type=int, default=200, help="blobs of each small size")
    chosen = parser.parse_args()
    blobs = open_blobs(chosen.url)
    blobs.check()
    large(blobs, chosen.mib * MIB)
    for size in (256 * 1024, 4 * MIB):
        small(blobs, size, chosen.count)
    blobs.close()


def write(blobs: Blobs, size: int) -> str:
    """Write a content as a PUT does, in pieces of 256 KiB; return its blob's name."""
    writer = Writer(blobs, Names(), size, inline_max=0)
    view = memoryview(PATTERN)
    for at in range(0, size, 256 * 1024):
        start = at % len(PATTERN)
        writer.write(view[start : start + min(256 * 1024, size - at)])
    content = writer.finish()
    assert isinstance(content, Stored)
    return content.name


def read(blobs: Blobs, name: str, size: int) -> None:
    """Read a content as a GET does, verified."""
    assert sum(len(block) for block in read_blob(blobs, name, size, 0, size)) == size


def large(blobs: Blobs, size: int) -> None:
    """Print the throughput of one content."""
    names: list[str] = []
    throughput("write", size, lambda: names.append(write(blobs, size)))
    throughput("read", size, lambda: read(blobs, names[0], size))
    begin = time.perf_counter()
    blobs.remove(names)
    print(f"{size / MIB:>6.0f} MiB remove {time.perf_counter() - begin:6.2f} s")


def throughput(what: str, size: int, work: Callable[[], None]) -> None:
    begin, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    print(
        f"{size / MIB:>6.0f} MiB {what:6} {size / seconds / 1e9:6.2f} GB/s {cpu_s / size * 1e9:6.2f} CPU s/GB"
    )


def small(blobs: Blobs, size: int, count: int) -> None:
    """Print the latencies of contents of one size, one after the other."""
    names: list[str] = []
    latencies("write", size, count, lambda _: names.append(write(blobs, size)))
    latencies("read", size, count, lambda number: read(blobs, names[number], size))
    latencies("remove", size, count, lambda number: blobs.remove([names[number]]))


def latencies(what: str, size: int, count: int, work: Callable[[int], None]) -> None:
    taken: list[float] = []
    for number in range(count):
        begin = time.perf_counter()
        work(number)
        taken.append((time.perf_counter() - begin) * 1e3)
    taken.sort()
    p99 = taken[int(len(taken) * 0.99)]
    print(f"{size / MIB:>6.2f} MiB {what:6} p50 {statistics.median(taken):7.2f} ms  p99 {p99:7.2f} ms")


if __name__ == "__main__":
    main()
