"""More than one machine's engines: `python -m bench.cluster servers` and `python -m bench.cluster list --keys 1m,10m`.

`servers`: one server process and then two on one store (PostgreSQL and a blob engine); GETs of 4 KiB and of 1 MiB, with a
load client for each server. What two processes give depends on the cores that they, the clients and the engines share;
so the CPU of each is told, too.

`list`: pages of 1,000 keys and of 1,000 common prefixes of large buckets on PostgreSQL, inside the database, in a server's
process, and over HTTP. Rows are made as the server makes them, and loaded by COPY.

Both start their engines by `tests.engines` (.ci/install-engines) in a temporary directory.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import accounting, client, cluster_list, engines
from bench.client import Replay, Request, Result
from bench.peers.product import KeyPair, random_key_pair
from bench.peers.running import Running, answers, free_ports
from bench.signing import Signer
from bench.stage import BLOCK_BYTES, MIB
from bench.targets import environment_of

KEYS, SMALL, MEDIUM = 2_000, 4096, 64
CONNECTIONS = {"GET 4 KiB": 64, "GET 1 MiB": 8}
LIMIT_S = 240.0


class Server:
    """`anys3 serve` with one worker on a store of engines; ends with the stack that it was started in."""

    def __init__(self, stack: ExitStack, store: engines.Engines, pair: KeyPair, log: Path) -> None:
        (self.port,) = free_ports(1)
        self.signer = Signer(f"127.0.0.1:{self.port}", pair.access_key_id, pair.secret_access_key)
        self.running = Running(log)
        stack.callback(self.running.stop)
        words = [sys.executable, "-m", "anys3", "serve", "--workers", "1", *store.options]
        environment = {**environment_of(pair), **store.environment}
        command = [*words, "--listen", f"127.0.0.1:{self.port}"]
        self.running.spawn(command, environment=environment, cwd=Path(__file__).parents[1])
        self.running.wait_until("the server answers", lambda: answers(self.port))

    def get(self, path: str, size: int) -> Request:
        """Return a signed GET."""
        return Request(self.signer.head("GET", path), answer_bytes=size)

    def put(self, path: str, size: int) -> Request:
        """Return a signed PUT of the beginning of the block."""
        head = self.signer.head("PUT", path, payload="UNSIGNED-PAYLOAD", body_bytes=size)
        return Request(head, body_bytes=size)

    def send(self, requests: Sequence[Request], block: bytes, connections: int) -> Result:
        """Send requests and return what came. Raises RuntimeError if an answer is not as expected."""
        with self.replay(requests, block, connections) as replay:
            return checked(replay.run())

    def replay(self, requests: Sequence[Request], block: bytes, connections: int) -> Replay:
        """Return a load client for this server."""
        return Replay(
            client.program(), requests, block, port=self.port, connections=connections, soft_s=LIMIT_S, hard_s=LIMIT_S
        )  # fmt: skip


def checked(result: Result) -> Result:
    """Return a result that is as it should be. Raises RuntimeError."""
    if result.oddities() or result.unsent:
        raise RuntimeError(f"unexpected answers: {result.oddities()} {result.sample[:200]}")
    return result


# --- one server against two ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Together:
    """What a load on some servers gave: operations a second, milliseconds, CPU µs per operation."""

    rate: float
    p50_ms: float
    server_us: float
    engine_us: float
    client_us: float


def load(
    servers: list[Server],
    store: engines.Engines,
    requests: Callable[[Server, int], list[Request]],
    block: bytes,
    connections: int,
    count: int,
) -> Together:
    """Send `count` requests to each of the servers at once."""
    pids = [pid for server in servers for pid in server.running.pids()]
    results: list[Result] = []
    with ExitStack() as stack:
        replays = [
            stack.enter_context(server.replay(requests(server, count), block, connections))
            for server in servers
        ]
        threads = [threading.Thread(target=lambda each=each: results.append(each.run())) for each in replays]
        before = accounting.cpu_s(pids), accounting.cpu_s(store.find_pids())
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = accounting.cpu_s(pids), accounting.cpu_s(store.find_pids())
    if len(results) != len(servers):
        raise RuntimeError("a load client failed")
    total = sum(checked(result).answers for result in results)
    return Together(
        rate=total / max(result.seconds for result in results),
        p50_ms=max(result.p50_ns for result in results) / 1e6,
        server_us=(after[0] - before[0]) / total * 1e6,
        engine_us=(after[1] - before[1]) / total * 1e6,
        client_us=sum(result.cpu_s for result in results) / total * 1e6,
    )


def small_gets(server: Server, count: int) -> list[Request]:
    """Return GETs of the small objects."""
    return [server.get(f"/bench/k{number * 7919 % KEYS:05d}", SMALL) for number in range(count)]


def medium_gets(server: Server, count: int) -> list[Request]:
    """Return GETs of the objects of 1 MiB."""
    return [server.get(f"/bench/m{number % MEDIUM:03d}", MIB) for number in range(count)]


def compare_servers(directory: Path, blobs: str, rounds: int, share: float) -> None:
    """Measure one server and two in turn, and print."""
    block = os.urandom(BLOCK_BYTES)
    with ExitStack() as stack:
        store = stack.enter_context(engines.started("postgresql", blobs, 0, directory))
        pair = random_key_pair()
        servers = [Server(stack, store, pair, directory / f"server-{number}.log") for number in (1, 2)]
        first = servers[0]
        first.send([Request(first.signer.head("PUT", "/bench", body_bytes=0))], block, 1)
        first.send([first.put(f"/bench/k{number:05d}", SMALL) for number in range(KEYS)], block, 16)
        first.send([first.put(f"/bench/m{number:03d}", MIB) for number in range(MEDIUM)], block, 4)
        print(f"PostgreSQL and {blobs}; {os.cpu_count()} cores for servers, load clients and engines")
        print(
            f"{'':<12}{'servers':>8}{'op/s':>10}{'p50 ms':>9}{'CPU µs: server':>16}{'engines':>9}{'client':>8}{'times':>8}"
        )
        for name, requests, count in (("GET 4 KiB", small_gets, 16_000), ("GET 1 MiB", medium_gets, 1_200)):
            number = max(CONNECTIONS[name], int(count * share))
            for _ in range(rounds):
                made = [
                    load(some, store, requests, block, CONNECTIONS[name], number // len(some))
                    for some in ([first], servers)
                ]
                for some, one in zip((1, 2), made, strict=True):
                    times = f"{one.rate / made[0].rate:.2f}" if some > 1 else ""
                    print(
                        f"{name:<12}{some:>8}{one.rate:>10.0f}{one.p50_ms:>9.2f}{one.server_us:>16.0f}"
                        f"{one.engine_us:>9.0f}{one.client_us:>8.0f}{times:>8}",
                        flush=True,
                    )


# --- the command -----------------------------------------------------------------------------------------


def counts(text: str) -> list[int]:
    """Return numbers of keys.

    >>> counts("10k,1m")
    [10000, 1000000]
    """
    if not re.fullmatch(r"[1-9]\d*[km]?(,[1-9]\d*[km]?)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers; write 10k,1m")
    units = {"k": 1_000, "m": 1_000_000}
    return [int(word.rstrip("km")) * units.get(word[-1], 1) for word in text.split(",")]


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit code: 2 where something is missing."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m bench.cluster", description=__doc__, formatter_class=form
    )
    commands = parser.add_subparsers(dest="command", required=True)
    two = commands.add_parser("servers", help="one server and two on one store")
    two.add_argument("--blobs", choices=engines.BLOBS, default="rados", help="default: rados")
    two.add_argument("--rounds", type=int, default=3, metavar="N", help="default: 3")
    two.add_argument("--share", type=float, default=1.0, help="a share of the requests, for a quick look")
    pages = commands.add_parser("list", help="pages of large buckets on PostgreSQL")
    pages.add_argument(
        "--keys", type=counts, default=[1_000_000], metavar="N,N", help="such as 1m,10m (default: 1m)"
    )
    pages.add_argument("--pages", type=int, default=200, metavar="N", help="of each kind (default: 200)")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="anys3-cluster-", ignore_cleanup_errors=True) as directory:
            if options.command == "servers":
                compare_servers(Path(directory), options.blobs, options.rounds, options.share)
            else:
                measure_pages(Path(directory), options.keys, options.pages)
    except RuntimeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


def measure_pages(directory: Path, keys: list[int], pages: int) -> None:
    """Load buckets, and measure their pages at each of three places."""
    with ExitStack() as stack:
        store = stack.enter_context(engines.started("postgresql", "file", 0, directory))
        dsn = store.options[store.options.index("--index") + 1]
        pair = random_key_pair()
        server = Server(stack, store, pair, directory / "server.log")  # makes the schema
        print(
            f"{'keys':>12}  {'page':<28}{'in the database':>17}{'in the process':>16}{'over HTTP':>16}   ms, median (99th of 100)"
        )
        for count in keys:
            for line in cluster_list.lines(dsn, server.port, server.signer, count, pages):
                print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
