"""Does a large bucket cost more than a small one? `python -m bench.scale --keys 10_000_000`.

Builds two directories through the store's own commits, many objects in each and no HTTP: one with 10,000 keys in
each of two buckets, one with as many as asked for. `flat` holds them in one row, `prefixed` under 1,000 common
prefixes. Then serves both at once and measures them in turn, A B A B: CPU of the server per request. A directory
that was built is used again (`--directory`).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random  # noqa: TID251 (seeded: the same keys each time)
import shutil
import statistics
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from anys3.model import Bucket, Entry
from anys3.operations.publishing import make_entry
from anys3.store.embedded import EmbeddedStore, can_be_relaxed, open_store
from anys3.store.mutations import Mutation, PutEntry
from bench import accounting
from bench.client import IS_HEAD, Request
from bench.served import Load, Served

SMALL = 10_000
PREFIXES = 1_000
A_MUTATION = 500
AT_ONCE = 8
MODIFIED_MS = 1_790_000_000_000
STORED = b"Content-Type: application/octet-stream\r\n"
BUILT = "scale.json"
TARGETS = tomllib.loads(Path(__file__).with_name("budget.toml").read_text())["scale"]


def flat_key(number: int) -> bytes:
    """Return the n-th key of the flat bucket, in order; 20 to 40 bytes long."""
    digest = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=16).hexdigest()
    return f"{number:010d}-{digest[: 9 + number % 21]}".encode()


def prefixed_key(number: int, keys: int) -> bytes:
    """Return the n-th key of the bucket with common prefixes, in order."""
    each = max(1, keys // PREFIXES)
    return f"p{number // each:06d}/{number % each:08d}-{number * 7919 % 1_000_003:06d}".encode()


def entries() -> list[tuple[Entry, bytes]]:
    """Return rows with their bodies, 16 bytes each, made as the operations make them."""
    bodies = [f"body {number:011d}".encode() for number in range(16)]
    return [
        (
            make_entry(
                size=len(body),
                etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
                modified_ms=MODIFIED_MS,
                stored=STORED,
            ),
            body,
        )
        for body in bodies
    ]


def mutations(bucket: Bucket, name: Callable[[int], bytes], keys: int) -> Iterator[Mutation]:
    """Yield the changes that fill a bucket, in the order of its keys."""
    rows = entries()
    for begin in range(0, keys, A_MUTATION):
        numbers = range(begin, min(begin + A_MUTATION, keys))
        yield Mutation(bucket, tuple([PutEntry(name(number), *rows[number % 16]) for number in numbers]))


async def fill(store: EmbeddedStore, bucket: Bucket, name: Callable[[int], bytes], keys: int) -> None:
    """Commit them, a few mutations at once, so that the writer always has the next."""
    waiting: list[asyncio.Task[object]] = []
    for mutation in mutations(bucket, name, keys):
        waiting.append(asyncio.ensure_future(store.commit(mutation)))
        if len(waiting) == AT_ONCE:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)


async def build(directory: Path, keys: int) -> dict[str, float]:
    """Fill both buckets of a new store; return keys a second and index bytes per key."""
    store = open_store(directory, is_relaxed=can_be_relaxed())
    try:
        buckets = [await store.create_bucket(Bucket(name, 0, MODIFIED_MS)) for name in ("flat", "prefixed")]
        begin = time.perf_counter()
        await fill(store, buckets[0], flat_key, keys)
        await fill(store, buckets[1], lambda number: prefixed_key(number, keys), keys)
    finally:
        await store.close()
    seconds = time.perf_counter() - begin
    size = (directory / "index" / "data.mdb").stat().st_blocks * 512
    return {"keys": keys, "keys_a_second": 2 * keys / seconds, "bytes_a_key": size / (2 * keys)}


def built(directory: Path, keys: int) -> dict[str, float]:
    """Return what is known of a filled store, built now unless it was before."""
    note = directory.with_name(f"{directory.name}.{BUILT}")
    if note.exists():
        known: dict[str, float] = json.loads(note.read_text())
        if known["keys"] == keys:
            return known
    shutil.rmtree(directory, ignore_errors=True)
    known = asyncio.run(build(directory, keys))
    note.write_text(json.dumps(known))
    return known


# --- loads ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that is measured: its requests, of which `count` are sent over `connections`."""

    name: str
    count: int
    connections: int
    requests: Callable[[Served, int, int, random.Random], list[Request]]
    """(server, keys in each of its buckets, how many, randomness) -> requests"""


def object_path(number: int, tail: str = "") -> str:
    """Return the path of a key of the flat bucket; every byte of it stands for itself."""
    return f"/flat/{flat_key(number).decode()}{tail}"


def reads(method: str) -> Callable[[Served, int, int, random.Random], list[Request]]:
    """Return what makes reads of random keys."""

    def make(server: Served, keys: int, count: int, some: random.Random) -> list[Request]:
        flags = IS_HEAD if method == "HEAD" else 0
        paths = [object_path(some.randrange(keys)) for _ in range(count)]
        return [Request(server.signer.head(method, path), flags=flags) for path in paths]

    return make


def new_paths(keys: int, count: int, some: random.Random) -> list[str]:
    """Return new keys all over the bucket: each behind another key that is there."""
    return [object_path(some.randrange(keys), f"~{number}") for number in range(count)]


def put_requests(server: Served, paths: list[str]) -> list[Request]:
    """Return PUTs of tiny objects."""
    made = []
    for number, path in enumerate(paths):
        body = f"new {number:012d}".encode()
        payload = hashlib.sha256(body).hexdigest()
        made.append(Request(server.signer.head("PUT", path, payload=payload, body_bytes=len(body)) + body))
    return made


def puts(server: Served, keys: int, count: int, some: random.Random) -> list[Request]:
    """Return PUTs of new keys."""
    return put_requests(server, new_paths(keys, count, some))


def overwrites(server: Served, keys: int, count: int, some: random.Random) -> list[Request]:
    """Return PUTs of random keys that exist."""
    return put_requests(server, [object_path(some.randrange(keys)) for _ in range(count)])


def deletes(server: Served, keys: int, count: int, some: random.Random) -> list[Request]:
    """Return DELETEs of what `puts` made."""
    return [Request(server.signer.head("DELETE", path), 204) for path in new_paths(keys, count, some)]


def pages(bucket: str, **more: str) -> Callable[[Served, int, int, random.Random], list[Request]]:
    """Return what makes LIST pages of 1,000; `start_after` "random" is some key of the middle half."""

    def make(server: Served, keys: int, count: int, some: random.Random) -> list[Request]:
        made = []
        for _ in range(count):
            query = {"list-type": "2", "max-keys": "1000", **more}
            if "start-after" in more:
                query["start-after"] = flat_key(some.randrange(keys // 4, keys * 3 // 4)).decode()
            made.append(Request(server.signer.head("GET", f"/{bucket}", query)))
        return made

    return make


OPERATIONS = (
    Operation("GET", 8_000, 64, reads("GET")),
    Operation("HEAD", 8_000, 64, reads("HEAD")),
    Operation("PUT new", 4_000, 64, puts),
    Operation("DELETE", 4_000, 64, deletes),
    Operation("PUT again", 4_000, 64, overwrites),
    Operation("LIST page", 300, 4, pages("flat")),
    Operation("LIST deep page", 300, 4, pages("flat", **{"start-after": "random"})),
    Operation("LIST 1,000 prefixes", 100, 4, pages("prefixed", delimiter="/")),
)


# --- the measurement ------------------------------------------------------------------------------------


def measure(
    servers: list[tuple[Served, int]], rounds: int, share: float
) -> dict[str, list[tuple[Load, Load]]]:
    """Return pairs of loads, small bucket and large one in turn; `share` makes loads smaller."""
    found: dict[str, list[tuple[Load, Load]]] = {operation.name: [] for operation in OPERATIONS}
    for round_number in range(rounds + 1):
        for operation in OPERATIONS:
            count = max(operation.connections, int(operation.count * share))
            pair = [
                server.load(
                    operation.requests(server, keys, count, random.Random(round_number)),
                    operation.connections,
                )
                for server, keys in servers
            ]
            if round_number:  # the first one warms up
                found[operation.name].append((pair[0], pair[1]))
    return found


def report(found: dict[str, list[tuple[Load, Load]]], keys: list[int]) -> list[str]:
    """Print the table and return what costs more than a third more."""
    print(
        f"\n{'CPU µs':<22}{keys[0]:>12,}{keys[1]:>14,}{'ratio':>8}{'spread':>14}{'p99 ms':>16}   (median of pairs)"
    )
    missed = []
    for name, pairs in found.items():
        ratios = sorted(large.cpu_us / small.cpu_us for small, large in pairs)
        small, large = (statistics.median(pair[side].cpu_us for pair in pairs) for side in (0, 1))
        tails = [statistics.median(pair[side].p99_ms for pair in pairs) for side in (0, 1)]
        ratio = statistics.median(ratios)
        print(
            f"{name:<22}{small:>12.1f}{large:>14.1f}{ratio:>8.2f}{ratios[0]:>8.2f}-{ratios[-1]:.2f}"
            f"{tails[0]:>9.2f} {tails[1]:.2f}"
        )
        if ratio > 1 + TARGETS["over_ten_thousand_keys"]:
            missed.append(f"{name}: {ratio:.2f} times")
    for side, column in enumerate(keys):
        cost = statistics.median(pair[side].cpu_us for pair in found["LIST page"])
        print(f"LIST at {column:,} keys: {1000 / cost * 1e6:,.0f} keys a second a core")
    return missed


def cache(file: Path, *, is_cold: bool) -> None:
    """Bring a file into the page cache page by page, or out of it; out of it, what is measured is the disk.

    It is taken out first in any case: what was written or read in one go lies in the cache in pieces of up to
    2 MiB, and Linux 6.18 looks through a whole piece for each page of it that is written. A bucket that grew
    by PUTs, or was read by GETs, does not cost that.
    """
    with file.open("rb", buffering=0) as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if is_cold:
            return
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        buffer = bytearray(1 << 20)
        while opened.readinto(buffer):
            pass


def run(directory: Path, keys: int, rounds: int, share: float, *, is_cold: bool = False) -> list[str]:
    """Build, serve and measure; return what missed its target."""
    stores = [(directory / "small", min(SMALL, keys)), (directory / "large", keys)]
    for path, count in stores:
        known = built(path, count)
        print(
            f"{count:,} keys in each of two buckets: built at {known['keys_a_second']:,.0f} keys a second, "
            f"{known['bytes_a_key']:.0f} bytes of index a key, with its 16 bytes of content"
        )
    starts: dict[int, list[float]] = {count: [] for _, count in stores}
    for path, count in stores * 5:
        with Served(path) as server:
            starts[count].append(server.start_s)
    medians = {count: statistics.median(seconds) for count, seconds in starts.items()}
    for count, seconds in medians.items():
        print(f"start to first answer at {count:,} keys: {seconds:.3f} s (budget {TARGETS['start_s']} s)")
    for path, _ in stores:
        cache(path / "index" / "data.mdb", is_cold=is_cold)
    with ExitStack() as stack:
        servers = [(stack.enter_context(Served(path)), count) for path, count in stores]
        found = measure(servers, rounds, share)
        missed = report(found, [count for _, count in stores])
        for server, count in servers:
            own, files = accounting.anonymous_mib(server.pids), accounting.file_mib(server.pids)
            print(
                f"resident at {count:,} keys: {own:.0f} MiB of its own, {files:.0f} MiB of the index's file"
            )
    missed += [f"start: {seconds:.3f} s" for seconds in medians.values() if seconds > TARGETS["start_s"]]
    return missed


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return 1 if a target was missed."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__, formatter_class=form)
    parser.add_argument(
        "--keys", type=lambda text: int(text.replace("_", "")), default=TARGETS["keys"], metavar="N"
    )
    parser.add_argument("--directory", type=Path, help="keep what is built, and use what is there")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="pairs (default: 5)")
    parser.add_argument("--share", type=float, default=1.0, help="a share of the requests, for a quick look")
    parser.add_argument(
        "--cold", action="store_true", help="begin with nothing of the index in the page cache"
    )
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        directory = options.directory
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="anys3-scale-")))
        directory.mkdir(parents=True, exist_ok=True)
        missed = run(directory, options.keys, options.rounds, options.share, is_cold=options.cold)
    print("missed: " + "; ".join(missed) if missed else "all within a third")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
